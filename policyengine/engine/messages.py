"""The words of a decision: templates by language, checked at load, filled in by locale.

Money, dates and numbers are written as the language's locale writes them (babel / CLDR). A flag
has no words in every language, so compiling refuses it as a placeholder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from string import Formatter
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal

from policyengine.domain.money import Money
from policyengine.domain.values import Value


@dataclass(frozen=True, slots=True)
class Template:
    """A text in pieces: literals and placeholders by turns."""

    language: str
    zone: ZoneInfo
    pieces: tuple[tuple[str, str | None], ...]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names that must have values."""
        return tuple(name for _, name in self.pieces if name is not None)

    def fill(self, values: Mapping[str, Value]) -> str:
        """The finished text; KeyError names a placeholder that is absent."""
        out = []
        for literal, name in self.pieces:
            out.append(literal)
            if name is not None:
                out.append(write(values[name], self.language, self.zone))
        return "".join(out)


def parse_template(text: str, language: str, zone: ZoneInfo) -> Template:
    """Read ``Hello {name}``; ``{{`` is a brace. ValueError says what is malformed."""
    pieces: list[tuple[str, str | None]] = []
    for literal, name, spec, conversion in _parts(text):
        if spec or conversion:
            message = f"`{{{name}}}` takes no format; money and dates are written by language"
            raise ValueError(message)
        if name is not None and not name.strip():
            message = "an empty placeholder; name a value, such as {until}, or write {{}} for braces"
            raise ValueError(message)
        pieces.append((literal, None if name is None else name.strip()))
    return Template(language, zone, tuple(pieces))


def _parts(text: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    try:
        yield from Formatter().parse(text)
    except ValueError as error:
        problem = str(error)
        if "'}'" in problem and "Single" in problem:
            message = "a `}` without its `{`; write `}}` for a brace"
        else:
            message = "a `{` is not closed; write `{until}` for a value, and `{{` for a brace"
        raise ValueError(message) from error


@lru_cache(maxsize=65_536, typed=True)
def write(value: Value | Decimal, language: str, zone: ZoneInfo) -> str:
    """One value as the language's locale writes it."""
    locale = _locale(language)
    if isinstance(value, (int, Decimal)):
        return str(format_decimal(value, locale=locale))
    if isinstance(value, Money):
        return str(format_currency(value.decimal, value.currency, locale=locale))
    if isinstance(value, datetime):
        return str(format_datetime(value, "long", tzinfo=zone, locale=locale))
    if isinstance(value, date):
        return str(format_date(value, "long", locale=locale))
    if isinstance(value, tuple):
        return str(format_list(list(value), locale=locale))
    return value


@lru_cache(maxsize=256)
def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")
