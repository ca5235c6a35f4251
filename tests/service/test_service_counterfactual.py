"""What other policies would have decided on the recorded events, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policyengine.service.counterfactual import EXAMPLES, Report, counterfactual
from policyengine.service.policy_sets import PolicySet, prepare
from tests.service.machines import closed, pool, subscribed
from tests.service.runs import FULL, HALF, STREAM, feed, half, lines, opened, pipeline
from tests.service.worlds import policies, stream
from tests.support import booked, cancelled, catalogue, draft, event, policy, policy_set, refund

HALF_BACK, ILS, EUR = "travel/half-back", "ILS", "EUR"
IN_EUROS = lines(
    {
        **booked(
            "e1", price={"amount": "30.00", "currency": "EUR"}, paid={"amount": "30.00", "currency": "EUR"}
        ),
        "subject": "c2",
    },
    {**cancelled("e1"), "subject": "c2"},
)


def would(tmp_path: Path, other: PolicySet, raw: bytes = STREAM + IN_EUROS) -> Report:
    """Decide with half back, then ask what ``other`` would have decided."""
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw)
        return counterfactual(store, "0", other)


def test_the_same_policies_change_nothing(tmp_path: Path) -> None:
    report = would(tmp_path, half())
    assert (report.events, report.decisions, report.changed, report.customers) == (8, 8, 0, set())
    # 100/2 + 100/2 + 33.33/2, half up; 30/2
    assert report.recorded_money == {(HALF_BACK, ILS): 5000 + 5000 + 1667, (HALF_BACK, EUR): 1500}
    assert report.replayed_money == report.recorded_money


def test_money_is_told_by_policy_and_currency(tmp_path: Path) -> None:
    extra = draft("care/sorry", refund('money("10.00 ILS")'))
    report = would(tmp_path, policy_set(FULL, extra))
    assert report.recorded_money == {(HALF_BACK, ILS): 11667, (HALF_BACK, EUR): 1500}
    assert report.replayed_money == {
        (HALF_BACK, ILS): 10000 + 10000 + 3333,
        (HALF_BACK, EUR): 3000,
        ("care/sorry", ILS): 4 * 1000,
    }
    assert (report.changed, report.customers) == (4, {"c1", "c2"})


def test_the_state_is_that_of_the_other_policies_too(tmp_path: Path) -> None:
    """A cap counts what would have been granted, not what was."""
    capped = draft(
        HALF_BACK, refund("percent(booking.paid, 50)"), currency="ILS",
        cap={"amount": "60 ILS", "per": "customer", "period": "year"},
    )  # fmt: skip
    report = would(tmp_path, policy_set(capped), STREAM)
    # 50 for b1, 10 of the 60 are left for b2, nothing for b3
    assert report.replayed_money == {(HALF_BACK, ILS): 5000 + 1000}
    assert (report.changed, report.customers) == (2, {"c1"})
    b2, b3 = report.examples
    assert b2.recorded is not None
    assert b2.replayed is not None
    assert b2.recorded["remedies"][0]["amount"]["value"] == "50.00"
    assert b2.replayed["remedies"][0]["amount"]["value"] == "10.00"
    assert b3.replayed is not None
    assert b3.replayed["outcome"] == "none"


def test_another_name_for_the_same_is_no_change(tmp_path: Path) -> None:
    again = draft(HALF_BACK, refund("percent(booking.paid, 50)", rule="renamed"), version=7)
    assert would(tmp_path, policy_set(again)).changed == 0


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, 0),
        ({"default": "keep"}, 1),
        ({"deadline": 'date("2020-12-01")'}, 1),
        ({"amount": "booking.price"}, 1),
    ],
)
def test_an_offer_changes_with_what_it_offers_and_not_with_its_version(
    tmp_path: Path, change: dict[str, str], changed: int
) -> None:
    def offering(version: int, **keys: str) -> str:
        refunded = {
            "id": "money",
            "grant": [{"kind": "refund", "amount": keys.pop("amount", "booking.paid")}],
        }
        kept = {
            "id": "keep",
            "grant": [{"kind": "voucher", "amount": "booking.paid", "valid_until": 'date("2021-01-01")'}],
        }
        offer = {
            "default": "money",
            "deadline": 'date("2020-06-01")',
            **keys,
            "alternatives": [refunded, kept],
        }
        return draft("travel/choice", {"id": "r", "on": "booking.cancelled", "offer": offer}, version=version)

    with opened(tmp_path) as store:
        feed(
            pipeline(store, policy_set(offering(1))),
            lines(booked(paid={"amount": "90.00", "currency": "ILS"}), cancelled()),
        )
        report = counterfactual(store, "0", policy_set(offering(2, **change)))
    assert report.changed == changed


def test_decisions_that_one_side_does_not_make_are_changes(tmp_path: Path) -> None:
    """The other policies decide for each booking of the customer when something about them changes."""
    each = draft(
        "travel/each", {"id": "r", "on": "customer.updated", "for": "booking", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
    )  # fmt: skip
    raw = lines(booked("b1"), booked("b2"), event("customer.updated", "2020-04-01T00:00:00Z"))
    report = would(tmp_path, policy_set(each), raw)
    # two bookings made, the customer, and one decision for each booking that was not made before
    assert (report.events, report.decisions, report.changed) == (3, 5, 2)
    assert [one.recorded for one in report.examples] == [None, None]
    assert report.replayed_money == {("travel/each", ILS): 20000}


def test_a_catalogue_that_refuses_recorded_events_is_told(tmp_path: Path) -> None:
    """Their decisions would not have been made."""
    shipped = catalogue()
    fewer = {name: kind for name, kind in shipped.events.items() if name != "booking.cancelled"}
    other = policy(draft("a/b", refund('money("1.00 ILS")', on="membership.ended")))
    report = would(tmp_path, prepare([other], replace(shipped, events=fewer)))
    assert (report.refused, report.changed, report.replayed_money) == (4, 4, {})


def test_some_changes_are_examples_and_all_are_counted(tmp_path: Path) -> None:
    raw = lines(*(one for number in range(15) for one in (booked(f"b{number}"), cancelled(f"b{number}"))))
    report = would(tmp_path, policy_set(FULL), raw)
    assert (report.changed, len(report.examples)) == (15, EXAMPLES)


def test_nothing_is_written(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        before = store.head("0")
        counterfactual(store, "0", policy_set(HALF.replace("50", "60")))
        assert store.head("0") == before


class TestWhatHappensByItself:
    """The other policies let other things happen, and reach others."""

    FIRST = draft(
        "fitness/closed",
        {"id": "r", "on": "facility.closed", "for": "subscription", "grant": [{"kind": "credit", "amount": 'money("10 ILS")'}]},
    )  # fmt: skip
    RICHER = draft(
        "fitness/closed",
        {"id": "r", "on": "facility.closed", "for": "subscription", "grant": [{"kind": "credit", "amount": 'money("15 ILS")'}]},
        {
            "id": "word", "on": "subscription.started", "grant": [{"kind": "notify"}],
            "follow_up": [{"at": "add_days(date_of(event.time), 1)", "event": "subscription.resumed"}],
        },
        {"id": "gift", "on": "subscription.resumed", "grant": [{"kind": "credit", "amount": 'money("1 ILS")'}]},
        version=2,
    )  # fmt: skip

    def test_whom_the_world_reaches_is_decided_again_with_follow_ups_of_their_own(
        self, tmp_path: Path
    ) -> None:
        raw = lines(pool(), *(subscribed(f"c{number}") for number in range(70)), closed())
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(self.FIRST))
            feed(writer, raw)
            list(writer.work_off())
            same = counterfactual(store, "0", policy_set(self.FIRST))
            report = counterfactual(store, "0", policy_set(self.RICHER))
        # 70 subscriptions began, 70 were reached
        assert (same.events, same.decisions, same.changed) == (72, 140, 0)
        assert same.recorded_money == same.replayed_money == {("fitness/closed", ILS): 70 * 1000}
        # and 70 follow-ups on the day after
        assert (report.decisions, len(report.customers)) == (210, 70)
        assert report.recorded_money == {("fitness/closed", ILS): 70 * 1000}
        assert report.replayed_money == {("fitness/closed", ILS): 70 * (1500 + 100)}

    def test_the_same_policies_change_nothing_in_weeks_of_a_crisis(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            writer = pipeline(store, policies())
            feed(writer, stream(7, 90, 400))
            list(writer.work_off())
            report = counterfactual(store, "0", policies())
        assert (report.changed, report.refused) == (0, 0)
        assert report.decisions > 500
