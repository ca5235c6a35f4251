"""Consistency: equal cases get equal answers, whoever asks and through whatever channel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.ledger.entries import Body, Entry, Kind, decision_body
from policyengine.service.consistency import UNNAMED, Consistency, compare
from tests.service.runs import as_it_is, feed, forge, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, ils, policy_set, refund

HALF = draft("travel/half-back", refund("percent(booking.paid, 50)"))


def complaint(key: str, customer: str, at: str = "2020-03-02T10:00:00Z", **data: Any) -> dict[str, Any]:
    topic = data.pop("topic", "price")
    return event("complaint.received", at, customer, complaint_id=key, topic=topic, **data)


def gesture(*when: str, amount: str = 'money("20 ILS")', **keys: Any) -> str:
    rule = {
        "id": "g",
        "on": "complaint.received",
        "when": list(when),
        "grant": [{"kind": "credit", "amount": amount}],
    }
    return draft("care/gesture", rule, **keys)


def through(channel: str, one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "channel": channel}


def compared(folder: Path, policies: list[str], *events: Mapping[str, Any], **keys: Any) -> Consistency:
    with opened(folder) as store:
        feed(pipeline(store, policy_set(*policies)), lines(*events))
    with opened(folder, read_only=True) as store:
        return compare(store, **keys)


def causes(report: Consistency) -> set[str]:
    (case,) = report.differing
    return {cause.cause for cause in case.causes}


class TestEqualCases:
    def test_the_same_case_through_two_channels_is_one_case(self, tmp_path: Path) -> None:
        report = compared(
            tmp_path, [gesture('event.topic == "price"')],
            through("web", complaint("k1", "c1")), through("phone", complaint("k2", "c2")),
        )  # fmt: skip
        assert (report.decisions, report.cases, report.repeated) == (2, 1, 1)
        assert {
            name: (one.decisions, one.shared, one.differing) for name, one in report.channels.items()
        } == {
            "web": (1, 1, 0),
            "phone": (1, 1, 0),
        }
        assert report.differing == []

    def test_the_channel_may_be_a_property_of_the_data_or_not_be_named(self, tmp_path: Path) -> None:
        report = compared(tmp_path, [gesture()], complaint("k1", "c1", channel="chat"), complaint("k2", "c2"))
        assert set(report.channels) == {"chat", UNNAMED}

    def test_the_attribute_that_names_it_may_be_another(self, tmp_path: Path) -> None:
        report = compared(tmp_path, [gesture()], {**complaint("k1", "c1"), "desk": "a"}, channel="desk")
        assert set(report.channels) == {"a"}

    def test_what_an_amount_is_computed_from_is_a_fact(self, tmp_path: Path) -> None:
        """Half of 100 and half of 80 are answers to two cases, though no condition saw either."""
        other = {"price": ils("80.00"), "paid": ils("80.00")}
        report = compared(
            tmp_path, [HALF], booked("b1"), booked("b2", **other), cancelled("b1"), cancelled("b2")
        )
        assert (report.cases, report.differing) == (2, [])

    def test_what_no_rule_reads_is_none(self, tmp_path: Path) -> None:
        report = compared(
            tmp_path, [HALF], booked("b1", nights=1), booked("b2", nights=9), cancelled("b1"), cancelled("b2")
        )
        assert (report.cases, report.repeated) == (1, 1)

    def test_events_that_no_rule_is_on_are_not_compared(self, tmp_path: Path) -> None:
        assert compared(tmp_path, [HALF], booked("b1"), booked("b2")).decisions == 0

    def test_ids_are_facts_only_by_what_they_equal(self, tmp_path: Path) -> None:
        """Each customer complains under a number of their own."""
        policy = gesture("event.complaint_id == complaint.id")
        report = compared(tmp_path, [policy], complaint("k1", "c1"), complaint("k2", "c2"))
        assert (report.cases, report.repeated) == (1, 1)

    def test_questions_are_compared_by_their_answer(self, tmp_path: Path) -> None:
        ask = [
            event("policy.asked", "2020-03-01T10:00:00Z", who, about="care/gesture") for who in ("c1", "c2")
        ]
        report = compared(tmp_path, [gesture()], *ask)
        assert (report.decisions, report.cases, report.differing) == (2, 1, [])


class TestDifferences:
    def test_another_version_is_a_cause(self, tmp_path: Path) -> None:
        first = gesture(effective={"from": "2020-01-01", "until": "2020-04-01"})
        second = gesture(amount='money("30 ILS")', version=2, effective={"from": "2020-04-01"})
        report = compared(
            tmp_path, [first, second], complaint("k1", "c1"), complaint("k2", "c2", "2020-04-02T10:00:00Z")
        )
        assert (causes(report), report.unexplained) == ({"version"}, [])
        assert report.differing[0].causes[0].text == "version 1 governed, then version 2"

    def test_a_version_published_with_another_text_is_one(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(gesture()))
            feed(writer, lines(complaint("k1", "c1")))
            writer.adopt(policy_set(gesture(amount='money("30 ILS")')))
            feed(writer, lines(complaint("k1", "c1"), complaint("k2", "c2")))
        with opened(tmp_path, read_only=True) as store:
            report = compare(store)
        assert causes(report) == {"version"}
        assert "another text" in report.differing[0].causes[0].text

    def test_a_parameter_that_changed_is_one(self, tmp_path: Path) -> None:
        policy = gesture(
            amount="param.worth", parameters={"worth": {"2020-01-01": "20 ILS", "2020-04-01": "30 ILS"}}
        )
        report = compared(
            tmp_path, [policy], complaint("k1", "c1"), complaint("k2", "c2", "2020-04-02T10:00:00Z")
        )
        assert (causes(report), report.unexplained) == ({"parameter"}, [])

    def test_a_cap_that_is_used_up_is_one(self, tmp_path: Path) -> None:
        policy = gesture(cap={"count": 1})
        report = compared(
            tmp_path, [policy], complaint("k1", "c1"), complaint("k2", "c1", "2020-03-03T10:00:00Z")
        )
        assert (causes(report), report.unexplained) == ({"cap"}, [])

    def test_what_was_given_before_is_one_where_a_rule_reads_it(self, tmp_path: Path) -> None:
        policy = gesture("!present(earlier.last_at)")
        report = compared(
            tmp_path, [policy], complaint("k1", "c1"), complaint("k2", "c1", "2020-03-03T10:00:00Z")
        )
        assert (causes(report), report.unexplained) == ({"earlier"}, [])

    def test_the_time_of_day_is_one_where_a_rule_reads_it(self, tmp_path: Path) -> None:
        policy = gesture('event.time < timestamp("2020-03-02T12:00:00Z")')
        report = compared(
            tmp_path, [policy], complaint("k1", "c1"), complaint("k2", "c2", "2020-03-02T13:00:00Z")
        )
        assert (causes(report), report.unexplained) == ({"time"}, [])

    @pytest.mark.parametrize(
        ("rule", "one", "other"),
        [
            (
                'event.channel == "phone"',
                complaint("k1", "c1", channel="phone"),
                complaint("k2", "c2", channel="chat"),
            ),
            (
                'complaint.channel == "phone"',
                complaint("k1", "c1", channel="phone"),
                complaint("k2", "c2", channel="chat"),
            ),
            ('event.source == "test"', complaint("k1", "c1"), {**complaint("k2", "c2"), "source": "web"}),
        ],
    )
    def test_a_rule_that_looks_at_the_channel_is_a_finding(
        self, tmp_path: Path, rule: str, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        report = compared(tmp_path, [gesture(rule)], one, other)
        assert (causes(report), len(report.unexplained)) == ({"channel"}, 1)

    def test_a_policy_that_is_about_channels_may_be_accepted(self, tmp_path: Path) -> None:
        events = [complaint("k1", "c1", channel="phone"), complaint("k2", "c2", channel="chat")]
        accepted = frozenset({"care/gesture"})
        report = compared(tmp_path, [gesture('event.channel == "phone"')], *events, accepted=accepted)
        assert (causes(report), report.unexplained) == ({"accepted"}, [])

    def test_a_rule_for_one_customer_is_a_finding(self, tmp_path: Path) -> None:
        report = compared(
            tmp_path, [gesture('customer.id == "c1"')], complaint("k1", "c1"), complaint("k2", "c2")
        )
        assert (causes(report), len(report.unexplained)) == ({"identity"}, 1)

    def test_an_answer_that_was_changed_afterwards_is_not_explained(self, tmp_path: Path) -> None:
        """With every hash made to fit: the equal case beside it gives it away."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with opened(tmp_path / "a") as store:
            feed(pipeline(store, policy_set(gesture())), lines(complaint("k1", "c1"), complaint("k2", "c2")))
            forge(store, tmp_path / "b", lambda entry: [_more(entry)])
        with opened(tmp_path / "b", read_only=True) as store:
            report = compare(store)
        assert (causes(report), len(report.unexplained)) == ({"nothing"}, 1)
        assert report.differing[0].causes[0].text == "not explained by anything recorded"

    def test_channels_count_the_cases_they_share_and_those_that_differ(self, tmp_path: Path) -> None:
        report = compared(
            tmp_path, [gesture('!present(event.channel) || event.channel == "phone"')],
            complaint("k1", "c1", channel="phone"), complaint("k2", "c2", channel="chat"),
            complaint("k3", "c3", channel="phone", topic="refund"),
        )  # fmt: skip
        phone = report.channels["phone"]
        assert (phone.decisions, phone.cases, phone.shared, phone.differing) == (2, 1, 1, 1)

    def test_programs_read_the_same(self, tmp_path: Path) -> None:
        report = compared(
            tmp_path,
            [gesture(cap={"count": 1})],
            complaint("k1", "c1"),
            complaint("k2", "c1", "2020-03-03T10:00:00Z"),
        )
        document = orjson.loads(orjson.dumps(report.to_json()))
        (case,) = document["differing"]
        assert (document["unexplained"], case["explained"], case["event"]) == (0, True, "complaint.received")
        assert [len(answer["given"]["remedies"]) for answer in case["answers"]] == [1, 0]


def _more(entry: Entry) -> Body:
    if entry.kind != Kind.DECISION or b'"k2"' not in entry.body:
        return as_it_is(entry)
    return decision_body(orjson.loads(entry.body.replace(b'"20.00"', b'"90.00"')))


@settings(max_examples=10, deadline=None)
@given(st.permutations(["web", "phone", "app"]), st.permutations(["c1", "c2", "c3"]))
def test_who_asks_first_and_through_what_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, channels: list[str], customers: list[str]
) -> None:
    events = [
        through(channel, complaint(f"k{number}", customer))
        for number, (channel, customer) in enumerate(zip(channels, customers, strict=True))
    ]
    report = compared(tmp_path_factory.mktemp("order"), [gesture()], *events)
    assert (report.decisions, report.cases, report.differing) == (3, 1, [])
