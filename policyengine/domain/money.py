"""Exact money: integer minor units with an ISO 4217 currency, and the rounding of fractions.

Not here: formatting for people (engine.messages) and the CEL functions (engine.functions).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache

from babel.core import get_global

from policyengine.errors import MoneyError

# invariant: canonical JSON holds integers exactly only up to 2^53 - 1 (RFC 8785, RFC 7493)
MAX_EXACT = 2**53 - 1
_AMOUNT = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))(?:\.([0-9]{1,6}))?", re.ASCII)
_LITERAL = re.compile(r"(-?[0-9.]+) ?([A-Z]{3})", re.ASCII)
# CLDR counts the decimals that people write; ISO 4217 gives these currencies more
_ISO_DIGITS = dict.fromkeys(
    ("AFN", "ALL", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"), 2
) | {"IQD": 3}


class Rounding(StrEnum):
    """Direction in which a fraction of a minor unit goes."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"
    UP = "up"


def round_ratio(numerator: int, denominator: int, rounding: Rounding) -> int:
    """Round ``numerator / denominator``, which need not be in lowest terms, to an integer.

    ``half_up`` and ``up`` go away from zero. The denominator is above zero.

    >>> round_ratio(5, 2, Rounding.HALF_UP), round_ratio(5, 2, Rounding.HALF_EVEN)
    (3, 2)
    """
    whole, rest = divmod(abs(numerator), denominator)
    twice = 2 * rest
    up = (
        (rounding is Rounding.UP and rest > 0)
        or (rounding is Rounding.HALF_UP and twice >= denominator)
        or (
            rounding is Rounding.HALF_EVEN
            and (twice > denominator or (twice == denominator and whole % 2 == 1))
        )
    )
    return -(whole + up) if numerator < 0 else whole + up


@cache
def currency_digits(currency: str) -> int:
    """Decimals of an ISO 4217 currency (ILS 2, JPY 0, KWD 3); MoneyError PE201 if unknown."""
    if currency not in get_global("all_currencies"):
        message = f"unknown currency `{currency}`; write an ISO 4217 code such as ILS"
        raise MoneyError(message, code="PE201")
    if currency in _ISO_DIGITS:
        return _ISO_DIGITS[currency]
    fractions = get_global("currency_fractions")
    return int(fractions.get(currency, fractions["DEFAULT"])[0])


@dataclass(frozen=True, slots=True)
class Money:
    """``minor`` units (agorot, cents) of ``currency``; two currencies never meet."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, amount: str, currency: str) -> Money:
        """Read a decimal string; MoneyError PE202 if malformed, PE203 for too many decimals."""
        digits = currency_digits(currency)
        match = _AMOUNT.fullmatch(amount)
        if match is None:
            message = f"`{amount}` is not an amount; write a decimal string such as 12.50"
            raise MoneyError(message, code="PE202")
        decimals = match[2] or ""
        if len(decimals) > digits:
            message = f"`{amount}` has more decimals than {currency} allows ({digits})"
            raise MoneyError(message, code="PE203")
        return cls(_in_range(int(match[1] + decimals.ljust(digits, "0"))), currency)

    @classmethod
    def literal(cls, text: str) -> Money:
        """Read ``12.50 ILS``."""
        match = _LITERAL.fullmatch(text.strip())
        if match is None:
            message = f"`{text}` is not money; write an amount and a currency such as 12.50 ILS"
            raise MoneyError(message, code="PE202")
        return cls.parse(match[1], match[2])

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, with the currency's decimals."""
        return Decimal(self.minor).scaleb(-currency_digits(self.currency))

    @property
    def value(self) -> str:
        """The decimal string that goes into JSON: ``250.00``."""
        digits = currency_digits(self.currency)
        if digits == 0:
            return str(self.minor)
        text = str(abs(self.minor)).zfill(digits + 1)
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{text[:-digits]}.{text[-digits:]}"

    def __str__(self) -> str:
        return f"{self.value} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(_in_range(self.minor + self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(_in_range(self.minor - self._same(other)), self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            message = f"{self.currency} and {other.currency} cannot be added or compared"
            raise MoneyError(message, code="PE204")
        return other.minor


def _in_range(minor: int) -> int:
    if abs(minor) > MAX_EXACT:
        message = f"{minor} minor units is beyond the exact range of 2^53 - 1"
        raise MoneyError(message, code="PE205")
    return minor
