"""What is said of a faulty expression: one function per fault, each gives message and hint.

Lower case, no full stop, user input in backticks. Faults are found in engine.checking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from policyengine.domain.near import did_you_mean
from policyengine.domain.said import date_said
from policyengine.domain.values import ValueType
from policyengine.engine import operators
from policyengine.engine.functions import FUNCTIONS, Function
from policyengine.engine.literals import date_literal, money_literal
from policyengine.engine.syntax import Call, Name, Problem
from policyengine.engine.tree import AND, CHOOSE, NOT, OR, Apply, Attribute, Const, Node
from policyengine.engine.units import Kind, Scope, Unit

MACROS = ("all", "exists", "exists_one", "filter", "map")

_VERBS = {
    **dict.fromkeys((*operators.COMPARISONS, *operators.EQUALITIES), "compares {0} with {1}"),
    "_+_": "adds {1} to {0}",
    "_-_": "subtracts {1} from {0}",
    "_*_": "multiplies {0} by {1}",
    "_/_": "divides {0} by {1}",
    "_%_": "takes the remainder of {0} by {1}",
    "-_": "negates {0}",
    "@in": "looks for {0} in {1}",
    "_[_]": "takes a place of {0} by {1}",
    CHOOSE: "gives {0} or {1}",
}
_SIGNS = {AND: "&&", OR: "||", NOT: "!", CHOOSE: "?"}
_ALIKE = frozenset({*operators.COMPARISONS, *operators.EQUALITIES, "_+_", "_-_", "@in", CHOOSE})
_LIBRARY = frozenset({"int", "uint", "double", "bool", "bytes", "dyn", "type"})  # CEL's, unused here
_UNQUOTED = {Kind.INTEGER: re.compile(r"-?[0-9]+"), Kind.FLAG: re.compile("true|false")}
_MOST = 8  # names that a hint lists
_TODAY = "there is no clock: the day of the event is date_of(event.time)"
# what such functions are called in spreadsheets, and how it is said here
_ELSEWHERE = {
    "if": "write condition ? this : that",
    "iff": "write condition ? this : that",
    "and": "write a && b",
    "or": "write a || b",
    "not": "write !a",
    "sum": "write a + b",
    **dict.fromkeys(("today", "now"), _TODAY),
    **dict.fromkeys(
        ("isblank", "isempty", "exists"), "write !present(booking.paid) to ask whether it is absent"
    ),
}


def no_parts(unit: Unit, part: str, offset: int) -> Problem:
    """`x.part` where x is a value."""
    return Problem("PE031", f"{unit.words} has no part `{part}`", "", offset)


def unsupported(what: str, hint: str, offset: int) -> Problem:
    """CEL that policies do without."""
    return Problem("PE036", f"{what} is not supported", hint, offset)


def unknown_attribute(name: Name, scope: Scope) -> Problem:
    """A name that is not in the vocabulary."""
    whole = name.name.removeprefix(".")
    if whole in scope.notes:
        message, hint = f"`{whole}` cannot be used: {scope.notes[whole]}", "write a rule for each event type"
        return Problem("PE031", message, hint, name.offset)
    parent = whole.rpartition(".")[0]
    if parent in scope.units:
        hint = f"`{parent}` is {scope.units[parent].words} and has no parts"
    elif f"param.{whole}" in scope.units:
        hint = f"write param.{whole} if you mean the parameter"
    else:
        hint = did_you_mean(whole, scope.units) or _siblings(whole, scope.units)
    kind = "parameter" if whole.startswith("param.") else "attribute"
    return Problem("PE031", f"unknown {kind} `{whole}`", hint, name.offset)


def _siblings(name: str, known: Iterable[str]) -> str:
    head = name.partition(".")[0]
    siblings = sorted(other for other in known if other.startswith(f"{head}."))
    if head == "param" and not siblings:
        return "declare it under `parameters`"
    if not siblings:
        return "" if "." in name else f'text needs quotes: "{name}"'
    return f"known: {', '.join(siblings[:_MOST])}{' …' if len(siblings) > _MOST else ''}"


def unknown_function(call: Call) -> Problem:
    """A function that nobody has, or one that is called the wrong way."""
    name = call.function
    if name in _LIBRARY:
        return unsupported(f"the function `{name}`", "", call.offset)
    if call.target is not None and name in FUNCTIONS:
        target = call.target.name if isinstance(call.target, Name) else "…"
        hint = f"write {name}({target}{', …' if call.arguments else ''})"
        return Problem("PE034", f"`{name}` is not called with a dot", hint, call.offset)
    if call.target is None and name in operators.METHODS:
        return Problem("PE034", f"`{name}` is called with a dot", f"write x.{name}(…)", call.offset)
    if isinstance(call.target, Name) and "." not in call.target.name and call.target.name == "math":
        name = f"{call.target.name}.{name}"
    known = (*FUNCTIONS, *operators.GLOBALS, *operators.METHODS, *MACROS, "timestamp", "duration")
    hint = _ELSEWHERE.get(name.lower()) or did_you_mean(name, known)
    return Problem("PE034", f"unknown function `{name}`", hint, call.offset)


def mismatch(name: str, arguments: tuple[Node, ...], offset: int, currency: str | None) -> Problem:
    """An operator or function of CEL on units that do not go together."""
    words = [argument.unit.words for argument in arguments]
    hint = _repair(name, arguments, currency)
    if name in _VERBS:
        return Problem("PE032", _VERBS[name].format(*words), hint, offset)
    given = f"{words[0]} with {', '.join(words[1:])}" if len(words) > 1 else words[0]
    return Problem("PE032", f"`{name}` cannot be used on {given}", hint, offset)


def _repair(  # noqa: PLR0911 - one for each mistake that is known
    name: str, arguments: tuple[Node, ...], currency: str | None
) -> str:
    """What to write instead, where that is clear."""
    kinds = {argument.unit.kind for argument in arguments}
    if name == "_*_" and kinds == {Kind.MONEY, Kind.DECIMAL}:
        return _share(*arguments)
    if name in _ALIKE and (day := _calculated_date(arguments)):
        return f'write date("{day}")'
    if name == "@in" and (bounds := _difference(arguments[1])):
        return f"write between({_source(arguments[0])}, {bounds[0]}, {bounds[1]})"
    if Kind.DECIMAL in kinds:
        return "a decimal can only be an argument of `percent`"
    if name in ("_/_", "_%_") and arguments[0].unit.kind is Kind.MONEY:
        return f"write prorate({_source(arguments[0])}, 1, {_source(arguments[1])})"
    if name in ("_+_", "_-_") and arguments[0].unit.kind is Kind.DATE:
        days = _source(arguments[1]) if arguments[1].unit.kind is Kind.INTEGER else "days"
        sign = "-" if name == "_-_" else ""
        return f"write add_days({_source(arguments[0])}, {sign}{days})"
    if name == "@in" and arguments[1].unit.kind is Kind.TEXT:
        return f"write {_source(arguments[1])}.contains({_source(arguments[0])})"
    if name in _ALIKE:
        first, second = arguments
        return _pair(first, second, currency) or _pair(second, first, currency)
    return ""


def _share(first: Node, second: Node) -> str:
    """`booking.paid * 0.8`."""
    money, share = (first, second) if first.unit.kind is Kind.MONEY else (second, first)
    if not isinstance(share, Const):
        return "write percent(…)"
    return f"write percent({_source(money)}, {float(share.value * 100):g})"


def _calculated_date(arguments: tuple[Node, ...]) -> str:
    """`2020-03-15` without quotes is a subtraction, `15/03/2020` a division."""
    for argument in arguments:
        match argument:
            case Apply(
                function=outer,
                arguments=(
                    Apply(function=inner, arguments=(Const() as one, Const() as two)),
                    Const() as three,
                ),
            ) if outer == inner and outer in ("_-_", "_/_"):
                day = date_said("-".join(str(part.value) for part in (one, two, three)))
                return "" if day is None else day.isoformat()
    return ""


def _difference(node: Node) -> tuple[int, int] | None:
    """`1-5`, which people write for a range."""
    match node:
        case Apply(function="_-_", arguments=(Const(value=int(low)), Const(value=int(high)))):
            return low, high
    return None


def range_in_list(attribute: Node, item: Node) -> Problem | None:
    """`in [1-5]`, which would look for -4."""
    bounds = _difference(item)
    if bounds is None:
        return None
    text = f"`{bounds[0]}-{bounds[1]}` is a subtraction, not a range"
    hint = f"write between({_source(attribute)}, {bounds[0]}, {bounds[1]})"
    return Problem("PE036", text, hint, item.offset)


def _pair(wanted: Node, given: Node, currency: str | None) -> str:
    """How ``given`` would have to be written to go with ``wanted``."""
    kind = wanted.unit.kind if wanted.unit.item is None else wanted.unit.item.kind
    if kind is Kind.DATE and given.unit.kind is Kind.INSTANT:
        return f"write date_of({_source(given)})"
    return as_literal(kind, given.value, currency) if isinstance(given, Const) else _plain(kind, currency)


def _plain(kind: Kind, currency: str | None) -> str:
    return f'write money("100 {currency or "ILS"}")' if kind is Kind.MONEY else ""


def as_literal(kind: Kind, value: Any, currency: str | None) -> str:
    """How a bare text or number is written where ``kind`` is wanted, or the empty string."""
    text = str(value).strip()
    own = currency or "ILS"
    day = date_literal(text)
    written = ""
    if kind is Kind.MONEY and money_literal(text) is not None:
        written = f'money("{text}")'
    elif kind is Kind.MONEY and money_literal(f"{text} {own}") is not None:
        written = f'money("{text} {own}")'
    elif kind is Kind.DATE and day is not None:
        written = f'date("{text}")'
    elif kind is Kind.INSTANT and day is not None:
        written = f'timestamp("{text}T00:00:00Z")'
    elif isinstance(value, str) and kind in _UNQUOTED and _UNQUOTED[kind].fullmatch(text):
        written = f"{text} without quotes"
    return f"write {written}" if written else ""


def _source(node: Node) -> str:
    """A node as it was written, where it is short."""
    if isinstance(node, Attribute):
        return node.name
    if isinstance(node, Const) and node.unit.kind is Kind.INTEGER:
        return str(node.value)
    if isinstance(node, Const) and node.unit.kind is Kind.TEXT:
        return f'"{node.value}"'
    return "…"


def wrong_arguments(
    function: Function, arguments: tuple[Node, ...], offset: int, currency: str | None
) -> Problem:
    """A function of ours on units that it does not take."""
    given = ", ".join(argument.unit.words for argument in arguments) or "nothing"
    hint = f"write it as in {function.example}"
    for overload in function.overloads:
        for wanted, argument in zip(overload.parameters, arguments, strict=False):
            if not wanted.accepts(argument.unit) and isinstance(argument, Const):
                hint = as_literal(wanted.kind, argument.value, currency) or hint
    return Problem("PE032", f"`{function.name}` is given {given}", hint, offset)


def not_a_literal(function: str, offset: int) -> Problem:
    """`money(x)` of something computed."""
    examples: Mapping[str, str] = {
        "money": 'money("100 ILS")',
        "date": 'date("2020-03-15")',
        "timestamp": 'timestamp("2020-03-15T10:30:00Z")',
        "duration": 'duration("36h")',
    }
    return Problem("PE037", f"`{function}` takes one text literal", f"write {examples[function]}", offset)


def no_flag(name: str, node: Node) -> Problem:
    """`&&` and the like on something that is neither true nor false."""
    sign = _SIGNS.get(name, name)
    return Problem("PE032", f"`{sign}` needs true or false, not {node.unit.words}", "", node.offset)


def computed_pattern(offset: int) -> Problem:
    """`matches` with a pattern that cannot be checked beforehand."""
    return Problem("PE036", "`matches` takes a pattern that is a text literal", "", offset)


def never(name: str, value: Const, choices: tuple[str, ...]) -> Problem:
    """A choice that the attribute does not have."""
    text = str(value.value)
    hint = did_you_mean(text, choices) or f"it is one of {', '.join(choices)}"
    return Problem("PE032", f"`{name}` is never `{text}`", hint, value.offset)


def mixed_list(unit: Unit, item: Node) -> Problem:
    """Items of two units in one list."""
    return Problem("PE032", f"a list holds {unit.words} and {item.unit.words}", "", item.offset)


def empty_list(offset: int) -> Problem:
    """`[]`, of which nobody can say what it holds."""
    return Problem("PE036", "an empty list is not supported", "ask `size(x) == 0`", offset)


def lone_decimal(offset: int) -> Problem:
    """A decimal that is no argument of `percent`."""
    return Problem("PE032", "a decimal can only be an argument of `percent`", "", offset)


def no_list(node: Node) -> Problem:
    """A macro on something that is no list."""
    return Problem("PE032", f"{node.unit.words} is no list", "", node.offset)


def taken_name(variable: str, offset: int) -> Problem:
    """A macro's variable that hides attributes."""
    message = f"the variable `{variable}` hides the attributes `{variable}.…`"
    return Problem("PE036", message, "choose another name", offset)


def unexpected(expect: ValueType, unit: Unit, hint: str) -> Problem:
    """An expression of one type where another is wanted."""
    wanted = Unit(Kind(expect.value)).words if expect is not ValueType.TEXTS else "a list of texts"
    if expect is ValueType.FLAG:
        return Problem("PE032", f"a condition is true or false, but this is {unit.words}", hint, 0)
    return Problem("PE032", f"{wanted} is wanted here, but this is {unit.words}", hint, 0)


def other_currency(literal: Const, wanted: str, *, policy: bool) -> Problem:
    """A money literal in another currency than the policy's, or than the literal before it."""
    where = "the policy counts in" if policy else "the money before it is in"
    message = f"money in {literal.currency}, but {where} {wanted}"
    return Problem("PE035", message, "use one currency", literal.offset)


def faulty_pattern(fault: str, offset: int) -> Problem:
    """A regular expression that RE2 refuses."""
    return Problem("PE037", "the pattern of `matches` is faulty", fault, offset)


def alone(function: str) -> Problem:
    """A function that C++ CEL alone computes, beside one that it does not have."""
    message = f"`{function}` cannot stand beside functions of money or dates, nor in an amount"
    return Problem("PE036", message, "give it a condition of its own", 0)
