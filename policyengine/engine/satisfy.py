"""Which facts make conditions hold: unions of boxes, each a bound on some terms. Pure.

A term is an attribute, or anything else that is compared with a constant, such as ``size(x)``. Used to
find rules that can never apply, to restrict tables, and to tell what must be there; deciding is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from policyengine.domain.money import Money
from policyengine.engine.conjuncts import index_value
from policyengine.engine.domains import ANY, Domain, interval, one_of, without
from policyengine.engine.tree import (
    AND,
    CHOOSE,
    NOT,
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
    walk,
)
from policyengine.engine.units import Kind

MOST_BOXES = 256  # beyond that a condition restricts nothing, which is sound

# What is known of each term; a term that is not in it may have any value, or none. ABSENT: it has none.
Box = Mapping[str, Domain | None]
Boxes = tuple[Box, ...]
ABSENT = None
EVERYTHING: Boxes = ({},)
NOWHERE: Boxes = ()

_SIGNS = {"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_TURNED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_SIDES = {"==": {0}, "!=": {-1, 1}, "<": {-1}, "<=": {-1, 0}, ">": {1}, ">=": {0, 1}}
_STEPPED = frozenset({Kind.INTEGER, Kind.MONEY, Kind.DATE, Kind.INSTANT})
_CURRENCY = "\0currency"  # behind a term of money: which currency it is in


class Outcomes(NamedTuple):
    """The facts under which a condition holds, fails, or is neither (absent, or an error)."""

    held: Boxes
    failed: Boxes
    unknown: Boxes


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the conditions: the texts that attributes are limited to, fixed parameters."""

    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)  # `param.x` → value
    # names a policy: its parameters, rounding and time zone are its own, and so is what it computes
    policy: str = ""
    currency: str | None = None  # the policy's: money in another is an error

    def term(self, node: Node) -> str:
        """The name of what a node computes, over all policies."""
        return self.name(node.name) if isinstance(node, Attribute) else f"{self.policy}{term_of(node)}"

    def name(self, name: str) -> str:
        """The name of an attribute, over all policies."""
        return f"{self.policy}{name}" if name.startswith(("param.", "row.")) else name


def meet(one: Box, other: Box) -> Box | None:
    """Both at once; None where nothing fits.

    invariant: what is given back holds every set of facts that is in both.
    """
    small, large = (one, other) if len(one) <= len(other) else (other, one)
    met = dict(large)
    for term, domain in small.items():
        if term not in met:
            met[term] = domain
            continue
        there = met[term]
        if domain is ABSENT or there is ABSENT:
            if domain is not there:
                return None
            continue
        both = domain.meet(there)
        if both.is_empty:
            return None
        met[term] = both
    return met


def all_of(parts: Iterable[Boxes]) -> Boxes:
    """What lies in each of several unions; EVERYTHING of a part where there would be too many boxes."""
    met: Boxes = EVERYTHING
    for boxes in parts:
        if len(met) * len(boxes) > MOST_BOXES:
            continue
        met = tuple(both for one in met for other in boxes if (both := meet(one, other)) is not None)
    return met


def any_of(parts: Iterable[Boxes]) -> Boxes:
    """What lies in one of several unions."""
    union = tuple(box for boxes in parts for box in boxes)
    return union if len(union) <= MOST_BOXES else EVERYTHING


def outcomes(node: Node, known: Known) -> Outcomes:
    """Where a condition holds, fails and is unknown; never too few facts, perhaps too many."""
    found = _outcomes(node, known)
    clash = _clash(node, known)
    return found if clash == NOWHERE else found._replace(unknown=any_of((found.unknown, clash)))


def _clash(node: Node, known: Known) -> Boxes:
    """Where money of two currencies makes the whole condition an error, whatever else holds."""
    nodes = list(walk(node))
    money = {one.name for one in nodes if isinstance(one, Attribute) and one.unit.kind is Kind.MONEY}
    literals = {one.currency for one in nodes if isinstance(one, Const) and one.currency is not None}
    wanted = {known.currency} if known.currency is not None else literals
    if not wanted:
        return EVERYTHING if len(money) > 1 else NOWHERE
    return tuple({name + _CURRENCY: without(wanted)} for name in sorted(money))


def _outcomes(node: Node, known: Known) -> Outcomes:
    match node:
        case Const(value=bool(value)):
            return _truth(value)
        case Present(name=name):
            term = known.name(name)
            return Outcomes(({term: _base(term, known)},), ({term: ABSENT},), NOWHERE)
        case Apply(function=function) if function in _LOGIC:
            operands = flatten(node, function) if function in (AND, OR) else node.arguments
            return _LOGIC[function](*(_outcomes(operand, known) for operand in operands))
    return _atom(node, known)


def _truth(value: bool) -> Outcomes:
    return Outcomes(EVERYTHING, NOWHERE, NOWHERE) if value else Outcomes(NOWHERE, EVERYTHING, NOWHERE)


def _negation(only: Outcomes) -> Outcomes:
    return Outcomes(only.failed, only.held, only.unknown)


def _disjunction(*parts: Outcomes) -> Outcomes:
    return _negation(_conjunction(*map(_negation, parts)))


def _conjunction(*parts: Outcomes) -> Outcomes:
    """`&&`: one that fails decides; else one that is unknown does."""
    held = all_of(part.held for part in parts)
    failed = any_of(part.failed for part in parts)
    unknown = any_of(
        all_of(other.unknown if other is part else any_of((other.held, other.unknown)) for other in parts)
        for part in parts
        if part.unknown
    )
    return Outcomes(held, failed, unknown)


def _choice(condition: Outcomes, then: Outcomes, otherwise: Outcomes) -> Outcomes:
    def of(first: Boxes, second: Boxes) -> Boxes:
        return any_of((all_of((condition.held, first)), all_of((condition.failed, second))))

    unknown = any_of((condition.unknown, of(then.unknown, otherwise.unknown)))
    return Outcomes(of(then.held, otherwise.held), of(then.failed, otherwise.failed), unknown)


_LOGIC: Mapping[str, Callable[..., Outcomes]] = {
    NOT: _negation,
    AND: _conjunction,
    OR: _disjunction,
    CHOOSE: _choice,
}


def _atom(node: Node, known: Known) -> Outcomes:
    """A condition without `&&`, `||`, `!` at its head."""
    match node:
        case Attribute(name=name, unit=unit) if unit.kind is Kind.FLAG:
            value = known.fixed.get(name)
            if isinstance(value, bool):
                return _truth(value)
            return _flag(known.name(name), {})
        case Apply(function="@in", arguments=(first, Items(items=items))):
            return _membership(first, items, node, known)
        case Apply(function="between", arguments=(first, low, high)):
            above = _comparison(first, ">=", low, known)
            below = _comparison(first, "<=", high, known)
            if above is not None and below is not None:
                return _conjunction(above, below)
        case Apply(function=function, arguments=(first, second)) if function in _SIGNS:
            found = _comparison(first, _SIGNS[function], second, known)
            if found is not None:
                return found
    return _flag(known.term(node), _needed(node))


def _flag(term: str, needed: Box) -> Outcomes:
    held = meet({term: one_of([True])}, needed)
    failed = meet({term: one_of([False])}, needed)
    return Outcomes(_boxes(held), _boxes(failed), ({term: ABSENT},))


def _boxes(box: Box | None) -> Boxes:
    return NOWHERE if box is None else (box,)


def _membership(first: Node, items: Sequence[Node], node: Node, known: Known) -> Outcomes:
    constants = [constant(item, known) for item in items]
    values = [one.value for one in constants if one is not None]
    currencies = {one.currency for one in constants if one is not None}
    if len(values) != len(items) or len(currencies) != 1 or constant(first, known) is not None:
        return _flag(known.term(node), _needed(node))
    term, needed, unknown = _term(first, currencies.pop(), known)
    return Outcomes(
        _boxes(meet({term: one_of(values)}, needed)),
        _boxes(meet({term: without(values)}, needed)),
        unknown,
    )


def _comparison(first: Node, sign: str, second: Node, known: Known) -> Outcomes | None:
    one, other = constant(first, known), constant(second, known)
    if one is not None and other is not None:
        return _constants(one, sign, other)
    if one is not None:
        return _comparison(second, _TURNED[sign], first, known)
    if other is None:
        return _relation(first, sign, second, known)
    if sign not in ("==", "!=") and first.unit.kind not in _STEPPED:
        return None  # the order of texts is not modelled
    term, needed, unknown = _term(first, other.currency, known)
    held = meet({term: _domain(sign, other.value)}, needed)
    failed = meet({term: _domain(_OPPOSITE[sign], other.value)}, needed)
    return Outcomes(_boxes(held), _boxes(failed), unknown)


def _constants(one: Constant, sign: str, other: Constant) -> Outcomes | None:
    if one.currency != other.currency or type(one.value) is not type(other.value):
        return None
    if sign not in ("==", "!=") and not isinstance(one.value, int):
        return None
    side = 0 if one.value == other.value else -1
    if side and isinstance(one.value, int) and isinstance(other.value, int):
        side = (one.value > other.value) - (one.value < other.value)
    return _truth(side in _SIDES[sign])


def _relation(first: Node, sign: str, second: Node, known: Known) -> Outcomes | None:
    """Two terms against each other: their order is a term of its own, so that `a < b` excludes `b < a`."""
    if first.unit.kind not in _STEPPED and sign not in ("==", "!="):
        return None
    one, other = known.term(first), known.term(second)
    if one == other:
        return None
    if one > other:
        one, other, sign = other, one, _TURNED[sign]
    term = f"{one} \0order {other}"
    needed = {**_needed(first), **_needed(second)}
    held, failed = _SIDES[sign], _SIDES[_OPPOSITE[sign]]
    return Outcomes(
        _boxes(meet({term: one_of(held)}, needed)), _boxes(meet({term: one_of(failed)}, needed)),
        ({term: ABSENT},),
    )  # fmt: skip


def _domain(sign: str, value: str | int | bool) -> Domain:
    if sign == "==":
        return one_of([value])
    if sign == "!=":
        return without([value])
    number = int(value)
    bounds = {"<": (None, number - 1), "<=": (None, number), ">": (number + 1, None), ">=": (number, None)}
    return interval(*bounds[sign])


def _term(node: Node, currency: str | None, known: Known) -> tuple[str, Box, Boxes]:
    """A term's name, what must be known for it to be compared, and where it cannot be."""
    term = known.term(node)
    needed: dict[str, Domain | None] = {**_needed(node), term: _base(term, known)}
    unknown: list[Box] = [{term: ABSENT}]
    if currency is not None:
        needed[term + _CURRENCY] = one_of([currency])
        unknown.append({term + _CURRENCY: without([currency])})
    return term, needed, tuple(unknown)


def _base(term: str, known: Known) -> Domain:
    choices = known.choices.get(term)
    return one_of(choices) if choices else ANY


def _needed(node: Node) -> Box:
    """Attributes without which it cannot be computed."""
    return dict.fromkeys(strictly_read(node), ANY)


def strictly_read(node: Node) -> Iterator[str]:
    """Names that must be there for an expression to have a value, whatever else is."""
    match node:
        case Attribute(name=name):
            yield name
        case Items(items=items):
            for item in items:
                yield from strictly_read(item)
        case Loop(over=over):
            yield from strictly_read(over)
        case Apply(function=function, arguments=arguments):
            if function == CHOOSE:
                yield from strictly_read(arguments[0])
                branches = [set(strictly_read(branch)) for branch in arguments[1:]]
                yield from sorted(set.intersection(*branches))
            elif function not in (AND, OR):
                for argument in arguments:
                    yield from strictly_read(argument)


class Constant(NamedTuple):
    """A value as domains hold it, and the currency of money."""

    value: str | int | bool
    currency: str | None


def constant(node: Node, known: Known) -> Constant | None:
    """The value of a literal or of a parameter that never changes."""
    if isinstance(node, Const):
        value = index_value(node.value)
        return None if value is None else Constant(value, node.currency)
    if isinstance(node, Attribute) and node.name in known.fixed:
        fixed = known.fixed[node.name]
        value = fixed.minor if isinstance(fixed, Money) else index_value(fixed)
        currency = fixed.currency if isinstance(fixed, Money) else None
        return None if value is None else Constant(value, currency)
    return None


def term_of(node: Node) -> str:
    """The name of what a node computes: two nodes of one name have one value."""
    match node:
        case Attribute(name=name) | Local(name=name):
            return name
        case Present(name=name):
            return f"present({name})"
        case Const(value=value, currency=currency):
            return f"{value!r}{currency or ''}"
        case Items(items=items):
            return f"[{', '.join(map(term_of, items))}]"
        case Apply(function=function, arguments=arguments):
            return f"{function}({', '.join(map(term_of, arguments))})"
        case Loop():
            parts = (node.over, node.first, node.condition, node.step, node.result)
            return f"loop {node.variable} {node.accumulator}({', '.join(map(term_of, parts))})"


def implies(boxes: Boxes, node: Node, known: Known) -> bool:
    """Whether a condition surely holds wherever one of the boxes does: no box is left where it does not."""
    _, failed, unknown = outcomes(node, known)
    return boxes != NOWHERE and not all_of((boxes, any_of((failed, unknown))))


def surely_there(boxes: Boxes) -> frozenset[str]:
    """Terms that have a value in every box."""
    present = [{term for term, domain in box.items() if domain is not ABSENT} for box in boxes]
    return frozenset(set.intersection(*present)) if present else frozenset()


__all__ = [
    "ABSENT", "ANY", "EVERYTHING", "NOWHERE", "Box", "Boxes", "Constant", "Domain", "Known", "Outcomes",
    "all_of", "any_of", "constant", "implies", "meet", "outcomes", "strictly_read", "surely_there", "term_of",
]  # fmt: skip
