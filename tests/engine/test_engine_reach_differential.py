"""Several crises and restrictions at once, against trying every combination in a world of its own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support import catalogue, draft, policy_set, refund

from policyengine.domain.decision import Decision, Verdict
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState, entity_of, evolve
from policyengine.domain.values import Value
from policyengine.domain.world import World, evolve_world
from policyengine.engine.decide import decide
from policyengine.engine.explain import why_not
from policyengine.engine.ruleset import RuleSet

NOON = datetime(2020, 3, 15, 12, tzinfo=UTC)
AROUND, ELSEWHERE = ("tel-aviv", "IL", "world"), ("IT", "haifa")  # the booking is in bnei-brak

CLAUSES = [
    ['crisis.kind == "war"'],
    ['crisis.kind == "war"', 'crisis.phase == "ongoing"'],
    ['crisis.phase in ["ongoing", "recovery"]', "restriction.capacity_percent < 50"],
    ['restriction.kind == "closure"'],
    ["!present(restriction.sector)"],
    ["!present(crisis.kind) || booking.nights > 2"],
    ['crisis.kind != "war"', "restriction.capacity_percent * 1 > 20"],
    ['restriction.sector == "sport" || crisis.kind == "strike"'],
    ["booking.nights > 2"],
]


@cache
def ruleset() -> RuleSet:
    """Each rule in a policy of its own: what becomes of one does not depend on the others."""
    texts = [draft(f"p{nth}", refund("booking.paid", when=when)) for nth, when in enumerate(CLAUSES)]
    share = refund("percent(booking.paid, restriction.capacity_percent)")
    texts += [
        draft("share", share),  # an error where the share is absent
        draft("war-share", share, crisis={"kind": "war"}),
        draft("sport", refund("booking.paid"), crisis={"sectors": ["sport"], "regions": ["tel-aviv"]}),
        draft("plain", refund("booking.paid")),
    ]
    return policy_set(*texts).ruleset


CRISES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["war", "pandemic", "strike"]),
        "region": st.sampled_from([*AROUND, *ELSEWHERE]),
        "onset_from": st.sampled_from([date(2020, 2, 1), date(2020, 3, 1)]),
    },
    optional={
        "ongoing_from": st.sampled_from([date(2020, 3, 10), date(2020, 4, 1)]),
        "ended_from": st.sampled_from([date(2020, 3, 14), date(2020, 5, 1)]),
        "sectors": st.sampled_from([("sport",), ("food", "retail")]),
    },
)
RESTRICTIONS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["closure", "capacity"]),
        "region": st.sampled_from([*AROUND, *ELSEWHERE]),
        "from": st.just(date(2020, 2, 20)),
    },
    optional={
        "capacity_percent": st.sampled_from([0, 30, 70]),
        "sector": st.sampled_from(["sport", "food"]),
    },
)
THINGS = st.lists(
    st.tuples(st.just("crisis"), CRISES) | st.tuples(st.just("restriction"), RESTRICTIONS), max_size=7
)


def world_of(things: list[tuple[str, dict[str, Any]]]) -> World:
    world = World()
    for nth, (kind, data) in enumerate(things):
        # ids in another order than they came
        key = f"{'abcdefg'[nth * 3 % 7]}"
        declared = "crisis.declared" if kind == "crisis" else "restriction.imposed"
        world = evolve_world(world, happened(declared, **{f"{kind}_id": key, **data}), catalogue())
        values = world.entities[kind][key].values
        assert values.items() >= data.items()
    return world


def happened(kind: str, /, **data: Value) -> Event:
    return Event("test", f"{kind}-{data}", kind, NOON, "c1", data)


def each_alone(world: World) -> list[World]:
    """Every combination of one crisis and one restriction that concern the booking, by type, then id."""
    choices = []
    for kind in ("crisis", "restriction"):
        found = sorted(
            (key, entity)
            for key, entity in world.entities.get(kind, {}).items()
            if entity.values["region"] in AROUND
        )
        choices.append([(kind, dict([one])) for one in found] or [(kind, {})])
    return [world._replace(entities=dict(combination)) for combination in product(*choices)]


def expected(alone: list[Decision]) -> dict[str, Any]:
    """Of each policy the trace that counts: the first that applies, else the first error, else the first."""
    traces: dict[str, list[Any]] = {}
    for decision in alone:
        for trace in decision.trace:
            traces.setdefault(trace.policy, []).append(trace)
    return {
        policy: min(
            found,
            key=lambda trace: (trace.verdict is not Verdict.APPLIED, trace.verdict is not Verdict.ERROR),
        )
        for policy, found in sorted(traces.items())
    }


@settings(max_examples=150)
@given(THINGS, st.sampled_from([1, 5]))
def test_each_rule_comes_out_as_in_the_best_world_that_has_one_of_each(
    things: list[tuple[str, dict[str, Any]]], nights: int
) -> None:
    paid = Money(100_00, "ILS")
    made = happened("booking.made", booking_id="b", nights=nights, paid=paid, region="bnei-brak")
    asked = happened("booking.cancelled", booking_id="b", cancelled_because="crisis")
    state = CustomerState("c1")
    for event in (made, asked):
        state = evolve(state, event, catalogue())
    world = world_of(things)
    (decision,) = decide(ruleset(), state, world, asked)
    alone = [decide(ruleset(), state, one, asked)[0] for one in each_alone(world)]
    wanted = expected(alone)
    assert {trace.policy: trace for trace in decision.trace} == wanted
    # what is granted is what was granted there
    for remedy in decision.remedies:
        first = next(
            one
            for one in alone
            if remedy.policy in {trace.policy for trace in one.trace if trace.verdict is Verdict.APPLIED}
        )
        assert remedy in first.remedies
    assert {remedy.policy for remedy in decision.remedies} == {
        policy for policy, trace in wanted.items() if trace.verdict is Verdict.APPLIED
    }
    # a rule is in the trace or in why-not, never in both
    others = [
        trace.policy for trace in why_not(ruleset(), state, world, asked, entity_of(asked, catalogue()))
    ]
    assert sorted([*wanted, *others]) == sorted({rule.policy.id for rule in ruleset().rules})
