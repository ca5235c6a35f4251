"""A checked tree → a Python closure over facts, with CEL's semantics: exact money, civil dates.

A closure raises KeyError for an absent attribute, EvaluationError or CalendarError for what cannot be
computed; engine.expressions says what that means. Values inside are as in engine.functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from operator import itemgetter
from typing import Any

from policyengine.engine import operators
from policyengine.engine.functions import FUNCTIONS, Settings
from policyengine.engine.tree import (
    AND,
    CHOOSE,
    NOT,
    NOT_STRICTLY_FALSE,
    OR,
    Apply,
    Attribute,
    Const,
    Items,
    Local,
    Loop,
    Node,
    Present,
    flatten,
)
from policyengine.engine.units import Kind
from policyengine.errors import CalendarError, EvaluationError

Run = Callable[[Mapping[str, Any]], Any]
FAULTS = (KeyError, EvaluationError, CalendarError)


def closure(node: Node, settings: Settings) -> Run:
    """The closure that computes ``node``."""
    match node:
        case Const(value=value):
            return lambda _facts: value
        case Attribute():
            return _attribute(node)
        case Local(name=name):
            return _local(name)
        case Present(name=name):
            return lambda facts: name in facts
        case _:
            return _composed(node, settings)


def _composed(node: Apply | Items | Loop, settings: Settings) -> Run:
    match node:
        case Items():
            items = tuple(closure(item, settings) for item in node.items)
            if all(isinstance(item, Const) for item in node.items):
                constant = tuple(item({}) for item in items)
                return lambda _facts: constant
            return lambda facts: tuple(item(facts) for item in items)
        case Loop():
            return _loop(node, settings)
        case Apply(function=function) if function in _LOGIC:
            return _LOGIC[function](node, settings)
        case Apply():
            return _strict(node, settings)


def _attribute(node: Attribute) -> Run:
    name = node.name
    match node.unit.kind:
        case Kind.MONEY:
            return lambda facts: facts[name].minor
        case Kind.DECIMAL:
            return lambda facts: Fraction(facts[name])
    return itemgetter(name)


def _local(name: str) -> Run:
    """A macro's variable; an accumulator may hold the error of an earlier step."""

    def read(facts: Mapping[str, Any]) -> Any:
        value = facts[name]
        if isinstance(value, Exception):
            raise value
        return value

    return read


def _implementation(node: Apply, settings: Settings) -> Callable[..., Any]:
    if node.function in FUNCTIONS:
        return FUNCTIONS[node.function].build(settings)
    units = tuple(argument.unit for argument in node.arguments)
    for method in (True, False):
        operation = operators.resolve(node.function, units, method=method)
        if operation is not None and operation.run is not None:
            return operation.run
    message = f"`{node.function}` is left to C++ CEL"
    raise EvaluationError(message)


def _strict(node: Apply, settings: Settings) -> Run:
    """An operator or function whose arguments must all be there."""
    run = _implementation(node, settings)
    arguments = tuple(closure(argument, settings) for argument in node.arguments)
    match node.arguments, arguments:
        case ((Attribute(name=name, unit=unit), Const(value=value)), _):
            return _quick(run, name, value, money=unit.kind is Kind.MONEY)
        case ((_, Const(value=value)), (first, _)):
            return lambda facts: run(first(facts), value)
        case (_, (only,)):
            return lambda facts: run(only(facts))
        case (_, (first, second)):
            return lambda facts: run(first(facts), second(facts))
    return lambda facts: run(*[argument(facts) for argument in arguments])


def _quick(run: Callable[..., Any], name: str, value: Any, *, money: bool) -> Run:
    """The commonest shape, an attribute and a constant, with one call less."""
    if money:
        return lambda facts: run(facts[name].minor, value)
    return lambda facts: run(facts[name], value)


def _chain(node: Apply, settings: Settings, *, decides: bool) -> Run:
    """`&&` (false decides) or `||` (true decides).

    invariant: an error on one side is absorbed when another side decides.
    """
    operands = tuple(closure(operand, settings) for operand in flatten(node, node.function))

    def run(facts: Mapping[str, Any]) -> bool:
        fault: Exception | None = None
        for operand in operands:
            try:
                if operand(facts) is decides:
                    return bool(decides)
            except FAULTS as error:
                fault = fault or error
        if fault is not None:
            raise fault
        return not decides

    return run


def _and(node: Apply, settings: Settings) -> Run:
    return _chain(node, settings, decides=False)


def _or(node: Apply, settings: Settings) -> Run:
    return _chain(node, settings, decides=True)


def _not(node: Apply, settings: Settings) -> Run:
    operand = closure(node.arguments[0], settings)
    return lambda facts: not operand(facts)


def _choose(node: Apply, settings: Settings) -> Run:
    condition, then, otherwise = (closure(argument, settings) for argument in node.arguments)
    return lambda facts: then(facts) if condition(facts) else otherwise(facts)


def _not_strictly_false(node: Apply, settings: Settings) -> Run:
    operand = closure(node.arguments[0], settings)

    def run(facts: Mapping[str, Any]) -> bool:
        try:
            return bool(operand(facts))
        except FAULTS:
            return True

    return run


_LOGIC: Mapping[str, Callable[[Apply, Settings], Run]] = {
    AND: _and,
    OR: _or,
    NOT: _not,
    CHOOSE: _choose,
    NOT_STRICTLY_FALSE: _not_strictly_false,
}


def _loop(node: Loop, settings: Settings) -> Run:
    """A macro. Its variables live in a copy of the facts: their names have no dot, facts' names do."""
    over, first, condition, step, result = (
        closure(part, settings) for part in (node.over, node.first, node.condition, node.step, node.result)
    )
    variable, accumulator = node.variable, node.accumulator

    def run(facts: Mapping[str, Any]) -> Any:
        items = over(facts)
        scope = dict(facts)
        scope[accumulator] = first(facts)
        for item in items:
            scope[variable] = item
            if not condition(scope):
                break
            try:
                scope[accumulator] = step(scope)
            except FAULTS as error:
                scope[accumulator] = error
        return result(scope)

    return run
