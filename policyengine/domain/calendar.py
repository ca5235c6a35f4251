"""Civil dates by declared conventions: months that clamp, business days by country, local days.

Differences are signed, second minus first. Ranges of dates are half-open. Nothing here reads a clock;
time zones and holidays come from the pinned `tzdata` and `holidays`, so every machine counts alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal
from zoneinfo import ZoneInfo

import holidays
from dateutil.relativedelta import relativedelta

from policyengine.domain.near import did_you_mean
from policyengine.errors import CalendarError

FIRST_DAY = date(1900, 1, 1)
LAST_DAY = date(2200, 12, 31)
Period = Literal["year", "month", "week", "day"]

_LONGEST_DAYS = (LAST_DAY - FIRST_DAY).days
_LONGEST_MONTHS = (LAST_DAY.year - FIRST_DAY.year + 1) * 12
_ONE_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


def in_range(day: date) -> date:
    """The same day; CalendarError PE210 outside of 1900-01-01..2200-12-31."""
    if not FIRST_DAY <= day <= LAST_DAY:
        message = f"{day.isoformat()} is outside of the years 1900..2200"
        raise CalendarError(message, code="PE210")
    return day


def add_days(day: date, days: int) -> date:
    """``days`` later, or earlier where negative."""
    in_range(day)
    if abs(days) > _LONGEST_DAYS:
        raise _too_far(days, "days")
    return in_range(day + timedelta(days=days))


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or the month's last day where it has none.

    >>> add_months(date(2021, 1, 31), 1)
    datetime.date(2021, 2, 28)
    """
    in_range(day)
    if abs(months) > _LONGEST_MONTHS:
        raise _too_far(months, "months")
    return in_range(day + relativedelta(months=months))


def end_of_month(day: date) -> date:
    """The last day of the month."""
    return in_range(day) + relativedelta(day=31)


def days_between(first: date, second: date) -> int:
    """Days from ``first`` to ``second``; negative where ``second`` is earlier."""
    return (in_range(second) - in_range(first)).days


def months_between(first: date, second: date) -> int:
    """Whole months from ``first`` towards ``second``: ``add_months(first, n)`` does not pass it.

    The clamp counts: from 31 January to 28 February 2021 is one whole month.
    """
    delta = relativedelta(in_range(second), in_range(first))
    return delta.years * 12 + delta.months


def is_business_day(day: date, country: str) -> bool:
    """Neither weekend nor public holiday in ``country`` (ISO 3166 alpha-2)."""
    ordinals = _business_days(country, in_range(day).year)
    place = bisect_left(ordinals, day.toordinal())
    return place < len(ordinals) and ordinals[place] == day.toordinal()


def next_business_day(day: date, country: str) -> date:
    """The day itself if it is a business day, else the first one after it."""
    return day if is_business_day(day, country) else add_business_days(day, 1, country)


def add_business_days(day: date, days: int, country: str) -> date:
    """The ``days``-th business day after ``day`` (before it, where negative); 0 leaves ``day``.

    The day itself never counts: on a Thursday, one business day later in Germany is Friday.
    """
    if abs(days) > _LONGEST_DAYS:
        raise _too_far(days, "business days")
    year, ordinals = in_range(day).year, _business_days(country, day.year)
    if days == 0:
        return day
    if days > 0:
        place = bisect_right(ordinals, day.toordinal()) + days - 1
        while place >= len(ordinals):
            place, year = place - len(ordinals), year + 1
            ordinals = _business_days(country, year)
        return date.fromordinal(ordinals[place])
    place = bisect_left(ordinals, day.toordinal()) + days
    while place < 0:
        year -= 1
        ordinals = _business_days(country, year)
        place += len(ordinals)
    return date.fromordinal(ordinals[place])


def business_days(first: date, until: date, country: str) -> int:
    """Business days in [first, until); negative where ``until`` is earlier."""
    if in_range(until) < in_range(first):
        return -business_days(until, first, country)
    years = range(first.year, until.year + 1)
    whole = sum(len(_business_days(country, year)) for year in years[:-1])
    before = bisect_left(_business_days(country, first.year), first.toordinal())
    return whole - before + bisect_left(_business_days(country, until.year), until.toordinal())


def overlap_days(from1: date, until1: date, from2: date, until2: date) -> int:
    """Days common to [from1, until1) and [from2, until2); an empty or reversed range has none."""
    first = max(in_range(from1), in_range(from2))
    return max(0, (min(in_range(until1), in_range(until2)) - first).days)


def hours_between(first: datetime, second: datetime) -> int:
    """Whole hours that passed from ``first`` to ``second``, truncated toward zero."""
    return _whole(first, second, _HOUR)


def minutes_between(first: datetime, second: datetime) -> int:
    """Whole minutes that passed from ``first`` to ``second``, truncated toward zero."""
    return _whole(first, second, _MINUTE)


def local_date(instant: datetime, zone: tzinfo) -> date:
    """The date on the calendar of ``zone`` at ``instant``."""
    if instant.tzinfo is UTC:
        return _date_in(zone, instant)
    return in_range(_aware(instant).astimezone(zone).date())


@lru_cache(maxsize=64)  # many rules ask for the date of the same event
def _date_in(zone: tzinfo, instant: datetime) -> date:
    return in_range(instant.astimezone(zone).date())


def local_midnight(day: date, zone: tzinfo) -> datetime:
    """The first instant, in UTC, of ``day`` in ``zone``.

    Where the clock skips midnight (Beirut, São Paulo), the day begins at the moment of the change;
    where midnight comes twice, at the first one.
    """
    wall = datetime.combine(in_range(day), time(), zone)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant
    return _change(wall.replace(fold=1).astimezone(UTC), instant, zone)


def calendar_period(day: date, period: Period) -> tuple[date, date]:
    """The calendar year, month, ISO week (from Monday) or day that holds ``day``: [first, until)."""
    in_range(day)
    match period:
        case "year":
            return day.replace(month=1, day=1), date(day.year + 1, 1, 1)
        case "month":
            first = day.replace(day=1)
            return first, first + relativedelta(months=1)
        case "week":
            first = day - timedelta(days=day.weekday())
            return first, first + timedelta(days=7)
        case "day":
            return day, day + _ONE_DAY
    message = f"unknown period `{period}`; write year, month, week or day"
    raise CalendarError(message, code="PE214")


@cache
def zone_names() -> frozenset[str]:
    """Every IANA time zone name of the pinned `tzdata`."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def time_zone(name: str) -> ZoneInfo:
    """A zone of the pinned `tzdata`, never of the machine; CalendarError PE212 if unknown."""
    if name not in zone_names():
        hint = did_you_mean(name, zone_names()) or "write an IANA name such as Asia/Jerusalem"
        message = f"unknown time zone `{name}`; {hint}"
        raise CalendarError(message, code="PE212")
    resource = files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with resource.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


def check_country(country: str) -> str:
    """The same code; CalendarError PE211 where no calendar of business days is known for it."""
    if country not in _countries():
        hint = _country_hint(country)
        message = f"no calendar of business days for the country `{country}`; {hint}"
        raise CalendarError(message, code="PE211")
    return country


@cache
def _countries() -> frozenset[str]:
    return frozenset(holidays.list_supported_countries(include_aliases=False))


def _country_hint(country: str) -> str:
    if country.upper() in _countries():
        return f"did you mean `{country.upper()}`?"
    names = {name: codes[1] for name, codes in holidays.registry.COUNTRIES.items()}
    names.update({codes[2].lower(): codes[1] for codes in holidays.registry.COUNTRIES.values()})
    code = names.get(country.lower().replace(" ", "_"))
    if code is not None:
        return f"did you mean `{code}`?"
    return did_you_mean(country, _countries()) or "write an ISO 3166 code such as IL"


@lru_cache(maxsize=1024)
def _business_days(country: str, year: int) -> tuple[int, ...]:
    """Ordinals of the business days of a year, ascending."""
    calendar = holidays.country_holidays(check_country(country), years=year, expand=False)
    if not calendar.start_year <= year <= calendar.end_year:
        known = f"{calendar.start_year}..{calendar.end_year}"
        message = f"the public holidays of {country} are known for {known} only, not for {year}"
        raise CalendarError(message, code="PE210")
    first, until = date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
    return tuple(day for day in range(first, until) if calendar.is_working_day(date.fromordinal(day)))


def _whole(first: datetime, second: datetime, unit: timedelta) -> int:
    passed = _aware(second) - _aware(first)
    return passed // unit if passed >= timedelta() else -(-passed // unit)


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        message = f"{instant.isoformat()} has no time zone, so it is no instant"
        raise CalendarError(message, code="PE213")
    return instant


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The second in (before, after] from which the offset of ``after`` holds: a clock change."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def _too_far(count: int, unit: str) -> CalendarError:
    message = f"{count} {unit} lead outside of the years 1900..2200"
    return CalendarError(message, code="PE210")
