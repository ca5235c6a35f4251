"""A rule set with one policy changed decides as if everything had been compiled anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.authoring.mutant import MutantKind
from policyengine.authoring.mutants import mutants
from policyengine.engine.compile import compile_policies
from policyengine.engine.faults import CompileError
from policyengine.engine.ruleset import RuleSet
from policyengine.engine.variant import variant, without
from policyengine.service.case_engine import CaseEngine
from tests.authoring.owned import HALF, POLICY, case, folder, planned
from tests.support import catalogue, policy

CASES = (
    HALF
    + case("four nights", "none", nights=4, paid="300")
    + case("a day before", "none", at="2020-02-29T12:00:00Z")
)


def shown(ruleset: RuleSet, place: Path) -> list[object]:
    engine = CaseEngine(catalogue())
    (plan,) = planned(place)
    return [
        [one.to_json() if hasattr(one, "to_json") else one for result in results for one in result]
        for each in plan.cases
        for results in [engine.rehearse(ruleset, each.case.world, each.case.events).answers]
    ]


def test_every_mutant_decides_as_if_compiled_anew(tmp_path: Path) -> None:
    place = folder(tmp_path, CASES)
    (plan,) = planned(place)
    (loaded,) = plan.loaded.policies
    other = policy(POLICY.replace("travel/part-back", "a/first"))
    base = compile_policies([other, loaded.policy], catalogue(), "digest")
    for mutant in mutants(loaded):
        model = mutant.model()
        anew = compile_policies([other, model], catalogue(), "digest")
        if mutant.kind is MutantKind.RULES and mutant.row is None:
            assert mutant.rule_id is not None
            made = without(base, mutant.policy, mutant.version, mutant.rule_id)
        else:
            made = variant(base, model, mutant.rule)
        assert [rule.id for rule in made.rules] == [rule.id for rule in anew.rules]
        assert [rule.number for rule in made.rules] == list(range(len(made.rules)))
        assert shown(made, place) == shown(anew, place), mutant.change


def test_versions_that_would_overlap_are_refused() -> None:
    first = policy(POLICY)
    second = policy(
        POLICY.replace("version: 1", "version: 2").replace(
            "from: 2020-03-01, until: 2020-06-01", "from: 2020-06-01"
        )
    )
    base = compile_policies([first, second], catalogue(), "digest")
    longer = policy(POLICY.replace("until: 2020-06-01", "until: 2020-06-02"))
    with pytest.raises(CompileError, match="PE050"):
        variant(base, longer)


def test_a_fault_in_the_changed_rule_is_refused() -> None:
    base = compile_policies([policy(POLICY)], catalogue(), "digest")
    with pytest.raises(CompileError, match="PE031"):
        variant(base, policy(POLICY.replace("booking.paid > money", "booking.payd > money")), 0)
