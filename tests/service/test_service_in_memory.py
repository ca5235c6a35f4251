"""Plain dictionaries remember a shard as an obvious model does that looks at everything each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.places import keys_of, rank_of
from policyengine.domain.state import CustomerState
from policyengine.domain.timers import Timer
from policyengine.domain.world import World
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import Happened, Machine, Refused
from policyengine.service.memory import Past
from policyengine.service.policy_sets import PolicySet
from tests.service.machines import closed, crisis, member, pool, read, subscribed
from tests.support import booked, cancelled, catalogue, draft, event, policy_set

PREPARED: PolicySet = policy_set(
    draft(
        "care/reach",
        {"id": "site", "on": "facility.closed", "for": "subscription", "grant": [{"kind": "notify"}]},
        {"id": "home", "on": "crisis.phase_began", "grant": [{"kind": "notify"}]},
    ),
    draft(
        "travel/later",
        {
            "id": "r", "on": "booking.cancelled",
            "grant": [{"kind": "freeze", "until": "add_days(date_of(event.time), 2)"}],
            "follow_up": [
                {"at": "add_days(date_of(event.time), 1)", "event": "booking.completed"},
                {"at": "add_days(date_of(event.time), 1)", "event": "booking.completed"},
            ],
        },
    ),
)  # fmt: skip


class Model:
    """A memory that keeps states and timers, and works everything else out of them when it is asked."""

    def __init__(self) -> None:
        self.world = World()
        self.states: dict[str, CustomerState] = {}
        self.pending: list[Timer] = []
        self.lists: dict[int, list[str]] = {}

    def state(self, customer: str) -> CustomerState:
        return self.states.get(customer, CustomerState(customer))

    def keep(self, state: CustomerState) -> None:
        self.states[state.customer] = state

    def next_timer(self, until: int) -> Timer | None:
        due = [timer for timer in self.pending if timer.due <= until]
        return min(
            due, key=lambda timer: (timer.due, timer.customer.encode(), timer.id.encode()), default=None
        )

    def set_timer(self, timer: Timer) -> None:
        self.drop_timer(timer.customer, timer.id)
        self.pending.append(timer)

    def drop_timer(self, customer: str, timer_id: str) -> None:
        self.pending = [one for one in self.pending if (one.customer, one.id) != (customer, timer_id)]

    def timers(self, customer: str) -> list[Timer]:
        return [timer for timer in self.pending if timer.customer == customer]

    def place(self, customer: str, part: str, before: AbstractSet[str], after: AbstractSet[str]) -> None:
        pass

    def rank(self, customer: str, rank: int | None) -> None:
        pass

    def touched(self, keys: Sequence[str]) -> list[str]:
        found = [
            customer
            for customer, state in self.states.items()
            if any(
                keys_of(catalogue(), kind, entity.values) & set(keys)
                for kind, of_type in state.entities.items()
                for entity in of_type.values()
            )
        ]
        return sorted(found, key=self._order)

    def _order(self, customer: str) -> tuple[int, bytes]:
        entity = self.state(customer).entities.get("customer", {}).get(customer)
        rank = None if entity is None else rank_of(catalogue(), entity.values)
        return 99 if rank is None else rank, customer.encode()

    def queue(self, job: int, customers: Sequence[str]) -> None:
        self.lists[job] = list(customers)

    def queued(self, job: int, start: int, count: int) -> list[str]:
        return self.lists[job][start : start + count]

    def finish(self, job: int) -> None:
        del self.lists[job]

    def customers_with(self, event_types: AbstractSet[str]) -> list[str]:
        raise NotImplementedError

    def past(self, customer: str) -> Iterator[Past]:
        raise NotImplementedError


WHO = ("a", "b", "é", "𐀀", "\uffee", "c")
CUSTOMERS = st.sampled_from(WHO)
SITES = st.sampled_from(["pool", "gym"])
REGIONS = st.sampled_from(["north", "haifa", "tel-aviv", "IL", "IT"])
HOURS = st.integers(0, 24 * 12).map(lambda hour: f"2020-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z")
BOOKINGS = st.sampled_from(["b1", "b2"])


SEGMENTS = st.sampled_from([{}, {"core": True}, {"segment": "loyal"}, {"segment": "regular"}])


def _own(document: Mapping[str, Any], customer: str) -> dict[str, Any]:
    return {**document, "subject": customer}


EVENTS = st.one_of(
    st.builds(
        lambda customer, at, region, segment: event(
            "customer.updated", at, customer, **({"region": region} | segment)
        ),
        CUSTOMERS, HOURS, REGIONS, SEGMENTS,
    ),
    st.builds(lambda customer, at: member(customer, at, region="north"), CUSTOMERS, HOURS),
    st.builds(subscribed, CUSTOMERS, SITES, HOURS, st.sampled_from(["s1", "s2"])),
    st.builds(lambda key, at, region: pool(at, key, region), SITES, HOURS, REGIONS),
    st.builds(lambda key, at: closed(at, key), SITES, HOURS),
    st.builds(
        lambda key, at, region, day: crisis(at, key, region=region, onset_from=f"2020-03-{day:02}"),
        st.sampled_from(["c1", "c2", "c3"]), HOURS, REGIONS, st.integers(1, 14),
    ),
    st.builds(lambda customer, key, at: _own(booked(key, at), customer), CUSTOMERS, BOOKINGS, HOURS),
    st.builds(lambda customer, key, at: _own(cancelled(key, at), customer), CUSTOMERS, BOOKINGS, HOURS),
)  # fmt: skip


def _told(machine: Machine, documents: Sequence[Mapping[str, Any]], every: int) -> list[object]:
    """What happens, in short and in order; a piece of a job after so many events."""
    found: list[object] = []

    def take(happenings: Iterator[Happened | Refused]) -> None:
        for one in happenings:
            if isinstance(one, Refused):
                found.append(one)
            else:
                found.append((one.internal, one.event.document))
                found.extend(decision.to_json() for decision in one.decisions)

    machine.adopt(PREPARED.ruleset)
    for number, document in enumerate(documents):
        take(machine.record(read(document)))
        if number % every == 0:
            take(machine.piece(2))
    while not machine.idle():
        take(machine.piece(3))
    return found


BEFORE = "2020-02-01T00:00:00Z"
KNOWN = st.tuples(*(st.tuples(st.just(who), SEGMENTS, SITES, REGIONS) for who in WHO))


@settings(max_examples=60)
@given(KNOWN, st.lists(EVENTS, max_size=40), st.integers(1, 5))
def test_timers_fire_and_customers_are_reached_as_in_an_obvious_model(
    known: tuple[tuple[str, dict[str, Any], str, str], ...], events: list[dict[str, Any]], every: int
) -> None:
    documents = [
        pool(BEFORE),
        *(event("customer.updated", BEFORE, one[0], **one[1], region=one[3]) for one in known),
    ]
    documents += [
        *(subscribed(one[0], one[2], BEFORE) for one in known),
        *events,
        closed("2020-03-20T00:00:00Z"),
    ]
    documents = [{**one, "id": str(number)} for number, one in enumerate(documents)]
    memory, model = InMemory(), Model()
    assert _told(Machine(PREPARED.ruleset, memory), documents, every) == _told(
        Machine(PREPARED.ruleset, model), documents, every
    )
    assert memory.world == model.world
    assert sorted(memory.pending.values()) == sorted(model.pending)
    assert memory.lists == model.lists == {}


class TestTimers:
    def timer(self, due: int, customer: str = "c", name: str = "t") -> Timer:
        return Timer(due, customer, name, "booking.completed", {})

    def test_a_timer_takes_the_place_of_one_with_its_name(self) -> None:
        memory = InMemory()
        memory.set_timer(self.timer(5))
        memory.set_timer(self.timer(9))
        assert memory.next_timer(8) is None
        assert memory.next_timer(9) == self.timer(9)
        memory.set_timer(self.timer(3))
        assert memory.next_timer(3) == self.timer(3)

    def test_names_are_a_customers_own(self) -> None:
        memory = InMemory()
        memory.set_timer(self.timer(5, "a"))
        memory.set_timer(self.timer(5, "b"))
        memory.drop_timer("a", "t")
        memory.drop_timer("a", "t")
        assert memory.next_timer(5) == self.timer(5, "b")
        assert memory.timers("a") == []
        assert memory.timers("b") == [self.timer(5, "b")]

    def test_timers_that_are_moved_again_and_again_take_no_room(self) -> None:
        memory = InMemory()
        for due in range(10_000):
            memory.set_timer(self.timer(20_000 - due))
        assert len(memory._due) < 100
        assert memory.next_timer(20_000) == self.timer(10_001)


def test_who_is_found_by_two_parts_stays_when_one_goes() -> None:
    memory = InMemory()
    memory.place("c", "booking/b1", frozenset(), {"place:north"})
    memory.place("c", "booking/b2", frozenset(), {"place:north"})
    memory.place("c", "booking/b1", {"place:north"}, {"place:south"})
    assert memory.touched(["place:north"]) == ["c"]
    memory.place("c", "booking/b2", {"place:north"}, frozenset())
    assert memory.touched(["place:north"]) == []
    assert memory.touched(["place:south", "place:north"]) == ["c"]
