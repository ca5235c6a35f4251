"""A checked expression as a tree in which every node has its unit; names and literals are resolved.

Made by engine.checking, read by engine.evaluator and engine.conjuncts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policyengine.engine.units import FLAG, Unit

AND, OR, NOT, CHOOSE = "_&&_", "_||_", "!_", "_?_:_"
NOT_STRICTLY_FALSE = "@not_strictly_false"


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: money in minor units with its ``currency``, dates and instants as such."""

    unit: Unit
    value: Any
    offset: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """A name of the vocabulary, a parameter or an output of the decision table."""

    unit: Unit
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Local:
    """A variable of a macro, or its accumulator."""

    unit: Unit
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Present:
    """Whether an attribute is there."""

    name: str
    offset: int

    @property
    def unit(self) -> Unit:
        """A flag."""
        return FLAG


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function by its CEL name; a method's target is its first argument."""

    unit: Unit
    function: str
    arguments: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    unit: Unit
    items: tuple[Node, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A macro: fold ``step`` over a list."""

    unit: Unit
    variable: str
    over: Node
    accumulator: str
    first: Node
    condition: Node
    step: Node
    result: Node
    offset: int


Node = Const | Attribute | Local | Present | Apply | Items | Loop


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    match node:
        case Apply():
            below = node.arguments
        case Items():
            below = node.items
        case Loop():
            below = (node.over, node.first, node.condition, node.step, node.result)
        case _:
            below = ()
    for child in below:
        yield from walk(child)


def flatten(node: Node, function: str) -> list[Node]:
    """The operands of a chain of one operator (``&&``, ``||``), left to right."""
    if isinstance(node, Apply) and node.function == function:
        return [item for argument in node.arguments for item in flatten(argument, function)]
    return [node]
