"""Plays the events of a case, from an empty state: for tests of policies, their coverage and mutants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.events import Rejection
from policyengine.domain.played import Happening, Played
from policyengine.domain.policy import Policy
from policyengine.domain.state import to_micros
from policyengine.domain.timers import Timer
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.engine.ruleset import RuleSet
from policyengine.engine.watch import CaseWatcher, Watched
from policyengine.service.dry_run import Rehearsal
from policyengine.service.machine import REACHED, Happened
from policyengine.service.policy_sets import prepare


class CaseEngine:
    """Runs the cases of policy files; a policy set is compiled once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._compiled: dict[tuple[tuple[str, int], ...], RuleSet] = {}

    def run(
        self,
        policies: Sequence[Policy],
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
        until: datetime | None = None,
    ) -> Played:
        """What the policies decide on the events, in order; CompileError as in `check`."""
        return self.rehearse(self.compiled(policies), world, events, watcher, until)

    def compiled(self, policies: Sequence[Policy]) -> RuleSet:
        """The rule set of these policies, compiled when it is first asked for."""
        key = tuple(sorted((policy.policy, policy.version) for policy in policies))
        if key not in self._compiled:
            self._compiled[key] = prepare(policies, self._catalogue).ruleset
        return self._compiled[key]

    def rehearse(
        self,
        ruleset: RuleSet,
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
        until: datetime | None = None,
    ) -> Played:
        """What a rule set decides on the events, in order; what was due before one is not its own.

        ``until``: what happens by itself after the last of them, as long as that.
        """
        if watcher is not None:
            ruleset = replace(ruleset, index=Watched(ruleset.index, ruleset.rules, watcher))
        rehearsal = Rehearsal(ruleset, World(given=world), clock=True)
        answers: list[list[Decision] | Rejection] = []
        for number, event in enumerate(events):
            if watcher is not None:
                watcher.begin(number)
            answer = rehearsal.line(event)
            if watcher is not None:
                for decision in (*answer.earlier, *answer.decisions):
                    watcher.decided(decision)
            answers.append(answer.decisions if answer.rejection is None else answer.rejection)
        later = [] if until is None else _later(rehearsal, to_micros(until), watcher, len(events))
        return Played(answers, later, _pending(rehearsal))


def _pending(rehearsal: Rehearsal) -> list[Timer]:
    """What is still to come for customers, in timers' order."""
    timers = (one for one in rehearsal.memory.pending.values() if one.customer)
    return sorted(timers, key=lambda one: (one.due, one.customer, one.id))


def _later(rehearsal: Rehearsal, until: int, watcher: CaseWatcher | None, events: int) -> list[Happening]:
    """What happens by itself; whom an event of the world reaches is part of it."""
    found: list[Happening] = []
    steps = rehearsal.later(until)
    while True:
        if watcher is not None:
            watcher.begin(events + len(found) - (not rehearsal.machine.idle()))
        happened = next(steps, None)
        if happened is None:
            return found
        if watcher is not None:
            for decision in happened.decisions:
                watcher.decided(decision)
        if happened.event.type != REACHED:
            found.append(Happening(_timer(rehearsal, happened), list(happened.decisions)))
        elif found:
            _cause(found, happened).decisions.extend(happened.decisions)


def _cause(found: Sequence[Happening], reached: Happened) -> Happening:
    """The event of the world that a piece of a job is for; the last one, where its job names none."""
    cause = reached.event.data.get("cause_id")
    return next((one for one in reversed(found) if one.timer.id == cause), found[-1])


def _timer(rehearsal: Rehearsal, happened: Happened) -> Timer:
    event = happened.event
    data: Any = event.document.get("data", {})
    customer = "" if rehearsal.machine.effects.is_of_world(event) else event.subject
    return Timer(to_micros(event.time), customer, event.id, event.type, data)
