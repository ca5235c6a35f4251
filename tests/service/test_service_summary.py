"""What a ledger's year adds up to: what was declared, who was reached without asking, what time brought."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from policyengine.service.policy_sets import PolicySet
from policyengine.service.summary import Summary, summarise
from tests.service.runs import feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, ils, policy_set

FULL_CLOSURE: dict[str, Any] = {
    "id": "closed",
    "on": "facility.closed",
    "for": "subscription",
    "grant": [{"kind": "credit", "amount": "percent(subscription.monthly_fee, event.share_percent)"}],
    "say": {"en": "We credit {amount}.", "he": "זיכינו אותך ב-{amount}."},
}
CHOICE: dict[str, Any] = {
    "id": "choose",
    "on": "booking.cancelled",
    "offer": {
        "alternatives": [
            {
                "id": "money",
                "title": {"en": "money"},
                "grant": [{"kind": "refund", "amount": "booking.paid"}],
            },
            {"id": "no", "title": {"en": "no"}, "grant": [{"kind": "notify"}]},
        ],
        "default": "money",
        "deadline": "add_days(date_of(event.time), 10)",
    },
}


def _policies() -> PolicySet:
    return policy_set(
        draft("fitness/closure", FULL_CLOSURE),
        draft("travel/choice", CHOICE),
    )


def _started(customer: str, key: str, site: str) -> dict[str, Any]:
    data = {"kind": "gym", "site": site, "monthly_fee": ils("200.00")}
    return event("subscription.started", "2020-02-02T00:00:00Z", customer, subscription_id=key, **data)


YEAR = lines(
    event(
        "facility.registered", "2020-02-01T00:00:00Z", "g1", facility_id="g1", name="G", kind="gym", region="IL"
    ),
    _started("c1", "u1", "g1"),
    _started("c2", "u2", "g1"),
    _started("c3", "u3", "g2"),  # at a site that stays open
    booked("b1"),
    b"{",
    event(
        "facility.closed", "2020-03-01T00:00:00Z", "g1",
        facility_id="g1", closed_from="2020-03-02", share_percent=25,
    ),
    cancelled("b1", "2020-03-02T10:00:00Z"),  # c1 is offered a choice until 12 March, and says nothing
    event("complaint.received", "2020-04-01T00:00:00Z", "c3", complaint_id="k1", topic="price"),
)  # fmt: skip


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summary]:
    with opened(tmp_path_factory.mktemp("year")) as store:
        writer = pipeline(store, _policies())
        feed(writer, YEAR)
        for _ in writer.work_off():
            pass
        yield summarise(store, "0")


def test_the_events_of_the_world_are_told_in_their_order(summary: Summary) -> None:
    told = [(one.day, one.type, one.id) for one in summary.world if one.type.startswith("facility.")]
    assert told == [("2020-02-01", "facility.registered", "g1"), ("2020-03-01", "facility.closed", "g1")]


def test_whom_the_world_reached_is_told_by_its_event(summary: Summary) -> None:
    """Two of the three subscribe at that site: 2 x 25 % of 200.00."""
    assert list(summary.unasked) == ["facility.closed"]
    line = summary.unasked["facility.closed"]
    assert (line.customers, line.decisions) == ({"c1", "c2"}, 2)
    assert (dict(line.remedies), dict(line.given)) == ({"credit": 2}, {"ILS": 10_000})


def test_what_came_with_time_is_what_silence_settled(summary: Summary) -> None:
    assert summary.fired["offer.expired"] == 1
    line = summary.in_time["offer.expired"]
    assert (line.customers, dict(line.given)) == ({"c1"}, {"ILS": 10_000})  # 100.00, all that was paid
    assert (summary.offers, dict(summary.settled)) == (1, {"silence": 1})


def test_policies_are_told_with_their_part_of_a_decision(summary: Summary) -> None:
    assert sorted(summary.policies) == [("fitness/closure", 1), ("travel/choice", 1)]
    choice = summary.policies["travel/choice", 1]
    assert dict(choice.remedies) == {"a choice": 1, "refund": 1}


def test_refusals_are_counted_by_code_with_a_reason(summary: Summary) -> None:
    assert dict(summary.refused) == {"EV004": 1}
    assert summary.reasons["EV004"].startswith("not JSON")


def test_the_customer_worth_showing_was_reached_and_offered_something(summary: Summary) -> None:
    """C1 was reached, offered a choice and told in two languages; c2 was reached alone."""
    assert summary.customer == "c1"
    assert summary.showcase is not None
