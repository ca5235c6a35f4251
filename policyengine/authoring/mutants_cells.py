"""Small mistakes in a decision table: bounds, brackets, values, cells that ask for nothing, rows left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyengine.authoring.mutant import MutantKind
from policyengine.authoring.mutants_cel import Edit, cel_edits, shifted
from policyengine.domain.policy import Column, InputColumn

_COMPARISON = re.compile(r"\s*(<=|>=|<|>|=)\s*(.*?)\s*", re.DOTALL)
_INTERVAL = re.compile(r"\s*([\[(])\s*(.*?)\s*\.\.\s*(.*?)\s*([\])])\s*", re.DOTALL)
_ITEM = re.compile(r"""\s*("[^"]*"|'[^']*'|[^,"'()]+?)\s*(?:,|$)""")
_NEGATION = re.compile(r"\s*not\s*\((.*)\)\s*", re.DOTALL)
_FLIPS = {"<=": "<", "<": "<=", ">=": ">", ">": ">=", "[": "(", "(": "[", "]": ")", ")": "]"}
# a shift that says the same as turning the bound: `< 14` → `< 15` is `<= 14`
_SAME_AS_FLIP = {"<": 1, "<=": -1, ">": -1, ">=": 1, "[": 1, "(": -1, "]": -1, ")": 1}
_ORDERED = frozenset({"integer", "money", "date"})
_FLAGS = {"true": "false", "false": "true"}


def cell_edits(text: str, column: Column) -> Iterator[Edit]:
    """The edits of one cell, by its column."""
    if isinstance(column, InputColumn):
        yield from _test_edits(text, column)
        if text.strip() != "-":
            start = len(text) - len(text.lstrip())
            case = f"that this row must not fit, by `{column.when}` alone"
            yield Edit(start, text.strip(), "-", MutantKind.CLAUSES, case)
    elif text.lstrip().startswith("="):
        start = text.index("=") + 1
        for edit in cel_edits(text[start:]):
            yield edit._replace(offset=edit.offset + start)
    elif column.type != "text":
        yield from _value(text, 0, column.type, [-1, 1], f"that expects row.{column.set} of this row")


def _test_edits(text: str, column: InputColumn) -> Iterator[Edit]:
    if found := _INTERVAL.fullmatch(text):
        for bracket, bound in ((1, 2), (4, 3)):
            yield from _bound(column, found[bracket], found.start(bracket), found[bound], found.start(bound))
        return
    found = _COMPARISON.fullmatch(text)
    if found and found[1] != "=":
        yield from _bound(column, found[1], found.start(1), found[2], found.start(2))
        return
    start, end = 0, len(text)
    if found:
        start = found.start(2)
    elif negated := _NEGATION.fullmatch(text):
        start, end = negated.span(1)
    for item in _ITEM.finditer(text, start, end):
        case = f"with {column.when} = {item[1]} or next to it"
        yield from _value(item[1], item.start(1), column.type, [-1, 1], case)


def _bound(column: InputColumn, sign: str, place: int, bound: str, where: int) -> Iterator[Edit]:
    case = f"with {column.when} = {bound}"
    yield Edit(place, sign, _FLIPS[sign], MutantKind.COMPARISONS, case)
    yield from _value(
        bound, where, column.type, [-_SAME_AS_FLIP[sign]], f"with {column.when} next to {bound}"
    )


def _value(text: str, place: int, kind: str, steps: list[int], case: str) -> Iterator[Edit]:
    if kind == "flag" and text.strip() in _FLAGS:
        yield Edit(place, text, _FLAGS[text.strip()], MutantKind.COMPARISONS, case)
    for step in steps if kind in _ORDERED else ():
        new = shifted(text.strip(), step)
        if new is not None:
            yield Edit(place, text, new, MutantKind.THRESHOLDS, case)
