"""Tries mutants of policies on their cases: some case ought to notice each.

What there is to try is authoring.mutants; using all cores is authoring.mutate_pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from policyengine.authoring.case_plan import Plan, Planned
from policyengine.authoring.cases import Engine, judge
from policyengine.authoring.coverage import Coverage, RuleKey
from policyengine.authoring.coverage_points import Kind, Mark
from policyengine.authoring.mutant import Mutant, MutantKind
from policyengine.authoring.mutants import mutants
from policyengine.domain.near import did_you_mean
from policyengine.domain.played import Played
from policyengine.domain.policy import Policy
from policyengine.domain.values import Value
from policyengine.engine.faults import CompileError
from policyengine.engine.ruleset import RuleSet
from policyengine.engine.variant import variant, without
from policyengine.engine.watch import CaseWatcher
from policyengine.errors import PolicyEngineError, UsageError


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"  # a case fails with it
    SURVIVED = "survived"  # every case comes out as before
    REFUSED = "refused"  # no policy: `check` would find it


class VariantEngine(Engine, Protocol):
    """Decides also under a rule set that is at hand."""

    def compiled(self, policies: Sequence[Policy]) -> RuleSet:
        """The rule set of these policies."""

    def rehearse(
        self,
        ruleset: RuleSet,
        world: Mapping[str, Value],
        events: Sequence[bytes],
        watcher: CaseWatcher | None = None,
        until: datetime | None = None,
    ) -> Played:
        """As ``run``."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A case, and what it reached of the policies as they are."""

    planned: Planned
    asked: frozenset[RuleKey]
    marks: frozenset[Mark]
    policies: frozenset[str]

    @property
    def models(self) -> list[Policy]:
        return [loaded.policy for loaded in self.planned.policies]


@dataclass(slots=True)
class Mutation:
    """The mutants of some plans, in the order of files and places, and the cases to try them on."""

    engine: VariantEngine
    mutants: tuple[Mutant, ...] = ()
    _seen: list[_Seen] = field(default_factory=list)

    @classmethod
    def of(cls, planned: Sequence[Plan], engine: VariantEngine, policy: str | None = None) -> Mutation:
        """Run each case once to learn what it is about; UsageError where one fails or nothing is to do."""
        made = cls(engine)
        found: list[Mutant] = []
        for plan in planned:
            about = plan.about if policy is None else plan.about & {policy}
            for case in plan.cases:
                if policy is None or any(each.policy.policy == policy for each in case.policies):
                    made._seen.append(made._look(case))
            named = [loaded for loaded in plan.loaded.policies if loaded.policy.policy in about]
            found += [mutant for loaded in named for mutant in mutants(loaded)]
        if not found:
            known = {name for plan in planned for name in plan.about}
            hint = did_you_mean(policy or "", known) or f"there are {', '.join(sorted(known))}"
            raise UsageError(f"no policy `{policy}` to mutate; {hint}")
        made.mutants = tuple(found)
        return made

    def _look(self, planned: Planned) -> _Seen:
        coverage = Coverage(planned.policies)
        models = [loaded.policy for loaded in planned.policies]
        case = planned.case
        wrong, _ = judge(planned, self.engine.run(models, case.world, case.events, coverage, planned.until))
        if wrong:
            name = f"{planned.file}: {planned.case.name}"
            raise UsageError(f"mutants are tried on cases that pass, and one fails: {name}")
        names = frozenset(model.policy for model in models)
        return _Seen(planned, frozenset(coverage.asked_rules), frozenset(coverage.marks), names)

    def fate(self, mutant: Mutant) -> Fate:
        """Try one mutant on the cases that could tell, those first that come closest."""
        variants: dict[int, RuleSet] = {}
        for seen in self._likely(mutant):
            base = self.engine.compiled(seen.models)
            if id(base) not in variants:
                try:
                    variants[id(base)] = _variant(base, mutant)
                except (CompileError, ValueError):
                    return Fate.REFUSED
            if self._notices(seen, variants[id(base)]):
                return Fate.KILLED
        return Fate.SURVIVED if variants else self._unseen(mutant)

    def _notices(self, seen: _Seen, ruleset: RuleSet) -> bool:
        case = seen.planned.case
        try:
            played = self.engine.rehearse(ruleset, case.world, case.events, until=seen.planned.until)
        except PolicyEngineError:
            return True
        wrong, _ = judge(seen.planned, played)
        return bool(wrong)

    def _likely(self, mutant: Mutant) -> list[_Seen]:
        """invariant: a case that never asks about what differs comes out as before."""
        version = mutant.policy, mutant.version
        # how far a version reaches back is asked of the past, not of the index
        far = mutant.loaded.policy.retroactive is not None
        able = [
            seen
            for seen in self._seen
            if mutant.policy in seen.policies
            and (far or any(key[:2] == version and mutant.rule_id in (None, key[2]) for key in seen.asked))
        ]
        return sorted(able, key=lambda seen: not any(_is_close(mark, mutant) for mark in seen.marks))

    def _unseen(self, mutant: Mutant) -> Fate:
        """No case is about it: it survives, unless it is no policy at all."""
        try:
            mutant.model()
        except ValueError:
            return Fate.REFUSED
        return Fate.SURVIVED


def _is_close(mark: Mark, mutant: Mutant) -> bool:
    """Whether a case that leaves this mark is likely to notice."""
    if mark[1:3] != (mutant.policy, mutant.version):
        return False
    if mutant.kind is MutantKind.WINDOWS:
        return mark.kind is Kind.WINDOWS and mark.part == ".".join(map(str, mutant.path))
    if mark.rule != (mutant.rule_id or ""):
        return False
    if mutant.row is not None:
        return mark.kind is Kind.ROWS and mark.number == mutant.row
    if mutant.kind is MutantKind.CLAUSES:
        return mark.kind is Kind.CLAUSES and not mark.yes and mark.number == mutant.path[-1]
    return mark.kind in (Kind.RULES, Kind.VERSIONS)


def _variant(base: RuleSet, mutant: Mutant) -> RuleSet:
    if mutant.kind is MutantKind.RULES and mutant.path[-1] == mutant.rule and mutant.rule_id is not None:
        return without(base, mutant.policy, mutant.version, mutant.rule_id)
    return variant(base, mutant.model(), mutant.rule)
