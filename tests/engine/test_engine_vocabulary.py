"""The vocabulary: which names a rule may use, and their types."""

from __future__ import annotations

import pytest

from policyengine.domain.catalogue import Attribute, Catalogue, EntityType, EventType, Scope
from policyengine.domain.values import ValueType
from policyengine.engine.vocabulary import Term, vocabulary, world_attributes


def attributes(**types: ValueType) -> dict[str, Attribute]:
    return {
        name: Attribute(name, value_type, description=f"the {name}") for name, value_type in types.items()
    }


CATALOGUE = Catalogue(
    events={
        "booking.paid": EventType(
            "booking.paid", "", attributes(amount=ValueType.MONEY, reason=ValueType.TEXT)
        ),
        "points.counted": EventType(
            "points.counted", "", attributes(amount=ValueType.INTEGER, source=ValueType.INTEGER)
        ),
        "points.moved": EventType("points.moved", "", attributes(amount=ValueType.INTEGER)),
        "tier.changed": EventType(
            "tier.changed", "", {"tier": Attribute("tier", ValueType.TEXT, choices=("gold", "silver"))}
        ),
        "tier.lost": EventType(
            "tier.lost", "", {"tier": Attribute("tier", ValueType.TEXT, choices=("silver", "none"))}
        ),
    },
    entities={
        "booking": EntityType("booking", "a booking", attributes(paid=ValueType.MONEY)),
        "crisis": EntityType("crisis", "", attributes(kind=ValueType.TEXT), Scope.WORLD),
    },
)


def test_entities_events_and_the_world_are_one_flat_namespace() -> None:
    terms = vocabulary(CATALOGUE, ["booking.paid"]).terms
    assert terms["booking.paid"] == Term(ValueType.MONEY, "the paid")
    assert terms["booking.id"].type is ValueType.TEXT
    assert terms["customer.id"].type is ValueType.TEXT
    assert terms["event.amount"].type is ValueType.MONEY
    assert terms["event.time"].type is ValueType.INSTANT
    assert terms["crisis.kind"].type is ValueType.TEXT
    assert terms["crisis.id"].type is ValueType.TEXT


def test_where_a_thing_lies_and_what_was_decided_before_are_names_too() -> None:
    terms = vocabulary(CATALOGUE, ["booking.paid"]).terms
    assert {name: term.type for name, term in terms.items() if name.startswith(("place.", "earlier."))} == {
        "place.regions": ValueType.TEXTS,
        "earlier.kinds": ValueType.TEXTS,
        "earlier.policies": ValueType.TEXTS,
        "earlier.denied_by": ValueType.TEXTS,
        "earlier.amount": ValueType.MONEY,
        "earlier.frozen": ValueType.FLAG,
        "earlier.offered": ValueType.FLAG,
        "earlier.last_at": ValueType.INSTANT,
    }


def test_a_case_may_set_what_the_world_says_and_nothing_of_a_customer() -> None:
    assert sorted(world_attributes(CATALOGUE)) == ["crisis.id", "crisis.kind", "place.regions"]


def test_the_events_type_is_one_of_those_of_the_rule() -> None:
    assert vocabulary(CATALOGUE, ["points.moved", "booking.paid"]).terms["event.type"].choices == (
        "booking.paid", "points.moved",
    )  # fmt: skip


@pytest.mark.parametrize("order", [("booking.paid", "points.counted", "points.moved"), ("points.moved", "points.counted", "booking.paid")])  # fmt: skip
def test_a_property_of_two_types_is_left_out_with_a_note(order: tuple[str, ...]) -> None:
    words = vocabulary(CATALOGUE, order)
    assert "event.amount" not in words.terms
    assert "money" in words.notes["event.amount"]
    assert "integer" in words.notes["event.amount"]


def test_a_property_never_hides_what_every_event_has() -> None:
    assert vocabulary(CATALOGUE, ["points.counted"]).terms["event.source"].type is ValueType.TEXT


def test_choices_of_two_event_types_are_joined() -> None:
    terms = vocabulary(CATALOGUE, ["tier.changed", "tier.lost"]).terms
    assert terms["event.tier"].choices == ("gold", "silver", "none")
