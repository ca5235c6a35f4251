"""The workload in this project: the index alone, and the whole decision with its trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workload import CURRENCY, Wanted, Workload, catalogue, engine_inputs, micros, policy_models

from policyengine.domain.decision import Verdict
from policyengine.domain.money import Money
from policyengine.engine.compile import compile_policies
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.decide import decide
from policyengine.engine.match import Index, IndexedRule
from policyengine.ledger.canonical import canonical_typed

Engine = tuple[list[Any], Callable[[Any], list[int]]]


def _indexed(one: Wanted) -> IndexedRule:
    conjuncts = (
        Conjunct("event.time", ">=", micros(one.start)),
        Conjunct("event.time", "<", micros(one.until)),
        Conjunct("event.phase", "in", one.phases),
        Conjunct("event.region", "==", one.region),
        Conjunct("event.amount", ">=", one.least, CURRENCY),
    )
    return IndexedRule(one.number, (one.event_type,), None, conjuncts)


def index_alone(workload: Workload) -> Engine:
    """`Index.candidates` on facts that are there already."""
    index = Index([_indexed(one) for one in workload.policies])
    questions = [
        (
            event.event_type,
            {
                "event.type": event.event_type,
                "event.time": event.time,
                "event.region": event.region,
                "event.amount": Money(event.amount, CURRENCY),
                "event.phase": event.phase,
                "event.service_id": "s-1",
                "customer.id": "c-1",
            },
        )
        for event in workload.events
    ]
    return questions, lambda question: index.candidates(question[0], None, question[1])


def policyengine_decide(workload: Workload) -> Engine:
    """Match, confirm, compute the credits, resolve, trace: and the decision's canonical bytes."""
    ruleset = compile_policies(policy_models(workload), catalogue(workload), "0" * 64)

    def answer(question: Any) -> list[int]:
        decisions = decide(ruleset, *question)
        for decision in decisions:
            canonical_typed(decision.to_json())  # as the ledger does it
        return [
            int(rule.policy.rpartition("-")[2])
            for decision in decisions
            for rule in decision.trace
            if rule.verdict is Verdict.APPLIED
        ]

    return engine_inputs(workload), answer
