"""Literals with a meaning: `money("…")`, `date("…")`, `timestamp("…")`, `duration("…")`.

Read when an expression is checked, so that a faulty one never meets an event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from policyengine.domain.calendar import in_range
from policyengine.domain.money import Money
from policyengine.domain.said import money_said
from policyengine.engine.operators import LONGEST_DURATION
from policyengine.engine.syntax import Problem
from policyengine.engine.tree import Const
from policyengine.engine.units import DATE, DURATION, INSTANT, MONEY
from policyengine.errors import PolicyEngineError

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:h|ms|m|s|us))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us)", re.ASCII)
_MICROSECONDS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}


def money_literal(text: str) -> Money | None:
    """`100 ILS` as money, or None."""
    try:
        return Money.literal(text)
    except PolicyEngineError:
        return None


def date_literal(text: str) -> date | None:
    """`2020-03-15` as a date, or None."""
    if not _DATE.fullmatch(text.strip()):
        return None
    try:
        return in_range(date.fromisoformat(text.strip()))
    except (ValueError, PolicyEngineError):
        return None


def read(constructor: str, text: str, offset: int) -> Const | Problem:
    """The constant that ``constructor("text")`` stands for, or PE037."""
    return _READERS[constructor](text, offset)


def _money(text: str, offset: int) -> Const | Problem:
    try:
        money = Money.literal(text)
    except PolicyEngineError as error:
        message, _, hint = error.message.partition("; ")
        meant = money_said(text)
        return Problem("PE037", message, f'write money("{meant}")' if meant else hint, offset)
    return Const(MONEY, money.minor, offset, money.currency)


def _date(text: str, offset: int) -> Const | Problem:
    day = date_literal(text) if text == text.strip() else None
    if day is None:
        hint = "write year, month and day, such as 2020-03-15"
        return Problem("PE037", f"`{text}` is not a date", hint, offset)
    return Const(DATE, day, offset)


def _instant(text: str, offset: int) -> Const | Problem:
    hint = "write it with a time zone, such as 2020-03-15T10:30:00Z"
    problem = Problem("PE037", f"`{text}` is not an instant", hint, offset)
    if not _INSTANT.fullmatch(text):
        return problem
    try:
        instant = datetime.fromisoformat(text).astimezone(UTC)
        in_range(instant.date())
    except (ValueError, OverflowError, PolicyEngineError):
        return problem
    return Const(INSTANT, instant, offset)


def _duration(text: str, offset: int) -> Const | Problem:
    hint = "write hours, minutes and seconds, such as 36h or 1h30m"
    problem = Problem("PE037", f"`{text}` is not a duration", hint, offset)
    if not _DURATION.fullmatch(text):
        return problem
    total = sum(Fraction(number) * _MICROSECONDS[unit] for number, unit in _PART.findall(text))
    if total.denominator != 1 or total > LONGEST_DURATION // timedelta(microseconds=1):
        return problem
    value = timedelta(microseconds=int(total))
    return Const(DURATION, -value if text.startswith("-") else value, offset)


_READERS: Mapping[str, Callable[[str, int], Const | Problem]] = {
    "money": _money,
    "date": _date,
    "timestamp": _instant,
    "duration": _duration,
}
