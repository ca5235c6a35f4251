"""CEL source → syntax tree, read from the parse that C++ CEL serializes; syntax errors as problems.

What names and operators mean is engine.units'. Macros (`exists`, `filter` …) arrive expanded to loops.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel.expr import syntax_pb2
from cel_expr_python import cel
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from policyengine.engine.slips import slip

LONGEST_SOURCE = 10_000  # code points; a condition that needs more belongs in a decision table

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]*)")
_UNEXPECTED = re.compile(
    r"Syntax error: (?:(?:mismatched|extraneous) input '(.*)' expecting|no viable .* at input '(.*)')"
)
_CHARACTER = re.compile(r"Syntax error: token recognition error at: '(.*)'")
_LITERALS = frozenset({"string_value", "int64_value", "bool_value", "double_value"})
_NO_LITERALS = {
    "null_value": ("`null`", "ask `present(...)` whether an attribute is there"),
    "uint64_value": ("an unsigned number", "leave the `u` out"),
    "bytes_value": ("bytes", "leave the `b` out"),
}
_WORDS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in an expression; ``offset`` counts code points of its source."""

    code: str
    message: str
    hint: str
    offset: int


class ExpressionError(Exception):
    """Carries every problem found in one expression."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.code} {problem.message}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Literal:
    """Text, an integer, a decimal (float) or a flag."""

    value: str | int | float | bool
    offset: int


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier, or dotted ones: ``booking.paid`` is one name."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Field:
    """A part of something that is no name, such as ``f(x).part``."""

    of: Syntax
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function by its CEL name; a method has a ``target``."""

    function: str
    target: Syntax | None
    arguments: tuple[Syntax, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    items: tuple[Syntax, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Fold:
    """An expanded macro: CEL's comprehension."""

    variable: str
    over: Syntax
    accumulator: str
    first: Syntax
    condition: Syntax
    step: Syntax
    result: Syntax
    offset: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Valid CEL that policies do without, and what to write instead."""

    what: str
    hint: str
    offset: int


Syntax = Literal | Name | Field | Call | ListOf | Fold | Unsupported


@cache
def _parser() -> Any:
    return cel.NewEnv()


def parse(source: str) -> Syntax:
    """Parse; ExpressionError PE033 where the source is no CEL, PE036 where it is too large."""
    if len(source) > LONGEST_SOURCE:
        raise _too_large(f"the expression is longer than {LONGEST_SOURCE} characters")
    if not source.strip():
        raise ExpressionError((Problem("PE033", "the expression is empty", "", 0),))
    try:
        compiled = _parser().compile(source, disable_check=True)
    except (RuntimeError, TypeError) as error:
        raise _syntax_error(source, str(error)) from error
    envelope = any_pb2.Any()
    parsed = syntax_pb2.ParsedExpr()
    try:
        envelope.ParseFromString(compiled.serialize())
        parsed.ParseFromString(envelope.value)
    except DecodeError as error:
        raise _too_large("the expression is nested too deeply") from error
    return _Reader(source, parsed.source_info.positions).read(parsed.expr)


class _Reader:
    """protobuf → dataclasses, with each node's place."""

    def __init__(self, source: str, positions: Any) -> None:
        self._source = source
        self._positions = positions

    def read(self, expr: Any) -> Syntax:
        offset = self._positions.get(expr.id, 0)
        match expr.WhichOneof("expr_kind"):
            case "const_expr":
                return _constant(expr.const_expr, offset)
            case "ident_expr":
                return Name(expr.ident_expr.name, offset)
            case "select_expr":
                return self._select(expr.select_expr, offset)
            case "comprehension_expr":
                return self._fold(expr.comprehension_expr, offset)
        return self._several(expr, offset)

    def _several(self, expr: Any, offset: int) -> Syntax:
        if expr.HasField("call_expr"):
            call = expr.call_expr
            target = self.read(call.target) if call.HasField("target") else None
            start = offset - len(call.function)  # CEL's place of a call is its parenthesis
            if self._source[max(start, 0) : offset] == call.function:
                offset = start
            return Call(call.function, target, tuple(self.read(item) for item in call.args), offset)
        if expr.HasField("list_expr"):
            return ListOf(tuple(self.read(item) for item in expr.list_expr.elements), offset)
        return Unsupported("a map or message", "", offset)

    def _select(self, select: Any, offset: int) -> Syntax:
        if select.test_only:
            return Unsupported("`has`", "write `present(...)`", offset)
        of = self.read(select.operand)
        if isinstance(of, Name):  # the place of a dotted name is its beginning
            return Name(f"{of.name}.{select.field}", of.offset)
        return Field(of, select.field, offset)

    def _fold(self, fold: Any, offset: int) -> Syntax:
        if fold.iter_var2:
            return Unsupported("a macro with two variables", "", offset)
        return Fold(
            fold.iter_var,
            self.read(fold.iter_range),
            fold.accu_var,
            self.read(fold.accu_init),
            self.read(fold.loop_condition),
            self.read(fold.loop_step),
            self.read(fold.result),
            offset,
        )


def _constant(constant: Any, offset: int) -> Syntax:
    kind = constant.WhichOneof("constant_kind")
    if kind in _LITERALS:
        return Literal(getattr(constant, kind), offset)
    what, hint = _NO_LITERALS.get(kind, ("such a literal", ""))
    return Unsupported(what, hint, offset)


def _too_large(message: str) -> ExpressionError:
    hint = "split it into several conditions, or use a decision table"
    return ExpressionError((Problem("PE036", message, hint, 0),))


def _syntax_error(source: str, text: str) -> ExpressionError:
    """The first error only: those after it are mostly consequences."""
    if "recursion" in text:
        return _too_large("the expression is nested too deeply")
    found = _ERROR.search(text)
    if found is None:
        return ExpressionError(
            (Problem("PE033", "the expression is not valid CEL", text.partition("\n")[0][:100], 0),)
        )
    offset = _offset(source, int(found[1]), int(found[2]))
    meant = slip(source, offset)
    if meant is not None:
        return ExpressionError((Problem("PE033", *meant),))
    return ExpressionError((_explain(found[3], offset),))


def _offset(source: str, line: int, column: int) -> int:
    """Line and column, both from 1, → code points from 0."""
    lines = source.split("\n")
    before = sum(len(text) + 1 for text in lines[: line - 1])
    return min(before + column - 1, len(source))


def _explain(message: str, offset: int) -> Problem:
    if found := _CHARACTER.match(message):
        return _unknown_character(found[1], offset)
    if found := _UNEXPECTED.match(message):
        word = found[1] or found[2] or ""
        if word == "<EOF>":
            return Problem("PE033", "the expression ends too early", "something is missing behind it", offset)
        hint = f"write `{_WORDS[word]}` for `{word}`" if word in _WORDS else ""
        return Problem("PE033", f"`{word}` is not expected here", hint, offset)
    if message.startswith("invalid int literal"):
        return Problem("PE037", "the number is too large", "", offset)
    return Problem("PE033", message.removeprefix("Syntax error: "), "", offset)


def _unknown_character(character: str, offset: int) -> Problem:
    match character[:1]:
        case "=":
            return Problem("PE033", "`=` does not compare", "write `==` to compare", offset)
        case "&" | "|":
            sign = character[0]
            return Problem("PE033", f"`{sign}` is no operator", f"write `{sign * 2}`", offset)
        case '"' | "'":
            return Problem("PE033", "the text is not closed", f"end it with `{character[0]}`", offset)
    return Problem("PE033", f"`{character.strip()}` is not expected here", "", offset)
