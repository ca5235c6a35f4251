"""`gaps`, `consistency`, `due`, `timeline` and `asked`, as people and programs meet them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.commands import Place, Result, call, is_one_clear_line
from tests.service.runs import HALF, lines
from tests.support import booked, cancelled, draft, event, refund

REVIEWED = draft("travel/half-back", refund("percent(booking.paid, 50)"), review="2020-06-01")
GESTURE = draft(
    "care/gesture",
    {"id": "g", "on": "complaint.received", "when": ['event.source == "test"'], "grant": [{"kind": "signal", "name": "heard"}]},
    effective={"from": "2020-01-01", "until": "2021-01-01"},
)  # fmt: skip
EVENTS = lines(
    event("customer.registered", "2020-01-05T10:00:00Z", region="haifa", country="IL", language="he"),
    booked(),
    cancelled(),
    {
        **event("complaint.received", "2020-03-03T10:00:00Z", complaint_id="k1", topic="price"),
        "channel": "web",
    },
    {
        **event("complaint.received", "2020-03-03T11:00:00Z", "c2", complaint_id="k2", topic="price"),
        "channel": "phone",
        "source": "desk",
    },
)


@pytest.fixture(scope="session")
def conducted(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder in which all this was decided."""
    place = Place(tmp_path_factory.mktemp("conducted"))
    place.policy(REVIEWED)
    place.policy(GESTURE, "gesture.v1.yaml")
    place.file("events.jsonl", EVENTS)
    assert place.run().code == 0
    return place


@pytest.fixture
def here(conducted: Place, place: Place) -> Place:
    """A copy of it, which is the current folder."""
    shutil.copytree(conducted.folder, place.folder, dirs_exist_ok=True)
    return place


def ask(place: Place, *words: object) -> Result:
    return call(*words, "--ledger", place.ledger)


class TestGaps:
    def test_people_see_where_no_policy_applied_and_why(self, here: Place) -> None:
        result = ask(here, "gaps")
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith("no policy applied to 3 of 5 events\n")
        for text in (
            "Rules were there and did not apply",
            "care/gesture, g:",
            "No rule is on these events",
            "booking.made",
            "haifa",
            "heard",
        ):
            assert text in result.out

    def test_programs_read_the_same(self, here: Place) -> None:
        document = ask(here, "gaps", "--by", "type", "--format", "json").json
        assert [(one["type"], one["no_rule"], one["lost"]) for one in document["groups"]] == [
            ("booking.made", 1, 0),
            ("complaint.received", 0, 1),
            ("customer.registered", 1, 0),
        ]
        assert document["signals"] == [
            {"name": "heard", "value": "", "policy": "care/gesture", "region": "haifa", "count": 1}
        ]

    def test_only_some_days_may_be_asked_for(self, here: Place) -> None:
        document = ask(
            here, "gaps", "--since", "2020-03-01", "--until", "2020-03-03", "--format", "json"
        ).json
        assert (document["events"], document["gaps"]) == (1, 0)

    @pytest.mark.parametrize(
        ("option", "value", "said"),
        [("--since", "yesterday", "is no date"), ("--by", "weather", "--by takes type, region, reason")],
    )
    def test_what_it_cannot_take_is_said(self, here: Place, option: str, value: str, said: str) -> None:
        assert is_one_clear_line(ask(here, "gaps", option, value), 2, "PE900", said)


class TestConsistency:
    def test_a_rule_that_looks_at_the_source_is_a_finding(self, here: Place) -> None:
        result = ask(here, "consistency")
        assert result.code == 1
        assert "NOT EXPLAINED: complaint.received, complaint" in result.out
        assert 'cause: care/gesture: event.source was "test", then "desk"' in result.out
        assert "answered differently: 0 with an explanation, 1 without" in result.out

    def test_programs_read_the_same(self, here: Place) -> None:
        result = ask(here, "consistency", "--format", "json")
        assert (result.code, result.json["unexplained"], len(result.json["differing"])) == (1, 1, 1)

    def test_a_policy_that_is_about_channels_may_be_accepted(self, here: Place) -> None:
        result = ask(here, "consistency", "--accept", "care/gesture")
        assert (result.code, "1 with an explanation, 0 without" in result.out) == (0, True)

    def test_the_channel_may_be_named_by_another_attribute(self, here: Place) -> None:
        channels = ask(here, "consistency", "--channel-attribute", "source", "--format", "json").json[
            "channels"
        ]
        assert {one["channel"] for one in channels} == {"test", "desk"}

    def test_equal_cases_that_were_answered_alike_are_clean(self, decided: Place) -> None:
        result = ask(decided, "consistency")
        assert (result.code, result.out.splitlines()[-1]) == (0, "equal cases were all answered alike")


class TestDue:
    def test_before_the_review_nothing_is_overdue(self, here: Place) -> None:
        result = ask(here, "due")
        assert (result.code, result.out.splitlines()[-1]) == (0, "nothing is overdue")
        assert result.out.startswith("on 2020-03-03; the stream has reached 2020-03-03 11:00 UTC\n")

    def test_on_its_day_the_review_is(self, here: Place) -> None:
        result = ask(here, "due", "--on", "2020-06-01")
        assert result.code == 1
        assert "travel/half-back" in result.out
        assert "owner@company.example" in result.out

    def test_programs_read_the_same(self, here: Place) -> None:
        result = ask(here, "due", "--on", "2020-06-01", "--format", "json")
        (review,) = result.json["reviews"]["overdue"]
        assert (result.code, review["policy"], review["review"]) == (1, "travel/half-back", "2020-06-01")

    def test_a_version_with_neither_review_nor_end_is_a_finding(self, decided: Place) -> None:
        assert "neither review nor end" in ask(decided, "due").out


class TestTimeline:
    def test_it_is_told_in_english_with_the_messages_of_both_languages(self, here: Place) -> None:
        result = ask(here, "timeline", "c1")
        assert (result.code, result.err) == (0, "")
        assert "granted: refund \u2068₪50.00\u2069" in result.out
        assert "[\u2068travel/half-back v1, r\u2069]" in result.out

    def test_it_is_told_in_hebrew(self, here: Place) -> None:
        out = ask(here, "timeline", "c1", "--lang", "he").out
        assert "ניתן: החזר כספי" in out
        assert all(text.startswith("\u200f") for text in out.splitlines())

    def test_programs_read_the_same(self, here: Place) -> None:
        document = ask(here, "timeline", "c1", "--format", "json").json
        assert [one["type"] for one in document["events"]] == [
            "customer.registered",
            "booking.made",
            "booking.cancelled",
            "complaint.received",
        ]

    def test_a_customer_who_is_not_known_is_said(self, here: Place) -> None:
        assert is_one_clear_line(ask(here, "timeline", "c9"), 2, "PE900", "knows no customer `c9`")


class TestAsked:
    def ask(self, place: Place, *words: object) -> Result:
        return call("asked", *words, "--rules", place.rules)

    def test_people_see_the_version_its_window_and_what_it_gives(self, here: Place) -> None:
        result = self.ask(here, "care/gesture", "--on", "2020-03-01")
        assert (result.code, result.err) == (0, "")
        assert (
            result.out.splitlines()[0] == "On March 1, 2020, “\u2068care/gesture\u2069” (version 1) governs."
        )
        assert "In force from 2020-01-01 until before 2021-01-01, by event.time (UTC); goodwill" in result.out
        assert "g, on complaint.received: signal" in result.out

    def test_programs_read_the_same(self, here: Place) -> None:
        document = self.ask(here, "care/gesture", "--on", "2021-01-01", "--format", "json").json
        assert (document["answer"]["known"], document["answer"]["governs"]) == (True, None)
        assert set(document["messages"]) == {"en", "he"}

    def test_an_unknown_policy_is_said_with_the_nearest(self, here: Place) -> None:
        result = self.ask(here, "care/gestur", "--on", "2021-01-01")
        assert is_one_clear_line(result, 2, "PE900", "did you mean `care/gesture`?")

    def test_a_day_is_written_as_one(self, here: Place) -> None:
        assert is_one_clear_line(self.ask(here, "care/gesture", "--on", "1.3.2020"), 2, "is no date")


def test_a_ledger_that_is_not_there_is_said_by_each(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for words in (("gaps",), ("consistency",), ("due",), ("timeline", "c1")):
        assert is_one_clear_line(ask(place, *words), 2, "ledger.db")
    assert not place.database.exists()


def test_shown_policies_need_no_more_than_a_folder(place: Place) -> None:
    place.policy(HALF)
    assert call("asked", "travel/half-back", "--on", "2020-03-01", "--rules", place.rules).code == 0
