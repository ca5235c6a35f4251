# ruff: noqa: RUF001 - odd characters are what this is about
"""What people type in conditions and amounts who do not know the language, and what to write instead.

Looked at only where an expression is faulty: nothing here is ever read as if it were right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from policyengine.domain.said import date_said, money_said, number_said

INVISIBLE = "\xa0\u2007\u202f\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u00ad\ufeff"
_QUOTES = "“”„‟״«»"
_SINGLE_QUOTES = "‘’‚‛׳"
CHARACTERS = {
    "≥": ">=", "≤": "<=", "≠": "!=", "×": "*", "÷": "a function such as prorate(…)", "–": "-", "—": "-",
    "−": "-", "‐": "-", "־": "-", "（": "(", "）": ")", "，": ",", "＝": "==", "∧": "&&", "∨": "||", "¬": "!",
    "…": "nothing", ";": "a comma",
}  # fmt: skip
_NUMBER = r"-?\d+(?:[.,]\d+)*"
_LATIN_WORD = re.compile(r"[A-Za-z_.]+")


class Slip(NamedTuple):
    """What is wrong, what to write, and where (code points from 0)."""

    message: str
    hint: str
    offset: int


def slip(source: str, offset: int) -> Slip | None:
    """What was most likely meant, by what stands at the fault and just before it."""
    return next((found for look in _LOOKS if (found := look(source, offset)) is not None), None)


def _odd_character(source: str, offset: int) -> Slip | None:
    char = source[offset : offset + 1]
    if not char:
        return None
    if char in INVISIBLE:
        return Slip(invisible(char), "delete it and type a plain space", offset)
    if char in CHARACTERS:
        return Slip(f"`{char}` is not understood", f"write {CHARACTERS[char]}", offset)
    if "HEBREW LETTER" in unicodedata.name(char, "") or "ARABIC LETTER" in unicodedata.name(char, ""):
        hint = "names are written in English letters, and text in quotes"
        return Slip("a word in other letters", hint, offset)
    return None


def _odd_quote(source: str, offset: int) -> Slip | None:
    char = source[offset : offset + 1]
    if char and char in _QUOTES + _SINGLE_QUOTES:
        closing = next(
            (at for at in range(offset + 1, len(source)) if source[at] in _QUOTES + _SINGLE_QUOTES), None
        )
        inner = source[offset + 1 : closing] if closing is not None else ""
        meant = f': "{inner}"' if inner else ' "'
        return Slip(f"`{char}` is no quotation mark here", f"write plain quotation marks{meant}", offset)
    return None


def invisible(char: str) -> str:
    """What is said of a character that nobody sees."""
    name = unicodedata.name(char, "a control character").lower()
    return f"a character that nobody sees stands here ({name}, U+{ord(char):04X})"


def _money(source: str, offset: int) -> Slip | None:
    """`100 ILS`, `100 ₪`, `₪100`."""
    for match in re.finditer(rf"([₪$€£¥])\s*{_NUMBER}|{_NUMBER}\s*(?:[₪$€£¥]|[A-Z]{{3}}\b|ש[\"״]ח)", source):
        if match.start() <= offset <= match.end() and (money := money_said(match[0])) is not None:
            return Slip(f"`{match[0]}` is not understood", f'write money("{money}")', match.start())
    return None


def _date(source: str, offset: int) -> Slip | None:
    for match in re.finditer(r"\d{1,4}[./–-]\d{1,2}[./–-]\d{1,4}", source):
        if match.start() <= offset <= match.end() and (day := date_said(match[0])) is not None:
            return Slip(f"`{match[0]}` is not understood", f'write date("{day.isoformat()}")', match.start())
    return None


def _percent(source: str, offset: int) -> Slip | None:
    match = re.search(rf"({_NUMBER})\s*%\s*$", source[:offset])
    amount = None if match is None else number_said(match[1])
    if match is None or amount is None:
        return None
    whole = source[: match.start()].rstrip()
    if re.search(r"percent\s*\([^()]*,$", whole):
        hint = f"write {amount}: the function takes per cent"
    else:
        hint = f"write percent(booking.paid, {amount}), with the amount that you mean"
    return Slip(f"`{match[0].strip()}` is no number", hint, match.start())


def _separated(source: str, offset: int) -> Slip | None:
    """`1,000` and `7,5`."""
    for match in re.finditer(r"\d+(?:,\d+)+", source):
        if match.start() <= offset <= match.end() and (amount := number_said(match[0])) is not None:
            return Slip(f"`{match[0]}` is no number", f"write {amount}", match.start())
    return None


def _range(source: str, offset: int) -> Slip | None:
    match = re.search(rf"([\w.]+)\s+in\s+({_NUMBER}?)\s*\.\.+\s*({_NUMBER})", source)
    if match is None or not match.start() <= offset <= match.end():
        return None
    low = match[2].rstrip(".") or "1"
    text = f"between({match[1]}, {low}, {match[3]})"
    return Slip("a range is not written so", f"write {text}: both bounds belong to it", match.start(2))


def _comparison(source: str, offset: int) -> Slip | None:
    two, before = source[offset : offset + 2], source[max(offset - 1, 0) : offset + 1]
    if two in ("=>", "=<"):
        return Slip(f"`{two}` is not understood", f"write {two[::-1]}", offset)
    if before == "<>":
        return Slip("`<>` is not understood", "write !=", offset - 1)
    return None


def _words(source: str, offset: int) -> Slip | None:
    """Operators as words: `not x`, `x is y`, `x equals y`."""
    match = re.search(r"\b(not|NOT|Not)\s+$", source[:offset])
    if match is not None:
        return Slip(f"`{match[1]}` is not understood", "write ! before what must not be", match.start())
    word = _LATIN_WORD.match(source, offset)
    meant = None if word is None else _OPERATORS.get(word[0].lower())
    if word is None or meant is None:
        return None
    return Slip(f"`{word[0]}` is not understood", f"write {meant}", offset)


_OPERATORS = {
    "and": "&&", "or": "||", "is": "==", "equals": "==", "equal": "==", "than": "> or < alone",
    "between": "between(x, low, high)", "contains": "x.contains(…)", "then": "condition ? this : that",
    "else": "condition ? this : that",
}  # fmt: skip


def _round_list(source: str, offset: int) -> Slip | None:
    match = re.search(r"\bin\s*\(([^()]*)$", source[:offset])
    if match is None:
        return None
    return Slip(
        "a list is not written in round brackets",
        "write square ones: in [1, 2, 3]",
        source.rindex("(", 0, offset),
    )


def _spaced_name(source: str, offset: int) -> Slip | None:
    """`booking nights`."""
    before, after = re.search(r"([a-z_]+)\s+$", source[:offset]), re.match(r"[a-z_]+", source[offset:])
    if before is None or after is None:
        return None
    return Slip(
        f"`{after[0]}` is not expected here",
        f"write a dot between them if you mean {before[1]}.{after[0]}",
        offset,
    )


_LOOKS: tuple[Callable[[str, int], Slip | None], ...] = (
    _percent, _comparison, _words, _range, _round_list, _money, _date, _separated, _odd_quote, _odd_character,
    _spaced_name,
)  # fmt: skip
