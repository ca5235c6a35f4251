"""Units: what a value of an expression is, finer than CEL's types, so that money is never a count.

The pass that gives every node its unit is engine.checking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cel_expr_python import cel

from policyengine.domain.values import ValueType


class Kind(StrEnum):
    """The catalogue's types, and those that exist inside of expressions only."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "flag"
    MONEY = "money"
    DATE = "date"
    INSTANT = "instant"
    DECIMAL = "decimal"
    DURATION = "duration"
    LIST = "list"
    ANYTHING = "anything"  # the items of `[]`, and whatever is wrong already


_WORDS = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a number",
    Kind.FLAG: "a flag",
    Kind.MONEY: "money",
    Kind.DATE: "a date",
    Kind.INSTANT: "an instant",
    Kind.DECIMAL: "a decimal",
    Kind.DURATION: "a duration",
    Kind.LIST: "a list",
    Kind.ANYTHING: "anything",
}
_SEVERAL = {
    Kind.TEXT: "texts",
    Kind.INTEGER: "numbers",
    Kind.FLAG: "flags",
    Kind.MONEY: "money",
    Kind.DATE: "dates",
    Kind.INSTANT: "instants",
    Kind.DURATION: "durations",
}


@dataclass(frozen=True, slots=True)
class Unit:
    """A kind; a list's items have a unit of their own."""

    kind: Kind
    item: Unit | None = None

    def __str__(self) -> str:
        return f"list of {self.item}" if self.item is not None else self.kind.value

    @property
    def words(self) -> str:
        """As a message says it: `a number`, `money`."""
        if self.item is not None and self.item.kind in _SEVERAL:
            return f"a list of {_SEVERAL[self.item.kind]}"
        return _WORDS[self.kind]

    @property
    def value_type(self) -> ValueType | None:
        """The catalogue's type, or None where a value of this unit cannot leave the expression."""
        if self == TEXTS:
            return ValueType.TEXTS
        return ValueType(self.kind.value) if self.kind.value in _VALUE_TYPES else None

    @property
    def cel(self) -> Any:
        """The type by which C++ CEL knows it."""
        if self.item is not None:
            return cel.Type.List(self.item.cel)
        return _CEL[self.kind]

    def accepts(self, other: Unit) -> bool:
        """Whether a value of the other unit may stand where this one is wanted."""
        if self.kind is Kind.ANYTHING or other.kind is Kind.ANYTHING:
            return True
        if self.item is not None and other.item is not None:
            return self.item.accepts(other.item)
        return self.kind is other.kind


_VALUE_TYPES = frozenset(value_type.value for value_type in ValueType)
_CEL = {
    Kind.TEXT: cel.Type.STRING,
    Kind.INTEGER: cel.Type.INT,
    Kind.FLAG: cel.Type.BOOL,
    Kind.MONEY: cel.Type.INT,  # minor units
    Kind.DATE: cel.Type.TIMESTAMP,  # midnight UTC
    Kind.INSTANT: cel.Type.TIMESTAMP,
    Kind.DECIMAL: cel.Type.DOUBLE,
    Kind.DURATION: cel.Type.DURATION,
    Kind.ANYTHING: cel.Type.DYN,
}

TEXT = Unit(Kind.TEXT)
INTEGER = Unit(Kind.INTEGER)
FLAG = Unit(Kind.FLAG)
MONEY = Unit(Kind.MONEY)
DATE = Unit(Kind.DATE)
INSTANT = Unit(Kind.INSTANT)
DECIMAL = Unit(Kind.DECIMAL)
DURATION = Unit(Kind.DURATION)
ANYTHING = Unit(Kind.ANYTHING)
TEXTS = Unit(Kind.LIST, TEXT)


def list_of(item: Unit) -> Unit:
    """A list whose items have this unit."""
    return Unit(Kind.LIST, item)


def unit_of(value_type: ValueType) -> Unit:
    """The unit of an attribute."""
    return _UNITS[value_type]


_UNITS = {
    value_type: TEXTS if value_type is ValueType.TEXTS else Unit(Kind(value_type.value))
    for value_type in ValueType
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Every name that an expression may use, and what helps whoever mistypes one."""

    units: Mapping[str, Unit]
    choices: Mapping[str, tuple[str, ...]]
    notes: Mapping[str, str]
    currency: str | None
