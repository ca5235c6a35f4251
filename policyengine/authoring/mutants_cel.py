"""Small mistakes in an expression: comparisons turned over, numbers off by one, percentages swapped.

Worked out on the parsed expression, so that every edit has its place in the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from policyengine.authoring.mutant import MutantKind
from policyengine.domain.money import Money
from policyengine.engine.syntax import Call, ExpressionError, Literal, Name, Syntax, parse
from policyengine.errors import MoneyError

_FLIPS = {"_<_": "<=", "_<=_": "<", "_>_": ">=", "_>=_": ">", "_==_": "!=", "_!=_": "=="}
_TURNED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
# a shift that says the same as turning the comparison: `x < 14` → `x < 15` is `x <= 14`
_SAME_AS_FLIP = {"_<_": 1, "_<=_": -1, "_>_": -1, "_>=_": 1}
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_HUNDRED, _HALF = 100, 50
_DAY = timedelta(days=1)


class Edit(NamedTuple):
    """Characters of a text that become others. ``case``: what a case would have to show."""

    offset: int
    old: str
    new: str
    kind: MutantKind
    case: str

    def applied(self, text: str) -> str:
        """The text with the edit."""
        return text[: self.offset] + self.new + text[self.offset + len(self.old) :]


def cel_edits(source: str) -> list[Edit]:
    """Every edit of an expression, in the order of the source; none of what is no CEL."""
    try:
        tree = parse(source)
    except ExpressionError:
        return []
    found = {(edit.offset, edit.old, edit.new): edit for edit in _Editor(source).walk(tree, None)}
    return sorted(found.values(), key=lambda edit: (edit.offset, edit.new))


class _Editor:
    def __init__(self, source: str) -> None:
        self.source = source

    def walk(self, node: Any, parent: Call | None) -> Iterator[Edit]:
        """The edits of a node and of all below it; ``parent`` is the comparison it stands in directly."""
        if isinstance(node, Call):
            yield from self._call(node, parent)
        elif isinstance(node, Literal):
            yield from self._number(node, parent)
        elif isinstance(node, tuple):
            for item in node:
                yield from self.walk(item, None)
        elif is_dataclass(node):
            for each in fields(node):
                yield from self.walk(getattr(node, each.name), None)

    def _call(self, call: Call, parent: Call | None) -> Iterator[Edit]:
        function, arguments = call.function, call.arguments
        if function in _FLIPS:
            old = function.strip("_")
            if self.source.startswith(old, call.offset):
                case = self._bound(call)
                yield Edit(call.offset, old, _FLIPS[function], MutantKind.COMPARISONS, case)
            for argument in arguments:
                yield from self.walk(argument, call)
            return
        if function in {"money", "date", "timestamp"} and call.target is None and len(arguments) == 1:
            if isinstance(arguments[0], Literal):
                yield from self._text(function, arguments[0], parent, call)
            return
        if function == "percent" and call.target is None and len(arguments) > 1:
            yield from self._percent(arguments[1])
        for part in (call.target, *arguments):
            if part is not None:
                yield from self.walk(part, None)

    def _bound(self, call: Call) -> str:
        """The value at which a comparison and its opposite differ."""
        first, second = call.arguments
        if not isinstance(first, Name):
            first, second = second, first
        if not isinstance(first, Name):
            return "where both sides are equal"
        return f"with {first.name} = {self._shown(second)}"

    def _shown(self, node: Syntax) -> str:
        match node:
            case Name(name=name):
                return name
            case Literal(value=value):
                return f'"{value}"' if isinstance(value, str) else str(value).lower()
            case Call(function="money" | "date" | "timestamp", arguments=(Literal(value=value),)):
                return str(value)
        return "the other side"

    def _number(self, literal: Literal, parent: Call | None) -> Iterator[Edit]:
        if isinstance(literal.value, (bool, str)):
            return
        found = _NUMBER.match(self.source, literal.offset)
        if found is None:
            return  # made by a macro: nobody wrote it
        for step in self._steps(literal, parent):
            new = _stepped(found[0], step)
            case = _telling(literal, parent, new) or f"whose result changes where {found[0]} is {new}"
            yield Edit(literal.offset, found[0], new, MutantKind.THRESHOLDS, case)

    def _steps(self, node: Syntax, parent: Call | None) -> list[int]:
        """Which way to shift: not the way that turning the comparison goes."""
        if parent is None or parent.function not in _SAME_AS_FLIP:
            return [-1, 1]
        function = parent.function if parent.arguments[1] is node else _TURNED[parent.function]
        return [-_SAME_AS_FLIP[function]]

    def _text(self, function: str, literal: Literal, parent: Call | None, call: Call) -> Iterator[Edit]:
        """Money by its smallest unit, dates and instants by a day."""
        text = str(literal.value)
        old = self.source[literal.offset : literal.offset + len(text) + 2]
        if old[1:-1] != text:
            return
        for step in [-1, 1] if function == "timestamp" else self._steps(call, parent):
            new = shifted(text, step)
            if new is not None:
                case = f"that tells {text} from {new}"
                yield Edit(literal.offset, old, f"{old[0]}{new}{old[0]}", MutantKind.THRESHOLDS, case)

    def _percent(self, share: Syntax) -> Iterator[Edit]:
        case = "that expects the amount to the smallest unit"
        if isinstance(share, Literal) and isinstance(share.value, int):
            found = _NUMBER.match(self.source, share.offset)
            if found is not None and share.value != _HALF and 0 <= share.value <= _HUNDRED:
                new = str(_HUNDRED - share.value)
                yield Edit(share.offset, found[0], new, MutantKind.PERCENTAGES, case)
        elif isinstance(share, Name) and self.source.startswith(share.name, share.offset):
            yield Edit(share.offset, share.name, f"100 - {share.name}", MutantKind.PERCENTAGES, case)


def _telling(literal: Literal, parent: Call | None, new: str) -> str:
    """With which value of an attribute a comparison with another number comes out differently."""
    if parent is None or parent.function not in _SAME_AS_FLIP:
        return ""
    names = [side.name for side in parent.arguments if side is not literal and isinstance(side, Name)]
    return f"with {names[0]} = {new}" if names else ""


def shifted(text: str, step: int) -> str | None:
    """A number, money, a date or an instant written as text, shifted by one unit; None for other text."""
    if _NUMBER.fullmatch(text):
        return _stepped(text, step)
    for read in (_shifted_money, _shifted_day, _shifted_instant):
        new = read(text, step)
        if new is not None:
            return new
    return None


def _shifted_money(text: str, step: int) -> str | None:
    try:
        money = Money.literal(text)
    except MoneyError:
        return None
    return str(Money(money.minor + step, money.currency))


def _shifted_day(text: str, step: int) -> str | None:
    try:
        return (date.fromisoformat(text) + step * _DAY).isoformat()
    except (ValueError, OverflowError):
        return None


def _shifted_instant(text: str, step: int) -> str | None:
    try:
        moment = datetime.fromisoformat(text) + step * _DAY
    except (ValueError, OverflowError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _stepped(number: str, step: int) -> str:
    """By one, or by one in the last decimal that is written."""
    value = Decimal(number)
    exponent = value.as_tuple().exponent
    unit = Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(1)
    return f"{value + step * unit:f}"
