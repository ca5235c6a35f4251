"""Folding: late events never overwrite what younger ones set; a state is stored and read back whole."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import catalogue

from policyengine.domain.decision import (
    Choice,
    Decision,
    Denied,
    Offered,
    Outcome,
    Ref,
    Remedy,
)
from policyengine.domain.events import Event
from policyengine.domain.holdings import Entities, Entity, Remedies, RemedyRecord
from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.state import (
    CustomerState,
    entity_of,
    evolve,
    evolve_decided,
    evolve_recorded,
    settle,
    state_of_parts,
    to_micros,
)
from policyengine.domain.values import Value, pack, unpack

MARCH = datetime(2020, 3, 1, 12, tzinfo=UTC)
EMPTY = CustomerState("c1")


def happened(kind: str, day: int, **data: Value) -> Event:
    """An event ``day`` days after 1 March 2020."""
    return Event("test", f"{kind}-{day}-{data}", kind, MARCH + timedelta(days=day), "c1", data)


def fold(*events: Event, state: CustomerState = EMPTY) -> CustomerState:
    for event in events:
        state = evolve(state, event, catalogue())
    return state


def membership(state: CustomerState, key: str = "m1") -> dict[str, Value]:
    return dict(state.entities["membership"][key].values)


STARTED = happened("membership.started", 0, membership_id="m1", tier="silver", points=100)


class TestFolding:
    def test_data_that_the_entity_has_by_name_is_written_and_the_rest_is_not(self) -> None:
        state = fold(happened("membership.points_changed", 0, membership_id="m1", points=5, reason="gift"))
        assert membership(state) == {"points": 5}  # no reason, and the key is no attribute

    def test_x_set_writes_constants_and_x_stamp_the_events_time(self) -> None:
        assert membership(fold(STARTED)) == {
            "tier": "silver",
            "points": 100,
            "status": "active",
            "started_at": MARCH,
        }

    def test_a_later_event_overwrites_and_leaves_what_it_does_not_mention(self) -> None:
        ended = happened("membership.ended", 9, membership_id="m1")
        seen = membership(fold(STARTED, ended))
        assert seen["status"] == "ended"
        assert seen["ended_at"] == MARCH + timedelta(days=9)
        assert (seen["points"], seen["tier"]) == (100, "silver")

    def test_a_late_event_never_overwrites_what_a_younger_one_set(self) -> None:
        younger = happened("membership.points_changed", 5, membership_id="m1", points=50)
        older = happened("membership.points_changed", 4, membership_id="m1", points=40)
        assert membership(fold(STARTED, younger, older))["points"] == 50

    def test_a_late_event_still_fills_what_no_younger_one_set(self) -> None:
        younger = happened("membership.points_changed", 5, membership_id="m1", points=50)
        state = fold(younger, STARTED)  # the start arrives after the change
        assert membership(state)["points"] == 50
        assert membership(state)["tier"] == "silver"
        assert membership(state)["started_at"] == MARCH

    def test_attributes_are_aged_one_by_one(self) -> None:
        points = happened("membership.points_changed", 9, membership_id="m1", points=90)
        tier = happened("membership.upgraded", 5, membership_id="m1", tier="gold")
        between = happened("membership.started", 7, membership_id="m1", tier="silver", points=70)
        seen = membership(fold(points, tier, between))
        assert (seen["points"], seen["tier"]) == (90, "silver")  # 9 beats 7, 7 beats 5

    def test_x_set_and_x_stamp_of_a_late_event_yield_to_younger_ones_too(self) -> None:
        ended = happened("membership.ended", 9, membership_id="m1")
        seen = membership(fold(ended, STARTED))
        assert seen["status"] == "ended"
        assert seen["started_at"] == MARCH

    def test_at_equal_times_the_later_arrival_wins(self) -> None:
        one = happened("membership.points_changed", 5, membership_id="m1", points=1)
        two = happened("membership.points_changed", 5, membership_id="m1", points=2)
        assert membership(fold(one, two))["points"] == 2
        assert membership(fold(two, one))["points"] == 1

    def test_a_microsecond_is_enough_to_be_younger(self) -> None:
        younger = happened("membership.points_changed", 5, membership_id="m1", points=1)
        older = Event(
            "test", "e", younger.type, younger.time - timedelta(microseconds=1), "c1",
            {"membership_id": "m1", "points": 2},
        )  # fmt: skip
        assert membership(fold(younger, older))["points"] == 1

    def test_entities_of_one_type_are_kept_apart_by_their_key(self) -> None:
        other = happened("membership.started", 1, membership_id="m2", tier="gold", points=7)
        state = fold(STARTED, other)
        assert membership(state, "m1")["points"] == 100
        assert membership(state, "m2")["points"] == 7

    def test_an_event_without_an_entity_changes_nothing(self) -> None:
        asked = happened("policy.asked", 0, about="points")
        assert entity_of(asked, catalogue()) is None
        assert fold(asked) is EMPTY

    def test_the_customer_is_an_entity_whose_key_is_the_subject(self) -> None:
        event = happened("customer.updated", 0, region="north")
        assert entity_of(event, catalogue()) == Ref("customer", "c1")
        assert fold(event).entities["customer"]["c1"].values == {"region": "north"}

    def test_the_state_before_is_not_touched(self) -> None:
        before = fold(STARTED)
        kept = settle(before)[1]
        fold(happened("membership.points_changed", 5, membership_id="m1", points=1), state=before)
        assert settle(before)[1] == kept

    def test_events_of_different_times_give_one_state_in_any_order_of_arrival(self) -> None:
        events = (
            STARTED,
            happened("membership.points_changed", 3, membership_id="m1", points=30),
            happened("membership.upgraded", 5, membership_id="m1", tier="gold"),
            happened("membership.ended", 7, membership_id="m1", points=0),
        )
        states = [fold(*order) for order in permutations(events)]
        assert all(state == states[0] for state in states)


class TestMicroseconds:
    @given(st.integers(-(2**53), 2**53))
    @settings(max_examples=100, deadline=None)
    def test_an_instant_is_whole_microseconds_since_1970(self, micros: int) -> None:
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
        assert to_micros(instant) == micros

    def test_the_second_after_the_epoch_is_a_million(self) -> None:
        assert to_micros(datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)) == 1_000_002


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(max_size=12),
    st.booleans(),
    st.integers(-MAX_EXACT, MAX_EXACT),
    st.builds(Money, st.integers(-MAX_EXACT, MAX_EXACT), st.sampled_from(["ILS", "JPY", "KWD"])),
    st.dates(date(1900, 1, 1), date(2200, 12, 31)),
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    st.lists(st.text(max_size=6), max_size=4).map(tuple),
)
IDS = st.text(min_size=1, max_size=8)
REFS = st.builds(Ref, st.sampled_from(["booking", "membership"]), IDS)
MICROS = st.integers(0, 2**52)
ENTITIES = st.dictionaries(IDS, st.tuples(VALUES, MICROS), max_size=4).map(
    lambda given: Entity(
        {name: value for name, (value, _) in given.items()}, {name: at for name, (_, at) in given.items()}
    )
)
RECORDS = st.builds(
    RemedyRecord,
    policy=IDS,
    version=st.integers(1, 9),
    rule=IDS,
    kind=st.sampled_from(["refund", "offer"]),
    entity=st.none() | REFS,
    amount=st.none() | st.builds(Money, st.integers(0, MAX_EXACT), st.just("ILS")),
    time=MICROS,
    decision=IDS,
    offered=st.booleans(),
)
STATES = st.builds(
    CustomerState,
    IDS,
    st.dictionaries(
        st.sampled_from(["booking", "membership"]),
        st.dictionaries(IDS, ENTITIES, min_size=1, max_size=3).map(
            lambda items: Entities(items, frozenset(items))
        ),
    ),
    st.lists(RECORDS, max_size=40).map(Remedies),
)


class TestStoring:
    @given(VALUES)
    @settings(max_examples=200, deadline=None)
    def test_a_packed_value_comes_back_with_its_type(self, value: Value) -> None:
        back = unpack(json.loads(json.dumps(pack(value))))
        assert back == value
        assert type(back) is type(value)  # True is not 1, a date no instant

    @pytest.mark.parametrize("raw", [None, 1.5, [], ["m", "1", "ILS"], ["x"], {"amount": "1"}])
    def test_what_is_no_packed_value_is_refused(self, raw: Any) -> None:
        with pytest.raises(TypeError, match="no packed value"):
            unpack(raw)

    @given(STATES)
    @settings(max_examples=100, deadline=None)
    def test_a_state_comes_back_from_its_parts(self, state: CustomerState) -> None:
        packed, parts = settle(state)
        assert state_of_parts(state.customer, parts) == state
        assert packed == state

    def test_only_what_changed_is_a_fresh_part(self) -> None:
        other = happened("membership.started", 1, membership_id="m2", tier="gold", points=7)
        state, _ = settle(fold(STARTED, other))
        assert settle(state)[1] == {}
        again = fold(happened("membership.points_changed", 2, membership_id="m2", points=8), state=state)
        assert set(settle(again)[1]) == {"membership/m2"}

    def test_remedies_are_written_sixteen_to_a_part(self) -> None:
        record = RemedyRecord("p", 1, "r", "refund", None, Money(1, "ILS"), 0, "d-1")
        state, _ = settle(CustomerState("c1", {}, Remedies([record] * 33)))
        longer = CustomerState("c1", {}, state.remedies.extended([record]))
        assert set(settle(longer)[1]) == {"remedies:2"}  # 34 = 16 + 16 + 2
        assert len(longer.remedies) == 34
        assert list(longer.remedies) == [record] * 34


def remedy(kind: str, **values: Value) -> Remedy:
    return Remedy(kind, values, "p", 2, "r", "goodwill")


AMOUNTS = st.builds(Money, st.integers(0, MAX_EXACT), st.sampled_from(["ILS", "JPY", "KWD"]))
REMEDIES = st.one_of(
    st.builds(lambda amount: remedy("refund", amount=amount, method="original"), AMOUNTS),
    st.builds(lambda points: remedy("points.bonus", points=points), st.integers(0, 999)),
    st.just(remedy("signal", name="asked")),
)
OFFERS = st.builds(
    lambda remedies, deadline: Offered(
        "p", 2, "o", "goodwill", (Choice("money", tuple(remedies)),), "money", deadline
    ),
    st.lists(REMEDIES, min_size=1, max_size=2),
    st.dates(),
)
DECISIONS = st.builds(
    lambda remedies, offers, shadow, entity, time: Decision(
        decision_id="d-1", source="test", event_id="e", event_type="t", time=time, customer="c1", entity=entity,
        outcome=Outcome.NONE, policy_set="f" * 64, remedies=tuple(remedies), offers=tuple(offers),
        denials=(Denied("p", 2, "d", "because"),), shadow_remedies=tuple(shadow),
    ),
    st.lists(REMEDIES, max_size=3),
    st.lists(OFFERS, max_size=2),
    st.lists(REMEDIES, max_size=1),
    st.none() | REFS,
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)  # fmt: skip


class TestDecisionsFoldedIn:
    @given(DECISIONS)
    @settings(max_examples=200, deadline=None)
    def test_a_recorded_decision_folds_to_the_same_state_as_the_decision(self, decision: Decision) -> None:
        document = json.loads(json.dumps(decision.to_json()))
        assert evolve_recorded(EMPTY, document) == evolve_decided(EMPTY, decision)

    def test_remedies_and_offers_count_from_now_on_and_keep_their_order(self) -> None:
        offer = Offered("p", 2, "o", "goodwill", (Choice("a", (remedy("signal", name="x"),)),))
        decision = Decision(
            decision_id="d-1", source="test", event_id="e", event_type="t", time=MARCH, customer="c1",
            entity=Ref("booking", "b1"), outcome=Outcome.GRANTED, policy_set="f" * 64,
            remedies=(remedy("refund", amount=Money(100, "ILS")), remedy("signal", name="x")),
            offers=(offer,),
        )  # fmt: skip
        records = evolve_decided(EMPTY, decision).remedies
        assert [(record.kind, record.amount, record.offered) for record in records] == [
            ("refund", Money(100, "ILS"), False),
            ("signal", None, False),
            ("offer", None, True),
        ]
        assert {(record.entity, record.time, record.decision) for record in records} == {
            (Ref("booking", "b1"), to_micros(MARCH), decision.decision_id)
        }

    def test_shadow_remedies_leave_the_state_alone(self) -> None:
        decision = Decision(
            decision_id="d-1", source="test", event_id="e", event_type="t", time=MARCH, customer="c1", entity=None,
            outcome=Outcome.NONE, policy_set="f" * 64, shadow_remedies=(remedy("signal", name="x"),),
        )  # fmt: skip
        assert evolve_decided(EMPTY, decision) is EMPTY
        assert evolve_recorded(EMPTY, decision.to_json()) is EMPTY

    def test_a_denial_is_remembered(self) -> None:
        decision = Decision(
            decision_id="d-1", source="test", event_id="e", event_type="t", time=MARCH, customer="c1", entity=None,
            outcome=Outcome.DENIED, policy_set="f" * 64, denials=(Denied("p", 1, "d", "because"),),
        )  # fmt: skip
        (record,) = evolve_decided(EMPTY, decision).remedies
        assert record == RemedyRecord("p", 1, "d", "denied", None, None, to_micros(MARCH), "d-1")


@given(st.lists(st.tuples(st.lists(RECORDS, max_size=20), st.booleans()), max_size=6))
@settings(max_examples=100, deadline=None)
def test_remedies_are_the_same_however_often_they_were_settled_meanwhile(
    steps: list[tuple[list[RemedyRecord], bool]],
) -> None:
    state, parts, expected = CustomerState("c1"), {}, []
    for records, settles in steps:
        expected += records
        state = CustomerState("c1", {}, state.remedies.extended(records))
        assert list(state.remedies) == expected
        if settles:
            state, changed = settle(state)
            parts |= changed
    _, changed = settle(state)
    parts |= changed
    assert list(state_of_parts("c1", parts).remedies) == expected
    assert parts == settle(CustomerState("c1", {}, Remedies(expected)))[1]
