"""What a shard's entries add up to, without deciding anything: all that the ledger keeps beside them.

Deciding again is service.replay; comparing with what is stored is service.verification.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.domain.events import Event
from policyengine.domain.state import CustomerState, to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.world import World
from policyengine.errors import LedgerError
from policyengine.ledger.entries import PUBLISHING, Entry, Kind
from policyengine.service.effects import Effects
from policyengine.service.ledger_memory import LedgerMemory
from policyengine.service.machine import BY_THE_STATE, REACHED, TICKED
from policyengine.service.ports import LedgerStore
from policyengine.service.recorded import Progress, Recorded, digest_of, no_progress, revalidate


@dataclass(frozen=True, slots=True)
class Refolded:
    """Everything that a shard remembers.

    ``states`` by customer; ``timers`` that are pending by customer ("" is the world) and id; ``places`` are
    keys by customer and part (`booking/b1`), none of them empty; ``ranks`` by customer; ``queues`` are the
    lists of the jobs that are under way, by number.
    """

    states: Mapping[str, CustomerState]
    world: World
    timers: Mapping[tuple[str, str], Timer]
    places: Mapping[tuple[str, str], frozenset[str]]
    ranks: Mapping[str, int]
    queues: Mapping[int, Sequence[str]]


def refold(store: LedgerStore, shard: str, *, progress: Progress = no_progress) -> Refolded:
    """Fold every entry of a shard; LedgerError where one cannot be read."""
    folding = Folding(store, shard)
    for entry in store.entries(shard):
        progress(1)
        folding.entry(entry)
    folding.settle()
    memory = folding.memory
    return Refolded(memory.states, memory.world, memory.pending, memory.places, memory.ranks, memory.lists)


class Folding:
    """Folds entry after entry; ``memory`` is what was known when the next one was written."""

    def __init__(self, store: LedgerStore, shard: str) -> None:
        self._recorded = Recorded(store)
        self.memory = LedgerMemory(store, shard, self._recorded)
        self._effects: Effects | None = None
        self._piece: int | None = None  # customers of the piece whose decisions are being read
        self._granted: Counter[str] = Counter()

    def entry(self, entry: Entry) -> None:
        """Fold one entry in."""
        if entry.kind in PUBLISHING:
            return
        if entry.kind == Kind.DECISION:
            document = entry.document()
            self._in_force(entry).recorded(document)
            self._granted.update(
                {f"{one['policy']}/{one['rule']}" for one in (*document["remedies"], *document["offers"])}
            )
            return
        self.settle()
        effects = self._in_force(entry)
        if entry.kind == Kind.POLICY_SET:
            effects.adopt(self._recorded.at(digest_of(entry))[0].ruleset)
        elif entry.kind == Kind.REJECTED:
            self._rejected(effects, entry)
        else:
            event = self._event(entry)
            (self._event_from_outside if entry.kind == Kind.EVENT else self._internal)(effects, event)

    def settle(self) -> None:
        """A piece is complete when its decisions have been read."""
        if self._piece is not None and self._effects is not None:
            self._effects.worked_off(self._piece, self._granted)
        self._piece = None

    def _in_force(self, entry: Entry) -> Effects:
        ruleset = self._recorded.at(digest_of(entry))[0].ruleset
        if self._effects is None:
            self._effects = Effects(ruleset, self.memory)
        elif self._effects.ruleset is not ruleset:
            self._effects.use(ruleset)
        return self._effects

    def _event(self, entry: Entry) -> Event:
        return revalidate(self._recorded.at(digest_of(entry))[1], entry)

    def _event_from_outside(self, effects: Effects, event: Event) -> None:
        self._arrive(effects, event)
        pending = self.memory.world.jobs
        self._fold(effects, event)
        customer = "" if effects.is_of_world(event) else event.subject
        self.memory.note(event, (), customer=customer, internal=False)
        if pending:
            effects.count()

    def _internal(self, effects: Effects, event: Event) -> None:
        if event.type == TICKED:
            effects.pass_to(to_micros(event.time))
        elif event.type == REACHED:
            self._begin_piece(event)
        else:
            effects.pass_to(to_micros(event.time))
            effects.fired(event)
            self._fold(effects, event)

    def _fold(self, effects: Effects, event: Event) -> None:
        if effects.is_of_world(event):
            effects.of_world(event)
        else:
            self.memory.keep(effects.of_customer(event))

    def _begin_piece(self, event: Event) -> None:
        jobs = self.memory.world.jobs
        if not jobs:
            message = f"`{event.id}` is a piece of no job; run `verify`"
            raise LedgerError(message, code="PE712")
        self._piece = int(str(event.data["customers"]))
        self._granted = Counter(jobs[0].granted)

    def _rejected(self, effects: Effects, entry: Entry) -> None:
        """What the state did not allow leaves its time behind."""
        document: Mapping[str, Any] = entry.document()
        if str(document.get("code")).startswith(BY_THE_STATE):
            event = self._recorded.at(digest_of(entry))[1].validate(b64decode(str(document.get("raw"))))
            if isinstance(event, Event):
                self._arrive(effects, event)

    def _arrive(self, effects: Effects, event: Event) -> None:
        """Every timer before an event from outside has fired; what is left could not happen any more."""
        effects.arrived(to_micros(event.time))
        while (timer := self.memory.next_timer(self.memory.world.now or 0)) is not None:
            self.memory.drop_timer(timer.customer, timer.id)
