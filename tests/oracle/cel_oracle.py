"""The oracle for expressions: C++ CEL with every function implemented in Python, slow and obvious.

Written apart from policyengine.engine: only the calendar and the names are shared. Never used outside
of tests, since C++ CEL leaks a little on each call of a function implemented in Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel

from policyengine.domain import calendar
from policyengine.domain.money import Money

ERROR = object()
T = cel.Type
_DIGITS = {"ILS": 2, "JPY": 0, "KWD": 3}


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def to_cel(value: Any) -> Any:
    """A fact as CEL has it: money in minor units, dates at midnight UTC."""
    match value:
        case Money():
            return value.minor
        case datetime():
            return value
        case date():
            return midnight(value)
        case tuple():
            return list(value)
        case Decimal():
            return float(value)
    return value


def _day(instant: datetime) -> date:
    assert (instant.hour, instant.minute, instant.second, instant.microsecond) == (0, 0, 0, 0)
    return instant.date()


def _rounded(value: Fraction, rounding: str) -> int:
    """By ``decimal``'s own rounding modes, on a decimal that decides every tie."""
    mode = {
        "half_up": ROUND_HALF_UP,
        "half_even": ROUND_HALF_EVEN,
        "down": ROUND_FLOOR,
        "up": ROUND_CEILING,
    }[rounding]
    whole, rest = divmod(abs(value), 1)
    with localcontext(prec=60):
        digits = Decimal(int(whole)) + (Decimal("0.5") if rest == Fraction(1, 2) else _near(rest))
        result = int(digits.quantize(Decimal(1), rounding=mode))
    return -result if value < 0 else result


def _near(rest: Fraction) -> Decimal:
    """A decimal on the same side of 0, 1/2 and 1 as ``rest``."""
    if rest == 0:
        return Decimal(0)
    return Decimal("0.25") if rest < Fraction(1, 2) else Decimal("0.75")


def _money(text: str) -> int:
    amount, currency = text.split()
    minor = Decimal(amount) * 10 ** _DIGITS[currency]
    assert minor == int(minor)
    return int(minor)


def _exact(number: float) -> Fraction:
    return Fraction(str(number))


def _prorate(amount: int, part: int, whole: int, rounding: str) -> int:
    return _rounded(Fraction(amount) * part / whole, rounding)


def _round_to(amount: int, step: int) -> int:
    if step <= 0:
        raise ValueError("step")
    return _rounded(Fraction(amount) / step, "half_up") * step


def _clamp(value: Any, low: Any, high: Any) -> Any:
    if low > high:
        raise ValueError("bounds")
    return low if value < low else min(value, high)


def _on_dates(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function on civil dates as one on CEL's timestamps."""

    def call(*arguments: Any) -> Any:
        result = function(*(_day(item) if isinstance(item, datetime) else item for item in arguments))
        return midnight(result) if isinstance(result, date) else result

    return call


def _declare(name: str, implementation: Callable[..., Any], *signatures: list[Any]) -> Any:
    overloads = [
        cel.Overload(f"{name}_{place}", signature[-1], signature[:-1], impl=implementation)
        for place, signature in enumerate(signatures)
    ]
    return cel.FunctionDecl(name, overloads)


def _functions(rounding: str, zone: ZoneInfo) -> list[Any]:
    number, instant, text, flag, decimal = T.INT, T.TIMESTAMP, T.STRING, T.BOOL, T.DOUBLE
    hundredths = Fraction(1, 100)
    dates = {
        "add_days": (calendar.add_days, [instant, number, instant]),
        "add_months": (calendar.add_months, [instant, number, instant]),
        "end_of_month": (calendar.end_of_month, [instant, instant]),
        "add_business_days": (calendar.add_business_days, [instant, number, text, instant]),
        "next_business_day": (calendar.next_business_day, [instant, text, instant]),
        "days_between": (calendar.days_between, [instant, instant, number]),
        "months_between": (calendar.months_between, [instant, instant, number]),
        "business_days": (calendar.business_days, [instant, instant, text, number]),
        "overlap_days": (calendar.overlap_days, [instant, instant, instant, instant, number]),
        "year": (lambda day: day.year, [instant, number]),
        "month": (lambda day: day.month, [instant, number]),
        "day": (lambda day: day.day, [instant, number]),
        "weekday": (lambda day: day.weekday() + 1, [instant, number]),
    }
    return [
        _declare("money", _money, [text, number]),
        _declare(
            "percent",
            lambda of, rate: _rounded(of * _exact(rate) * hundredths, rounding),
            [number, number, number],
            [number, decimal, number],
        ),
        _declare("prorate", lambda a, p, w: _prorate(a, p, w, rounding), [number] * 4),
        _declare("round_to", _round_to, [number] * 3),
        _declare("min", lambda a, b: min(b, a), [number] * 3, [instant] * 3),
        _declare("max", lambda a, b: max(b, a), [number] * 3, [instant] * 3),
        _declare("clamp", _clamp, [number] * 4, [instant] * 4),
        _declare(
            "between",
            lambda x, low, high: x >= low and x <= high,
            [number, number, number, flag],
            [instant, instant, instant, flag],
        ),
        _declare("date", lambda day: midnight(date.fromisoformat(day)), [text, instant]),
        _declare(
            "date_of", lambda at: midnight(calendar.in_range(at.astimezone(zone).date())), [instant, instant]
        ),
        _declare("hours_between", lambda a, b: int((b - a) / timedelta(hours=1)), [instant, instant, number]),
        _declare(
            "minutes_between", lambda a, b: int((b - a) / timedelta(minutes=1)), [instant, instant, number]
        ),
        *(_declare(name, _on_dates(call), signature) for name, (call, signature) in dates.items()),
    ]


class Oracle:
    """C++ CEL over these variables (name → CEL type)."""

    def __init__(self, variables: Mapping[str, Any], rounding: str, zone: ZoneInfo) -> None:
        self._environment = cel.NewEnv(variables=dict(variables), functions=_functions(rounding, zone))

    def evaluate(self, source: str, facts: Mapping[str, Any]) -> Any:
        """The value as CEL has it, or ERROR. `present(x)` is answered in the source beforehand."""
        answered = re.sub(
            r"present\(([a-z_.]+)\)", lambda match: "true" if match[1] in facts else "false", source
        )
        data = {name: to_cel(value) for name, value in facts.items()}
        result = self._environment.compile(answered).eval(data=data)
        return ERROR if result.type() == T.ERROR else result.plain_value()
