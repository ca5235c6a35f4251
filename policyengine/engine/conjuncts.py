"""What an index may know of a condition: comparisons of one attribute with constants.

invariant: a condition that held satisfies every conjunct drawn from it; what cannot be represented
exactly yields no conjunct. How an index uses them is engine.match.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from policyengine.domain.money import MAX_EXACT
from policyengine.domain.state import to_micros
from policyengine.engine.tree import AND, NOT, Apply, Attribute, Const, Items, Node, flatten
from policyengine.engine.units import Kind

Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "in"]

_OPERATORS: dict[str, Comparison] = {
    "_==_": "==",
    "_!=_": "!=",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
}
_TURNED: dict[Comparison, Comparison] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_EQUAL = frozenset({"==", "!="})
_ORDERED = frozenset({Kind.INTEGER, Kind.MONEY, Kind.DATE, Kind.INSTANT})
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_OWN = ("param.", "row.")  # a policy's own values: no facts, so no index knows them


@dataclass(frozen=True, slots=True)
class Conjunct:
    """``attribute operator value``.

    The value is what an index holds: text as it is, a flag, an integer, money in minor units, a
    date in days and an instant in microseconds since 1970-01-01 UTC. ``currency`` is set for money.
    """

    attribute: str
    operator: Comparison
    value: str | int | bool | tuple[str | int, ...]
    currency: str | None = None


def conjuncts(node: Node) -> tuple[Conjunct, ...]:
    """What must be true wherever the condition ``node`` held, in the order written."""
    return tuple(dict.fromkeys(conjunct for clause in flatten(node, AND) for conjunct in _clause(clause)))


def _clause(node: Node) -> list[Conjunct]:
    if isinstance(node, Attribute):
        return _flag(node, is_set=True)
    return _applied(node.function, node.arguments) if isinstance(node, Apply) else []


def _applied(function: str, arguments: tuple[Node, ...]) -> list[Conjunct]:
    match function, arguments:
        case (name, (Attribute() as only,)) if name == NOT:
            return _flag(only, is_set=False)
        case ("@in", (Attribute() as attribute, Items(items=items))):
            return _one_of(attribute, items)
        case ("between", (Attribute() as attribute, low, high)):
            return _compare(attribute, ">=", low) + _compare(attribute, "<=", high)
        case (name, (first, second)) if name in _OPERATORS:
            return _either_way(first, _OPERATORS[name], second)
    return []


def _flag(attribute: Attribute, *, is_set: bool) -> list[Conjunct]:
    return [Conjunct(attribute.name, "==", is_set)] if _is_fact(attribute) else []


def _either_way(first: Node, operator: Comparison, second: Node) -> list[Conjunct]:
    if isinstance(first, Attribute):
        return _compare(first, operator, second)
    return _compare(second, _TURNED[operator], first) if isinstance(second, Attribute) else []


def _is_fact(attribute: Attribute) -> bool:
    return not attribute.name.startswith(_OWN)


def _compare(attribute: Attribute, operator: Comparison, value: Node) -> list[Conjunct]:
    if not isinstance(value, Const) or not _is_fact(attribute):
        return []
    if operator not in _EQUAL and attribute.unit.kind not in _ORDERED:
        return []  # an index may order texts in another way
    indexed = index_value(value.value) if value.unit == attribute.unit else None
    return [] if indexed is None else [Conjunct(attribute.name, operator, indexed, value.currency)]


def _one_of(attribute: Attribute, items: tuple[Node, ...]) -> list[Conjunct]:
    if not items or not _is_fact(attribute) or attribute.unit.kind is Kind.FLAG:
        return []
    values = [index_value(item.value) for item in items if isinstance(item, Const)]
    known = tuple(dict.fromkeys(value for value in values if value is not None))
    if len(values) != len(items) or None in values:
        return []
    currency = next((item.currency for item in items if isinstance(item, Const)), None)
    return [Conjunct(attribute.name, "in", known, currency)]


def index_value(value: Any) -> str | int | bool | None:
    """A constant as an index holds it, or None where it has no exact form there.

    Money comes as minor units already. The same for the values of facts is the index's.
    """
    match value:
        case bool():
            return value
        case str():
            return None if "\0" in value else value
        case int():
            return value if abs(value) <= MAX_EXACT else None
        case datetime():
            micros = to_micros(value)
            return micros if abs(micros) <= MAX_EXACT else None
        case date():
            return value.toordinal() - _EPOCH_DAY
    return None
