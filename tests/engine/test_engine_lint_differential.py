"""What is said to never apply, or always to lose, never applied to anybody: generated rules and bookings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.decision import Verdict
from policyengine.engine.lint import lint
from tests.support import booked, cancelled, catalogue, decide_all, draft, event, ils, policy_set

CONDITIONS = (
    "booking.nights > 3", "booking.nights > 1", "booking.nights <= 1", "booking.nights == 2", "present(booking.nights)",
    "!present(booking.nights)", 'booking.kind == "hotel"', 'booking.kind != "hotel"', "booking.refundable",
    "!booking.refundable", 'booking.paid > money("10 ILS")', "booking.nights > 3 || booking.refundable",
    'event.cancelled_because in ["crisis", "illness"]', "booking.paid == booking.price",
)  # fmt: skip
AMOUNTS = (
    "booking.paid",
    'money("5 ILS")',
    "booking.change_fee",
    "booking.paid - booking.price",
    "percent(booking.paid, 50)",
)
GROUPS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"exclusive": {"group": "g", "choose": "first"}}, {"exclusive": {"group": "g", "choose": "first"}}]
)


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    group = draw(GROUPS)
    made = []
    for number in range(draw(st.integers(2, 3))):
        rule: dict[str, Any] = {"id": f"r{number}", "on": "booking.cancelled", **group}
        rule["when"] = draw(st.lists(st.sampled_from(CONDITIONS), max_size=2, unique=True))
        rule["priority"] = draw(st.sampled_from([0, 0, 1]))
        if draw(st.integers(0, 5)) == 0:
            rule["deny"] = {"reason": "no"}
        else:
            rule["grant"] = [{"kind": "refund", "amount": draw(st.sampled_from(AMOUNTS))}]
        if draw(st.integers(0, 5)) == 0:
            rule["cap"] = {"count": 1}
        made.append(rule)
    return made


def bookings() -> list[Mapping[str, Any]]:
    """Bookings of all kinds and their cancellations, each with another customer."""
    events: list[Mapping[str, Any]] = []
    number = 0
    for nights in (None, 0, 2, 5):
        for kind in ("hotel", "tour"):
            for refundable in (None, True, False):
                for paid in ("0.00", "100.00", "-20.00"):
                    number += 1
                    known = {"nights": nights, "refundable": refundable}
                    data = {name: value for name, value in known.items() if value is not None}
                    made = booked(f"b{number}", kind=kind, paid=ils(paid), **data)
                    events.append({**made, "subject": f"c{number % 7}"})
                    because = ("crisis", "customer", "illness")[number % 3]
                    gone = cancelled(f"b{number}", because=because)
                    events.append({**gone, "subject": f"c{number % 7}"})
    return sorted(events, key=lambda one: str(one["time"]))


BOOKINGS = bookings()


@settings(max_examples=15, deadline=None)
@given(rules())
def test_what_is_said_to_be_idle_never_applied(made: list[dict[str, Any]]) -> None:
    prepared = policy_set(draft("a/b", *made, currency="ILS"))
    try:
        faults = lint(prepared.policies, prepared.ruleset, date(2020, 1, 1), whole=True)
        idle = {made[int(fault.path[1])]["id"] for fault in faults if fault.code in {"PE080", "PE081"}}
        if idle:
            applied = {
                trace.rule
                for decisions in decide_all(prepared, *BOOKINGS)
                for decision in decisions
                for trace in decision.trace
                if trace.verdict is Verdict.APPLIED
            }
            assert not idle & applied
    finally:
        prepared.ruleset.close()


def test_the_generated_rules_are_often_idle() -> None:
    """So that the test above tests something."""
    group = {"exclusive": {"group": "g", "choose": "first"}, "on": "booking.cancelled"}
    grant = {"grant": [{"kind": "refund", "amount": 'money("5 ILS")'}]}
    wide = {"id": "a", "when": ["booking.nights > 1"], **group, **grant}
    narrow = {"id": "b", "when": ["booking.nights > 3"], **group, **grant}
    prepared = policy_set(draft("a/b", wide, narrow, currency="ILS"))
    faults = lint(prepared.policies, prepared.ruleset, date(2020, 1, 1), whole=True)
    prepared.ruleset.close()
    assert [(fault.code, fault.path) for fault in faults] == [("PE081", ("rules", 1, "id"))]
    assert event("clock.ticked", "2020-01-01T00:00:00Z")["type"] in catalogue().events
