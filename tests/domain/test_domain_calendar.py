"""Civil dates: every convention has a date on each side of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain import calendar
from policyengine.domain.calendar import (
    add_business_days,
    add_days,
    add_months,
    business_days,
    calendar_period,
    days_between,
    end_of_month,
    hours_between,
    is_business_day,
    local_date,
    local_midnight,
    minutes_between,
    months_between,
    next_business_day,
    overlap_days,
    time_zone,
)
from policyengine.errors import CalendarError

DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31))
NEAR = st.dates(date(1995, 1, 1), date(2095, 12, 31))  # years whose holidays are known everywhere here
COUNTRIES = st.sampled_from(["IL", "IT", "DE", "US", "AE"])
ZONES = st.sampled_from(["Asia/Jerusalem", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia", "UTC"])
few = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        (date(2021, 1, 31), 1, date(2021, 2, 28)),
        (date(2020, 1, 31), 1, date(2020, 2, 29)),  # a leap year
        (date(2020, 2, 29), 12, date(2021, 2, 28)),
        (date(2020, 2, 29), 48, date(2024, 2, 29)),
        (date(2021, 2, 28), 1, date(2021, 3, 28)),  # the end of a month does not stick
        (date(2021, 3, 31), -1, date(2021, 2, 28)),
        (date(2020, 12, 15), 1, date(2021, 1, 15)),
        (date(1900, 1, 31), 1, date(1900, 2, 28)),  # 1900 was no leap year
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_the_month(
    start: date, months: int, expected: date
) -> None:
    assert add_months(start, months) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (date(2021, 1, 31), date(2021, 2, 28), 1),  # the clamp counts
        (date(2021, 1, 31), date(2021, 2, 27), 0),
        (date(2020, 1, 31), date(2020, 2, 28), 0),  # in a leap year the 29th is the last
        (date(2020, 3, 15), date(2021, 3, 14), 11),
        (date(2020, 3, 15), date(2021, 3, 15), 12),
        (date(2021, 3, 31), date(2021, 2, 28), -1),
        (date(2021, 2, 28), date(2021, 1, 31), 0),  # a month before 28 February is 28 January
        (date(2020, 3, 15), date(2020, 3, 15), 0),
    ],
)
def test_whole_months_end_on_the_day_that_add_months_gives(first: date, second: date, expected: int) -> None:
    assert months_between(first, second) == expected


@few
@given(DAYS, DAYS)
def test_whole_months_never_pass_the_second_date_and_one_more_would(first: date, second: date) -> None:
    months = months_between(first, second)
    if first <= second:
        assert add_months(first, months) <= second
        if (first.year, first.month) < (2200, 1) and second < date(2200, 11, 1):
            assert add_months(first, months + 1) > second
    else:
        assert add_months(first, months) >= second


@few
@given(DAYS, DAYS)
def test_days_between_and_add_days_are_inverse(first: date, second: date) -> None:
    assert add_days(first, days_between(first, second)) == second


def test_days_are_counted_over_the_leap_day() -> None:
    # 28 Feb → 29 Feb → 1 Mar in 2020, 28 Feb → 1 Mar in 2021
    assert days_between(date(2020, 2, 28), date(2020, 3, 1)) == 2
    assert days_between(date(2021, 2, 28), date(2021, 3, 1)) == 1
    assert days_between(date(2020, 3, 1), date(2020, 2, 28)) == -2


def test_a_month_ends_on_its_last_day() -> None:
    assert end_of_month(date(2020, 2, 1)) == date(2020, 2, 29)
    assert end_of_month(date(2021, 2, 28)) == date(2021, 2, 28)
    assert end_of_month(date(2021, 12, 31)) == date(2021, 12, 31)


def test_israel_rests_on_friday_and_saturday_and_on_its_holidays() -> None:
    # 9 April 2020: a Thursday, first day of Pesach; 10 and 11: Friday and Saturday; 12: Sunday, a working day
    assert not is_business_day(date(2020, 4, 9), "IL")
    assert not is_business_day(date(2020, 4, 10), "IL")
    assert is_business_day(date(2020, 4, 12), "IL")
    assert next_business_day(date(2020, 4, 9), "IL") == date(2020, 4, 12)
    assert next_business_day(date(2020, 4, 12), "IL") == date(2020, 4, 12)


def test_business_days_of_a_month_by_hand() -> None:
    # April 2020 in Israel: 30 days, less 8 Fridays and Saturdays (3 4 10 11 17 18 24 25),
    # less Pesach on Thursday the 9th and Wednesday the 15th, less Independence Day, Wednesday the 29th
    assert business_days(date(2020, 4, 1), date(2020, 5, 1), "IL") == 30 - 8 - 3
    # Germany, May 2020: 31 days, less 10 Saturdays and Sundays (2 3 9 10 16 17 23 24 30 31),
    # less Friday the 1st and Ascension, Thursday the 21st
    assert business_days(date(2020, 5, 1), date(2020, 6, 1), "DE") == 31 - 10 - 2


def test_the_first_day_counts_and_the_last_does_not() -> None:
    monday, tuesday = date(2020, 3, 2), date(2020, 3, 3)
    assert business_days(monday, tuesday, "DE") == 1
    assert business_days(monday, monday, "DE") == 0
    assert business_days(tuesday, monday, "DE") == -1


def test_seven_business_days_after_a_friday_end_on_the_tuesday_of_the_second_week() -> None:
    # Friday 6 March 2020 in Germany: 9 10 11 12 13 | 16 17
    assert add_business_days(date(2020, 3, 6), 7, "DE") == date(2020, 3, 17)
    assert add_business_days(date(2020, 3, 17), -7, "DE") == date(2020, 3, 6)
    assert add_business_days(date(2020, 3, 7), 0, "DE") == date(2020, 3, 7)  # zero moves nothing
    assert add_business_days(date(2020, 3, 7), 1, "DE") == date(2020, 3, 9)
    # over New Year: Thursday 31 December 2020, then Friday the holiday, the weekend, Monday the 4th
    assert add_business_days(date(2020, 12, 31), 1, "DE") == date(2021, 1, 4)
    assert add_business_days(date(2021, 1, 4), -1, "DE") == date(2020, 12, 31)


@few
@given(NEAR, st.integers(-600, 600), COUNTRIES)
def test_business_days_are_as_many_as_were_added(start: date, count: int, country: str) -> None:
    first = next_business_day(start, country)
    last = add_business_days(first, count, country)
    assert is_business_day(last, country)
    assert business_days(first, last, country) == count


@few
@given(NEAR, st.integers(0, 800), COUNTRIES)
def test_business_days_are_the_days_of_the_range_that_are_one(start: date, length: int, country: str) -> None:
    days = [start + timedelta(days=step) for step in range(length)]
    expected = sum(is_business_day(day, country) for day in days)
    assert business_days(start, start + timedelta(days=length), country) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((1, 10), (5, 20), 5),  # 5 6 7 8 9
        ((1, 10), (10, 20), 0),  # they touch
        ((1, 20), (5, 6), 1),
        ((1, 10), (12, 20), 0),
        ((10, 1), (1, 20), 0),  # reversed: empty
    ],
)
def test_ranges_overlap_in_the_days_that_both_hold(
    first: tuple[int, int], second: tuple[int, int], expected: int
) -> None:
    days = [date(2020, 5, day) for day in (*first, *second)]
    assert overlap_days(*days) == expected
    assert overlap_days(*days[2:], *days[:2]) == expected


def test_hours_and_minutes_are_whole_and_truncated_toward_zero() -> None:
    start = datetime(2020, 3, 15, 10, tzinfo=UTC)
    almost = start + timedelta(hours=3) - timedelta(microseconds=1)
    assert hours_between(start, almost) == 2
    assert hours_between(almost, start) == -2
    assert hours_between(start, start + timedelta(hours=3)) == 3
    assert minutes_between(start, almost) == 179
    assert minutes_between(almost, start) == -179


def test_hours_are_those_that_passed_not_those_on_the_clock() -> None:
    # Jerusalem, 27 March 2020: from 01:00 (UTC+2) to 03:00 (UTC+3) one hour passes
    zone = time_zone("Asia/Jerusalem")
    before, after = datetime(2020, 3, 27, 1, tzinfo=zone), datetime(2020, 3, 27, 3, tzinfo=zone)
    assert hours_between(before.astimezone(UTC), after.astimezone(UTC)) == 1


def test_the_date_is_that_of_the_place() -> None:
    instant = datetime(2020, 3, 15, 22, 30, tzinfo=UTC)
    assert local_date(instant, time_zone("Asia/Jerusalem")) == date(2020, 3, 16)  # 00:30, UTC+2
    assert local_date(instant, time_zone("America/New_York")) == date(2020, 3, 15)


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        (date(2020, 1, 1), "Asia/Jerusalem", datetime(2019, 12, 31, 22, tzinfo=UTC)),
        (date(2020, 7, 1), "Asia/Jerusalem", datetime(2020, 6, 30, 21, tzinfo=UTC)),
        # 00:00 → 01:00: the day begins at the change, 00:00 by the old offset (UTC-3, UTC+2)
        (date(2018, 11, 4), "America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),
        (date(2020, 3, 29), "Asia/Beirut", datetime(2020, 3, 28, 22, tzinfo=UTC)),
        # 23:30 → 00:30: the day begins at 00:30 = 04:30 UTC
        (date(1919, 3, 31), "America/Toronto", datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
        # 00:00 comes twice (01:00 → 00:00, UTC-4 → UTC-5): the first one
        (date(2020, 11, 1), "America/Havana", datetime(2020, 11, 1, 4, tzinfo=UTC)),
        # Samoa left out 30 December 2011: it "begins" where the 31st does
        (date(2011, 12, 30), "Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_a_local_day_begins_at_its_first_instant(day: date, zone: str, expected: datetime) -> None:
    assert local_midnight(day, time_zone(zone)) == expected


@few
@given(DAYS, ZONES)
def test_nothing_of_a_local_day_lies_before_its_midnight(day: date, name: str) -> None:
    zone = time_zone(name)
    start = local_midnight(day, zone)
    if (day, name) != (date(2011, 12, 30), "Pacific/Apia"):
        assert start.astimezone(zone).date() == day
    assert (start - timedelta(microseconds=1)).astimezone(zone).date() < day


def test_calendar_periods_are_half_open() -> None:
    day = date(2020, 12, 31)  # a Thursday
    assert calendar_period(day, "year") == (date(2020, 1, 1), date(2021, 1, 1))
    assert calendar_period(day, "month") == (date(2020, 12, 1), date(2021, 1, 1))
    assert calendar_period(day, "week") == (date(2020, 12, 28), date(2021, 1, 4))  # Monday to Monday
    assert calendar_period(day, "day") == (day, date(2021, 1, 1))
    with pytest.raises(CalendarError, match="PE214 unknown period `quarter`"):
        calendar_period(day, "quarter")  # type: ignore[arg-type]


@few
@given(DAYS, st.sampled_from(["year", "month", "week", "day"]))
def test_a_day_lies_in_its_period_and_both_ends_begin_one(day: date, period: calendar.Period) -> None:
    first, until = calendar_period(day, period)
    assert first <= day < until
    if until.year <= 2200:
        assert calendar_period(until, period)[0] == until


@pytest.mark.parametrize(
    ("country", "hint"),
    [("il", "`IL`"), ("Israel", "`IL`"), ("ISR", "`IL`"), ("germany", "`DE`"), ("XX", "ISO 3166")],
)
def test_an_unknown_country_is_an_error_with_a_hint(country: str, hint: str) -> None:
    with pytest.raises(CalendarError, match="PE211") as caught:
        business_days(date(2020, 1, 1), date(2020, 2, 1), country)
    assert hint in str(caught.value)


def test_a_year_without_known_holidays_is_an_error_not_a_wrong_count() -> None:
    with pytest.raises(CalendarError, match=r"PE210 the public holidays of IL are known for 1948\.\.2100"):
        is_business_day(date(1947, 6, 1), "IL")


@pytest.mark.parametrize(
    "call",
    [
        lambda: add_days(date(2200, 12, 31), 1),
        lambda: add_days(date(2020, 1, 1), 10**30),
        lambda: add_months(date(2200, 12, 1), 1),
        lambda: add_months(date(2020, 1, 1), -(10**30)),
        lambda: add_business_days(date(2020, 1, 1), 10**30, "IL"),
        lambda: days_between(date(1899, 12, 31), date(2020, 1, 1)),
        lambda: end_of_month(date(2201, 1, 1)),
    ],
)
def test_a_date_outside_of_1900_to_2200_is_an_error(call: object) -> None:
    with pytest.raises(CalendarError, match="PE210"):
        call()  # type: ignore[operator]


def test_a_time_without_a_zone_is_no_instant() -> None:
    with pytest.raises(CalendarError, match="PE213"):
        local_date(datetime(2020, 1, 1), time_zone("UTC"))  # noqa: DTZ001


def test_time_zones_are_those_of_the_pinned_data() -> None:
    assert time_zone("Asia/Jerusalem").key == "Asia/Jerusalem"
    with pytest.raises(CalendarError, match=r"PE212 .* did you mean `Asia/Jerusalem`"):
        time_zone("Asia/Jeruslem")
    with pytest.raises(CalendarError, match="PE212"):
        time_zone("../../etc/passwd")
