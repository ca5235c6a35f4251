"""What is overdue, and what is next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policyengine.service.due import LISTED, Due, Most, find_due
from tests.service.runs import feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, ils, policy_set, refund

HALF = draft("travel/half-back", refund("percent(booking.paid, 50)"), review="2020-06-01")
CHOICE = {
    "id": "choose",
    "on": "booking.cancelled",
    "offer": {
        "alternatives": [
            {"id": "money", "grant": [{"kind": "refund", "amount": "booking.paid"}]},
            {"id": "voucher", "grant": [{"kind": "voucher", "amount": "booking.paid"}]},
        ],
        "default": "money",
        "deadline": "2020-03-20",
    },
}
OFFER = draft("travel/choice", CHOICE, review="2021-06-01")


def silence(**keys: Any) -> str:
    """Two weeks after a subscription began somebody is told to call, unless ``keys`` say more."""
    call = [{"kind": "escalate", "to": "a person who calls"}]
    later = [{"at": "add_days(date_of(event.time), 14)", "event": "subscription.resumed"}]
    return draft(
        "care/silence",
        {"id": "begin", "on": "subscription.started", "follow_up": later},
        {"id": "call", "on": "subscription.resumed", "grant": call, **keys},
        {"id": "word", "on": "complaint.received", "grant": [{"kind": "notify"}], "say": {"en": "Heard."}},
        review="2021-06-01",
    )


def joined(customer: str = "c1", at: str = "2020-03-01T10:00:00Z") -> dict[str, Any]:
    return event(
        "subscription.started",
        at,
        customer,
        subscription_id=f"s-{customer}",
        kind="gym",
        monthly_fee=ils("90.00"),
    )


def complaint(customer: str, at: str) -> dict[str, Any]:
    return event("complaint.received", at, customer, complaint_id=f"k-{at}", topic="price")


def due(
    folder: Path, policies: list[str], *events: Mapping[str, Any], on: date | None = None, **keys: Any
) -> Due:
    with opened(folder) as store:
        feed(pipeline(store, policy_set(*policies)), lines(*events))
    with opened(folder, read_only=True) as store:
        return find_due(store, on, **keys)


class TestReviews:
    @pytest.mark.parametrize(
        ("on", "overdue"), [(date(2020, 5, 31), []), (date(2020, 6, 1), ["travel/half-back"])]
    )
    def test_one_is_due_on_its_day(self, tmp_path: Path, on: date, overdue: list[str]) -> None:
        found = due(tmp_path, [HALF], booked(), on=on)
        assert [review.policy for review in found.overdue] == overdue
        assert found.late is bool(overdue)

    def test_the_day_is_that_which_the_stream_has_reached(self, tmp_path: Path) -> None:
        found = due(tmp_path, [HALF], booked(at="2020-05-31T10:00:00Z"), cancelled(at="2020-06-01T00:00:00Z"))
        assert (found.on, len(found.overdue)) == (date(2020, 6, 1), 1)

    def test_a_version_with_neither_review_nor_end_is_a_finding(self, tmp_path: Path) -> None:
        found = due(tmp_path, [draft("travel/open", refund("booking.paid"))], booked())
        assert ([review.policy for review in found.endless], found.overdue, found.late) == (
            ["travel/open"],
            [],
            True,
        )

    def test_an_end_is_enough(self, tmp_path: Path) -> None:
        ends = draft(
            "travel/ends", refund("booking.paid"), effective={"from": "2020-01-01", "until": "2021-01-01"}
        )
        assert not due(tmp_path, [ends], booked()).late

    @pytest.mark.parametrize(("by", "overdue"), [("event.time", 0), ("booking.starts_on", 1)])
    def test_what_is_over_needs_no_review(self, tmp_path: Path, by: str, overdue: int) -> None:
        """By the event's time it is over; a booking for April may still be cancelled in June."""
        over = draft(
            "travel/over", refund("booking.paid"), review="2020-05-01",
            effective={"from": "2020-01-01", "until": "2020-05-01", "by": by},
        )  # fmt: skip
        assert len(due(tmp_path, [over], booked(), on=date(2020, 6, 1)).overdue) == overdue


class TestOffers:
    @pytest.mark.parametrize(
        ("on", "near", "past"),
        [(date(2020, 3, 12), 0, None), (date(2020, 3, 13), 1, False), (date(2020, 3, 20), 1, False), (date(2020, 3, 21), 1, True)],
    )  # fmt: skip
    def test_one_is_near_a_week_before_its_deadline_and_past_the_day_after(
        self, tmp_path: Path, on: date, near: int, past: bool | None
    ) -> None:
        found = due(tmp_path, [OFFER], booked(), cancelled(), on=on)
        assert (found.open_offers, found.offers.count) == (1, near)
        assert [one.past for one in found.offers.listed()] == ([] if past is None else [past])
        assert found.late is bool(past)

    def test_how_near_is_for_the_asker_to_say(self, tmp_path: Path) -> None:
        """Fifteen days before 20 March is 5 March."""
        found = due(tmp_path, [OFFER], booked(), cancelled(), on=date(2020, 3, 5), within=15)
        assert [(one.customer, one.policy, one.until) for one in found.offers.listed()] == [
            ("c1", "travel/choice", date(2020, 3, 20))
        ]

    def test_one_that_silence_has_settled_is_open_no_more(self, tmp_path: Path) -> None:
        found = due(tmp_path, [OFFER], booked(), cancelled(), booked("b2", at="2020-03-21T10:00:00Z"))
        assert (found.open_offers, found.late) == (0, False)


class TestDuties:
    def test_one_that_nobody_answered_is_named(self, tmp_path: Path) -> None:
        found = due(tmp_path, [silence()], joined(), complaint("c2", "2020-03-16T10:00:00Z"))
        (duty,) = found.duties
        assert (duty.customer, duty.event, duty.to) == (
            "c1",
            "subscription.resumed",
            "a person who calls",
        )
        assert duty.since.isoformat() == "2020-03-15T00:00:00+00:00"  # 1 March and fourteen days
        assert found.late

    def test_a_later_word_to_the_customer_answers_it(self, tmp_path: Path) -> None:
        found = due(tmp_path, [silence()], joined(), complaint("c1", "2020-03-16T10:00:00Z"))
        assert found.duties == []

    def test_an_earlier_word_does_not(self, tmp_path: Path) -> None:
        events = (
            joined(),
            complaint("c1", "2020-03-14T10:00:00Z"),
            complaint("c2", "2020-03-16T10:00:00Z"),
        )
        assert len(due(tmp_path, [silence()], *events).duties) == 1

    def test_what_is_said_with_the_duty_itself_does_not_either(self, tmp_path: Path) -> None:
        policy = silence(say={"en": "One of us will call."})
        assert len(due(tmp_path, [policy], joined(), complaint("c2", "2020-03-16T10:00:00Z")).duties) == 1


class TestWhatWaits:
    def test_the_next_timers_are_shown_in_their_order(self, tmp_path: Path) -> None:
        found = due(tmp_path, [silence()], joined("c1"), joined("c2", "2020-03-02T10:00:00Z"), timers=2)
        assert found.timer_count == 3  # two calls, and the review of the policy
        assert [(timer.what, f"{timer.at:%d.%m.}") for timer in found.timers] == [
            ("subscription.resumed, c1", "15.03."),
            ("subscription.resumed, c2", "16.03."),
        ]

    def test_messages_that_nobody_acknowledged_are_named(self, tmp_path: Path) -> None:
        policy = draft(
            "travel/new", refund("booking.paid", say={"en": "All of it."}), announced="2020-03-02", review="2021-06-01",
            staff_first={"hours": 48},
        )  # fmt: skip
        found = due(tmp_path, [policy], booked(), cancelled())
        (notice,) = found.notices.listed()
        assert (notice.customer, notice.policy, notice.until, notice.past) == (
            "c1",
            "travel/new",
            date(2020, 3, 4),
            False,
        )

    def test_programs_read_the_same(self, tmp_path: Path) -> None:
        document: Any = due(tmp_path, [OFFER], booked(), cancelled(), on=date(2020, 3, 21)).to_json()
        assert document["offers"]["open"] == 1
        assert document["offers"]["listed"][0]["until"] == "2020-03-20"
        assert document["timers"]["pending"] == 2  # the offer's deadline and the policy's review

    def test_an_empty_ledger_has_nothing_due(self, tmp_path: Path) -> None:
        found = due(tmp_path, [HALF])
        assert (found.late, found.reached, found.timer_count) == (False, None, 1)


def test_of_very_many_the_most_urgent_are_kept_and_all_are_counted() -> None:
    most = Most[int](lambda number: number)
    for number in reversed(range(5 * LISTED)):
        most.add(number)
    assert (most.count, most.listed()) == (5 * LISTED, list(range(LISTED)))
