"""A machine under other policies, driven by what a ledger recorded or by the lines of a stream.

What came from outside comes again; timers are those of the other policies, and customers take their turns
where they did. Nothing is compared here: that is service.counterfactual's and service.simulate's.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

from policyengine.domain.catalogue import Scope
from policyengine.domain.events import Event
from policyengine.domain.offers import CHOSEN
from policyengine.domain.properties import instant
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.engine.supplement import retroactive_versions
from policyengine.ledger.entries import Entry, Kind, content_digest, event_key
from policyengine.service.door import Door, impostor
from policyengine.service.machine import BY_THE_STATE, REACHED, TICKED, Happened, Refused
from policyengine.service.poison import Aside, Poison, recorded_aside
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.simulate_parts import WHOLE, Part, PartMachine, PartMemory

_BEFORE, _AFTER = b'{"event":', b"}"  # what an entry's body has around an event
_OPEN = Door()
_NOTHING: Aside = {}


def aside_of(store: LedgerStore, shard: str, size: int) -> Aside:
    """What the engine failed at in the first entries of a shard: it is passed over again."""
    found: dict[Poison, str] = {}
    for entry in store.world_events(shard, size):
        if entry.kind == Kind.INTERNAL:
            found.update(recorded_aside(entry.document()["event"]))
    return found


class Alternative:
    """Other policies over one shard's history, for the customers of one part; ``refused`` counts events.

    invariant: with the policies that decided the history, what comes out is what was recorded.
    """

    def __init__(self, policy_set: PolicySet, part: Part = WHOLE, aside: Aside = _NOTHING) -> None:
        catalogue = policy_set.catalogue
        self.memory = PartMemory(part, remember=bool(retroactive_versions(policy_set.ruleset)))
        self.machine = PartMachine(policy_set.ruleset, self.memory, part)
        self.machine.adopt(policy_set.ruleset)
        self.machine.aside = aside
        self.refused = 0
        self._part = part
        self._validator = Validator(catalogue)
        self._of_world = frozenset(
            kind.name for kind in catalogue.events.values() if kind.scope is Scope.WORLD
        )

    def entry(self, entry: Entry) -> Iterator[Happened]:
        """What happens because of an entry that is no decision."""
        match entry.kind:
            case Kind.EVENT:
                yield from self._event(entry)
            case Kind.REJECTED:
                yield from self._rejected(entry.document())
            case Kind.INTERNAL:
                yield from self._internal(entry.document()["event"])
            case _:
                return

    def end(self) -> Iterator[Happened]:
        """Reach whom there is to reach still."""
        while not self.machine.idle():
            yield from self._noted(self.machine.piece())

    def _event(self, entry: Entry) -> Iterator[Happened]:
        if entry.customer is None or self._part.holds(entry.customer):
            raw = entry.body.removeprefix(_BEFORE).removesuffix(_AFTER)
            event = self._validator.validate(raw)
            if isinstance(event, Event):
                yield from self._arrive(to_micros(event.time), event, counts=True)
                return
            self._refuse(entry.customer)
        document = entry.document()["event"]
        if document["type"] not in self._of_world:
            yield from self._arrive(to_micros(instant(document["time"])), None, counts=True)

    def _rejected(self, document: dict[str, Any]) -> Iterator[Happened]:
        """The other policies may have made another offer, the state may allow what it did not."""
        if str(document.get("code")).startswith(BY_THE_STATE):
            event = self._validator.validate(b64decode(document["raw"]))
            if isinstance(event, Event):
                mine = event.type in self._of_world or self._part.holds(event.subject)
                yield from self._arrive(to_micros(event.time), event if mine else None, counts=False)

    def _internal(self, document: dict[str, Any]) -> Iterator[Happened]:
        time = to_micros(instant(document["time"]))
        if document["type"] == REACHED:
            yield from self._noted(self.machine.piece(int(document["data"]["customers"])))
            return
        now = self.memory.world.now
        if now is None or time > now or document["type"] == TICKED:
            yield from self._noted(self.machine.advance(time))

    def _arrive(self, time: int, event: Event | None, *, counts: bool) -> Iterator[Happened]:
        """An event from outside, or (None) one of another part's; then whoever is owed a turn.

        invariant: an event counts towards the next turn where it was accepted when it was recorded, so
        that turns do not depend on what other customers are offered.
        """
        machine = self.machine
        if machine.owes_piece():
            yield from self._noted(machine.piece())
        yield from self._noted(machine.advance(time))
        pending, since = bool(self.memory.world.jobs), self.memory.world.since
        if event is None:
            machine.effects.arrived(time)
        else:
            received = machine.receive(event)
            if isinstance(received, Happened):
                yield from self._noted([received])
            elif counts:
                self._refuse(None if event.type in self._of_world else event.subject)
        if pending:
            self.memory.world = self.memory.world._replace(since=since + counts)
        yield from self._noted(machine.settle())

    def _refuse(self, customer: str | None) -> None:
        """What happens to the world happens in every part, and is counted in one."""
        self.refused += customer is not None or self._part.number == 0

    def _noted(self, happenings: Iterable[Happened]) -> Iterator[Happened]:
        for one in happenings:
            customer = "" if one.event.type in self._of_world else one.event.subject
            self.memory.note(one.event, one.decisions, customer=customer, internal=one.internal)
            yield one


class Rehearsed:
    """Policies over a stream of lines, for one part's customers, as `decide` would decide them.

    Each line's jobs are worked off before the next. ``events`` counts those that were accepted, ``refused``
    the lines that are no event, or not allowed.
    """

    def __init__(self, policy_set: PolicySet, part: Part = WHOLE, door: Door = _OPEN) -> None:
        self.memory = PartMemory(part, remember=bool(retroactive_versions(policy_set.ruleset)))
        self.machine = PartMachine(policy_set.ruleset, self.memory, part)
        self.machine.adopt(policy_set.ruleset)
        self.refused = 0
        self.events = 0
        self._door = door
        self._part = part
        self._catalogue = policy_set.catalogue
        self._validator = Validator(policy_set.catalogue)
        self._seen: dict[bytes, bytes] = {}

    def line(self, line: bytes) -> Iterator[Happened]:
        """What happens because of a line; nothing where it is no event, or was there before."""
        event = self._validator.validate(line)
        if not isinstance(event, Event) or impostor(event, line, self._catalogue) is not None:
            self._refuse(event.subject if isinstance(event, Event) else None)
            return
        key, digest = event_key(event.source, event.id), content_digest(event.document)
        known = self._seen.get(key)
        if known == digest:
            return
        if known is not None or self._door.too_early(event, line, self.memory.world.now) is not None:
            self._refuse(event.subject)
            return
        yield from self._pass_to(event)
        of_world = self.machine.effects.is_of_world(event)
        if of_world or self._part.holds(event.subject):
            received = self.machine.receive(event)
            if isinstance(received, Refused):
                self._refuse(None if of_world else event.subject)
                return
            self.events += not of_world or self._part.number == 0
            yield from self._noted([received])
        else:
            self.machine.effects.arrived(to_micros(event.time))
        if event.type != CHOSEN or self._part.holds(event.subject):
            self._seen[key] = digest  # whether another part's choice was allowed is not known here
        yield from self._noted(self.machine.settle())
        yield from self._jobs()

    def _refuse(self, customer: str | None) -> None:
        """Each refusal is counted in one part."""
        self.refused += self._part.number == 0 if customer is None else self._part.holds(customer)

    def _pass_to(self, event: Event) -> Iterator[Happened]:
        yield from self._noted(self.machine.advance(to_micros(event.time)))
        yield from self._jobs()

    def _jobs(self) -> Iterator[Happened]:
        while not self.machine.idle():
            yield from self._noted(self.machine.piece())

    def _noted(self, happenings: Iterable[Happened]) -> Iterator[Happened]:
        for one in happenings:
            customer = "" if self.machine.effects.is_of_world(one.event) else one.event.subject
            self.memory.note(one.event, one.decisions, customer=customer, internal=one.internal)
            yield one
