"""Deciding without a ledger: nothing is stored, duplicates and conflicts are told as usual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event, Rejection
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.domain.world import World
from policyengine.engine.ruleset import RuleSet
from policyengine.engine.supplement import retroactive_versions
from policyengine.ledger.entries import content_digest, event_key
from policyengine.service.door import Door, conflict, impostor
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import TICKED, Happened, Machine, Refused
from policyengine.service.policy_sets import PolicySet

_OPEN = Door()


class Answer(NamedTuple):
    """What came of one line.

    ``earlier`` are decisions of timers that were due before it; they belong to the time before. Then its
    own decisions, those of everybody whom it reaches, and those of what it lets happen at once; or why it
    was rejected.
    """

    earlier: list[Decision]
    decisions: list[Decision]
    rejection: Rejection | None = None


class Rehearsal:
    """A machine over an empty memory, fed line by line. ``clock``: a line `clock.ticked` lets time pass."""

    def __init__(
        self, ruleset: RuleSet, world: World | None = None, *, clock: bool = False, door: Door = _OPEN
    ) -> None:
        self.memory = InMemory(world, remember=bool(retroactive_versions(ruleset)))
        self.machine = Machine(ruleset, self.memory)
        self.machine.adopt(ruleset)
        self._catalogue = ruleset.catalogue
        self._validator = Validator(ruleset.catalogue)
        self._seen: dict[bytes, bytes] = {}
        self._clock = clock
        self._door = door

    def line(self, line: bytes) -> Answer:
        """Decide a line, and work off every job that it brings about."""
        event = self._validator.validate(line)
        if not isinstance(event, Event):
            return Answer([], [], event)
        if self._clock and event.type == TICKED:
            return Answer([], self._pass_to(event))
        refused = impostor(event, line, self._catalogue)
        key, digest = event_key(event.source, event.id), content_digest(event.document)
        known = self._seen.get(key) if refused is None else None
        if known == digest:
            return Answer([], [])
        if known is not None:
            refused = conflict(event, line)
        refused = refused or self._door.too_early(event, line, self.memory.world.now)
        if refused is not None:
            return Answer([], [], refused)
        earlier = self._pass_to(event)
        decisions: list[Decision] = []
        for one in self.machine.record(event):
            if isinstance(one, Refused):
                return Answer(earlier, [], Rejection(one.code, one.reason, line, event.source, event.id))
            decisions += self._note(one)
        self._seen[key] = digest
        return Answer(earlier, [*decisions, *self._jobs()])

    def later(self, until: int) -> Iterator[Happened]:
        """Let time pass until then (µs): what happens by itself, and the customers whom it reaches."""
        while (timer := self.memory.next_timer(until)) is not None:
            for one in self.machine.advance(timer.due):
                self._note(one)
                yield one
            while not self.machine.idle():
                for one in self.machine.piece():
                    self._note(one)
                    yield one

    def _pass_to(self, event: Event) -> list[Decision]:
        """Let time pass until an event, for everybody whom it reaches."""
        decided = [each for one in self.machine.advance(to_micros(event.time)) for each in self._note(one)]
        return decided + self._jobs()

    def _jobs(self) -> list[Decision]:
        decided: list[Decision] = []
        while not self.machine.idle():
            for one in self.machine.piece():
                decided += self._note(one)
        return decided

    def _note(self, happened: Happened) -> list[Decision]:
        event = happened.event
        customer = "" if self.machine.effects.is_of_world(event) else event.subject
        self.memory.note(event, happened.decisions, customer=customer, internal=happened.internal)
        return happened.decisions


def dry_run(
    policy_set: PolicySet,
    lines: Iterable[bytes],
    world: World | None = None,
    *,
    clock: bool = False,
    door: Door = _OPEN,
) -> Iterator[Answer]:
    """What comes of each line; a duplicate decides nothing, nor does what the door does not let in."""
    rehearsal = Rehearsal(policy_set.ruleset, world, clock=clock, door=door)
    for line in lines:
        yield rehearsal.line(line)
