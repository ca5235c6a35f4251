"""Policies over recorded history or a stream, decision by decision beside what they are compared with.

For one part of the customers; parts that talk to each other give together what one would give alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, NamedTuple

from policyengine.domain.holdings import Entities
from policyengine.domain.places import CUSTOMER
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.door import Door
from policyengine.service.machine import Happened
from policyengine.service.poison import Aside
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, no_progress
from policyengine.service.simulate_drive import Alternative, Rehearsed, aside_of
from policyengine.service.simulate_given import Given, of_decision, of_document
from policyengine.service.simulate_parts import WHOLE, Part, PartMemory
from policyengine.service.simulate_tally import UNKNOWN, Tally, Totals, Who

_NONE = Entities()
_STEP = 500  # entries or lines between two steps of a progress bar


class Compared(NamedTuple):
    """A decision as both sides have it, and where it was compared; pairs come in the order of places.

    ``place``: the shard's number, the entry or line, the customer, and which of theirs it is there. It
    does not depend on how the customers were parted.
    """

    place: tuple[int, int, str, int]
    shard: str
    baseline: Given | None
    candidate: Given | None
    who: Who
    changed: bool


Sink = Callable[[Compared], None]


@dataclass(frozen=True, slots=True)
class Run:
    """What to simulate: the candidate, what it is compared with (None: what was recorded, or nothing)."""

    candidate: PolicySet
    against: PolicySet | None = None
    part: Part = WHOLE
    sink: Sink | None = None
    progress: Progress = no_progress


def simulate_ledger(store: LedgerStore, sizes: Mapping[str, int], run: Run) -> Totals:
    """Decide the first ``sizes`` entries of each shard again, for the customers of a part."""
    tally = Tally()
    for number, (shard, size) in enumerate(sizes.items()):
        aside = aside_of(store, shard, size)
        _OfShard(shard, number, run, tally, aside).go(store.entries(shard, 0, size), size)
    return tally.seal()


def simulate_lines(lines: Iterable[bytes], run: Run, door: Door) -> Totals:
    """Decide a stream, for the customers of a part; compared with nothing, or with other policies."""
    tally = Tally(compared=run.against is not None)
    candidate = Rehearsed(run.candidate, run.part, door)
    baseline = None if run.against is None else Rehearsed(run.against, run.part, door)
    pairs = _Pairs("", 0, run, tally, candidate.memory)
    for number, line in enumerate(lines):
        if number % _STEP == 0:
            run.progress(_STEP)
        pairs.at(number)
        pairs.decided(candidate.line(line), pairs.candidate)
        if baseline is not None:
            pairs.decided(baseline.line(line), pairs.baseline)
    pairs.close()
    totals = tally.seal()
    totals.events, totals.refused = candidate.events, candidate.refused
    return totals


class _OfShard:
    def __init__(self, shard: str, number: int, run: Run, tally: Tally, aside: Aside) -> None:
        self._run = run
        self._tally = tally
        self._candidate = Alternative(run.candidate, run.part, aside)
        self._against = None if run.against is None else Alternative(run.against, run.part, aside)
        self._pairs = _Pairs(shard, number, run, tally, self._candidate.memory)

    def go(self, entries: Iterable[Entry], size: int) -> None:
        pairs, run = self._pairs, self._run
        for entry in entries:
            if entry.seq % _STEP == 0:
                run.progress(min(_STEP, size - entry.seq))
            pairs.at(entry.seq)
            if entry.kind == Kind.DECISION:
                if self._against is None and run.part.holds(entry.customer or ""):
                    pairs.baseline(of_document(entry.document()))
                continue
            if entry.kind == Kind.EVENT:
                mine = run.part.number == 0 if entry.customer is None else run.part.holds(entry.customer)
                self._tally.totals.events += mine
            self._both(methodcaller("entry", entry))
        pairs.at(size)
        self._both(Alternative.end)
        pairs.close()
        self._tally.totals.refused += self._candidate.refused

    def _both(self, happen: Callable[[Alternative], Iterator[Happened]]) -> None:
        self._pairs.decided(happen(self._candidate), self._pairs.candidate)
        if self._against is not None:
            self._pairs.decided(happen(self._against), self._pairs.baseline)


class _Pairs:
    """Decisions that wait for their counterpart on the other side."""

    def __init__(self, shard: str, number: int, run: Run, tally: Tally, memory: PartMemory) -> None:
        self._shard = shard
        self._number = number
        self._alone = run.against is None and not shard  # a stream without anything to compare with
        self._sink = run.sink
        self._tally = tally
        self._memory = memory
        self._waiting: tuple[dict[str, Given], dict[str, Given]] = {}, {}
        self._at = 0
        self._counts: dict[str, int] = {}  # decisions compared at this place, by customer
        self._buffer: list[Compared] = []

    def at(self, place: int) -> None:
        """Go on to another entry or line."""
        self._flush()
        self._at = place

    def decided(self, happenings: Iterable[Happened], take: Callable[[Given], None]) -> None:
        """Take what was decided on one side."""
        for one in happenings:
            for decision in one.decisions:
                take(of_decision(decision))

    def candidate(self, given: Given) -> None:
        """A decision of the candidate's."""
        if self._alone:
            self._compare(None, given)
            return
        other = self._waiting[0].pop(given.about.decision_id, None)
        if other is None:
            self._waiting[1][given.about.decision_id] = given
        else:
            self._compare(other, given)

    def baseline(self, given: Given) -> None:
        """A decision that was recorded, or of the policies that the candidate is compared with."""
        other = self._waiting[1].pop(given.about.decision_id, None)
        if other is None:
            self._waiting[0][given.about.decision_id] = given
        else:
            self._compare(given, other)

    def close(self) -> None:
        """What has no counterpart is compared with nothing."""
        for given in self._waiting[0].values():
            self._compare(given, None)
        for given in self._waiting[1].values():
            self._compare(None, given)
        self._flush()

    def _compare(self, baseline: Given | None, candidate: Given | None) -> None:
        one = candidate or baseline
        if one is None:
            return
        customer = one.about.customer
        changed = self._tally.add(self._shard, (baseline, candidate), lambda: _who(self._memory, customer))
        if self._sink is not None:
            nth = self._counts[customer] = self._counts.get(customer, -1) + 1
            place = self._number, self._at, customer, nth
            self._buffer.append(
                Compared(place, self._shard, baseline, candidate, _who(self._memory, customer), changed)
            )

    def _flush(self) -> None:
        """invariant: what was compared at one place is given on in an order that no part changes."""
        if self._sink is not None and self._buffer:
            for one in sorted(self._buffer, key=_by_place):
                self._sink(one)
            self._buffer.clear()
            self._counts.clear()


def _by_place(one: Compared) -> tuple[int, int, str, int]:
    return one.place


def _who(memory: PartMemory, customer: str) -> Who:
    """What is known of a customer now."""
    known = memory.state(customer).entities.get(CUSTOMER, _NONE).get(customer)
    values: Mapping[str, Any] = {} if known is None else known.values
    region = values.get("region") or values.get("country") or UNKNOWN
    return Who(str(values.get("segment") or UNKNOWN), str(region))


def shard_sizes(store: LedgerStore, shards: Sequence[str] | None = None) -> dict[str, int]:
    """How many entries each shard has: what several readers read of a ledger that is being written."""
    return {shard: store.head(shard).size for shard in shards or store.shards()}
