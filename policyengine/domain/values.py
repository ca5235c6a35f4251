"""The values that facts, attributes and remedies hold, and their one JSON form.

``Money`` ↔ ``{"amount": "12.50", "currency": "ILS"}`` in events and state; dates ↔ ISO 8601;
instants ↔ RFC 3339 in UTC with ``Z``. Floats do not exist here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from policyengine.domain.money import Money

Value = str | int | bool | Money | date | datetime | tuple[str, ...]
Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class ValueType(StrEnum):
    """Types that the catalogue gives to attributes; also the units that expressions are checked in."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"
    MONEY = "money"
    DATE = "date"
    INSTANT = "instant"
    TEXTS = "texts"  # a list of strings


_PLAIN = frozenset((str, int, bool))


def instant_to_json(value: datetime) -> str:
    """RFC 3339 in UTC; microseconds only when there are any."""
    return _in_utc(value if value.tzinfo is UTC else value.astimezone(UTC))


@lru_cache(maxsize=64)  # an event's time is written with every rule that asks for it
def _in_utc(value: datetime) -> str:
    return value.isoformat()[:-6] + "Z"  # +00:00


def to_json(value: Value) -> Json:
    """The JSON form of a value."""
    if type(value) in _PLAIN:  # the commonest, and this is a busy place
        return value  # type: ignore[return-value]
    if isinstance(value, Money):
        return {"amount": value.value, "currency": value.currency}
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, datetime):
        return instant_to_json(value)
    if isinstance(value, date):
        return value.isoformat()
    return list(value)


def pack(value: Value) -> Json:
    """A compact JSON form that carries its type: what a stored state holds."""
    if type(value) in _PLAIN or isinstance(value, (bool, int, str)):
        return value  # type: ignore[return-value]
    if isinstance(value, Money):
        return ["m", value.minor, value.currency]
    if isinstance(value, datetime):
        return ["i", instant_to_json(value)]
    if isinstance(value, date):
        return ["d", value.isoformat()]
    return ["t", *value]


def unpack(raw: Any) -> Value:
    """The inverse of ``pack``."""
    match raw:
        case bool() | int() | str():
            return raw
        case ["m", int(minor), str(currency)]:
            return Money(minor, currency)
        case ["i", str(text)]:
            return datetime.fromisoformat(text)
        case ["d", str(text)]:
            return date.fromisoformat(text)
        case ["t", *items]:
            return tuple(str(item) for item in items)
    message = f"{raw!r} is no packed value"
    raise TypeError(message)
