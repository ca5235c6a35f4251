"""Exact money: nothing is lost on the way in, on the way out, or in rounding."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.money import MAX_EXACT, Money, Rounding, currency_digits, round_ratio
from policyengine.errors import MoneyError

CURRENCIES = st.sampled_from(["ILS", "EUR", "JPY", "KWD", "CLF"])
MINOR = st.integers(-MAX_EXACT, MAX_EXACT)
many = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.50", "ILS", 1250),
        ("12.5", "ILS", 1250),
        ("12", "ILS", 1200),
        ("0.05", "EUR", 5),
        ("-0.05", "EUR", -5),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("1.5", "KWD", 1500),
        ("-0.00", "ILS", 0),
        ("90071992547409.91", "ILS", MAX_EXACT),
    ],
)
def test_a_decimal_string_is_read_into_minor_units(amount: str, currency: str, minor: int) -> None:
    assert Money.parse(amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("12.505", "ILS", "PE203"),
        ("12.500", "ILS", "PE203"),  # a third decimal is one too many, whatever it is
        ("500.0", "JPY", "PE203"),
        ("1.2345", "KWD", "PE203"),
        ("12,50", "ILS", "PE202"),
        ("1e3", "ILS", "PE202"),
        (".5", "ILS", "PE202"),
        ("5.", "ILS", "PE202"),
        ("+5", "ILS", "PE202"),
        ("007", "ILS", "PE202"),
        (" 5", "ILS", "PE202"),
        ("5\n", "ILS", "PE202"),
        ("\N{ARABIC-INDIC DIGIT FIVE}", "ILS", "PE202"),
        ("NaN", "ILS", "PE202"),
        ("", "ILS", "PE202"),
        ("5", "ils", "PE201"),
        ("5", "ABC", "PE201"),
        ("5", "", "PE201"),
        ("90071992547409.92", "ILS", "PE205"),
        ("999999999999999999", "KWD", "PE205"),
        ("1" * 5000, "ILS", "PE202"),
    ],
)
def test_what_is_no_exact_amount_is_an_error(amount: str, currency: str, code: str) -> None:
    with pytest.raises(MoneyError) as caught:
        Money.parse(amount, currency)
    assert caught.value.code == code


@many
@given(MINOR, CURRENCIES)
def test_what_is_written_is_read_again(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(money.value, currency) == money
    assert Money.literal(str(money)) == money
    assert Decimal(money.value) == money.decimal


def test_decimals_are_those_of_iso_4217_not_those_that_people_write() -> None:
    # CLDR says 0 for both: nobody pays in para or fils any more, but the standard has them
    assert currency_digits("RSD") == 2
    assert currency_digits("IQD") == 3
    assert [currency_digits(code) for code in ("ILS", "JPY", "KWD", "CLF", "HUF")] == [2, 0, 3, 4, 2]


def test_a_literal_has_an_amount_and_a_currency() -> None:
    assert Money.literal("12.50 ILS") == Money(1250, "ILS")
    assert Money.literal("12.50ILS") == Money(1250, "ILS")
    for text in ("12.50", "ILS 12.50", "12.50 ILS EUR", "12.50  ILS", "12.5.0 ILS"):
        with pytest.raises(MoneyError, match="PE202"):
            Money.literal(text)


def test_two_currencies_never_meet() -> None:
    assert Money(1, "ILS") + Money(2, "ILS") == Money(3, "ILS")
    assert Money(1, "ILS") - Money(2, "ILS") == Money(-1, "ILS")
    for operation in (Money.__add__, Money.__sub__):
        with pytest.raises(MoneyError, match="PE204"):
            operation(Money(1, "ILS"), Money(1, "EUR"))


def test_a_sum_beyond_2_to_the_53_is_an_error_not_a_wrong_number() -> None:
    with pytest.raises(MoneyError, match="PE205"):
        Money(MAX_EXACT, "ILS") + Money(1, "ILS")
    with pytest.raises(MoneyError, match="PE205"):
        Money(-MAX_EXACT, "ILS") - Money(1, "ILS")


@pytest.mark.parametrize(
    ("value", "half_up", "half_even", "down", "up"),
    [
        (Fraction(5, 2), 3, 2, 2, 3),  # 2.5
        (Fraction(7, 2), 4, 4, 3, 4),  # 3.5
        (Fraction(-5, 2), -3, -2, -2, -3),
        (Fraction(12, 5), 2, 2, 2, 3),  # 2.4
        (Fraction(13, 5), 3, 3, 2, 3),  # 2.6
        (Fraction(-1, 100), 0, 0, 0, -1),
        (Fraction(4), 4, 4, 4, 4),
        (Fraction(1, 2), 1, 0, 0, 1),
    ],
)
def test_a_fraction_is_rounded_as_named(
    value: Fraction, half_up: int, half_even: int, down: int, up: int
) -> None:
    results = [
        round_ratio(value.numerator, value.denominator, Rounding(name))
        for name in ("half_up", "half_even", "down", "up")
    ]
    assert results == [half_up, half_even, down, up]


@many
@given(st.fractions(-(10**9), 10**9), st.sampled_from(list(Rounding)))
def test_rounding_moves_by_less_than_one_and_keeps_the_sign(value: Fraction, rounding: Rounding) -> None:
    result = round_ratio(value.numerator, value.denominator, rounding)
    assert abs(result - value) < 1
    assert result * value >= 0
    assert round_ratio(-value.numerator, value.denominator, rounding) == -result


@many
@given(st.fractions(-(10**9), 10**9))
def test_rounding_to_the_nearest_even_is_what_python_does(value: Fraction) -> None:
    assert round_ratio(value.numerator, value.denominator, Rounding.HALF_EVEN) == round(value)
