"""Gaps: where no policy applied, why, and what signals say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.catalogue import Attribute
from policyengine.domain.values import ValueType
from policyengine.service.gaps import DIMENSIONS, Gaps, find_gaps, reason_of
from policyengine.service.published import Period
from tests.service.runs import feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, event, policy_set, refund

CRISIS = 'event.cancelled_because == "crisis"'
HALF = draft("travel/half-back", refund("percent(booking.paid, 50)", when=[CRISIS]))
LATER = draft("travel/later", refund("booking.paid"), effective={"from": "2021-01-01"})
RICH = draft("travel/rich", refund("booking.paid", when=['booking.paid > money("500 ILS")']))
HEARD = draft(
    "care/heard",
    {"id": "hear", "on": "complaint.received", "when": ['event.topic == "price"'], "grant": [{"kind": "signal", "name": "heard", "value": "event.topic"}]},
)  # fmt: skip
NOTHING = draft("travel/nothing", {"id": "no", "on": "booking.cancelled", "deny": {"reason": "too late"}})


def registered(customer: str, region: str, at: str = "2020-01-05T10:00:00Z") -> dict[str, Any]:
    return event("customer.registered", at, customer, region=region, country="IL", language="he")


def complaint(topic: str, key: str, customer: str = "c1", at: str = "2020-03-02T10:00:00Z") -> dict[str, Any]:
    return event("complaint.received", at, customer, complaint_id=key, topic=topic)


def gaps(folder: Path, policies: list[str], *events: Mapping[str, Any], **keys: Any) -> Gaps:
    with opened(folder) as store:
        feed(pipeline(store, policy_set(*policies)), lines(*events), 3)
    with opened(folder, read_only=True) as store:
        return find_gaps(store, **keys)


def counted(found: Gaps) -> dict[tuple[str, ...], tuple[int, int, int]]:
    return {group.key: (group.no_rule, group.lost, group.error) for group in found.largest()}


class TestGaps:
    def test_they_are_counted_by_type_region_and_reason(self, tmp_path: Path) -> None:
        found = gaps(
            tmp_path, [HALF],
            registered("c1", "north"), booked("b1"), cancelled("b1", because="customer"),
            complaint("price", "k1"), complaint("price", "k2"), complaint("refund", "k3"),
        )  # fmt: skip
        assert counted(found) == {
            ("complaint.received", "north", "price"): (2, 0, 0),
            ("booking.cancelled", "north", "customer"): (0, 1, 0),
            ("booking.made", "north", ""): (1, 0, 0),
            ("complaint.received", "north", "refund"): (1, 0, 0),
            ("customer.registered", "north", ""): (1, 0, 0),
        }
        assert found.events == 6

    def test_the_largest_come_first(self, tmp_path: Path) -> None:
        found = gaps(
            tmp_path, [HALF], complaint("refund", "k1"), complaint("price", "k2"), complaint("price", "k3")
        )
        assert [group.key[2] for group in found.largest()] == ["price", "refund"]

    def test_what_was_granted_is_none(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [HALF], booked("b1"), cancelled("b1"))
        assert ("booking.cancelled", "", "crisis") not in counted(found)

    def test_what_was_denied_is_none_either(self, tmp_path: Path) -> None:
        assert ("booking.cancelled", "", "crisis") not in counted(
            gaps(tmp_path, [NOTHING], booked("b1"), cancelled("b1"))
        )

    def test_a_rule_that_the_index_passed_over_is_found_again_with_its_clause(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [HALF], booked("b1"), cancelled("b1", because="customer"))
        (group,) = [group for group in found.largest() if group.lost]
        assert group.because == {("travel/half-back", "r", f"`{CRISIS}` does not hold"): 1}

    def test_no_example_is_looked_at_where_nobody_asks(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [HALF], booked("b1"), cancelled("b1", because="customer"), examine=0)
        assert [group.because for group in found.largest() if group.lost] == [{}]

    def test_a_rule_for_what_the_customer_does_not_have_says_so(self, tmp_path: Path) -> None:
        other = draft("care/other", refund("subscription.monthly_fee", **{"for": "subscription"}))
        found = gaps(tmp_path, [other], booked("b1"), cancelled("b1"))
        (group,) = [group for group in found.largest() if group.lost]
        assert group.because == {("care/other", "r", "it is decided for each subscription"): 1}

    def test_a_version_that_was_not_in_force_says_so(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [LATER], booked("b1"), cancelled("b1"))
        (group,) = [group for group in found.largest() if group.lost]
        assert group.because == {("travel/later", "r", "not in force then"): 1}

    def test_a_rule_that_could_not_be_decided_is_an_error(self, tmp_path: Path) -> None:
        paid = {"amount": "100.00", "currency": "EUR"}
        found = gaps(tmp_path, [RICH], booked("b1", price=paid, paid=paid), cancelled("b1"))
        assert counted(found)["booking.cancelled", "", "crisis"] == (0, 0, 1)

    def test_a_country_stands_in_for_a_region_that_is_not_known(self, tmp_path: Path) -> None:
        found = gaps(
            tmp_path,
            [HALF],
            event("customer.registered", "2020-01-05T10:00:00Z", country="IT", language="it"),
        )
        assert counted(found) == {("customer.registered", "IT", ""): (1, 0, 0)}

    def test_only_the_days_that_are_asked_for_count(self, tmp_path: Path) -> None:
        days = ("2020-03-01T23:59:59Z", "2020-03-02T00:00:00Z", "2020-03-03T00:00:00Z")
        events = [complaint("price", f"k{number}", at=at) for number, at in enumerate(days)]
        found = gaps(tmp_path, [HALF], *events, period=Period(date(2020, 3, 2), date(2020, 3, 3)))
        assert (found.events, [group.events for group in found.largest()]) == (1, [1])

    def test_an_event_of_the_world_that_no_rule_is_on_is_one(self, tmp_path: Path) -> None:
        declared = event(
            "crisis.declared", "2020-03-01T10:00:00Z", "x", crisis_id="x", kind="storm", region="north",
            onset_from="2020-03-01",
        )  # fmt: skip
        assert counted(gaps(tmp_path, [HALF], declared)) == {("crisis.declared", "north", ""): (1, 0, 0)}

    @pytest.mark.parametrize(
        ("phase", "expected"), [("onset", {}), ("ended", {("crisis.declared", "IL", ""): (0, 1, 0)})]
    )
    def test_one_that_came_to_something_for_somebody_is_none(
        self, tmp_path: Path, phase: str, expected: dict[tuple[str, ...], tuple[int, int, int]]
    ) -> None:
        """It reaches both customers; `north` names one of them, and the phase is that on its first day."""
        here = draft(
            "care/here",
            {"id": "r", "on": "crisis.declared", "when": [f'crisis.phase == "{phase}"', 'customer.region == "north"'], "grant": [{"kind": "notify"}]},
        )  # fmt: skip
        declared = event(
            "crisis.declared", "2020-03-01T10:00:00Z", "x", crisis_id="x", kind="storm", region="IL",
            onset_from="2020-03-01",
        )  # fmt: skip
        with opened(tmp_path) as store:
            writer = pipeline(store, policy_set(here))
            feed(writer, lines(registered("c1", "north"), registered("c2", "south"), declared))
            assert list(writer.work_off())
        with opened(tmp_path, read_only=True) as store:
            found = find_gaps(store)
        assert {
            key: count for key, count in counted(found).items() if key[0] == "crisis.declared"
        } == expected

    def test_a_question_that_a_version_answers_is_none(self, tmp_path: Path) -> None:
        ask = [
            event("policy.asked", "2020-03-01T10:00:00Z", about=name)
            for name in ("travel/half-back", "no/such")
        ]
        assert counted(gaps(tmp_path, [HALF], *ask)) == {("policy.asked", "", "no/such"): (1, 0, 0)}

    def test_programs_read_the_same(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [HALF], complaint("price", "k1"), by=("type",)).to_json()
        (group,) = found["groups"]  # type: ignore[misc, union-attr]
        assert (found["events"], found["gaps"], group["type"], group["no_rule"]) == (
            1,
            1,
            "complaint.received",
            1,
        )  # type: ignore[index, call-overload]
        assert str(group["example"]).startswith("d-")  # type: ignore[index, call-overload]


class TestSignals:
    def test_they_are_counted_by_name_value_policy_and_region(self, tmp_path: Path) -> None:
        found = gaps(
            tmp_path, [HEARD],
            registered("c1", "north"), registered("c2", "south"),
            complaint("price", "k1"), complaint("price", "k2", "c2"), complaint("price", "k3", "c2"),
        )  # fmt: skip
        assert found.heard() == [
            (("heard", "price", "care/heard", "south"), 2),
            (("heard", "price", "care/heard", "north"), 1),
        ]

    def test_a_signal_is_an_answer(self, tmp_path: Path) -> None:
        assert counted(gaps(tmp_path, [HEARD], complaint("price", "k1"))) == {}


class TestVersions:
    def test_those_under_which_nothing_was_decided_are_named(self, tmp_path: Path) -> None:
        found = gaps(tmp_path, [HALF, LATER, RICH], booked("b1"), cancelled("b1"))
        assert found.silent() == [("travel/later", 1), ("travel/rich", 1)]
        assert found.considered["travel/half-back", 1] == 1


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.sampled_from(DIMENSIONS), unique=True, min_size=1),
    st.lists(st.sampled_from(["price", "refund"]), max_size=6),
)
def test_however_they_are_grouped_there_are_as_many(
    tmp_path_factory: pytest.TempPathFactory, by: list[str], topics: list[str]
) -> None:
    events = [complaint(topic, f"k{number}") for number, topic in enumerate(topics)]
    found = gaps(tmp_path_factory.mktemp("gaps"), [HALF], *events, by=by)
    assert sum(group.events for group in found.largest()) == len(topics)


def test_a_reason_is_what_is_called_one() -> None:
    attributes = {
        name: Attribute(name, ValueType.TEXT) for name in ("cancelled_because", "reasonable", "topic", "kind")
    }
    data = {"cancelled_because": "crisis", "reasonable": "x", "topic": "price", "kind": "hotel"}
    assert reason_of(attributes, data) == "crisis, price"
