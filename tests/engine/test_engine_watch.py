"""Indexes that look at every rule: they name what the network names, and tell a watcher of all."""

from __future__ import annotations

from datetime import UTC, datetime

from policyengine.domain.money import Money
from policyengine.engine.facts import Facts
from policyengine.engine.ruleset import CompiledRule
from policyengine.engine.watch import EveryRule, Watched
from tests.authoring.owned import POLICY
from tests.support import policy_set

FACTS: Facts = {"event.time": datetime(2020, 4, 1, tzinfo=UTC), "booking.paid": Money(100_00, "ILS")}


class Told:
    def __init__(self) -> None:
        self.rules: list[str] = []

    def asked(self, rule: CompiledRule, facts: Facts) -> None:
        self.rules.append(rule.id)
        assert "event.time" in facts


def test_every_rule_is_told_of_and_only_candidates_are_named() -> None:
    ruleset = policy_set(POLICY).ruleset
    told = Told()
    index = Watched(ruleset.index, ruleset.rules, told)
    assert index.candidates("booking.cancelled", None, FACTS) == [0]
    poor: Facts = {**FACTS, "booking.paid": Money(10_00, "ILS")}
    assert index.candidates("booking.cancelled", None, poor) == []
    assert index.candidates("booking.made", None, FACTS) == []
    assert told.rules == ["back", "back"]


def test_without_a_network_the_same_rules_are_named() -> None:
    ruleset = policy_set(POLICY).ruleset
    plain = EveryRule(ruleset.rules)
    for event_type in ("booking.cancelled", "booking.postponed", "booking.made"):
        for paid in (9_99, 10_00, 10_01):
            for day in (1, 30):
                facts: Facts = {
                    "event.time": datetime(2020, 2 if day == 1 else 4, day, tzinfo=UTC),
                    "booking.paid": Money(paid, "ILS"),
                }
                assert plain.candidates(event_type, None, facts) == ruleset.index.candidates(
                    event_type, None, facts
                )
