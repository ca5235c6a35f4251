"""CEL's own operators and functions that policies may use: units in, unit out, and the arithmetic.

invariant: each gives what C++ CEL gives, errors included; a differential test holds them together.
The policies' own functions are engine.functions'.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from policyengine.engine.functions import bounded
from policyengine.engine.units import (
    DATE,
    DURATION,
    FLAG,
    INSTANT,
    INTEGER,
    MONEY,
    TEXT,
    Kind,
    Unit,
)
from policyengine.errors import EvaluationError

# CEL counts nanoseconds in 64 bits: about 292 years
LONGEST_DURATION = timedelta(microseconds=(2**63 - 1) // 1000)
MATCHES = "matches"


@dataclass(frozen=True, slots=True)
class Operation:
    """One signature of an operator or function, and how it is computed (None: by C++ CEL alone)."""

    parameters: tuple[Unit, ...]
    result: Unit
    run: Callable[..., Any] | None


def _add(first: int, second: int) -> int:
    return bounded(first + second)


def _subtract(first: int, second: int) -> int:
    return bounded(first - second)


def _multiply(first: int, second: int) -> int:
    return bounded(first * second)


def _negate(value: int) -> int:
    return bounded(-value)


def _divide(first: int, second: int) -> int:
    """Truncated toward zero."""
    if second == 0:
        raise EvaluationError("division by zero", code="PE222")
    quotient = abs(first) // abs(second)
    return bounded(quotient if (first < 0) == (second < 0) else -quotient)


def _remainder(first: int, second: int) -> int:
    """With the sign of the dividend; the least integer by -1 overflows, as in CEL."""
    if second == 0:
        raise EvaluationError("remainder of a division by zero", code="PE222")
    bounded(abs(first) // abs(second) if (first < 0) == (second < 0) else 0)
    rest = abs(first) % abs(second)
    return -rest if first < 0 else rest


def _in_duration(value: timedelta) -> timedelta:
    if abs(value) > LONGEST_DURATION:
        raise EvaluationError("the duration is longer than 292 years", code="PE222")
    return value


def _passed(later: date, earlier: date) -> timedelta:
    return _in_duration(later - earlier)


def _lengthen(first: timedelta, second: timedelta) -> timedelta:
    return _in_duration(first + second)


def _shorten(first: timedelta, second: timedelta) -> timedelta:
    return _in_duration(first - second)


def _later(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError as error:
        raise EvaluationError("the instant is out of range", code="PE222") from error


def _earlier(instant: datetime, by: timedelta) -> datetime:
    return _later(instant, -by)


def item_at(items: tuple[Any, ...], place: int) -> Any:
    """``list[place]``, from 0."""
    if 0 <= place < len(items):
        return items[place]
    raise EvaluationError(f"the list has no place {place}", code="PE222")


def _whole(unit: timedelta) -> Callable[[timedelta], int]:
    """Whole units of a duration, truncated toward zero."""

    def count(value: timedelta) -> int:
        return value // unit if value >= timedelta() else -(-value // unit)

    return count


def _parts(run: Callable[[Any], int], *units: Unit) -> tuple[Operation, ...]:
    return tuple(Operation((unit,), INTEGER, run) for unit in units)


def _asks(run: Callable[[str, str], bool] | None) -> tuple[Operation, ...]:
    return (Operation((TEXT, TEXT), FLAG, run),)


_SUMS = (
    Operation((INTEGER, INTEGER), INTEGER, _add),
    Operation((MONEY, MONEY), MONEY, _add),
    Operation((TEXT, TEXT), TEXT, operator.add),
    Operation((DURATION, DURATION), DURATION, _lengthen),
    Operation((INSTANT, DURATION), INSTANT, _later),
    Operation((DURATION, INSTANT), INSTANT, lambda by, instant: _later(instant, by)),
)
_DIFFERENCES = (
    Operation((INTEGER, INTEGER), INTEGER, _subtract),
    Operation((MONEY, MONEY), MONEY, _subtract),
    Operation((DURATION, DURATION), DURATION, _shorten),
    Operation((INSTANT, DURATION), INSTANT, _earlier),
    Operation((INSTANT, INSTANT), DURATION, _passed),
    Operation((DATE, DATE), DURATION, _passed),
)
_PRODUCTS = (
    Operation((INTEGER, INTEGER), INTEGER, _multiply),
    Operation((MONEY, INTEGER), MONEY, _multiply),
    Operation((INTEGER, MONEY), MONEY, _multiply),
)
_ORDERED = (INTEGER, MONEY, TEXT, FLAG, DATE, INSTANT, DURATION)

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}
EQUALITIES: Mapping[str, Callable[[Any, Any], bool]] = {"_==_": operator.eq, "_!=_": operator.ne}

# Months, days and weekdays count from 0 here, as CEL has it; `month(x)` and `weekday(x)` do not.
METHODS: Mapping[str, tuple[Operation, ...]] = {
    "size": (Operation((TEXT,), INTEGER, len),),
    "contains": _asks(operator.contains),
    "startsWith": _asks(str.startswith),
    "endsWith": _asks(str.endswith),
    MATCHES: _asks(None),  # RE2 is C++ CEL's alone
    "getFullYear": _parts(lambda day: day.year, INSTANT, DATE),
    "getMonth": _parts(lambda day: day.month - 1, INSTANT, DATE),
    "getDate": _parts(lambda day: day.day, INSTANT, DATE),
    "getDayOfMonth": _parts(lambda day: day.day - 1, INSTANT, DATE),
    "getDayOfWeek": _parts(lambda day: day.isoweekday() % 7, INSTANT, DATE),
    "getDayOfYear": _parts(lambda day: day.timetuple().tm_yday - 1, INSTANT, DATE),
    "getHours": (
        *_parts(lambda instant: instant.hour, INSTANT),
        *_parts(_whole(timedelta(hours=1)), DURATION),
    ),
    "getMinutes": (
        *_parts(lambda instant: instant.minute, INSTANT),
        *_parts(_whole(timedelta(minutes=1)), DURATION),
    ),
    "getSeconds": (
        *_parts(lambda instant: instant.second, INSTANT),
        *_parts(_whole(timedelta(seconds=1)), DURATION),
    ),
    "getMilliseconds": _parts(lambda instant: instant.microsecond // 1000, INSTANT),
}
OPERATORS: Mapping[str, tuple[Operation, ...]] = {
    "_+_": _SUMS,
    "_-_": _DIFFERENCES,
    "_*_": _PRODUCTS,
    "_/_": (Operation((INTEGER, INTEGER), INTEGER, _divide),),
    "_%_": (Operation((INTEGER, INTEGER), INTEGER, _remainder),),
    "-_": (Operation((INTEGER,), INTEGER, _negate), Operation((MONEY,), MONEY, _negate)),
    **{
        name: tuple(Operation((unit, unit), FLAG, run) for unit in _ORDERED)
        for name, run in COMPARISONS.items()
    },
}
GLOBALS: Mapping[str, tuple[Operation, ...]] = {
    "size": METHODS["size"],
    "string": (Operation((INTEGER,), TEXT, str), Operation((TEXT,), TEXT, str)),
    MATCHES: METHODS[MATCHES],
}


def find(candidates: tuple[Operation, ...], units: tuple[Unit, ...]) -> Operation | None:
    """The signature that these arguments fit."""
    for operation in candidates:
        if len(operation.parameters) == len(units) and all(
            wanted.accepts(given) for wanted, given in zip(operation.parameters, units, strict=True)
        ):
            return operation
    return None


def generic(name: str, units: tuple[Unit, ...]) -> Operation | None:
    """Operators on values of any unit and on lists; None where they do not fit."""
    match name, units:
        case ("_==_" | "_!=_", (first, second)) if first.accepts(second) and _equatable(first, second):
            return Operation(units, FLAG, EQUALITIES[name])
        case ("@in", (first, Unit(Kind.LIST, Unit() as item))) if item.accepts(first):
            return Operation(units, FLAG, lambda wanted, items: wanted in items)
        case ("_+_", (Unit(Kind.LIST, Unit() as first), Unit(Kind.LIST, Unit() as second))):
            if first.accepts(second):
                return Operation(units, units[1] if first.kind is Kind.ANYTHING else units[0], operator.add)
        case ("_[_]", (Unit(Kind.LIST, Unit() as item), Unit(Kind.INTEGER))):
            return Operation(units, item, item_at)
        case ("size", (Unit(Kind.LIST),)):
            return Operation(units, INTEGER, len)
    return None


def _equatable(*units: Unit) -> bool:
    """Decimals exist as arguments of functions only."""
    return all(unit.kind is not Kind.DECIMAL for unit in units)


def resolve(name: str, units: tuple[Unit, ...], *, method: bool) -> Operation | None:
    """The operation that ``name`` is on these units."""
    tables = (METHODS,) if method else (OPERATORS, GLOBALS)
    for table in tables:
        if name in table and (found := find(table[name], units)) is not None:
            return found
    return generic(name, units)
