"""The values that facts, attributes and remedies hold, and their one JSON form.

``Money`` ↔ ``{"amount": "12.50", "currency": "ILS"}`` in events and state; dates ↔ ISO 8601;
instants ↔ RFC 3339 in UTC with ``Z``. Floats do not exist here.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum

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


def instant_to_json(value: datetime) -> str:
    """RFC 3339 in UTC; microseconds only when there are any."""
    text = value.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def to_json(value: Value) -> Json:
    """The JSON form of a value."""
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Money):
        return {"amount": value.value, "currency": value.currency}
    if isinstance(value, datetime):
        return instant_to_json(value)
    if isinstance(value, date):
        return value.isoformat()
    return list(value)


def from_json(kind: ValueType, raw: object) -> Value:
    """Read back what ``to_json`` wrote; the type is the catalogue's."""
    match kind:
        case ValueType.MONEY if isinstance(raw, dict):
            return Money.parse(str(raw["amount"]), str(raw["currency"]))
        case ValueType.DATE if isinstance(raw, str):
            return date.fromisoformat(raw)
        case ValueType.INSTANT if isinstance(raw, str):
            return datetime.fromisoformat(raw).astimezone(UTC)
        case ValueType.TEXTS if isinstance(raw, list):
            return tuple(str(item) for item in raw)
        case ValueType.TEXT if isinstance(raw, str):
            return raw
        case ValueType.FLAG if isinstance(raw, bool):
            return raw
        case ValueType.INTEGER if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
    message = f"{raw!r} is not a {kind}"
    raise TypeError(message)
