"""Each function of money and calendar, worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from policyengine.domain.money import Money, Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine.expressions import DECIMAL, Language
from policyengine.engine.vocabulary import Term, Vocabulary
from policyengine.errors import EvaluationError

VOCABULARY = Vocabulary(
    {
        "booking.paid": Term(ValueType.MONEY),
        "booking.fee": Term(ValueType.MONEY),
        "booking.nights": Term(ValueType.INTEGER),
        "booking.starts_on": Term(ValueType.DATE),
        "booking.country": Term(ValueType.TEXT),
        "event.time": Term(ValueType.INSTANT),
    }
)


def compute(
    source: str, facts: dict[str, Value] | None = None, rounding: Rounding = Rounding.HALF_UP
) -> Value:
    language = Language(
        VOCABULARY,
        parameters={"rate": DECIMAL},
        row={},
        currency=None,
        rounding=rounding,
        zone=ZoneInfo("Asia/Jerusalem"),
    )
    return language.compile(source, None).value(facts or {})


def code(source: str, facts: dict[str, Value] | None = None) -> str:
    with pytest.raises(EvaluationError) as caught:
        compute(source, facts)
    return caught.value.code


@pytest.mark.parametrize(
    ("rounding", "agorot"),
    [(Rounding.HALF_UP, 63), (Rounding.HALF_EVEN, 62), (Rounding.DOWN, 62), (Rounding.UP, 63)],
)
def test_percent_rounds_as_the_policy_says(rounding: Rounding, agorot: int) -> None:
    """5% of 12.50 is 0.625, a tie: 62 is even."""
    assert compute('percent(money("12.50 ILS"), 5)', rounding=rounding) == Money(agorot, "ILS")


def test_percent_takes_decimals_exactly() -> None:
    """0.1% of 35.00 is 0.035, a tie that goes up to 0.04; a float would have 0.03500…0003 or …9997."""
    assert compute('percent(money("35 ILS"), 0.1)') == Money(4, "ILS")
    facts: dict[str, Value] = {"booking.nights": 200}
    assert compute("percent(booking.nights, 7.5)", facts) == 15
    rate: dict[str, Value] = {"param.rate": Decimal("2.5")}  # type: ignore[dict-item]
    assert compute('percent(money("10 ILS"), param.rate)', rate) == Money(25, "ILS")


def test_percent_of_a_negative_amount_is_the_mirror_image() -> None:
    """-0.625 goes away from zero, as 0.625 does."""
    assert compute('percent(money("-12.50 ILS"), 5)') == Money(-63, "ILS")


def test_percent_of_currencies_with_other_decimals() -> None:
    """5% of ¥250 is ¥12.5: half up, ¥13. 5% of KWD 0.250 is 0.0125: 0.013."""
    assert compute('percent(money("250 JPY"), 5)') == Money(13, "JPY")
    assert compute('percent(money("0.250 KWD"), 5)') == Money(13, "KWD")


def test_every_call_rounds_and_nothing_between_does() -> None:
    """Each half of 0.25 is 0.125, rounded 0.13: together 0.26, where half of 0.50 is 0.25."""
    half = 'percent(money("0.25 ILS"), 50)'
    assert compute(f"{half} + {half}") == Money(26, "ILS")
    assert compute('percent(money("0.25 ILS") + money("0.25 ILS"), 50)') == Money(25, "ILS")


@pytest.mark.parametrize(("rounding", "agorot"), [(Rounding.DOWN, 3333), (Rounding.UP, 3334)])
def test_prorate_is_part_of_whole(rounding: Rounding, agorot: int) -> None:
    """10 / 30 of 100 is 33.333… and so on."""
    assert compute('prorate(money("100 ILS"), 10, 30)', rounding=rounding) == Money(agorot, "ILS")


def test_prorate_with_a_negative_part_or_whole() -> None:
    """-1 / 3 of 100 is -33.33…; both negative cancel out."""
    assert compute('prorate(money("100 ILS"), -1, 3)') == Money(-3333, "ILS")
    assert compute('prorate(money("100 ILS"), 1, -3)') == Money(-3333, "ILS")
    assert compute('prorate(money("100 ILS"), -1, -3)') == Money(3333, "ILS")


def test_prorate_by_a_whole_of_zero_is_an_error() -> None:
    assert code('prorate(money("100 ILS"), 1, 0)') == "PE222"


def test_round_to_is_the_nearest_multiple_and_half_goes_away_from_zero() -> None:
    """12.50 is 2.5 steps of 5: 3 of them are 15. 12.49 is 2.498 steps: 10."""
    assert compute('round_to(money("12.50 ILS"), money("5 ILS"))') == Money(1500, "ILS")
    assert compute('round_to(money("12.49 ILS"), money("5 ILS"))') == Money(1000, "ILS")
    assert compute('round_to(money("-12.50 ILS"), money("5 ILS"))') == Money(-1500, "ILS")
    down = compute('round_to(money("12.50 ILS"), money("5 ILS"))', rounding=Rounding.DOWN)
    assert down == Money(1500, "ILS")


def test_round_to_needs_a_step_above_zero() -> None:
    assert code('round_to(money("1 ILS"), money("0 ILS"))') == "PE222"
    assert code('round_to(money("1 ILS"), money("-1 ILS"))') == "PE222"


def test_min_max_and_clamp_on_money_numbers_and_dates() -> None:
    facts: dict[str, Value] = {"booking.paid": Money(5000, "ILS"), "booking.fee": Money(700, "ILS")}
    assert compute("min(booking.paid, booking.fee)", facts) == Money(700, "ILS")
    assert compute("max(booking.paid, booking.fee)", facts) == Money(5000, "ILS")
    assert compute("clamp(5, 1, 3)") == 3
    assert compute("clamp(-5, 1, 3)") == 1
    assert compute('max(date("2020-01-31"), date("2020-02-01"))') == date(2020, 2, 1)
    assert code("clamp(2, 3, 1)") == "PE222"


def test_between_includes_both_bounds() -> None:
    assert [compute(f"between({number}, 1, 3)") for number in (0, 1, 3, 4)] == [False, True, True, False]
    same = 'between(date("2020-03-15"), date("2020-03-15"), date("2020-03-15"))'
    assert compute(same) is True


def test_date_of_is_the_date_in_the_zone_of_the_policy() -> None:
    """Jerusalem is two hours ahead in March before the 27th: 22:00 UTC is midnight there."""
    before: dict[str, Value] = {"event.time": datetime(2020, 3, 14, 21, 59, 59, tzinfo=UTC)}
    midnight: dict[str, Value] = {"event.time": datetime(2020, 3, 14, 22, 0, tzinfo=UTC)}
    assert compute("date_of(event.time)", before) == date(2020, 3, 14)
    assert compute("date_of(event.time)", midnight) == date(2020, 3, 15)


def test_months_clamp_to_the_end_of_the_month() -> None:
    """31 January + 1 month: 29 February in 2020, 28 in 2021."""
    assert compute('add_months(date("2020-01-31"), 1)') == date(2020, 2, 29)
    assert compute('add_months(date("2021-01-31"), 1)') == date(2021, 2, 28)
    assert compute('add_months(date("2020-03-31"), -1)') == date(2020, 2, 29)
    assert compute('end_of_month(date("2020-04-01"))') == date(2020, 4, 30)


def test_days_are_counted_from_the_first_to_the_second() -> None:
    """2020 is a leap year: 28 February to 1 March are 2 days."""
    assert compute('days_between(date("2020-02-28"), date("2020-03-01"))') == 2
    assert compute('days_between(date("2020-03-01"), date("2020-02-28"))') == -2
    assert compute('months_between(date("2020-01-31"), date("2020-02-29"))') == 1
    common = 'overlap_days(date("2020-03-01"), date("2020-04-01"), date("2020-03-31"), date("2020-05-01"))'
    assert compute(common) == 1


def test_business_days_leave_out_the_weekend_of_the_country() -> None:
    """2 to 5 May 2024 are Thursday to Sunday: the weekend is Friday and Saturday in Israel."""
    week = 'date("2024-05-02"), date("2024-05-06")'
    assert compute(f'business_days({week}, "DE")') == 2  # Thursday 2, Friday 3
    assert compute(f'business_days({week}, "IL")') == 2  # Thursday 2, Sunday 5
    assert compute('next_business_day(date("2024-05-03"), "IL")') == date(2024, 5, 5)
    assert compute('next_business_day(date("2024-05-03"), "DE")') == date(2024, 5, 3)
    assert compute('add_business_days(date("2024-05-03"), 1, "DE")') == date(2024, 5, 6)


def test_a_country_without_a_calendar_is_an_error_of_the_calendar() -> None:
    facts: dict[str, Value] = {"booking.country": "Atlantis"}
    assert code('next_business_day(date("2024-05-03"), booking.country)', facts) == "PE211"


def test_dates_out_of_range_are_an_error() -> None:
    assert code('add_days(date("2200-12-31"), 1)') == "PE210"


def test_hours_and_minutes_are_whole() -> None:
    """1 h 59 min 59 s: one whole hour, 119 whole minutes; negative ones likewise."""
    times = 'timestamp("2020-03-15T10:00:00Z"), timestamp("2020-03-15T11:59:59Z")'
    turned = 'timestamp("2020-03-15T11:59:59Z"), timestamp("2020-03-15T10:00:00Z")'
    assert compute(f"hours_between({times})") == 1
    assert compute(f"minutes_between({times})") == 119
    assert compute(f"hours_between({turned})") == -1


def test_parts_of_a_date() -> None:
    """15 March 2020 was a Sunday: 7 by ISO 8601, 0 in CEL."""
    sunday = 'date("2020-03-15")'
    parts = [compute(f"{name}({sunday})") for name in ("year", "month", "day", "weekday")]
    assert parts == [2020, 3, 15, 7]
    assert compute(f"{sunday}.getDayOfWeek()") == 0
    assert compute(f"{sunday}.getMonth()") == 2


def test_numbers_beyond_64_bits_are_an_error_and_results_beyond_2_to_53_too() -> None:
    """9007199254740991 = 2^53 - 1."""
    assert code("9223372036854775807 + 1") == "PE222"
    assert code("percent(9223372036854775807, 101)") == "PE222"
    assert compute("9007199254740991") == 2**53 - 1
    assert code("9007199254740991 + 1") == "PE205"
    assert code('money("90071992547409.91 ILS") + money("0.01 ILS")') == "PE205"
    assert code("1 / 0") == "PE222"
    assert code("1 % 0") == "PE222"
