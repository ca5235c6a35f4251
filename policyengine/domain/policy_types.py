"""The kinds of value that a policy file's fields take: days, decimals, names, texts, cells.

Each reads the same from YAML (dates are dates) and from JSON (dates are text), so that a policy set
published in a ledger loads to the same models. The models themselves are domain.policy's.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from babel import Locale, UnknownLocaleError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from policyengine.domain.calendar import zone_names
from policyengine.domain.money import Money, currency_digits
from policyengine.domain.near import did_you_mean
from policyengine.domain.said import currency_hint, date_hint, date_said, language_hint, money_said
from policyengine.errors import MoneyError

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LONGEST_SHOWN = 60
_DAY_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
# What editors complete from: alternatives that do not overlap (a date is text to JSON Schema).
_LIST_SCHEMA = {"type": "array", "items": {"type": "string"}}
_CONSTANT_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}, _LIST_SCHEMA]
}
_DATED_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "values by the day from which each holds",
    "minProperties": 1,
    "patternProperties": {_DAY_PATTERN: _CONSTANT_SCHEMA},
    "additionalProperties": False,
}
_PARAMETER_SCHEMA: dict[str, Any] = {"anyOf": [*_CONSTANT_SCHEMA["anyOf"], _DATED_SCHEMA]}
_CELL_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "boolean"}]}
_ROWS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "minItems": 1, "items": {"type": "array", "items": _CELL_SCHEMA}},
        {"type": "string", "description": "one row a line, cells between `|`"},
    ]
}
_CELL_BREAK = re.compile(r"""(?:[^|"']|"[^"]*"|'[^']*'|\|\||["'])*""")


def fault(code: str, message: str, hint: str = "", at: str = "") -> PydanticCustomError:
    """An error with our code and hint; ``at`` names the key below the model that is at fault."""
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint, "at": at})


def _language(tag: str) -> str:
    try:
        Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise fault("PE003", f"unknown language `{tag}`", language_hint(tag)) from error
    return tag


def _currency(code: str) -> str:
    try:
        currency_digits(code)
    except MoneyError as error:
        message, _, hint = error.message.partition("; ")
        raise fault("PE003", message, currency_hint(code) or hint) from error
    return code


def _zone(name: str) -> str:
    if name not in zone_names():
        near = "" if name.isupper() else did_you_mean(name, zone_names())  # IST is in Israel and in India
        hint = near or "write continent/city, such as Asia/Jerusalem"
        raise fault("PE003", f"unknown time zone `{name}`", hint)
    return name


def _money_text(text: str) -> str:
    try:
        Money.literal(text)
    except MoneyError as error:
        message, _, hint = error.message.partition("; ")
        meant = money_said(text)
        raise fault("PE003", message, f"write {meant}" if meant else hint) from error
    return text


def read_date(raw: Any) -> date:
    """A date, or its ISO text; nothing else passes for one (no timestamps, no numbers)."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw
    if isinstance(raw, str) and _DAY.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError as error:
            raise fault("PE003", f"`{raw}` is no date of the calendar", date_hint(raw)) from error
    raise fault("PE003", f"`{_shown(raw)}` is no date", date_hint(str(raw)))


def _shown(raw: Any) -> str:
    text = raw.isoformat() if isinstance(raw, datetime) else str(raw)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def read_day(raw: Any) -> date | datetime:
    """A date, or a date and time; without an offset it is a time of the policy's zone."""
    if isinstance(raw, datetime):
        return raw
    if isinstance(raw, str) and not _DAY.fullmatch(raw):
        try:
            return datetime.fromisoformat(raw)
        except ValueError as error:
            hint = date_hint(raw) if date_said(raw) else "write 2020-03-15, or 2020-03-15T08:00:00Z"
            raise fault("PE003", f"`{_shown(raw)}` is no date or time", hint) from error
    return read_date(raw)


def _read_decimal(raw: Any) -> Decimal:
    if isinstance(raw, dict) and set(raw) == {"decimal"}:
        raw = raw["decimal"]
        try:
            value = Decimal(str(raw))
        except InvalidOperation as error:
            raise fault("PE003", f"`{raw}` is no decimal") from error
        if value.is_finite():
            return value
    if isinstance(raw, Decimal) and raw.is_finite():
        return raw
    raise fault("PE003", "not a decimal", "write one such as 7.5")


def _read_tagged_date(raw: Any) -> date:
    return read_date(raw["date"] if isinstance(raw, dict) and set(raw) == {"date"} else raw)


Text = Annotated[str, Field(min_length=1, max_length=2000)]
Cel = Annotated[str, Field(min_length=1, max_length=20000)]
Language = Annotated[str, AfterValidator(_language)]
Texts = dict[Language, Annotated[str, Field(min_length=1, max_length=5000)]]
Currency = Annotated[
    str,
    AfterValidator(_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["ILS", "EUR"]}),
]
TimeZone = Annotated[str, AfterValidator(_zone)]
MoneyText = Annotated[
    str,
    AfterValidator(_money_text),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]+)? ?[A-Z]{3}$",
            "examples": ["500 ILS", "12.50 EUR"],
        }
    ),
]
Date = Annotated[
    date, BeforeValidator(read_date), WithJsonSchema({"type": "string", "pattern": _DAY_PATTERN})
]
Day = Annotated[
    date | datetime,
    BeforeValidator(read_day),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$",
            "examples": ["2020-03-15", "2020-03-15T12:00:00Z"],
        }
    ),
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
RuleId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)]
PolicyId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$", max_length=200)]


def _one_or_many(raw: Any) -> str:
    return "many" if isinstance(raw, list) else "one"


OneOrMany = Annotated[
    Annotated[Text, Tag("one")] | Annotated[list[Text], Field(min_length=1), Tag("many")],
    Discriminator(_one_or_many),
]

# invariant: decimals and dates among parameters keep their type through JSON
ExactDecimal = Annotated[
    Decimal,
    BeforeValidator(_read_decimal),
    PlainSerializer(lambda value: {"decimal": str(value)}),
    WithJsonSchema({"type": "number"}, mode="validation"),
]
TaggedDate = Annotated[
    date,
    BeforeValidator(_read_tagged_date),
    PlainSerializer(lambda value: {"date": value.isoformat()}),
    WithJsonSchema({"type": "string", "pattern": _DAY_PATTERN}, mode="validation"),
]


def _type_tag(raw: Any) -> str | None:
    for kind, tag in (
        (bool, "flag"),
        (int, "integer"),
        (Decimal, "decimal"),
        (datetime, None),
        (date, "date"),
        (str, "text"),
        (list, "texts"),
    ):
        if isinstance(raw, kind):
            return tag
    if isinstance(raw, dict) and set(raw) in ({"decimal"}, {"date"}):
        return str(next(iter(raw)))
    return "dated" if isinstance(raw, dict) else None


Constant = Annotated[
    Annotated[StrictBool, Tag("flag")]
    | Annotated[StrictInt, Tag("integer")]
    | Annotated[ExactDecimal, Tag("decimal")]
    | Annotated[TaggedDate, Tag("date")]
    | Annotated[Text, Tag("text")]
    | Annotated[list[Text], Tag("texts")],
    Discriminator(
        _type_tag,
        custom_error_type="PE003",
        custom_error_message="a parameter is a number, text, a date, true or false, or a list of texts",
    ),
]
Dated = Annotated[dict[Date, Constant], Field(min_length=1)]
Parameter = Annotated[
    Annotated[Constant, Tag("constant")] | Annotated[Dated, Tag("dated")],
    Discriminator(lambda raw: "dated" if _type_tag(raw) == "dated" else "constant"),
    WithJsonSchema(_PARAMETER_SCHEMA, mode="validation"),
]
Parameters = Annotated[
    dict[Name, Parameter],
    WithJsonSchema(
        {
            "type": "object",
            "patternProperties": {"^[a-z][a-z0-9_]*$": _PARAMETER_SCHEMA},
            "additionalProperties": False,
        },
        mode="validation",
    ),
]


def _read_cell(raw: Any) -> Any:
    """A date is kept as its text: what a cell means is its column's business (engine.tables)."""
    if isinstance(raw, date) and not isinstance(raw, datetime):
        return raw.isoformat()
    return raw


Cell = Annotated[
    Annotated[StrictBool, Tag("flag")] | Annotated[StrictInt, Tag("integer")] | Annotated[Text, Tag("text")],
    Discriminator(
        _type_tag,
        custom_error_type="PE041",
        custom_error_message="a cell is text, a whole number, a date, true or false",
    ),
    BeforeValidator(_read_cell),
]


def split_rows(text: str) -> list[list[tuple[int, str]]]:
    """Rows written as lines of cells between `|`: for each row its cells and their offsets.

    A `|` within quotes and the `||` of CEL do not divide.
    """
    rows: list[list[tuple[int, str]]] = []
    start = 0
    for line in text.split("\n"):
        if line.strip():
            rows.append([(start + offset, cell) for offset, cell in _split_line(line)])
        start += len(line) + 1
    return rows


def _split_line(line: str) -> list[tuple[int, str]]:
    end = len(line.rstrip())
    start = len(line) - len(line.lstrip())
    if line.startswith("|", start):
        start += 1
    if start < end and line[end - 1] == "|" and not line.endswith("||", 0, end):
        end -= 1
    cells = []
    while True:
        match = _CELL_BREAK.match(line, start, end)
        stop = end if match is None else match.end()
        raw = line[start:stop]
        cells.append((start + len(raw) - len(raw.lstrip()), raw.strip()))
        if stop >= end:
            return cells
        start = stop + 1


def _read_rows(raw: Any) -> Any:
    if isinstance(raw, str):
        return [[cell for _, cell in row] for row in split_rows(raw)]
    return raw


Rows = Annotated[
    list[list[Cell]],
    BeforeValidator(_read_rows),
    Field(min_length=1),
    WithJsonSchema(_ROWS_SCHEMA, mode="validation"),
]
