"""Which entity a name refers to: decided on, the event's own, referred to, the only one, or none."""

from __future__ import annotations

from datetime import UTC, date, datetime

from support import catalogue

from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState, Entity, entity_of, evolve
from policyengine.domain.values import Value
from policyengine.domain.world import World
from policyengine.engine.facts import FactBuilder, Facts

NOON = datetime(2020, 3, 1, 12, tzinfo=UTC)
PAID = Money(50_00, "ILS")


def happened(kind: str, /, **data: Value) -> Event:
    return Event("test", f"{kind}-{data}", kind, NOON, "c1", data)


def start(key: str, fee: int) -> Event:
    return happened(
        "subscription.started", subscription_id=key, kind="gym", monthly_fee=Money(fee * 100, "ILS")
    )


def book(key: str, nights: int) -> Event:
    return happened("booking.made", booking_id=key, kind="hotel", nights=nights)


def facts_of(
    *events: Event,
    decided: Ref | None = None,
    world: World | None = None,
    read: frozenset[str] | None = None,
) -> Facts:
    """The facts of the last event after all were folded, decided on its own entity unless given."""
    state = CustomerState("c1")
    for event in events:
        state = evolve(state, event, catalogue())
    own = entity_of(events[-1], catalogue())
    return FactBuilder(catalogue()).build(state, world or World(), events[-1], decided or own, read)


class TestWhatIsRead:
    def test_reading_some_types_alone_gives_the_same_facts_of_them(self) -> None:
        due = happened(
            "payment.due", payment_id="p", amount=PAID, due_on=date(2020, 4, 1), subscription_id="s2"
        )
        events = (
            start("s1", 100),
            start("s2", 200),
            book("b1", 1),
            due,
            happened("payment.missed", payment_id="p"),
        )
        whole = facts_of(*events)
        for read in ({"subscription"}, {"payment"}, {"booking", "customer"}, set[str]()):
            wanted = {"event", "customer", *read}
            expected = {name: value for name, value in whole.items() if name.partition(".")[0] in wanted}
            # the payment refers to the subscription also where nothing else of it is read
            assert facts_of(*events, read=frozenset(read)) == expected


class TestTheEvent:
    def test_its_envelope_and_its_data_are_facts(self) -> None:
        facts = facts_of(happened("booking.paid", booking_id="b1", paid=PAID))
        assert {name: value for name, value in facts.items() if name.startswith("event.")} == {
            "event.type": "booking.paid",
            "event.id": f"booking.paid-{ {'booking_id': 'b1', 'paid': PAID} }",
            "event.source": "test",
            "event.time": NOON,
            "event.booking_id": "b1",
            "event.paid": PAID,
        }

    def test_the_customer_has_an_id_even_when_nothing_else_is_known(self) -> None:
        assert facts_of(happened("policy.asked", about="x"))["customer.id"] == "c1"

    def test_an_absent_attribute_has_no_key(self) -> None:
        facts = facts_of(happened("booking.paid", booking_id="b1", paid=PAID))
        assert "booking.nights" not in facts
        assert None not in facts.values()

    def test_the_worlds_facts_are_there_by_their_names(self) -> None:
        world = World({"crisis.kind": "pandemic"})
        assert facts_of(happened("policy.asked", about="x"), world=world)["crisis.kind"] == "pandemic"


class TestWhoIsMeant:
    def test_the_entity_decided_on_comes_before_the_events_own(self) -> None:
        facts = facts_of(book("b1", 1), book("b2", 2), decided=Ref("booking", "b1"))
        assert (facts["booking.id"], facts["booking.nights"]) == ("b1", 1)
        assert facts["event.booking_id"] == "b2"  # the event stays what it is

    def test_the_events_own_entity_comes_before_the_only_one(self) -> None:
        facts = facts_of(book("b1", 1), book("b2", 2))
        assert (facts["booking.id"], facts["booking.nights"]) == ("b2", 2)

    def test_an_events_own_entity_is_still_meant_when_another_type_is_decided_on(self) -> None:
        facts = facts_of(start("s1", 100), book("b1", 1), book("b2", 2), decided=Ref("subscription", "s1"))
        assert facts["booking.id"] == "b2"
        assert facts["subscription.monthly_fee"] == Money(100_00, "ILS")

    def test_data_that_refers_to_an_entity_says_which_of_several(self) -> None:
        charge = happened("charge.attempted", charge_id="x", amount=PAID, subscription_id="s2")
        facts = facts_of(start("s1", 100), start("s2", 200), charge)
        assert facts["subscription.monthly_fee"] == Money(200_00, "ILS")

    def test_an_attribute_of_the_entity_refers_too_long_after_its_event(self) -> None:
        due = happened(
            "payment.due", payment_id="p", amount=PAID, due_on=date(2020, 4, 1), subscription_id="s2"
        )
        facts = facts_of(start("s1", 100), start("s2", 200), due, happened("payment.missed", payment_id="p"))
        assert "event.subscription_id" not in facts
        assert facts["subscription.monthly_fee"] == Money(200_00, "ILS")

    def test_the_customers_only_entity_of_a_type_is_meant_without_being_named(self) -> None:
        facts = facts_of(start("s1", 100), happened("policy.asked", about="x"))
        assert facts["subscription.id"] == "s1"

    def test_of_two_that_nobody_names_neither_is_meant(self) -> None:
        facts = facts_of(start("s1", 100), start("s2", 100), happened("policy.asked", about="x"))
        assert [name for name in facts if name.startswith("subscription.")] == []

    def test_a_reference_to_an_unknown_entity_never_falls_back_to_the_only_one(self) -> None:
        charge = happened("charge.attempted", charge_id="x", amount=PAID, subscription_id="s9")
        facts = facts_of(start("s1", 100), charge)
        assert [name for name in facts if name.startswith("subscription.")] == []

    def test_an_entity_of_an_unknown_type_is_left_out(self) -> None:
        old = Entity({"x": 1}, {"x": 0})
        state = CustomerState(
            "c1", {"bygone": {"k": old}, "booking": {"b1": Entity({"gone": 1}, {"gone": 0})}}
        )
        facts = FactBuilder(catalogue()).build(state, World(), happened("policy.asked", about="x"), None)
        assert "bygone.x" not in facts
        assert "booking.gone" not in facts  # nor an attribute that the catalogue no longer has
        assert facts["booking.id"] == "b1"

    def test_the_customers_attributes_are_those_of_the_customer_entity(self) -> None:
        facts = facts_of(happened("customer.updated", region="north"), happened("policy.asked", about="x"))
        assert facts["customer.region"] == "north"
