"""What to write instead of a value that cannot stand where it stands: the hints of authoring.structure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from policyengine.authoring.yaml_slips import unseen
from policyengine.authoring.yaml_source import Document, Path
from policyengine.domain.near import did_you_mean
from policyengine.domain.remedies import REMEDY_KINDS
from policyengine.domain.said import as_name, flag_hint, in_english, number_hint, number_said
from policyengine.errors import Finding

_NAMES = ((bool, "true or false"), (int, "a whole number"), (Decimal, "a decimal"), (datetime, "a time"),
          (date, "a date"), (str, "text"), (list, "a list"), (dict, "keys and values"))  # fmt: skip
_BY_LANGUAGE = frozenset(("title", "say", "description"))
_LISTS = {
    "rules": "begin each rule with `- id: …` on a line of its own",
    "when": "begin each condition with `- ` on a line of its own",
    "grant": "begin each remedy with `- kind: …` on a line of its own",
    "alternatives": "begin each alternative with `- id: …` on a line of its own",
    "follow_up": "begin each with `- at: …` on a line of its own",
    "cites": 'write ["…", "…"], also for a single one',
}
_PATTERNS = (
    ("ever", "write ever, year, month, week, day, or a number of days such as `30 days`", ""),
    ("(/", "write small letters, digits, `-`, `_`, `.` and `/`", "._-/"),
    ("._-", "write small letters, digits, `-`, `_` and `.`", "._-"),
    ("[a-z]", "write small letters, digits and `_`, a letter first", "_"),
)


def wrong_type(kind: str, got: Any, path: Path) -> tuple[str, str] | None:
    """Message and hint where a value has another type than the key; None where it is no such fault."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    match kind:
        case "string_type":
            return _expected("text", got), f"put it in quotes: {_quoted(got)}"
        case "int_type":
            return _expected("a whole number", got), _whole_number(got)
        case "bool_type":
            hint = flag_hint(str(got)) if isinstance(got, (str, int)) else flag_hint("")
            return _expected("true or false", got), hint
        case "list_type":
            return _expected("a list", got), _list(got, name)
        case "dict_type" | "model_type" | "model_attributes_type":
            return _expected("keys and values", got), _mapping(got, name)
    return None


def _expected(wanted: str, got: Any) -> str:
    return (
        f"expected {wanted}, got {next((name for kind, name in _NAMES if isinstance(got, kind)), 'nothing')}"
    )


def _quoted(got: Any) -> str:
    return f'"{got}"' if isinstance(got, (int, Decimal, date)) and not isinstance(got, bool) else '"…"'


def _whole_number(got: Any) -> str:
    if isinstance(got, str):
        found = number_said(got) or next(iter(re.findall(r"\d+", got)), None)
        if found is not None and re.fullmatch(r"-?\d+", found):
            return f"write {found}, without quotes" if found == got.strip() else f"write {found}"
    if isinstance(got, Decimal) and got == got.to_integral_value():
        return f"write {int(got)}"
    return "write digits only, without quotes"


def _list(got: Any, name: str) -> str:
    if isinstance(got, str) and got.startswith("-"):
        return f"put a space behind the dash: `- {got[1:].partition(' -')[0].strip()[:40]}`"
    return _LISTS.get(name, "write items that begin with `- `, or `[a, b]`")


def _mapping(got: Any, name: str) -> str:
    if name in _BY_LANGUAGE and isinstance(got, str):
        return f'name the language: {{en: "{got}"}}' if len(got) <= 40 else "name the language: en: …"  # noqa: PLR2004
    if isinstance(got, str) and name in {"effective", "enforced", "retroactive"}:
        return "write {from: 2020-03-15}"
    return "write `key: value` lines below it"


def wrong_name(pattern: str, got: Any) -> str:
    """What a name may hold, and this one made fit."""
    words, allowed = next(((words, more) for part, words, more in _PATTERNS if part in pattern), ("", ""))
    made = as_name(str(got), allowed) if allowed else ""
    fits = made and made != got and re.fullmatch(pattern, made)
    return f"{words or f'the pattern is {pattern}'}{f', such as `{made}`' if fits else ''}"


def one_of(got: Any, choices: list[str]) -> str:
    """Which of the choices is meant."""
    english = in_english(str(got))
    if english in choices:
        return f"write {english}"
    return did_you_mean(str(got), choices) or f"write one of {', '.join(choices)}"


def key_hint(word: str, keys: list[str]) -> str:
    """Which key or kind is meant; empty where nobody can tell."""
    english = in_english(word)
    return f"write it in English: `{english}`" if english in keys else did_you_mean(word, keys)


def remedy_without_kind(remedy: Mapping[Any, Any]) -> str:
    """What to write for `refund: 80%`; empty where it is something else."""
    word = next((key for key in remedy if isinstance(key, str)), "")
    kind = word if word in REMEDY_KINDS else in_english(word)
    if kind not in REMEDY_KINDS:
        return ""
    fields = [about.alias or name for name, about in REMEDY_KINDS[str(kind)].model_fields.items()]
    needed = next((name for name in fields if name in {"amount", "until", "points"}), "")
    amount = number_said(str(remedy[word]).removesuffix("%").strip())
    value = f"percent(booking.paid, {amount})" if amount and needed == "amount" else "…"
    return f"write `kind: {kind}`" + (f", and below it `{needed}: {value}`" if needed else "")


def odd_characters(document: Document) -> list[Finding]:
    """Characters that nobody sees, in what programs read."""
    places = {
        path: (place.start, place.end) for path, place in document.places.items() if place.style is not None
    }
    return [
        Finding(document.file, *document.line_column(found.index), "PE005", found.message, found.hint)
        for found in unseen(document.text, places)
    ]


def odd_parameters(document: Document) -> Iterator[Finding]:
    """Parameters that look like numbers and are text: `80%`, `7,5`, `₪100`."""
    given = document.data.get("parameters")
    for name, value in given.items() if isinstance(given, dict) else ():
        values = value if isinstance(value, dict) else {None: value}
        for day, one in values.items():
            path: Path = ("parameters", name) if day is None else ("parameters", name, day)
            place = document.places.get(path)
            if not isinstance(one, str) or place is None or place.style:
                continue
            hint = number_hint(one)
            if hint:
                yield document.finding(path, "PE003", f"`{one}` is no number", hint)
