"""Decides the events of a case, from an empty state: for tests of policies, their coverage and mutants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from policyengine.domain.catalogue import Catalogue
from policyengine.domain.decision import Decision
from policyengine.domain.events import Rejection
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.engine.ruleset import RuleSet
from policyengine.engine.watch import CaseWatcher, Watched
from policyengine.service.dry_run import Rehearsal
from policyengine.service.policy_sets import prepare

Results = list[list[Decision] | Rejection]


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
    ) -> Results:
        """What the policies decide on the events, in order; CompileError as in `check`."""
        return self.rehearse(self.compiled(policies), world, events, watcher)

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
    ) -> Results:
        """What a rule set decides on the events, in order; what was due before one is not its own."""
        if watcher is not None:
            ruleset = replace(ruleset, index=Watched(ruleset.index, ruleset.rules, watcher))
        rehearsal = Rehearsal(ruleset, World(given=world), clock=True)
        results: Results = []
        for number, event in enumerate(events):
            if watcher is not None:
                watcher.begin(number)
            answer = rehearsal.line(event)
            if watcher is not None:
                for decision in (*answer.earlier, *answer.decisions):
                    watcher.decided(decision)
            results.append(answer.decisions if answer.rejection is None else answer.rejection)
        return results
