"""CEL for policies: compile a condition or an amount once, then judge or compute it on facts.

Types and units are engine.checking's, the arithmetic is engine.evaluator's and engine.functions'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from policyengine.domain.decision import ClauseResult
from policyengine.domain.money import MAX_EXACT, Money, Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine import complaints, native
from policyengine.engine.checking import Checker
from policyengine.engine.conjuncts import Conjunct, conjuncts
from policyengine.engine.evaluator import FAULTS, Run, closure
from policyengine.engine.functions import Settings
from policyengine.engine.operators import MATCHES
from policyengine.engine.syntax import ExpressionError, Problem, Syntax, parse
from policyengine.engine.tree import Apply, Attribute, Const, Node, Present, walk
from policyengine.engine.units import DECIMAL as DECIMAL_UNIT
from policyengine.engine.units import Kind, Scope, unit_of
from policyengine.engine.vocabulary import Vocabulary
from policyengine.errors import EvaluationError, PolicyEngineError

__all__ = [
    "DECIMAL",
    "Compiled",
    "ExpressionError",
    "Judgement",
    "Language",
    "ParameterType",
    "Problem",
]

DECIMAL: Literal["decimal"] = "decimal"
ParameterType = ValueType | Literal["decimal"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a condition came out; ``absent`` where it is unknown, ``detail`` where it is an error."""

    result: ClauseResult
    absent: tuple[str, ...] = ()
    detail: str = ""


_HELD = Judgement(ClauseResult.HELD)
_FAILED = Judgement(ClauseResult.FAILED)


class Compiled:
    """A checked expression: ``judge`` for conditions, ``value`` for amounts and dates.

    ``refs``: the names it reads, sorted, `param.x` and `row.x` included; ``money_refs``: those of
    them that are money. ``currencies``: of its money literals. ``conjuncts``: for the index. ``tree``: for
    whoever examines it further.
    """

    __slots__ = (
        "_currency",
        "_needed",
        "_origin",
        "_run",
        "conjuncts",
        "currencies",
        "money_refs",
        "refs",
        "text",
        "tree",
        "type",
    )

    def __init__(
        self, text: str, nodes: list[Node], value_type: ValueType, run: Run, currency: str | None
    ) -> None:
        """``nodes``: the checked tree, its root first."""
        read = {node.name: node.unit for node in nodes if isinstance(node, Attribute)}
        self.text = text
        self.tree = nodes[0]
        self.type = value_type
        self.refs = tuple(sorted({*read, *(node.name for node in nodes if isinstance(node, Present))}))
        self.money_refs = tuple(sorted(name for name, unit in read.items() if unit.kind is Kind.MONEY))
        self.currencies = _currencies(nodes)
        self.conjuncts: tuple[Conjunct, ...] = conjuncts(nodes[0]) if value_type is ValueType.FLAG else ()
        self._needed = tuple(sorted(read))
        self._run = run
        self._currency = currency or next(iter(self.currencies), None)
        self._origin = "the policy counts" if currency else "the expression counts"

    def judge(self, values: Mapping[str, Value]) -> Judgement:
        """Whether the condition holds on these facts."""
        if self.money_refs:
            clash = self._clash(values)
            if clash:
                return Judgement(ClauseResult.ERROR, (), clash)
        try:
            return _HELD if self._run(values) else _FAILED
        except FAULTS as fault:
            return self._judge_fault(values, fault)

    def value(self, values: Mapping[str, Value]) -> Value:
        """The amount, date, number or text.

        EvaluationError PE221 where an attribute is absent, PE222 for arithmetic, PE204 for two
        currencies, PE205 beyond 2^53 - 1, PE21x of the calendar.
        """
        if clash := self._clash(values):
            raise EvaluationError(clash, code="PE204")
        try:
            result = self._run(values)
        except FAULTS as fault:
            raise self._evaluation_error(values, fault) from fault
        if self.type is ValueType.MONEY:
            return Money(_exact(result), self._money(values))
        return _exact(result) if self.type is ValueType.INTEGER else result

    def _clash(self, values: Mapping[str, Value]) -> str:
        """invariant: money of two currencies is an error before anything is computed."""
        currency, origin = self._currency, self._origin
        for name in self.money_refs:
            money = values.get(name)
            if not isinstance(money, Money) or money.currency == currency:
                continue
            if currency is not None:
                return f"`{name}` is in {money.currency}, {origin} in {currency}"
            currency, origin = money.currency, f"`{name}`"
        return ""

    def _money(self, values: Mapping[str, Value]) -> str:
        if self._currency is not None:
            return self._currency
        found = (values.get(name) for name in self.money_refs)
        return next(money.currency for money in found if isinstance(money, Money))

    def _absent(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        return tuple(name for name in self._needed if name not in values)

    def _judge_fault(self, values: Mapping[str, Value], fault: Exception) -> Judgement:
        absent = self._absent(values)
        if absent:
            return Judgement(ClauseResult.UNKNOWN, absent)
        return Judgement(ClauseResult.ERROR, (), _message(fault))

    def _evaluation_error(self, values: Mapping[str, Value], fault: Exception) -> EvaluationError:
        absent = self._absent(values)
        if absent:
            names = ", ".join(f"`{name}`" for name in absent)
            return EvaluationError(f"{names} {'is' if len(absent) == 1 else 'are'} absent", code="PE221")
        code = fault.code if isinstance(fault, PolicyEngineError) else "PE222"
        return EvaluationError(_message(fault), code=code)


def _message(fault: Exception) -> str:
    return fault.message if isinstance(fault, PolicyEngineError) else str(fault)


def _exact(number: int) -> int:
    if abs(number) > MAX_EXACT:
        message = f"{number} is beyond the exact range of 2^53 - 1"
        raise EvaluationError(message, code="PE205")
    return number


def _currencies(nodes: list[Node]) -> tuple[str, ...]:
    """Of the money literals, in the order written, each once."""
    literals = [node for node in nodes if isinstance(node, Const) and node.currency is not None]
    ordered = sorted(literals, key=lambda literal: literal.offset)
    return tuple(dict.fromkeys(literal.currency for literal in ordered if literal.currency is not None))


class Language:
    """What one policy version's expressions may say: its names, currency, rounding and zone.

    C++ CEL checks every expression. With ``native_conditions`` it also judges every condition of
    built-ins alone, otherwise only those with `matches`: the results are the same, but each value
    that crosses the binding costs more than the whole condition does as a closure.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        parameters: Mapping[str, ParameterType],
        row: Mapping[str, ValueType],
        currency: str | None,
        rounding: Rounding,
        zone: ZoneInfo,
        native_conditions: bool = False,
    ) -> None:
        units = {name: unit_of(term.type) for name, term in vocabulary.terms.items()}
        for name, given in parameters.items():
            units[f"param.{name}"] = unit_of(given) if isinstance(given, ValueType) else DECIMAL_UNIT
        units.update({f"row.{name}": unit_of(given) for name, given in row.items()})
        choices = {name: term.choices for name, term in vocabulary.terms.items() if term.choices}
        self._scope = Scope(units, choices, vocabulary.notes, currency)
        self._settings = Settings(rounding, zone)
        self._native = native_conditions

    @property
    def currency(self) -> str | None:
        """The policy's currency."""
        return self._scope.currency

    def compile(self, source: str, expect: ValueType | None) -> Compiled:
        """Check everything that can be checked before there are facts; ExpressionError if faulty.

        With ``expect`` None any type is welcome that the catalogue knows.
        """
        checker = Checker(self._scope)
        tree = checker.check(self._parse(source, expect), {})
        nodes = list(walk(tree))
        problems = checker.problems
        if not problems and any(node.unit.kind is Kind.ANYTHING for node in nodes):
            # invariant: whatever has no unit was complained of, and is never computed
            problems.append(complaints.unsupported("a part of this expression", "", 0))
        if not problems:
            problems += self._wrong_type(source, tree, expect)
            problems += self._wrong_currency(nodes)
            problems += _wrong_patterns(nodes)
        value_type = tree.unit.value_type
        if problems or value_type is None:
            raise ExpressionError(tuple(dict.fromkeys(sorted(problems, key=lambda item: item.offset))))
        run = self._runner(source, nodes, checker.called)
        return Compiled(source, nodes, value_type, run, self._scope.currency)

    def _parse(self, source: str, expect: ValueType | None) -> Syntax:
        try:
            return parse(source)
        except ExpressionError as error:
            hint = self._bare(source, expect)
            if not hint:
                raise
            raise ExpressionError((Problem("PE033", f"`{source}` is not understood", hint, 0),)) from error

    def _bare(self, text: object, expect: ValueType | None) -> str:
        if expect is None or expect is ValueType.TEXTS:
            return ""
        return complaints.as_literal(Kind(expect.value), text, self._scope.currency)

    def _wrong_type(self, source: str, tree: Node, expect: ValueType | None) -> list[Problem]:
        if tree.unit.value_type is None:
            if tree.unit.kind is Kind.DECIMAL:
                return [complaints.lone_decimal(0)]
            return [complaints.unsupported(f"{tree.unit.words} as a result", "", 0)]
        if expect is None or tree.unit.value_type is expect:
            return []
        text = tree.value if isinstance(tree, Const) else source
        return [complaints.unexpected(expect, tree.unit, self._bare(text, expect))]

    def _wrong_currency(self, nodes: list[Node]) -> list[Problem]:
        wanted = self._scope.currency or next(iter(_currencies(nodes)), "")
        return [
            complaints.other_currency(node, wanted, policy=self._scope.currency is not None)
            for node in nodes
            if isinstance(node, Const) and node.currency not in (None, wanted)
        ]

    def _runner(self, source: str, nodes: list[Node], called: set[str]) -> Run:
        """C++ CEL for conditions of built-ins alone, our own closure for everything else."""
        read = {node.name: node.unit for node in nodes if isinstance(node, Attribute)}
        asked = {node.name for node in nodes if isinstance(node, Present)}
        declared = read | {name: self._scope.units[name] for name in asked}
        expression = native.compile_native(source, declared, called)
        condition = nodes[0].unit.kind is Kind.FLAG and called <= {MATCHES}
        if condition and (self._native or MATCHES in called):
            return native.runner(expression, read)
        if MATCHES in called:
            raise ExpressionError((complaints.alone(MATCHES),))
        return closure(nodes[0], self._settings)


def _wrong_patterns(nodes: list[Node]) -> list[Problem]:
    return [
        complaints.faulty_pattern(fault, pattern.offset)
        for node in nodes
        if isinstance(node, Apply) and node.function == MATCHES
        for pattern in node.arguments[1:]
        if isinstance(pattern, Const) and (fault := native.check_pattern(pattern.value))
    ]
