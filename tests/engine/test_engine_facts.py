"""Which entity a name refers to: decided on, the event's own, referred to, the only one, or none."""

from __future__ import annotations

from datetime import UTC, date, datetime

from support import catalogue

from policyengine.domain.decision import Ref
from policyengine.domain.events import Event
from policyengine.domain.money import Money
from policyengine.domain.state import CustomerState, Entity, entity_of, evolve
from policyengine.domain.values import Value
from policyengine.domain.world import World, evolve_world
from policyengine.engine.facts import FactBuilder, Facts, ways

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


def declared(key: str, region: str = "IL", kind: str = "pandemic", **data: Value) -> Event:
    begun = {"onset_from": date(2020, 2, 1), **data}
    return happened("crisis.declared", crisis_id=key, kind=kind, region=region, **begun)


def imposed(key: str, region: str, percent: int) -> Event:
    day = date(2020, 2, 20)
    return happened(
        "restriction.imposed",
        **{
            "restriction_id": key,
            "kind": "capacity",
            "region": region,
            "from": day,
            "capacity_percent": percent,
        },
    )


def world_of(*events: Event, **given: Value) -> World:
    world = World(given)
    for event in events:
        world = evolve_world(world, event, catalogue())
    return world


class TestTheWorld:
    """What is everybody's is found by reference, what covers places one at a time."""

    HOME = happened("customer.updated", region="tel-aviv-yafo")
    ASKED = happened("policy.asked", about="x")

    def around(
        self, world: World, *events: Event, decided: Ref | None = None, read: frozenset[str] | None = None
    ) -> tuple[Facts, dict[str, list[Value]]]:
        """The facts of the last event, and of each choice the ids."""
        state = CustomerState("c1")
        for event in events:
            if not event.type.startswith(("crisis", "restriction")):
                state = evolve(state, event, catalogue())
        builder = FactBuilder(catalogue())
        facts, choices = builder.surround(state, world, events[-1], decided, read)
        return facts, {kind: [each[f"{kind}.id"] for each in ways] for kind, ways in choices.items()}

    def test_the_only_crisis_that_covers_the_customer_is_among_the_facts(self) -> None:
        tomorrow = happened(
            "crisis.phase_changed", **{"crisis_id": "a", "phase": "ongoing", "from": date(2020, 3, 2)}
        )
        world = world_of(declared("a"), tomorrow, declared("b", "IT"))
        facts, choices = self.around(world, self.HOME, self.ASKED)
        assert (facts["crisis.id"], facts["crisis.phase"], choices) == ("a", "onset", {})

    def test_two_are_a_choice_by_id_and_neither_is_among_the_facts(self) -> None:
        world = world_of(declared("b"), declared("a", "world"))
        facts, choices = self.around(world, self.HOME, self.ASKED)
        assert choices == {"crisis": ["a", "b"]}
        assert [name for name in facts if name.startswith("crisis.")] == []

    def test_one_that_has_not_begun_is_none(self) -> None:
        world = world_of(declared("a", onset_from=date(2020, 3, 2)))
        facts, choices = self.around(world, self.HOME, self.ASKED)
        assert ("crisis.id" in facts, choices) == (False, {})

    def test_built_at_once_the_facts_are_those_of_the_first(self) -> None:
        world = world_of(declared("b", kind="war"), declared("a"))
        facts = facts_of(self.HOME, self.ASKED, world=world)
        assert (facts["crisis.id"], facts["crisis.kind"]) == ("a", "pandemic")

    def test_what_no_rule_reads_is_not_looked_at(self) -> None:
        world = world_of(declared("b"), declared("a"))
        facts, choices = self.around(world, self.HOME, self.ASKED, read=frozenset(("restriction",)))
        assert (choices, [name for name in facts if "." in name and name.startswith("crisis")]) == ({}, [])

    def test_an_event_of_the_world_means_its_own_entity_though_others_cover_too(self) -> None:
        world = world_of(declared("a"), declared("b"))
        facts, choices = self.around(world, self.HOME, declared("b"))
        assert (facts["crisis.id"], choices) == ("b", {})

    def test_what_it_refers_to_is_still_looked_at_in_turn(self) -> None:
        lockdown = happened(
            "restriction.imposed",
            **{
                "restriction_id": "r",
                "kind": "closure",
                "region": "IL",
                "from": date(2020, 2, 1),
                "crisis_id": "b",
            },
        )
        world = world_of(declared("a"), declared("b"), lockdown)
        facts, choices = self.around(world, self.HOME, lockdown)
        assert (facts["restriction.id"], choices) == ("r", {"crisis": ["a", "b"]})

    def test_the_place_of_the_entity_counts_and_not_the_home(self) -> None:
        abroad = happened(
            "booking.made",
            booking_id="b1",
            kind="hotel",
            starts_on=date(2020, 5, 1),
            price=PAID,
            country="IT",
        )
        world = world_of(imposed("home", "tel-aviv", 30), imposed("there", "IT", 10))
        facts, _ = self.around(world, self.HOME, abroad, decided=Ref("booking", "b1"))
        assert (facts["restriction.id"], facts["restriction.capacity_percent"]) == ("there", 10)
        assert facts["place.regions"] == ("IT", "world")
        facts, _ = self.around(world, self.HOME, abroad)  # the customer as such is at home
        assert facts["restriction.id"] == "home"
        assert facts["place.regions"] == ("IL", "tel-aviv", "tel-aviv-yafo", "world")

    def test_where_nobody_knows_the_place_there_is_no_such_fact(self) -> None:
        facts, _ = self.around(world_of(), self.ASKED)
        assert "place.regions" not in facts

    def test_a_site_is_found_by_reference_and_says_where_the_subscription_is(self) -> None:
        site = happened("facility.registered", facility_id="f", name="Pool", kind="pool", region="eilat")
        gym = happened("subscription.started", subscription_id="s", kind="gym", monthly_fee=PAID, site="f")
        facts, _ = self.around(world_of(site), self.HOME, gym, decided=Ref("subscription", "s"))
        assert (facts["facility.id"], facts["facility.kind"]) == ("f", "pool")
        assert facts["place.regions"] == ("IL", "eilat", "south", "world")

    def test_a_site_that_nobody_registered_is_absent(self) -> None:
        gym = happened("subscription.started", subscription_id="s", kind="gym", monthly_fee=PAID, site="f")
        facts, _ = self.around(world_of(), gym, decided=Ref("subscription", "s"))
        assert "facility.id" not in facts

    def test_what_a_case_gives_goes_before_each_of_several(self) -> None:
        world = world_of(declared("a"), declared("b"), **{"crisis.phase": "recovery"})
        state = evolve(CustomerState("c1"), self.HOME, catalogue())
        around = FactBuilder(catalogue()).surround(state, world, self.ASKED, None)
        phases = [facts["crisis.phase"] for facts in ways(*around, ["crisis"])]
        assert phases == ["recovery", "recovery"]

    def test_what_was_decided_before_is_there_where_a_rule_reads_it(self) -> None:
        facts, _ = self.around(world_of(), self.ASKED, read=frozenset(("earlier",)))
        assert facts["earlier.kinds"] == ()
        facts, _ = self.around(world_of(), self.ASKED, read=frozenset())
        assert "earlier.kinds" not in facts

    def test_combinations_go_by_type_then_id_the_last_type_fastest(self) -> None:
        world = world_of(declared("a"), declared("b"), imposed("r", "IL", 30), imposed("s", "tel-aviv", 10))
        state = evolve(CustomerState("c1"), self.HOME, catalogue())
        facts, choices = FactBuilder(catalogue()).surround(state, world, self.ASKED, None)
        both = [
            (one["crisis.id"], one["restriction.id"])
            for one in ways(facts, choices, ["crisis", "restriction"])
        ]
        assert both == [("a", "r"), ("a", "s"), ("b", "r"), ("b", "s")]
        # of the types that are not asked for there are no facts at all
        assert [("restriction.id" in one, one["crisis.id"]) for one in ways(facts, choices, ["crisis"])] == [
            (False, "a"),
            (False, "b"),
        ]
