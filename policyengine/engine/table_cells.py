"""The cells of decision tables: ``<= 1500``, ``[1..10)``, ``"IL","EU"``, ``not("IL")``, ``-``.

Reading a cell by its column's type, and testing a value with it. The table itself is engine.tables'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.values import Value
from policyengine.errors import EvaluationError, MoneyError

ColumnType = Literal["integer", "money", "text", "flag", "date"]
RawCell = bool | int | str

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_COMPARISON = re.compile(r"(<=|>=|<|>|=)\s*(.*)", re.DOTALL)
_INTERVAL = re.compile(r"([\[(])\s*(.*?)\s*\.\.\s*(.*?)\s*([\])])", re.DOTALL)
_NEGATION = re.compile(r"not\s*\((.*)\)", re.DOTALL)
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,"']+?)\s*(,|$)""")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])", re.ASCII)
_LONGEST_INTEGER = len(str(-MAX_EXACT))
_HOW = {
    "integer": "write `5`, `<= 5`, `[1..10)`, `1, 2` or `not(1, 2)`",
    "money": "write `100 ILS`, `<= 100 ILS` or `[1 ILS..10 ILS)`",
    "text": 'write `gold`, `"gold","silver"` or `not("gold")`',
    "flag": "write `true` or `false`",
    "date": "write `2020-03-15`, `>= 2020-03-15` or `[2020-03-15..2020-07-01)`",
}
_HOW_RESULT = {
    "integer": "write a whole number such as `5`, or CEL after `=`",
    "money": "write `250 EUR`, or CEL after `=`",
    "text": "write the text, or CEL after `=`",
    "flag": "write `true` or `false`, or CEL after `=`",
    "date": "write a date such as `2020-03-15`, or CEL after `=`",
}


class CellError(Exception):
    """A cell that cannot be read: code, message and how to write it."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is (or, negated, is not) one of these."""

    values: tuple[Value, ...]
    negated: bool = False

    def fits(self, value: Value) -> bool:
        """Test a value of the column's type."""
        return any(_equal(value, other) for other in self.values) != self.negated


@dataclass(frozen=True, slots=True)
class Range:
    """The value lies between two bounds, each inclusive or not; None is unbounded."""

    low: Value | None
    high: Value | None
    low_closed: bool = True
    high_closed: bool = True

    def fits(self, value: Value) -> bool:
        """Test a value of the column's type."""
        if self.low is not None:
            side = _order(value, self.low)
            if side < 0 or (side == 0 and not self.low_closed):
                return False
        if self.high is not None:
            side = _order(value, self.high)
            if side > 0 or (side == 0 and not self.high_closed):
                return False
        return True


Test = OneOf | Range | None  # None is `-`: anything fits, and nothing is asked


def read_test(raw: RawCell, column: ColumnType) -> Test:
    """Read a condition's cell; CellError PE041, PE042 or PE043."""
    text = _as_text(raw, column).strip()
    if text == "-":
        return None
    if match := _INTERVAL.fullmatch(text):
        return _interval(match, column)
    if match := _NEGATION.fullmatch(text):
        return OneOf(tuple(_items(match[1], column)), negated=True)
    if match := _COMPARISON.fullmatch(text):
        return _comparison(match[1], match[2], column)
    return OneOf(tuple(_items(text, column)))


def read_result(raw: RawCell, column: ColumnType) -> Value:
    """Read a result's cell that is a plain value; CellError PE041, PE043 or PE044."""
    text = _as_text(raw, column).strip()
    if text == "-":
        raise CellError("PE044", "a result cannot be `-`", _HOW_RESULT[column])
    if column == "text" and text[:1] not in {'"', "'"}:
        return text
    return _value(text, column, _HOW_RESULT[column])


def money_of(test: Test) -> Iterator[Money]:
    """The money that a test mentions."""
    values: tuple[Value | None, ...] = ()
    if isinstance(test, OneOf):
        values = test.values
    elif isinstance(test, Range):
        values = (test.low, test.high)
    return (value for value in values if isinstance(value, Money))


def _as_text(raw: RawCell, column: ColumnType) -> str:
    if isinstance(raw, bool):
        text = str(raw).lower()
        if column != "flag":
            raise _mismatch(text, column, _HOW[column])
        return text
    return str(raw)


def _mismatch(text: str, column: ColumnType, how: str) -> CellError:
    return CellError("PE043", f"`{text}` is no {_NOUN[column]}", how)


_NOUN = {
    "integer": "whole number",
    "money": "money",
    "text": "text",
    "flag": "flag",
    "date": "date",
}


def _interval(match: re.Match[str], column: ColumnType) -> Range:
    if column in {"text", "flag"}:
        raise CellError("PE043", f"a {column} column has no intervals", _HOW[column])
    low = _value(match[2], column, _HOW[column])
    high = _value(match[3], column, _HOW[column])
    low_closed, high_closed = match[1] == "[", match[4] == "]"
    if isinstance(low, Money) and isinstance(high, Money) and low.currency != high.currency:
        raise CellError("PE035", f"{low.currency} and {high.currency} cannot be compared", "use one currency")
    side = _order(low, high)
    if side > 0:
        raise CellError(
            "PE042", f"the interval `{match[0]}` is reversed", f"write {match[3]} behind {match[2]}"
        )
    # invariant: an interval that no value can fit is a mistake; integers step by one
    is_between = isinstance(low, int) and isinstance(high, int) and high - low == 1
    open_ends = (not low_closed) + (not high_closed)
    if (side == 0 and open_ends) or (is_between and open_ends == len("()")):
        raise CellError("PE042", f"nothing fits the interval `{match[0]}`", "`[` and `]` include the bound")
    return Range(low, high, low_closed, high_closed)


def _comparison(operator: str, operand: str, column: ColumnType) -> Test:
    if operator == "=":
        if operand.startswith("="):
            raise CellError("PE041", f"`={operand}` is no test", _HOW[column])
        return OneOf((_value(operand, column, _HOW[column]),))
    if column in {"text", "flag"}:
        raise CellError("PE043", f"`{operator}` does not apply to a {column} column", _HOW[column])
    bound = _value(operand, column, _HOW[column])
    if operator.startswith("<"):
        return Range(None, bound, high_closed=operator == "<=")
    return Range(bound, None, low_closed=operator == ">=")


def _items(text: str, column: ColumnType) -> Iterator[Value]:
    how = _HOW[column]
    if column in {"integer", "money"} and _THOUSANDS.search(text):
        raise CellError("PE041", f"`{text}` may be a number or a list", "write 1500, or `1, 500` for a list")
    position = 0
    while position < len(text) or position == 0:
        match = _ITEM.match(text, position)
        if match is None:
            raise CellError("PE041", f"`{text}` is no test", how)
        yield _value(match[1], column, how)
        position = match.end()
        if not match[2]:
            return
    raise CellError("PE041", f"`{text}` ends with a comma", how)


def _value(text: str, column: ColumnType, how: str) -> Value:
    if not text:
        raise CellError("PE041", "a value is missing", how)
    if column == "text":
        return _text(text, how)
    if column == "money":
        try:
            return Money.literal(text)
        except MoneyError as error:
            raise CellError("PE043", error.message, how) from error
    if column == "flag" and text in {"true", "false"}:
        return text == "true"
    if column == "date" and _DAY.fullmatch(text):
        return _date(text, how)
    if column == "integer" and _INTEGER.fullmatch(text) and len(text) <= _LONGEST_INTEGER:
        number = int(text)
        if abs(number) <= MAX_EXACT:
            return number
    raise _mismatch(text, column, how)


def _date(text: str, how: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CellError("PE041", f"`{text}` is no date of the calendar", how) from error


def _text(text: str, how: str) -> str:
    quote = text[:1]
    if quote in {'"', "'"}:
        inner = text[1:-1]
        if len(text) > 1 and text.endswith(quote) and quote not in inner:
            return inner
        raise CellError("PE041", f"the quotes of `{text}` do not match", how)
    if set(text) & set("\"'<>=()[]") or text.startswith("!"):
        raise CellError("PE041", f"`{text}` is no test", f"{how}; put such text in quotes")
    return text


def _equal(value: Value, other: Value) -> bool:
    if isinstance(value, Money) and isinstance(other, Money):
        return _order(value, other) == 0
    return value == other


def _order(value: Value, other: Value) -> int:
    """-1, 0 or 1; EvaluationError PE204 for two currencies."""
    match value, other:
        case Money(), Money():
            if value.currency != other.currency:
                message = f"{value.currency} and {other.currency} cannot be compared"
                raise EvaluationError(message, code="PE204")
            return (value.minor > other.minor) - (value.minor < other.minor)
        case (int(), int()) if not isinstance(value, bool):
            return (value > other) - (value < other)
        case (date(), date()) if not isinstance(value, datetime):
            return (value > other) - (value < other)
    message = f"{value!r} and {other!r} cannot be compared"
    raise EvaluationError(message, code="PE222")
