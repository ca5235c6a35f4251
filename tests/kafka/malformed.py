"""Messages that are no events, of every kind, each with the code under which it must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support import booked, event

STRUCTURED = ("content-type", b"application/cloudevents+json; charset=UTF-8")
BOOKED = booked("b")


class Bad(NamedTuple):
    """A message, and the code of its dead letter."""

    code: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def customer(number: int) -> str:
    """Whose it would be."""
    return f"c{number % 7}"


def good_id(whose: str) -> str:
    """The id of a customer's first good event, whose content others claim to have."""
    return f"{whose}-first"


def line(document: dict[str, Any]) -> bytes:
    """As a structured message."""
    return json.dumps(document).encode()


def changed(number: int, **changes: Any) -> bytes:
    """An event of its own, but for these members; None takes one away."""
    whole = {**BOOKED, "id": f"bad-{number}", "subject": customer(number), **changes}
    return line({name: value for name, value in whole.items() if value is not None})


def with_data(number: int, **data: Any) -> bytes:
    """One with other data."""
    return changed(number, data={**BOOKED["data"], "booking_id": f"bad-{number}", **data})


def binary(number: int, **changes: bytes) -> tuple[tuple[str, bytes], ...]:
    """The headers of a binary message; empty ones are left out."""
    headers = {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_id": f"bad-{number}".encode(),
        "ce_source": b"test",
        "ce_type": b"booking.made",
        "ce_time": b"2020-02-01T10:00:00Z",
        "ce_subject": customer(number).encode(),
        **changes,
    }
    return tuple((name, value) for name, value in headers.items() if value)


def malformed(n: int) -> Iterator[Bad]:
    """One of every kind, all made different by ``n``."""
    yield from _no_json(n)
    yield from _no_event(n)
    yield from _wrong_headers(n)


def _no_json(n: int) -> Iterator[Bad]:
    key = customer(n).encode()
    yield Bad("EV004", key, b"not JSON %d" % n)
    yield Bad("EV004", key, b'{"specversion": "1.0", "id": "%d"' % n)
    yield Bad("EV003", key, b'\xff\xfe{"id": "%d"}' % n)
    yield Bad("EV002", key, b'{"id": "\xc3\x28 %d"}' % n)
    yield Bad("EV001", key, b"")
    yield Bad("EV001", key, None, (("trace", b"%d" % n),))  # a tombstone
    yield Bad("EV004", key, b'{"id": NaN, "n": %d}' % n)
    yield Bad("EV008", key, b"[1, 2, %d]" % n)
    yield Bad("EV008", key, b'"text %d"' % n)
    if n < 3:  # brokers take no more than this by default
        yield Bad("EV007", key, changed(n, note="x" * 1_048_576))
    yield Bad("EV012", key, with_data(n, booking_id="x" * 30_000))
    yield Bad("EV006", key, b'{"a":' * 300 + b"%d" % n + b"}" * 300)
    yield Bad("EV005", key, b'{"id": "%d", "id": "2"}' % n)


def _no_event(n: int) -> Iterator[Bad]:
    key = customer(n).encode()
    yield Bad("EV094", None, changed(n))
    yield Bad("EV094", b"x2", changed(n))
    yield Bad("EV094", b"\xff\x00", changed(n), (STRUCTURED, ("trace", b"\xff")))
    yield Bad("EV011", key, changed(n, id=None))
    yield Bad("EV011", key, changed(n, source=None))
    yield Bad("EV011", key, changed(n, subject=None))
    yield Bad("EV010", key, changed(n, specversion="0.3"))
    yield Bad("EV018", key, changed(n, time="yesterday"))
    yield Bad("EV012", key, changed(n, id=n))
    yield Bad("EV016", key, changed(n, type="booking.dreamt"))
    yield Bad("EV091", key, changed(n, time="2199-01-01T00:00:00Z"))
    yield Bad("EV093", key, changed(n, type="offer.expired", data={
        "offer_id": "o", "decision_id": "d", "policy": "p/p", "rule": "r"}))  # fmt: skip
    yield Bad("EV092", key, changed(n, source="urn:policyengine"))
    yield Bad("EV097", key, line(event("crisis.declared", "2020-03-10T08:00:00Z", customer(n), event_id=f"bad-{n}", crisis_id="k", kind="pandemic", region="IL", onset_from="2020-03-10")))  # fmt: skip
    yield Bad("EV090", key, changed(n, id=good_id(customer(n)), data={**BOOKED["data"], "booking_id": f"other-{n}"}))  # fmt: skip
    yield Bad("EV034", key, with_data(n, price={"amount": "1" * 40, "currency": "ILS"}))
    yield Bad("EV025", key, with_data(n, nights=2**70))
    yield Bad("EV026", key, with_data(n, starts_on="2020-02-31"))
    yield Bad("EV022", key, with_data(n, surprise=True))
    yield Bad("EV020", key, changed(n, data=None))
    yield Bad("EV023", key, changed(n, type="booking.cancelled", data={"booking_id": 7}))


def _wrong_headers(n: int) -> Iterator[Bad]:
    key, data = customer(n).encode(), line({**BOOKED["data"], "booking_id": f"bad-{n}"})
    yield Bad("EV096", key, data, binary(n, ce_specversion=b""))
    yield Bad("EV096", key, data, (*binary(n), ("ce_id", b"again")))
    yield Bad("EV096", key, data, binary(n, ce_data=b"{}"))
    yield Bad("EV096", key, data, binary(n, ce_id=b"\xff"))
    yield Bad("EV096", key, b"no JSON %d" % n, binary(n))
    yield Bad("EV096", key, b'{}, "source": "other"', binary(n))
    yield Bad("EV096", key, data, binary(n, **{"content-type": b"application/avro"}))
    yield Bad("EV096", key, changed(n), (("content-type", b"application/cloudevents+avro"),))
    yield Bad("EV096", key, changed(n), (("content-type", b"application/cloudevents-batch+json"),))
    yield Bad("EV096", key, changed(n), (("content-type", b"text/plain"),))
    yield Bad("EV011", key, data, binary(n, ce_subject=b""))
    yield Bad("EV018", key, data, binary(n, ce_time=b"noon"))
    yield Bad("EV016", key, data, binary(n, ce_type=b"booking.dreamt"))
    yield Bad("EV094", b"c9", data, binary(n))
    yield Bad("EV020", key, None, binary(n))
