"""The functions that policies have beyond CEL's own: money and calendar, typed and documented.

Values in here: money in minor units (int), dates as ``date``, instants as UTC ``datetime``, decimals
as ``Fraction``. CEL's own operators are engine.operators'; the page about all is engine.reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from cel_expr_python import cel

from policyengine.domain import calendar
from policyengine.domain.money import Rounding, round_ratio
from policyengine.engine.units import ANYTHING, DATE, DECIMAL, FLAG, INSTANT, INTEGER, MONEY, TEXT, Unit
from policyengine.errors import EvaluationError

_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Settings:
    """What a policy decides for its functions."""

    rounding: Rounding
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Overload:
    """Units of the parameters, and of the result."""

    parameters: tuple[Unit, ...]
    result: Unit


Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Function:
    """One function: how it is written, what it means, and how it is computed."""

    name: str
    parameters: tuple[str, ...]
    overloads: tuple[Overload, ...]
    meaning: str
    example: str
    shown: str  # the example's result
    build: Callable[[Settings], Implementation]


def bounded(value: int) -> int:
    """invariant: integers and money stay within 64 bits, as in CEL; EvaluationError PE222 beyond."""
    if -_INT64 <= value < _INT64:
        return value
    raise EvaluationError("the number does not fit into 64 bits", code="PE222")


def _over(*signatures: tuple[Unit, ...]) -> tuple[Overload, ...]:
    """Each signature lists the parameters, then the result."""
    return tuple(Overload(signature[:-1], signature[-1]) for signature in signatures)


def _plain(implementation: Implementation) -> Callable[[Settings], Implementation]:
    """A function that no setting changes."""
    return lambda _settings: implementation


def _percent(settings: Settings) -> Implementation:
    rounding = settings.rounding

    def percent(of: int, percentage: int | Fraction) -> int:
        if isinstance(percentage, int):
            return bounded(round_ratio(of * percentage, 100, rounding))
        return bounded(round_ratio(of * percentage.numerator, 100 * percentage.denominator, rounding))

    return percent


def _prorate(settings: Settings) -> Implementation:
    rounding = settings.rounding

    def prorate(amount: int, part: int, whole: int) -> int:
        if whole == 0:
            raise EvaluationError("`prorate` divides by zero: its whole is 0", code="PE222")
        share = amount * part if whole > 0 else -amount * part
        return bounded(round_ratio(share, abs(whole), rounding))

    return prorate


def _round_to(amount: int, step: int) -> int:
    if step <= 0:
        raise EvaluationError("`round_to` needs a step above zero", code="PE222")
    return bounded(round_ratio(amount, step, Rounding.HALF_UP) * step)


def _clamp(value: Any, low: Any, high: Any) -> Any:
    if low > high:
        raise EvaluationError("`clamp` has a lower bound above its upper bound", code="PE222")
    return min(max(value, low), high)


def _date_of(settings: Settings) -> Implementation:
    zone = settings.zone
    return lambda instant: calendar.local_date(instant, zone)


def _literal(name: str) -> Callable[[Settings], Implementation]:
    """`money`, `date` and `present` are resolved when the expression is checked, never called."""

    def build(_settings: Settings) -> Implementation:
        message = f"`{name}` has no implementation"
        raise EvaluationError(message)

    return build


_MONEY = (
    Function(
        "money",
        ("literal",),
        _over((TEXT, MONEY)),
        "An amount of money, written as a decimal and an ISO 4217 currency; a literal only.",
        'money("12.50 ILS")',
        "12.50 ILS",
        _literal("money"),
    ),
    Function(
        "percent",
        ("of", "percentage"),
        _over(
            (MONEY, INTEGER, MONEY),
            (MONEY, DECIMAL, MONEY),
            (INTEGER, INTEGER, INTEGER),
            (INTEGER, DECIMAL, INTEGER),
        ),
        "So many hundredths of it, rounded by the policy's `rounding` to a whole minor unit or number.",
        'percent(money("12.50 ILS"), 5)',  # 0.625
        "0.63 ILS",
        _percent,
    ),
    Function(
        "prorate",
        ("amount", "part", "whole"),
        _over((MONEY, INTEGER, INTEGER, MONEY)),
        "The share `part / whole` of it, rounded by the policy's `rounding`. A whole of 0 is an error.",
        'prorate(money("100 ILS"), 10, 30)',  # 33.333…
        "33.33 ILS",
        _prorate,
    ),
    Function(
        "round_to",
        ("amount", "step"),
        _over((MONEY, MONEY, MONEY)),
        "The nearest multiple of `step`; half a step goes away from zero, whatever the policy's `rounding`.",
        'round_to(money("12.50 ILS"), money("1 ILS"))',
        "13.00 ILS",
        _plain(_round_to),
    ),
)
_CHOOSING = (
    Function(
        "min",
        ("a", "b"),
        _over((MONEY, MONEY, MONEY), (INTEGER, INTEGER, INTEGER), (DATE, DATE, DATE)),
        "The lower, or earlier, of both.",
        'min(money("100 ILS"), money("80 ILS"))',
        "80.00 ILS",
        _plain(min),
    ),
    Function(
        "max",
        ("a", "b"),
        _over((MONEY, MONEY, MONEY), (INTEGER, INTEGER, INTEGER), (DATE, DATE, DATE)),
        "The higher, or later, of both.",
        "max(3, 7)",
        "7",
        _plain(max),
    ),
    Function(
        "clamp",
        ("x", "low", "high"),
        _over((MONEY,) * 4, (INTEGER,) * 4, (DATE,) * 4),
        "`x`, but at least `low` and at most `high`. `low` above `high` is an error.",
        "clamp(12, 1, 10)",
        "10",
        _plain(_clamp),
    ),
    Function(
        "between",
        ("x", "low", "high"),
        _over(*((unit, unit, unit, FLAG) for unit in (MONEY, INTEGER, DATE, INSTANT))),
        "Whether `low <= x` and `x <= high`: both bounds belong to the range.",
        "between(10, 1, 10)",
        "true",
        _plain(lambda value, low, high: low <= value <= high),
    ),
    Function(
        "present",
        ("attribute",),
        _over((ANYTHING, FLAG)),
        "Whether the attribute is there. Everything else that reads an absent attribute is unknown.",
        "present(event.id)",
        "true",
        _literal("present"),
    ),
)
_DATES = (
    Function(
        "date",
        ("literal",),
        _over((TEXT, DATE)),
        "A date, written as in ISO 8601; a literal only.",
        'date("2020-03-15")',
        "2020-03-15",
        _literal("date"),
    ),
    Function(
        "date_of",
        ("instant",),
        _over((INSTANT, DATE)),
        "The date at that instant in the policy's `timezone`.",
        'date_of(timestamp("2020-03-15T22:30:00Z"))',  # 00:30 on the 16th in Jerusalem
        "2020-03-16",
        _date_of,
    ),
    Function(
        "add_days",
        ("date", "days"),
        _over((DATE, INTEGER, DATE)),
        "So many days later; earlier where negative.",
        'add_days(date("2020-02-28"), 2)',
        "2020-03-01",
        _plain(calendar.add_days),
    ),
    Function(
        "add_months",
        ("date", "months"),
        _over((DATE, INTEGER, DATE)),
        "The same day so many months later, or the month's last day where it has no such day.",
        'add_months(date("2020-01-31"), 1)',
        "2020-02-29",
        _plain(calendar.add_months),
    ),
    Function(
        "end_of_month",
        ("date",),
        _over((DATE, DATE)),
        "The last day of its month.",
        'end_of_month(date("2021-02-03"))',
        "2021-02-28",
        _plain(calendar.end_of_month),
    ),
    Function(
        "add_business_days",
        ("date", "days", "country"),
        _over((DATE, INTEGER, TEXT, DATE)),
        "So many business days later, earlier where negative; the day itself never counts.",
        'add_business_days(date("2024-05-02"), 1, "IL")',  # Thursday → Sunday
        "2024-05-05",
        _plain(calendar.add_business_days),
    ),
    Function(
        "next_business_day",
        ("date", "country"),
        _over((DATE, TEXT, DATE)),
        "The day itself if it is a business day, else the first one after it.",
        'next_business_day(date("2024-05-03"), "IL")',  # Friday → Sunday
        "2024-05-05",
        _plain(calendar.next_business_day),
    ),
)
_COUNTING = (
    Function(
        "days_between",
        ("first", "second"),
        _over((DATE, DATE, INTEGER)),
        "Days from the first to the second; negative where the second is earlier.",
        'days_between(date("2020-02-28"), date("2020-03-01"))',
        "2",
        _plain(calendar.days_between),
    ),
    Function(
        "months_between",
        ("first", "second"),
        _over((DATE, DATE, INTEGER)),
        "Whole months from the first to the second; a month's end that clamps counts as whole.",
        'months_between(date("2020-01-15"), date("2020-03-14"))',
        "1",
        _plain(calendar.months_between),
    ),
    Function(
        "business_days",
        ("first", "until", "country"),
        _over((DATE, DATE, TEXT, INTEGER)),
        "Business days from `first`, included, up to `until`, not included.",
        'business_days(date("2024-05-02"), date("2024-05-06"), "IL")',  # Thursday and Sunday
        "2",
        _plain(calendar.business_days),
    ),
    Function(
        "overlap_days",
        ("from1", "until1", "from2", "until2"),
        _over((DATE, DATE, DATE, DATE, INTEGER)),
        "Days common to two ranges, each without its `until`.",
        'overlap_days(date("2020-03-01"), date("2020-04-01"), date("2020-03-20"), date("2020-05-01"))',
        "12",
        _plain(calendar.overlap_days),
    ),
    Function(
        "hours_between",
        ("first", "second"),
        _over((INSTANT, INSTANT, INTEGER)),
        "Whole hours from the first to the second, truncated toward zero.",
        'hours_between(timestamp("2020-03-15T10:00:00Z"), timestamp("2020-03-15T13:59:00Z"))',
        "3",
        _plain(calendar.hours_between),
    ),
    Function(
        "minutes_between",
        ("first", "second"),
        _over((INSTANT, INSTANT, INTEGER)),
        "Whole minutes from the first to the second, truncated toward zero.",
        'minutes_between(timestamp("2020-03-15T10:00:00Z"), timestamp("2020-03-15T10:01:59Z"))',
        "1",
        _plain(calendar.minutes_between),
    ),
    Function(
        "year", ("date",), _over((DATE, INTEGER)), "The year.",
        'year(date("2020-03-15"))', "2020", _plain(lambda day: day.year),
    ),
    Function(
        "month", ("date",), _over((DATE, INTEGER)), "The month, 1 to 12.",
        'month(date("2020-03-15"))', "3", _plain(lambda day: day.month),
    ),
    Function(
        "day", ("date",), _over((DATE, INTEGER)), "The day of the month, 1 to 31.",
        'day(date("2020-03-15"))', "15", _plain(lambda day: day.day),
    ),
    Function(
        "weekday", ("date",), _over((DATE, INTEGER)),
        "The day of the week by ISO 8601: Monday is 1, Sunday is 7.",
        'weekday(date("2020-03-15"))', "7", _plain(date.isoweekday),
    ),
)  # fmt: skip

FUNCTIONS: Mapping[str, Function] = {
    function.name: function for function in (*_MONEY, *_CHOOSING, *_DATES, *_COUNTING)
}


def declarations(names: Iterable[str]) -> list[Any]:
    """The functions of these names as C++ CEL is told of them: types, no implementation."""
    return [cel.FunctionDecl(name, list(_cel_overloads(FUNCTIONS[name]))) for name in sorted(names)]


def _cel_overloads(function: Function) -> list[Any]:
    """invariant: money and integers are one type in CEL, as dates and instants are: declared once."""
    seen: dict[str, Any] = {}
    for overload in function.overloads:
        parameters = [unit.cel for unit in overload.parameters]
        key = f"{function.name}_{'_'.join(parameter.name() for parameter in parameters)}".lower()
        seen.setdefault(key, cel.Overload(key, overload.result.cel, parameters))
    return list(seen.values())
