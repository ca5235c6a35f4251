"""Where things are, whom the world touches, and that whoever is touched is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import catalogue

from policyengine.domain.decision import Ref
from policyengine.domain.holdings import Entities, Entity
from policyengine.domain.places import (
    covering,
    covers,
    facts_of,
    home,
    keys_of,
    keys_reached,
    places,
    rank_of,
    regions_around,
    touches,
)
from policyengine.domain.state import CustomerState
from policyengine.domain.values import Value
from policyengine.domain.world import World

APRIL = datetime(2020, 4, 15, 12, tzinfo=UTC)
MARCH_1, MAY_1 = date(2020, 3, 1), date(2020, 5, 1)
Things = Mapping[str, Mapping[str, Mapping[str, Value]]]


def entities(things: Things) -> dict[str, dict[str, Entity]]:
    return {
        kind: {key: Entity(values, {}) for key, values in of_type.items()} for kind, of_type in things.items()
    }


def world(**things: Mapping[str, Mapping[str, Value]]) -> World:
    return World(entities=entities(things))


def state(customer: Mapping[str, Value] | None = None, /, **things: Mapping[str, Mapping[str, Value]]) -> CustomerState:  # fmt: skip
    whole = dict(things) if customer is None else {"customer": {"c1": customer}, **things}
    return CustomerState("c1", {kind: Entities(of_type) for kind, of_type in entities(whole).items()})


POOLS = world(
    facility={"pool": {"region": "hadera"}, "gym": {"region": "eilat"}, "nowhere": {}},
    restriction={"r": {"region": "haifa", "kind": "closure", "from": MARCH_1, "until": MAY_1}},
    crisis={"k": {"region": "IL", "kind": "pandemic", "onset_from": MARCH_1}},
)
R, K = Ref("restriction", "r"), Ref("crisis", "k")


class TestWhere:
    @pytest.mark.parametrize(
        ("customer", "expected"),
        [
            ({"region": "hadera", "country": "IL"}, "hadera"),
            ({"country": "IL"}, "IL"),
            ({"region": "atlantis", "country": "IL"}, "IL"),
            ({"region": "atlantis"}, None),
            ({"language": "he"}, None),
            (None, None),
        ],
    )
    def test_a_customer_is_at_home_in_the_smallest_region_that_is_known(
        self, customer: Mapping[str, Value] | None, expected: str | None
    ) -> None:
        assert home(catalogue(), state(customer)) == expected

    def test_a_thing_is_in_its_own_places(self) -> None:
        known = state({"region": "haifa"}, booking={"b": {"country": "IT", "region": "IT-21"}})
        assert places(catalogue(), World(), known, Ref("booking", "b")) == {"IT", "IT-21"}

    def test_a_thing_is_where_that_is_to_which_it_refers(self) -> None:
        known = state({"region": "jerusalem"}, subscription={"s": {"site": "pool"}})
        assert places(catalogue(), POOLS, known, Ref("subscription", "s")) == {"hadera"}

    @pytest.mark.parametrize("site", ["nowhere", "unknown"])
    def test_a_thing_without_a_known_place_is_at_its_owners_home(self, site: str) -> None:
        known = state({"region": "jerusalem"}, subscription={"s": {"site": site}})
        assert places(catalogue(), POOLS, known, Ref("subscription", "s")) == {"jerusalem"}
        assert places(catalogue(), POOLS, known, Ref("subscription", "gone")) == {"jerusalem"}

    @pytest.mark.parametrize("ref", [None, Ref("customer", "c1")])
    def test_the_customer_as_such_is_at_home(self, ref: Ref | None) -> None:
        assert places(catalogue(), POOLS, state({"region": "acre"}), ref) == {"acre"}
        assert places(catalogue(), POOLS, state(), ref) == frozenset()

    def test_the_regions_of_a_thing_are_all_that_hold_one_of_its_places(self) -> None:
        known = state(booking={"b": {"country": "IT", "region": "eilat"}})
        assert regions_around(catalogue(), World(), known, Ref("booking", "b")) == (
            "IL", "IT", "eilat", "south", "world",
        )  # fmt: skip


class TestCoverage:
    @pytest.mark.parametrize(
        ("lives", "booked", "by_place", "by_either"),
        [
            ("hadera", "hadera", True, True),
            ("hadera", "eilat", False, True),
            ("eilat", "hadera", True, True),
            ("eilat", "eilat", False, False),
            ("hadera", None, True, True),
            ("IL", None, False, False),
            (None, None, False, False),
        ],
    )
    def test_what_lies_there_is_covered_and_by_a_crisis_also_what_is_of_who_lives_there(
        self, lives: str | None, booked: str | None, by_place: bool, by_either: bool
    ) -> None:
        known = state(
            {} if lives is None else {"region": lives},
            booking={"b": {} if booked is None else {"region": booked}},
        )
        there = world(restriction={"r": {"region": "haifa"}}, crisis={"k": {"region": "haifa"}})
        assert covers(catalogue(), there, R, known, Ref("booking", "b")) is by_place
        assert covers(catalogue(), there, K, known, Ref("booking", "b")) is by_either

    def test_a_facility_covers_nothing(self) -> None:
        assert not covers(catalogue(), POOLS, Ref("facility", "pool"), state({"region": "hadera"}), None)

    def test_what_is_not_there_or_has_no_place_covers_nothing(self) -> None:
        known = state({"region": "haifa"})
        assert not covers(catalogue(), World(), R, known, None)
        assert not covers(catalogue(), world(restriction={"r": {"kind": "closure"}}), R, known, None)

    @pytest.mark.parametrize(
        ("day", "expected"),
        [("2020-02-29", []), ("2020-03-01", ["r"]), ("2020-04-30", ["r"]), ("2020-05-01", [])],
    )
    def test_a_restriction_is_in_force_from_its_first_day_until_the_day_before_its_last(
        self, day: str, expected: list[str]
    ) -> None:
        noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        found = covering(catalogue(), POOLS, "restriction", state({"region": "haifa"}), None, noon)
        assert [key for key, _ in found] == expected

    def test_a_day_begins_at_midnight_where_the_restriction_is(self) -> None:
        known = state({"region": "haifa"})
        before, after = (datetime(2020, 4, 30, hour, 59, tzinfo=UTC) for hour in (20, 21))  # UTC+3
        assert covering(catalogue(), POOLS, "restriction", known, None, before) != []
        assert covering(catalogue(), POOLS, "restriction", known, None, after) == []

    def test_without_dates_it_is_always_in_force(self) -> None:
        there = world(surplus={"s": {"region": "haifa", "what": "cheese"}})
        assert covering(catalogue(), there, "surplus", state({"region": "acre"}), None, APRIL) == []
        assert covering(catalogue(), there, "surplus", state({"region": "hadera"}), None, APRIL) == [
            ("s", {"region": "haifa", "what": "cheese"})
        ]

    def test_several_crises_at_once_come_by_id_each_with_its_phase(self) -> None:
        there = world(
            crisis={
                "war": {"region": "haifa", "onset_from": date(2020, 4, 1), "ongoing_from": date(2020, 4, 10)},
                "corona": {"region": "IL", "onset_from": MARCH_1, "ended_from": date(2020, 4, 15)},
                "storm": {"region": "IL", "onset_from": date(2020, 4, 16)},
                "flood": {"region": "IT", "onset_from": MARCH_1},
            }
        )
        found = covering(catalogue(), there, "crisis", state({"region": "haifa"}), None, APRIL)
        assert [(key, facts["phase"]) for key, facts in found] == [("corona", "ended"), ("war", "ongoing")]

    def test_types_that_cover_nothing_cover_nobody(self) -> None:
        assert covering(catalogue(), POOLS, "facility", state({"region": "hadera"}), None, APRIL) == []
        assert covering(catalogue(), World(), "crisis", state({"region": "hadera"}), None, APRIL) == []

    def test_facts_are_the_attributes_without_what_is_remembered_beside_them(self) -> None:
        values: dict[str, Value] = {"region": "IL", "onset_from": MARCH_1, "@crisis.phase_began:onset_from": ("1", "x")}  # fmt: skip
        assert facts_of(catalogue(), catalogue().entities["crisis"], values, APRIL) == {
            "region": "IL", "onset_from": MARCH_1, "phase": "onset",
        }  # fmt: skip


class TestWhoIsTouched:
    def test_a_facility_touches_what_refers_to_it(self) -> None:
        known = state(
            {"region": "hadera"},
            subscription={"s2": {"site": "pool"}, "s1": {"site": "pool"}, "s3": {"site": "gym"}, "s4": {}},
            order={"o": {"site": "pool"}},
        )
        touched = touches(
            catalogue(), POOLS, Ref("facility", "pool"), known, ("subscription", "order", "customer")
        )
        assert touched == [Ref("order", "o"), Ref("subscription", "s1"), Ref("subscription", "s2")]

    def test_a_restriction_touches_of_the_wanted_types_what_lies_there(self) -> None:
        known = state(
            {"region": "eilat"},
            subscription={"s1": {"site": "pool"}, "s2": {"site": "gym"}},
            booking={"b1": {"region": "hadera"}, "b2": {"region": "eilat"}},
        )
        assert touches(catalogue(), POOLS, R, known, ("subscription",)) == [Ref("subscription", "s1")]
        assert touches(catalogue(), POOLS, R, known, ("booking", "customer")) == [Ref("booking", "b1")]

    def test_the_customer_as_such_is_touched_at_home(self) -> None:
        assert touches(catalogue(), POOLS, R, state({"region": "hadera"}), ("customer",)) == [
            Ref("customer", "c1")
        ]
        assert touches(catalogue(), POOLS, R, state(), ("customer",)) == []

    def test_a_notice_is_touched_by_the_policy_version_that_it_waits_for(self) -> None:
        known = state(notice={"d/p": {"policy_version": "p@2"}, "d/q": {"policy_version": "q@1"}})
        version = Ref("policy_version", "p@2")
        there = world(policy_version={"p@2": {}})
        assert touches(catalogue(), there, version, known, ("notice",)) == [Ref("notice", "d/p")]


class TestHowTheyAreFound:
    def test_the_keys_of_a_thing_are_its_places_and_what_it_refers_to_in_the_world(self) -> None:
        booked: dict[str, Value] = {"region": "haifa", "venue": "hall", "occasion": "wedding"}
        assert keys_of(catalogue(), "event_booking", booked) == {"place:haifa", "ref:facility/hall"}
        assert keys_of(catalogue(), "customer", {"region": "acre", "country": "IL"}) == {
            "place:acre",
            "place:IL",
        }

    def test_references_to_what_a_customer_has_are_no_keys(self) -> None:
        assert keys_of(catalogue(), "order", {"membership_id": "m1"}) == frozenset()

    @pytest.mark.parametrize("kind", ["membership", "payment", "loan"])
    def test_types_without_places_have_no_keys(self, kind: str) -> None:
        assert keys_of(catalogue(), kind, {"status": "haifa"}) == frozenset()

    def test_a_region_reaches_the_places_below_it_and_the_facilities_there(self) -> None:
        assert keys_reached(catalogue(), POOLS, R) == [
            "place:hadera", "place:haifa", "place:haifa-city", "place:kiryat-ata", "place:umm-al-fahm",
            "place:zichron-yaakov", "ref:facility/pool", "ref:restriction/r",
        ]  # fmt: skip

    def test_a_facility_reaches_who_refers_to_it(self) -> None:
        assert keys_reached(catalogue(), POOLS, Ref("facility", "gym")) == ["ref:facility/gym"]

    @pytest.mark.parametrize(
        ("customer", "rank"),
        [
            ({"core": True, "segment": "new"}, 0),
            ({"core": False, "segment": "loyal"}, 1),
            ({"segment": "regular"}, 2),
            ({"segment": "business"}, None),
            ({}, None),
        ],
    )
    def test_the_core_is_reached_first_then_the_loyal_then_the_regular(
        self, customer: Mapping[str, Value], rank: int | None
    ) -> None:
        assert rank_of(catalogue(), customer) == rank

    def test_a_changed_catalogue_has_a_geography_of_its_own(self) -> None:
        known = state({"region": "hadera"})
        assert home(catalogue(), known) == "hadera"
        smaller = replace(catalogue(), regions={"world": catalogue().regions["world"]})
        assert home(smaller, known) is None


CODES = st.sampled_from(["world", "IL", "IT", "IT-21", "haifa", "hadera", "south", "eilat", "atlantis"])
SITES = st.sampled_from(["f1", "f2", "f3", "unknown"])
THINGS = {
    "customer": st.fixed_dictionaries({}, optional={"region": CODES, "country": CODES}),
    "booking": st.fixed_dictionaries({}, optional={"region": CODES, "country": CODES}),
    "subscription": st.fixed_dictionaries({}, optional={"site": SITES}),
    "event_booking": st.fixed_dictionaries({}, optional={"region": CODES, "venue": SITES}),
    "ticket": st.fixed_dictionaries({}, optional={"region": CODES, "venue": SITES, "performance_id": SITES}),
    "notice": st.fixed_dictionaries({}, optional={"policy_version": SITES}),
    "membership": st.just({}),
}
STATES = st.fixed_dictionaries(
    {}, optional={kind: st.lists(values, max_size=2) for kind, values in THINGS.items()}
)
PLACED = st.fixed_dictionaries({}, optional={"region": CODES})
WORLDS = st.fixed_dictionaries(
    {
        "facility": st.dictionaries(SITES, PLACED, max_size=3),
        "performance": st.dictionaries(SITES, st.just({}), max_size=2),
        "policy_version": st.dictionaries(SITES, st.just({}), max_size=2),
        "crisis": st.dictionaries(SITES, PLACED, max_size=2),
        "restriction": st.dictionaries(SITES, PLACED, max_size=2),
        "surplus": st.dictionaries(SITES, PLACED, max_size=2),
    }
)


@settings(max_examples=300, deadline=None)
@given(STATES, WORLDS)
def test_whoever_is_touched_is_found(
    held: dict[str, list[dict[str, Value]]], there: dict[str, dict[str, dict[str, Value]]]
) -> None:
    named = {
        kind: {"c1" if kind == "customer" else str(number): values for number, values in enumerate(found[:1] if kind == "customer" else found)}
        for kind, found in held.items()
    }  # fmt: skip
    known, around = state(None, **named), world(**there)
    keys = {
        key
        for kind, of_type in named.items()
        for values in of_type.values()
        for key in keys_of(catalogue(), kind, values)
    }
    for kind, of_type in there.items():
        for each in of_type:
            ref = Ref(kind, each)
            if touches(catalogue(), around, ref, known, tuple(THINGS)):
                assert keys & set(keys_reached(catalogue(), around, ref))


@settings(max_examples=200, deadline=None)
@given(STATES, WORLDS)
def test_what_covers_an_entity_on_a_day_is_what_touches_it(
    held: dict[str, list[dict[str, Value]]], there: dict[str, dict[str, dict[str, Value]]]
) -> None:
    """Looking from the entity to the world and from the world to the entity comes to the same."""
    bookings = {str(number): values for number, values in enumerate(held.get("booking", ()))}
    customer = next(iter(held.get("customer", ())), None)
    known, around = state(customer, booking=bookings), world(**there)
    for booking in bookings:
        ref = Ref("booking", booking)
        seen = [key for key, _ in covering(catalogue(), around, "restriction", known, ref, APRIL)]
        assert seen == sorted(
            each
            for each in there["restriction"]
            if ref in touches(catalogue(), around, Ref("restriction", each), known, ("booking",))
        )
