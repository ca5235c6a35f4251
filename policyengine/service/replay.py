"""Decide again from the ledger alone: the same policies must give the same bytes, entry by entry.

Every entry is what the machine makes next, or it is a difference. Folding without deciding is
service.refold; deciding with another policy set is service.counterfactual.
"""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from policyengine.domain.events import Event, Rejection
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind, rejected_body
from policyengine.service.door import OF_THE_MOMENT, impostor
from policyengine.service.ledger_memory import LedgerMemory
from policyengine.service.machine import BY_THE_STATE, REACHED, TICKED, Happened, Machine, Refused
from policyengine.service.poison import recorded_aside
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, Recorded, digest_of, no_progress, validated

_EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that comes out otherwise when decided again; no bytes where there is none."""

    shard: str
    seq: int
    what: str
    recorded: bytes
    replayed: bytes


def replay(store: LedgerStore, shard: str, *, progress: Progress = no_progress) -> Iterator[Difference]:
    """Every entry of a shard that comes out otherwise; none when the replay is identical."""
    again = _Replay(store, shard)
    for entry in store.entries(shard):
        progress(1)
        yield from again.entry(entry)
    yield from again.end()


class _Replay:
    """A machine that is driven by entries instead of input, and what it says must come next."""

    def __init__(self, store: LedgerStore, shard: str) -> None:
        self._shard = shard
        self._recorded = Recorded(store)
        self._memory = LedgerMemory(store, shard, self._recorded)
        self._machine: Machine | None = None
        self._due: deque[bytes] = deque()  # the decisions that must come next
        self._last = -1  # the entry that they come from
        self._open = False  # a tick or a piece goes on, perhaps in another transaction
        self._reached: int | None = None  # the time, without timers that fired ahead of it
        self._ahead: list[tuple[int, int, bytes]] = []  # due, sequence and body of those

    def entry(self, entry: Entry) -> Iterator[Difference]:
        """Compare one entry with what must come."""
        self._memory.upto = entry.seq
        match entry.kind:
            case Kind.DECISION:
                yield from self._decision(entry)
            case Kind.INTERNAL:
                yield from self._internal(entry)
            case Kind.EVENT:
                yield from self._event(entry)
            case Kind.REJECTED:
                yield from self._rejected(entry)
            case Kind.STAGED | Kind.PROPOSAL | Kind.APPROVAL:
                pass  # decides nothing by itself
            case _:
                yield from self._policy_set(entry)

    def end(self) -> Iterator[Difference]:
        """What should have come still, unless whoever wrote was stopped in the middle of it."""
        yield from self._missing()
        stopped = self._open or self._ahead  # timers before an event that has yet to come
        if not stopped and self._machine is not None and self._reached is not None:
            yield from self._overdue(self._machine, self._reached)

    def _decision(self, entry: Entry) -> Iterator[Difference]:
        again = self._due.popleft() if self._due else b""
        if again != entry.body:
            yield Difference(self._shard, entry.seq, "decision", entry.body, again)

    def _internal(self, entry: Entry) -> Iterator[Difference]:
        """One of the engine's own: a timer, a tick of the clock, a piece of a job.

        The event from outside that brings a timer's time stands after it.
        """
        yield from self._missing()
        happened = None
        event = entry.document().get("event")
        # what was passed over is as it was recorded: no replay can tell that the engine failed at it
        if type(event) is dict and event.get("type") in (REACHED, TICKED):
            yield from self._not_there(self._machine_at(entry).settle())
            happened = self._tick(entry) if event["type"] == TICKED else self._piece(entry, event)
        elif type(event) is dict:
            happened = self._timer(entry, event)
        self._machine_at(entry).aside = {}
        again = b"" if happened is None else _body(happened)
        if again != entry.body:
            yield Difference(self._shard, entry.seq, "internal event", entry.body, again)
        self._expect(happened)
        self._last = entry.seq

    def _timer(self, entry: Entry, event: Mapping[str, Any]) -> Happened | None:
        """The next timer fires; what is pending stays where the entry is none of it."""
        machine = self._machine_at(entry)
        machine.aside = recorded_aside(event)
        due = machine.due(_EVER)
        if due is None or event.get("id") != due[0].id:
            return None
        if self._reached is None or due[0].due > self._reached:
            self._ahead.append((due[0].due, entry.seq, entry.body))
        return machine.fire(*due)

    def _piece(self, entry: Entry, event: Mapping[str, Any]) -> Happened | None:
        data = event.get("data")
        count = data.get("customers") if type(data) is dict else None
        if type(count) is not int or count < 1:
            return None
        self._open = True
        machine = self._machine_at(entry)
        machine.aside = recorded_aside(event)
        return next(machine.piece(count), None)

    def _tick(self, entry: Entry) -> Happened | None:
        event = validated(self._in_force(entry)[1], entry)
        if not isinstance(event, Event):
            return None
        now = to_micros(event.time)
        self._reached = now if self._reached is None else max(now, self._reached)
        self._open = True
        return next(self._machine_at(entry).tick(now), None)

    def _event(self, entry: Entry) -> Iterator[Difference]:
        yield from self._missing()
        policy_set, validator = self._in_force(entry)
        event = validated(validator, entry)
        refused = event if isinstance(event, Rejection) else impostor(event, b"", policy_set.catalogue)
        if isinstance(event, Event) and refused is None:
            yield from self._outside(entry, event, b"")
        else:
            body = b"" if refused is None else rejected_body(refused).raw
            yield Difference(self._shard, entry.seq, "event", entry.body, body)
        self._last = entry.seq

    def _outside(self, entry: Entry, event: Event, raw: bytes) -> Iterator[Difference]:
        """An event from outside: nothing may be due before it; then it, or why it is refused."""
        machine, time = self._machine_at(entry), to_micros(event.time)
        yield from self._too_early(time)
        yield from self._overdue(machine, time)
        self._reached = time if self._reached is None else max(time, self._reached)
        self._open = False
        received = machine.receive(event)
        if isinstance(received, Refused):
            refusal = Rejection(received.code, received.reason, raw, event.source, event.id)
            again = _as_it_came(refusal, entry)
        else:  # an event is as it was recorded
            again = entry.body if entry.kind == Kind.EVENT else _body(received)
            customer = "" if machine.effects.is_of_world(event) else event.subject
            self._memory.note(event, received.decisions, customer=customer, internal=False)
            self._expect(received)
        if again != entry.body:
            what = "event" if entry.kind == Kind.EVENT else "rejection"
            yield Difference(self._shard, entry.seq, what, entry.body, again)

    def _rejected(self, entry: Entry) -> Iterator[Difference]:
        yield from self._missing()
        document = entry.document()
        code = document.get("code")
        if code not in OF_THE_MOMENT:
            policy_set, validator = self._in_force(entry)
            try:
                raw = b64decode(str(document.get("raw")))
            except ValueError:  # the body was changed
                raw = b""
            again = validator.validate(raw)
            refused = again if isinstance(again, Rejection) else impostor(again, raw, policy_set.catalogue)
            if isinstance(again, Event) and refused is None and str(code).startswith(BY_THE_STATE):
                yield from self._outside(entry, again, raw)
            else:
                body = b"" if refused is None else _as_it_came(refused, entry)
                if body != entry.body:
                    yield Difference(self._shard, entry.seq, "rejection", entry.body, body)
        self._last = entry.seq

    def _policy_set(self, entry: Entry) -> Iterator[Difference]:
        yield from self._missing()
        again, _ = self._in_force(entry)
        if again.body.raw != entry.body:
            yield Difference(self._shard, entry.seq, "policy set", entry.body, again.body.raw)
        self._machine_at(entry).adopt(again.ruleset)
        self._last = entry.seq

    # --- what must come -----------------------------------------------------------------------------

    def _expect(self, happened: Happened | None) -> None:
        """Let its decisions come next."""
        if happened is not None:
            self._due.extend(canonical(decision.to_json()) for decision in happened.decisions)

    def _missing(self) -> Iterator[Difference]:
        """Decisions that were due and did not come."""
        for body in self._due:
            yield Difference(self._shard, self._last, "decision missing", b"", body)
        self._due.clear()

    def _overdue(self, machine: Machine, time: int) -> Iterator[Difference]:
        """A piece of a job that was owed, and timers that should have fired by then."""
        if machine.owes_piece():
            yield from self._not_there(machine.piece())
        yield from self._not_there(machine.advance(time))

    def _not_there(self, happenings: Iterable[Happened]) -> Iterator[Difference]:
        for one in happenings:
            yield Difference(self._shard, self._last, "internal event missing", b"", _body(one))
            self._expect(one)
            yield from self._missing()

    def _too_early(self, time: int) -> Iterator[Difference]:
        """Timers that fired ahead of the time, which no event from outside brought."""
        for due, seq, body in self._ahead:
            if due > time:
                yield Difference(self._shard, seq, "internal event too early", body, b"")
        self._ahead.clear()

    def _in_force(self, entry: Entry) -> tuple[PolicySet, Validator]:
        return self._recorded.at(digest_of(entry))

    def _machine_at(self, entry: Entry) -> Machine:
        """The machine under the policy set in force at an entry."""
        ruleset = self._in_force(entry)[0].ruleset
        if self._machine is None:
            self._machine = Machine(ruleset, self._memory)
        elif self._machine.ruleset is not ruleset:
            self._machine.use(ruleset)
        return self._machine


def _body(happened: Happened) -> bytes:
    return canonical({"event": dict(happened.event.document)})


def _as_it_came(refused: Rejection, entry: Entry) -> bytes:
    """The rejection with what the entry says that it came in: nothing follows from that."""
    message = entry.document().get("message")
    try:
        return rejected_body(replace(refused, message=None if message is None else b64decode(message))).raw
    except (ValueError, TypeError):  # the body was changed
        return b""
