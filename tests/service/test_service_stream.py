"""The stream of made-up events: the same from the same seed, in order, coherent, and mostly sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice, pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.schemas import load_catalogue, shipped_schemas
from policyengine.domain.catalogue import Catalogue
from policyengine.domain.events import Event, Rejection
from policyengine.domain.validation import Validator
from policyengine.service.stream import BREAKAGES, generate

# What the deliberate breakages are rejected as: not UTF-8, cut off, a key twice, an old version, an
# unknown type, a time without zone, no data, money as a number, an unknown currency
BROKEN = {"EV002", "EV004", "EV005", "EV010", "EV011", "EV016", "EV017", "EV020", "EV031", "EV032"}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue([shipped_schemas()])


@pytest.fixture(scope="module")
def told(catalogue: Catalogue) -> list[tuple[bytes, Event | Rejection]]:
    validator = Validator(catalogue)
    return [(line, validator.validate(line)) for line in generate(2020, 400, None)]


def _events(told: list[tuple[bytes, Event | Rejection]]) -> Iterator[Event]:
    """Each event once, in the order of its time."""
    seen: dict[str, Event] = {}
    for _, result in told:
        if isinstance(result, Event):
            seen.setdefault(result.id, result)
    return iter(sorted(seen.values(), key=lambda event: (event.time, int(event.id))))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), customers=st.integers(1, 50))
def test_the_same_seed_gives_the_same_bytes(seed: int, customers: int) -> None:
    assert list(generate(seed, customers, 200)) == list(generate(seed, customers, 200))


def test_another_seed_tells_another_year() -> None:
    assert list(generate(1, 20, 100)) != list(generate(2, 20, 100))


@pytest.mark.parametrize("events", [0, 1, 7, 1_000])
def test_there_are_as_many_lines_as_asked_for(events: int) -> None:
    assert sum(1 for _ in generate(5, 30, events)) == events


def test_by_default_there_are_twelve_to_a_customer() -> None:
    assert sum(1 for _ in generate(5, 30, None)) == 360  # 30 x 12


def test_a_million_events_begin_at_once() -> None:
    assert len(list(islice(generate(5, 10_000, 1_000_000), 3))) == 3


def test_lines_have_no_line_feed(told: list[tuple[bytes, Event | Rejection]]) -> None:
    assert not any(b"\n" in line for line, _ in told)


def test_every_line_but_the_deliberately_broken_is_an_event(
    told: list[tuple[bytes, Event | Rejection]],
) -> None:
    codes = Counter(result.code for _, result in told if isinstance(result, Rejection))
    assert set(codes) <= BROKEN
    assert 0 < codes.total() < len(told) // 100  # about 0.3 %


def test_each_way_of_breaking_an_event_is_rejected(catalogue: Catalogue) -> None:
    document = orjson.loads(next(generate(3, 1, 1)))
    document["type"] = "complaint.received"
    document["data"] = {"complaint_id": "k1", "topic": "price"}
    with_money = {
        **document,
        "type": "charge.taken",
        "data": {"charge_id": "h1", "amount": {"amount": "12.50", "currency": "ILS"}},
    }
    validator = Validator(catalogue)
    for whole in (document, with_money):
        assert isinstance(validator.validate(orjson.dumps(whole)), Event)
        codes = [validator.validate(spoil(dict(whole))) for spoil in BREAKAGES]
        assert {code.code for code in codes if isinstance(code, Rejection)} <= BROKEN
        assert all(isinstance(code, Rejection) for code in codes)


def test_every_shipped_event_type_occurs(
    told: list[tuple[bytes, Event | Rejection]], catalogue: Catalogue
) -> None:
    occurring = {result.type for _, result in told if isinstance(result, Event)}
    customers = {name for name, kind in catalogue.events.items() if kind.scope == "customer"}
    assert occurring == customers


def test_some_events_come_twice_and_some_come_late(told: list[tuple[bytes, Event | Rejection]]) -> None:
    lines = Counter(line for line, _ in told)
    assert sum(count - 1 for count in lines.values()) > 5
    times = [result.time for line, result in told if isinstance(result, Event) and lines[line] == 1]
    back = sum(1 for earlier, later in pairwise(times) if later < earlier)
    assert 5 < back < len(times) // 50


def test_the_year_is_february_2020_to_march_2021(told: list[tuple[bytes, Event | Rejection]]) -> None:
    times = [event.time.isoformat() for event in _events(told)]
    assert times[0].startswith("2020-02-0")
    assert times[-1].startswith("2021-03-3")


def test_a_customer_is_registered_before_anything_else(
    told: list[tuple[bytes, Event | Rejection]],
) -> None:
    known: set[str] = set()
    for event in _events(told):
        if event.type == "customer.registered":
            known.add(event.subject)
        # the registration itself may be on its way when the year ends
        assert event.subject in known or event.type != "customer.updated"


def test_what_ends_has_begun(told: list[tuple[bytes, Event | Rejection]], catalogue: Catalogue) -> None:
    begun: set[tuple[str, str, str]] = set()
    begins = {
        "membership.started", "booking.made", "event_booking.made", "ticket.bought", "voucher.issued",
        "subscription.started", "insurance.started", "order.placed", "charge.attempted", "payment.due",
        "complaint.received", "isolation.started", "flight_booking.made", "rail_ticket.bought", "loan.started",
    }  # fmt: skip
    orphans = 0
    for event in _events(told):
        kind = catalogue.events[event.type]
        if kind.entity is None or kind.key is None:
            continue
        entity = (event.subject, kind.entity, str(event.data[kind.key]))
        if event.type in begins:
            begun.add(entity)
        orphans += entity not in begun
    # only where the beginning comes so late that the year is over
    assert orphans <= 3
