"""The unit pass: syntax → a tree in which every node has a unit, or every problem at once.

Names are resolved and literals read here. What a problem says is engine.complaints'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

from policyengine.domain.calendar import check_country
from policyengine.engine import complaints, literals, operators
from policyengine.engine.functions import FUNCTIONS, Function
from policyengine.engine.syntax import (
    Call,
    Field,
    Fold,
    ListOf,
    Literal,
    Name,
    Problem,
    Syntax,
    Unsupported,
)
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
)
from policyengine.engine.units import ANYTHING, DECIMAL, FLAG, INTEGER, TEXT, Kind, Scope, Unit, list_of
from policyengine.errors import CalendarError

_CONSTRUCTORS = frozenset({"money", "date", "timestamp", "duration"})
_NOTHING = Items(list_of(ANYTHING), (), 0)
_LOGIC = frozenset({AND, OR, NOT, NOT_STRICTLY_FALSE})


@dataclass(slots=True)
class Checker:
    """One pass over one expression; ``problems`` and ``called`` fill on the way."""

    scope: Scope
    problems: list[Problem] = field(default_factory=list)
    called: set[str] = field(default_factory=set)  # functions of our own, and `matches`

    def check(self, syntax: Syntax, local: Mapping[str, Unit]) -> Node:
        """Resolve one node; whatever is wrong becomes a problem and a node of any unit."""
        match syntax:
            case Literal():
                return self._literal(syntax)
            case Name():
                return self._name(syntax, local)
            case Call():
                return self._call(syntax, local)
            case ListOf():
                return self._list(syntax, local)
            case Fold():
                return self._fold(syntax, local)
            case Field():
                of = self.check(syntax.of, local)
                if of.unit.kind is not Kind.ANYTHING:
                    self.problems.append(complaints.no_parts(of.unit, syntax.name, syntax.offset))
            case Unsupported():
                self.problems.append(complaints.unsupported(syntax.what, syntax.hint, syntax.offset))
        return _broken(syntax.offset)

    def _literal(self, syntax: Literal) -> Node:
        value, offset = syntax.value, syntax.offset
        if isinstance(value, bool):
            return Const(FLAG, value, offset)
        if isinstance(value, int):
            return Const(INTEGER, value, offset)
        if isinstance(value, str):
            return Const(TEXT, value, offset)
        if not isfinite(value):
            self.problems.append(Problem("PE037", "the number is too large", "", offset))
            return _broken(offset)
        return Const(DECIMAL, Fraction(repr(value)), offset)

    def _name(self, syntax: Name, local: Mapping[str, Unit]) -> Node:
        head, _, rest = syntax.name.partition(".")
        if head in local:
            if not rest:
                return Local(local[head], head, syntax.offset)
            self.problems.append(complaints.no_parts(local[head], rest, syntax.offset))
            return _broken(syntax.offset)
        unit = self.scope.units.get(syntax.name)
        if unit is not None:
            return Attribute(unit, syntax.name, syntax.offset)
        self.problems.append(complaints.unknown_attribute(syntax, self.scope))
        return _broken(syntax.offset)

    def _call(self, syntax: Call, local: Mapping[str, Unit]) -> Node:
        if syntax.target is None and syntax.function in _CONSTRUCTORS:
            return self._construct(syntax)
        if syntax.target is None and syntax.function == "present":
            return self._present(syntax, local)
        if not self._known(syntax):
            return _broken(syntax.offset)
        asked = syntax.arguments if syntax.target is None else (syntax.target, *syntax.arguments)
        return self._apply(syntax, tuple(self.check(argument, local) for argument in asked))

    def _apply(self, syntax: Call, arguments: tuple[Node, ...]) -> Node:
        name, offset = syntax.function, syntax.offset
        if name in _LOGIC:
            self._need_flags(name, arguments)
            return Apply(FLAG, name, arguments, offset)
        if name == CHOOSE:
            return self._choose(arguments, offset)
        result = self._result(syntax, arguments)
        if result is None:
            return _broken(offset)
        self._look_closer(name, arguments)
        return Apply(result, name, arguments, offset)

    def _known(self, syntax: Call) -> bool:
        name = syntax.function
        if syntax.target is not None:
            known = name in operators.METHODS
        else:
            known = (
                name in FUNCTIONS
                or name in operators.OPERATORS
                or name in operators.GLOBALS
                or name in _LOGIC
                or name in ("_==_", "_!=_", "@in", "_[_]", CHOOSE)
            )
        if not known:
            self.problems.append(complaints.unknown_function(syntax))
        return known

    def _result(self, syntax: Call, arguments: tuple[Node, ...]) -> Unit | None:
        """The unit of the result, or None after a complaint, or where an argument is wrong already."""
        name = syntax.function
        units = tuple(argument.unit for argument in arguments)
        if any(unit.kind is Kind.ANYTHING for unit in units):
            return None
        if syntax.target is None and name in FUNCTIONS:
            self.called.add(name)
            return self._function(FUNCTIONS[name], arguments, units, syntax.offset)
        found = operators.resolve(name, units, method=syntax.target is not None)
        if found is None:
            self.problems.append(complaints.mismatch(name, arguments, syntax.offset, self.scope.currency))
            return None
        return found.result

    def _function(
        self, function: Function, arguments: tuple[Node, ...], units: tuple[Unit, ...], offset: int
    ) -> Unit | None:
        for overload in function.overloads:
            if overload.parameters == units:
                self._countries(function, arguments)
                return overload.result
        self.problems.append(complaints.wrong_arguments(function, arguments, offset, self.scope.currency))
        return None

    def _countries(self, function: Function, arguments: tuple[Node, ...]) -> None:
        for parameter, argument in zip(function.parameters, arguments, strict=True):
            if parameter == "country" and isinstance(argument, Const):
                try:
                    check_country(argument.value)
                except CalendarError as error:
                    message, _, hint = error.message.partition("; ")
                    self.problems.append(Problem("PE037", message, hint, argument.offset))

    def _construct(self, syntax: Call) -> Node:
        """`money("…")` and the like: read now, so that a faulty one is found before any event."""
        argument = syntax.arguments[0] if len(syntax.arguments) == 1 else None
        if not isinstance(argument, Literal) or not isinstance(argument.value, str):
            self.problems.append(complaints.not_a_literal(syntax.function, syntax.offset))
            return _broken(syntax.offset)
        read = literals.read(syntax.function, argument.value, syntax.offset)
        if isinstance(read, Problem):
            self.problems.append(read)
            return _broken(syntax.offset)
        if syntax.function in FUNCTIONS:
            self.called.add(syntax.function)
        return read

    def _present(self, syntax: Call, local: Mapping[str, Unit]) -> Node:
        argument = syntax.arguments[0] if len(syntax.arguments) == 1 else None
        if not isinstance(argument, Name) or argument.name in local:
            self.problems.append(
                Problem("PE032", "`present` asks for one attribute", "name it alone", syntax.offset)
            )
            return _broken(syntax.offset)
        self.called.add("present")
        attribute = self._name(argument, local)
        return Present(argument.name, syntax.offset) if isinstance(attribute, Attribute) else attribute

    def _need_flags(self, name: str, arguments: tuple[Node, ...]) -> None:
        for argument in arguments:
            if not FLAG.accepts(argument.unit):
                self.problems.append(complaints.no_flag(name, argument))

    def _choose(self, arguments: tuple[Node, ...], offset: int) -> Node:
        condition, then, otherwise = arguments
        self._need_flags(CHOOSE, (condition,))
        if not then.unit.accepts(otherwise.unit):
            self.problems.append(complaints.mismatch(CHOOSE, (then, otherwise), offset, self.scope.currency))
            return _broken(offset)
        return Apply(_finer(then.unit, otherwise.unit), CHOOSE, arguments, offset)

    def _look_closer(self, name: str, arguments: tuple[Node, ...]) -> None:
        """Faults that units do not show: a choice that does not exist, a pattern that is computed."""
        if name == operators.MATCHES:
            self.called.add(name)
            if not isinstance(arguments[1], Const):
                self.problems.append(complaints.computed_pattern(arguments[1].offset))
        if name in ("_==_", "_!=_"):
            first, second = arguments
            self._choices(first, (second,))
            self._choices(second, (first,))
        if name == "@in" and isinstance(arguments[1], Items):
            ranges = (complaints.range_in_list(arguments[0], item) for item in arguments[1].items)
            self.problems += [problem for problem in ranges if problem is not None]
            self._choices(arguments[0], arguments[1].items)

    def _choices(self, attribute: Node, values: tuple[Node, ...]) -> None:
        if not isinstance(attribute, Attribute):
            return
        choices = self.scope.choices.get(attribute.name, ())
        for value in values:
            if choices and isinstance(value, Const) and value.value not in choices:
                self.problems.append(complaints.never(attribute.name, value, choices))

    def _list(self, syntax: ListOf, local: Mapping[str, Unit]) -> Node:
        if not syntax.items:
            self.problems.append(complaints.empty_list(syntax.offset))
            return _broken(syntax.offset)
        items = tuple(self.check(item, local) for item in syntax.items)
        unit = ANYTHING
        for item in items:
            if not unit.accepts(item.unit):
                self.problems.append(complaints.mixed_list(unit, item))
                return _broken(syntax.offset)
            unit = _finer(unit, item.unit)
        if unit == DECIMAL:
            self.problems.append(complaints.lone_decimal(syntax.offset))
        return Items(list_of(unit), items, syntax.offset)

    def _fold(self, syntax: Fold, local: Mapping[str, Unit]) -> Node:
        over = self.check(syntax.over, local)
        if over.unit.item is None:
            if over.unit.kind is not Kind.ANYTHING:
                self.problems.append(complaints.no_list(over))
            return _broken(syntax.offset)
        if any(name.startswith(f"{syntax.variable}.") for name in self.scope.units):
            self.problems.append(complaints.taken_name(syntax.variable, syntax.offset))
            return _broken(syntax.offset)
        first: Node = _NOTHING
        if not isinstance(syntax.first, ListOf):  # `filter` and `map` begin with an empty list
            first = self.check(syntax.first, local)
        inner = {**local, syntax.variable: over.unit.item, syntax.accumulator: first.unit}
        step = self.check(syntax.step, inner)
        if not first.unit.accepts(step.unit):  # the predicate's fault, and found there already
            return _broken(syntax.offset)
        inner[syntax.accumulator] = _finer(first.unit, step.unit)
        condition = self.check(syntax.condition, inner)
        result = self.check(syntax.result, inner)
        return Loop(
            result.unit,
            syntax.variable,
            over,
            syntax.accumulator,
            first,
            condition,
            step,
            result,
            syntax.offset,
        )


def _broken(offset: int) -> Const:
    return Const(ANYTHING, None, offset)


def _finer(first: Unit, second: Unit) -> Unit:
    """Of two units that go together, the one that says more."""
    if first.kind is Kind.ANYTHING or (first.item is not None and first.item.kind is Kind.ANYTHING):
        return second
    return first
