"""One JSON property → one typed value, or a refusal that says what was seen and what is wanted.

Which properties an event has is domain.validation's business, which types there are the catalogue's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from jiter import LosslessFloat

from policyengine.domain.catalogue import Attribute
from policyengine.domain.money import MAX_EXACT, Money
from policyengine.domain.near import did_you_mean
from policyengine.domain.values import Value, ValueType
from policyengine.errors import MoneyError

Convert = Callable[[Any], Value]

FIRST_YEAR, LAST_YEAR = 1900, 2200
LONGEST_ID = 512
_LONGEST_SHOWN = 60
_WIDEST_SHOWN = 64  # bits of an integer that is still worth showing
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
    r"(Z|z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.ASCII,
)
_LEAP_SECOND = re.compile(r".*T\d\d:\d\d:60.*", re.ASCII | re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MONEY_KEYS = frozenset(("amount", "currency"))
_MONEY_FORM = 'write {"amount": "12.50", "currency": "ILS"}'
_MONEY_CODES = {"PE201": "EV032", "PE203": "EV033"}


class Refusal(Exception):  # noqa: N818 - not an error of ours: it becomes a Rejection
    """A stable code, and a reason to be read behind the name of what it is about."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def seen(item: Any) -> str:
    """What a publisher sent, short enough for a message."""
    shown = "a list" if isinstance(item, list) else "an object"
    if item is None or isinstance(item, bool):
        shown = {None: "null", True: "true", False: "false"}[item]
    elif isinstance(item, int):
        short = item.bit_length() <= _WIDEST_SHOWN
        shown = f"the number {item}" if short else "a very large number"
    elif isinstance(item, LosslessFloat):
        shown = f"the number {shorten(bytes(item).decode())}"
    elif isinstance(item, str):
        shown = f"the text `{shorten(item)}`"
    return shown


def shorten(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """The text on one line, cut where it is long."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return line if len(line) <= longest else line[:longest] + "…"


def identifier(item: Any) -> str:
    """Text that names something: 1 to 512 characters, none of them a control character."""
    if type(item) is not str:
        raise Refusal("EV023", f"must be text, but is {seen(item)}")
    if not item:
        raise Refusal("EV012", "is empty")
    if len(item) > LONGEST_ID:
        raise Refusal("EV012", f"has {len(item)} characters; at most {LONGEST_ID} are allowed")
    if _CONTROL.search(item):
        raise Refusal("EV012", "has a control character; remove it")
    return item


def instant(item: Any) -> datetime:
    """An RFC 3339 time with its offset, in UTC; digits beyond microseconds are cut off."""
    if type(item) is not str:
        raise Refusal("EV023", f"must be a time such as 2020-03-15T10:00:00Z, but is {seen(item)}")
    match = _INSTANT.fullmatch(item)
    if match is None:
        raise _no_instant(item)
    if match[1] is None:
        reason = f"has no time zone (`{item}`); end it with Z or an offset such as +02:00"
        raise Refusal("EV017", reason)
    try:
        time = datetime.fromisoformat(item.upper())
    except ValueError:
        raise _no_instant(item) from None
    if time.tzinfo is not UTC and FIRST_YEAR - 1 <= time.year <= LAST_YEAR + 1:
        time = time.astimezone(UTC)
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise _out_of_range(item)
    return time


def day(item: Any) -> date:
    """A date as YYYY-MM-DD."""
    if type(item) is not str or not _DATE.fullmatch(item):
        code = "EV026" if type(item) is str else "EV023"
        raise Refusal(code, f"must be a date such as 2020-03-15, but is {seen(item)}")
    try:
        value = date.fromisoformat(item)
    except ValueError:
        raise Refusal("EV026", f"is no date that exists: `{item}`") from None
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise _out_of_range(item)
    return value


def text(item: Any) -> str:
    """Any text; NUL was refused before."""
    if type(item) is not str:
        raise Refusal("EV023", f"must be text, but is {seen(item)}")
    return item


def integer(item: Any) -> int:
    """A whole number that JSON holds exactly."""
    if type(item) is not int:
        if type(item) is LosslessFloat:
            reason = f"must be a whole number, written without point or exponent, but is {seen(item)}"
            raise Refusal("EV024", reason)
        raise Refusal("EV023", f"must be a whole number, but is {seen(item)}")
    if not -MAX_EXACT <= item <= MAX_EXACT:
        raise Refusal("EV025", f"must be within ±{MAX_EXACT} (2^53 - 1), but is {seen(item)}")
    return item


def flag(item: Any) -> bool:
    """True or false."""
    if type(item) is not bool:
        raise Refusal("EV023", f"must be true or false, but is {seen(item)}")
    return item


def texts(item: Any) -> tuple[str, ...]:
    """A list of texts."""
    if type(item) is not list:
        raise Refusal("EV023", f"must be a list of texts, but is {seen(item)}")
    for place, member in enumerate(item):
        if type(member) is not str:
            raise Refusal("EV023", f"must be a list of texts, but item {place} is {seen(member)}")
    return tuple(item)


def money(item: Any) -> Money:
    """An amount as a decimal string and an ISO 4217 currency, and nothing else."""
    if type(item) is not dict:
        code = "EV024" if type(item) is LosslessFloat else "EV023"
        raise Refusal(code, f"must be money, but is {seen(item)}; {_MONEY_FORM}")
    if item.keys() != _MONEY_KEYS:
        raise _no_money(item)
    amount, currency = item["amount"], item["currency"]
    if type(amount) is not str:
        raise Refusal("EV031", f"needs its amount as text, but it is {seen(amount)}; {_MONEY_FORM}")
    if type(currency) is not str:
        raise Refusal("EV030", f"needs its currency as text, but it is {seen(currency)}; {_MONEY_FORM}")
    try:
        return Money.parse(amount, currency)
    except MoneyError as error:
        code = _MONEY_CODES.get(error.code, "EV034")
        raise Refusal(code, f"is no money: {_money_reason(error, amount, currency)}") from None


def converter(attribute: Attribute, *, identifying: bool = False) -> Convert:
    """What turns the JSON of this attribute into its value; ``identifying`` where it is an id."""
    if identifying or attribute.refers_to is not None:
        return identifier
    if attribute.choices:
        return _one_of(attribute.choices)
    return _CONVERTERS[attribute.type]


_CONVERTERS: dict[ValueType, Convert] = {
    ValueType.TEXT: text,
    ValueType.INTEGER: integer,
    ValueType.FLAG: flag,
    ValueType.MONEY: money,
    ValueType.DATE: day,
    ValueType.INSTANT: instant,
    ValueType.TEXTS: texts,
}


def _one_of(choices: tuple[str, ...]) -> Convert:
    known = frozenset(choices)

    def choice(item: Any) -> str:
        if type(item) is str and item in known:
            return item
        if type(item) is not str:
            raise Refusal("EV023", f"must be text, but is {seen(item)}")
        hint = did_you_mean(item, choices) or f"write one of {', '.join(choices)}"
        raise Refusal("EV040", f"is `{shorten(item)}`, which is none of its values; {hint}")

    return choice


def _no_instant(item: str) -> Refusal:
    if _LEAP_SECOND.fullmatch(item):
        return Refusal("EV018", f"is a leap second (`{shorten(item)}`); write second 59")
    reason = f"is no time that exists: `{shorten(item)}`; write RFC 3339 such as 2020-03-15T10:00:00Z"
    return Refusal("EV018", reason)


def _out_of_range(item: str) -> Refusal:
    return Refusal("EV019", f"is outside of the years {FIRST_YEAR}..{LAST_YEAR}: `{item}`")


def _no_money(item: dict[str, Any]) -> Refusal:
    missing = sorted(_MONEY_KEYS - item.keys())
    extra = sorted(item.keys() - _MONEY_KEYS)
    wrong = f"has no `{missing[0]}`" if missing else f"has an unknown key `{shorten(extra[0])}`"
    return Refusal("EV030", f"is no money: it {wrong}; {_MONEY_FORM}")


def _money_reason(error: MoneyError, amount: str, currency: str) -> str:
    if error.code == "PE201":
        return f"unknown currency `{shorten(currency)}`; write an ISO 4217 code such as ILS"
    if error.code == "PE202":
        return f"`{shorten(amount)}` is not an amount; write a decimal string such as 12.50"
    return error.message
