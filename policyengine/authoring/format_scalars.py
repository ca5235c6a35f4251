"""How `fmt` writes one scalar: plain, quoted, or as lines below `|` or `>`; and text tables in columns."""

from __future__ import annotations

import re
import textwrap
import unicodedata

from policyengine.authoring.format_tree import Scalar
from policyengine.authoring.yaml_source import plain_value
from policyengine.domain.policy_types import split_rows

WIDTH = 110
_TEXT_WIDTH = 96  # of text that is wrapped anew
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[./@-][A-Za-z0-9_]+)*", re.ASCII)
_YES_AND_NO = frozenset(("yes", "no", "on", "off", "y", "n"))  # true and false to other readers of YAML
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
_UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"))


def inline(scalar: Scalar, empty: str = "null") -> str:
    """A scalar on one line; what was quoted stays so unless it is one plain word."""
    value = scalar.value
    if not scalar.style:
        return (value if "\n" not in value else quoted(value)) or empty
    return value if _needs_no_quotes(value) else quoted(value)


def _needs_no_quotes(value: str) -> bool:
    return (
        _WORD.fullmatch(value) is not None
        and value.lower() not in _YES_AND_NO
        and isinstance(plain_value(value), str)
    )


def quoted(value: str) -> str:
    """In double quotes; in single ones where that saves escapes. What cannot be seen is escaped."""
    if ('"' in value or "\\" in value) and "'" not in value and not any(map(_unseen, value)):
        return f"'{value}'"
    return '"' + "".join(map(_escaped, value)) + '"'


def _unseen(char: str) -> bool:
    return char != " " and (unicodedata.category(char) in _UNSEEN or char.isspace())


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if not _unseen(char):
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def block(scalar: Scalar, indent: int, *, table: bool) -> tuple[str, list[str]] | None:
    """The header and the lines of a scalar that has lines of its own; None where it goes on one line."""
    if scalar.is_block:
        return _lines(scalar, indent, table=table)
    too_long = "\n" in scalar.source and len(inline(scalar)) + indent > WIDTH
    if not too_long or any(map(_unseen, scalar.value)):
        return None
    # a long text that was broken over lines stays so
    lines = textwrap.wrap(scalar.value, _TEXT_WIDTH - indent, break_long_words=False, break_on_hyphens=False)
    return (">-", [" " * indent + line for line in lines]) if " ".join(lines) == scalar.value else None


def _lines(scalar: Scalar, indent: int, *, table: bool) -> tuple[str, list[str]] | None:
    value = scalar.value
    body = value.rstrip("\n")
    if not body.strip() or value.endswith("\n\n") or _OTHER_BREAKS.search(body):
        return None
    if scalar.style == "|":
        lines = columns(body.split("\n")) if table else body.split("\n")
    elif (folded := _source_lines(scalar)) is None:
        return None
    else:
        lines = folded
    shifted = next(line for line in lines if line).startswith(" ")
    header = scalar.style + ("2" if shifted else "") + ("" if value.endswith("\n") else "-")
    return header, [" " * indent + line if line else "" for line in lines]


def _source_lines(scalar: Scalar) -> list[str] | None:
    """The lines of a folded text as they stand, without their indentation.

    None where that is given, or where blanks at the end are part of the text.
    """
    header, _, rest = scalar.source.partition("\n")
    if any(char.isdigit() for char in header.partition("#")[0]) or scalar.value.rstrip("\n").endswith(" "):
        return None
    lines = rest.rstrip(" \n").split("\n")
    first = next(line for line in lines if line.strip(" "))
    indent = len(first) - len(first.lstrip(" "))
    return [line[indent:] for line in lines]


def columns(lines: list[str]) -> list[str]:
    """Rows of cells between `|`, each column as wide as its widest cell; as they are where that differs."""
    rows = [[cell for _, cell in row] for row in split_rows("\n".join(lines))]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) == 1:
        return lines
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    aligned = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    again = [[cell for _, cell in row] for row in split_rows("\n".join(aligned))]
    return aligned if again == rows and all(line.strip() for line in aligned) else lines
