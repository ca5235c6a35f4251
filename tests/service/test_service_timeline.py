"""A customer's story, in English and in Hebrew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from policyengine.errors import UsageError
from policyengine.service.timeline import Timeline, timeline
from tests.service.runs import feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, ils, policy_set, refund

HALF = draft(
    "travel/half-back",
    refund("percent(booking.paid, 50)", say={"en": "You get {amount}.", "he": "מגיע לך {amount}."}),
    title={"en": "Half comes back", "he": "מחצית חוזרת"},
)
FIRST, END = "\u2068", "\u2069"


def told(
    folder: Path, *events: Mapping[str, Any], policies: tuple[str, ...] = (HALF,), customer: str = "c1"
) -> Timeline:
    with opened(folder) as store:
        feed(pipeline(store, policy_set(*policies)), lines(*events))
    with opened(folder, read_only=True) as store:
        return timeline(store, customer)


def registered(region: str = "tel-aviv") -> dict[str, Any]:
    return event("customer.registered", "2020-01-05T22:30:00Z", region=region, country="IL", language="he")


class TestStory:
    def test_it_says_what_happened_what_was_given_why_and_what_was_said(self, tmp_path: Path) -> None:
        """Half of 100 ILS."""
        story = list(told(tmp_path, registered(), booked(), cancelled()).lines("en", ("en",)))
        at = next(number for number, text in enumerate(story) if "booking.cancelled" in text)
        assert story[at:] == [
            f"Mar 2, 2020, 12:00:00\u202fPM  {FIRST}booking.cancelled: booking_id b1, cancelled_because crisis{END}",
            f"    {FIRST}booking b1{END}",
            f"    granted: refund {FIRST}₪50.00{END} {FIRST}original{END}".replace(
                f" {FIRST}original{END}", ""
            ),
            f"    why: {FIRST}Half comes back{END} [{FIRST}travel/half-back v1, r{END}]",
            f"    message (en): {FIRST}You get ₪50.00.{END}",
        ]

    def test_times_are_those_where_the_customer_lives(self, tmp_path: Path) -> None:
        """22:30 in UTC is half past midnight of the next day in Tel Aviv."""
        (first, *_) = told(tmp_path, registered()).lines("en", ())
        assert first.startswith("Jan 6, 2020, 12:30:00\u202fAM")

    def test_in_hebrew_a_line_runs_from_right_to_left(self, tmp_path: Path) -> None:
        story = list(told(tmp_path, booked(), cancelled()).lines("he", ("he",)))
        assert all(text.startswith("\u200f") for text in story)
        assert any("ניתן: החזר כספי" in text for text in story)
        assert any(f"מדוע: {FIRST}מחצית חוזרת{END}" in text for text in story)

    def test_what_runs_the_other_way_stands_between_isolates(self, tmp_path: Path) -> None:
        story = list(told(tmp_path, booked(), cancelled()).lines("en", ("en", "he")))
        (hebrew,) = [text for text in story if "message (he)" in text]
        assert hebrew.startswith(f"    message (he): {FIRST}מגיע לך")
        assert hebrew.endswith(END)

    def test_every_isolate_is_closed(self, tmp_path: Path) -> None:
        for text in told(tmp_path, registered(), booked(), cancelled()).lines("he", ("en", "he")):
            assert text.count(FIRST) == text.count(END)

    def test_where_no_rule_is_about_it_the_story_says_so(self, tmp_path: Path) -> None:
        assert (
            list(told(tmp_path, booked()).lines("en", ()))[-1] == "    nothing follows: no rule is about this"
        )

    def test_where_a_rule_lost_the_first_reason_is_told(self, tmp_path: Path) -> None:
        rich = draft(
            "travel/rich",
            refund("booking.paid", when=["days_between(booking.starts_on, date_of(event.time)) > 0"]),
        )
        story = list(told(tmp_path, booked(), cancelled(), policies=(rich,)).lines("en", ()))
        assert story[-2] == "    nothing follows"
        assert "`days_between(booking.starts_on, date_of(event.time)) > 0` does not hold" in story[-1]

    def test_an_event_of_the_world_is_told_where_it_reached_the_customer(self, tmp_path: Path) -> None:
        here = draft(
            "care/here",
            {
                "id": "r",
                "on": "crisis.declared",
                "grant": [{"kind": "notify"}],
                "say": {"en": "We are here."},
            },
        )
        declared = event(
            "crisis.declared", "2020-03-01T10:00:00Z", "x", crisis_id="x", kind="storm", region="tel-aviv",
            onset_from="2020-03-01",
        )  # fmt: skip
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(here))
            feed(writer, lines(registered(), declared))
            assert list(writer.work_off())
        with opened(tmp_path, read_only=True) as store:
            *_, last = timeline(store, "c1").told
        assert (last.event["type"], last.whose) == ("crisis.declared", "world")
        assert last.decisions[0].document["messages"] == {"en": "We are here."}

    def test_an_event_of_the_engine_s_own_is_part_of_it(self, tmp_path: Path) -> None:
        later = [{"at": "add_days(date_of(event.time), 14)", "event": "subscription.resumed"}]
        policy = draft("care/later", {"id": "r", "on": "subscription.started", "follow_up": later})
        started = event(
            "subscription.started", "2020-03-01T10:00:00Z",
            subscription_id="s1", kind="gym", monthly_fee=ils("90.00"),
        )  # fmt: skip
        story = told(tmp_path, started, booked(at="2020-04-01T10:00:00Z"), policies=(policy,))
        assert [(one.event["type"], one.whose) for one in story.told] == [
            ("subscription.started", "customer"),
            ("subscription.resumed", "engine"),
            ("booking.made", "customer"),
        ]

    def test_programs_read_the_same(self, tmp_path: Path) -> None:
        document: Any = told(tmp_path, registered(), booked(), cancelled()).to_json()
        assert (document["customer"], document["home"]) == ("c1", "tel-aviv")
        (decision,) = document["events"][-1]["decisions"]
        assert decision["outcome"] == "granted"
        assert decision["why"]["he"].startswith(f"{FIRST}מחצית חוזרת")

    def test_a_customer_who_is_not_known_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="knows no customer `c9`"):
            told(tmp_path, booked(), customer="c9")
