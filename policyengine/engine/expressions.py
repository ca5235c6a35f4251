"""CEL for policies: compile a condition or an amount once, then judge or compute it on facts.

Types and units are engine.units', the arithmetic is engine.evaluator's and engine.functions'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from policyengine.domain.decision import ClauseResult
from policyengine.domain.money import Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.vocabulary import Vocabulary

DECIMAL: Literal["decimal"] = "decimal"
ParameterType = ValueType | Literal["decimal"]


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
class Judgement:
    """How a condition came out; ``absent`` where it is unknown, ``detail`` where it is an error."""

    result: ClauseResult
    absent: tuple[str, ...] = ()
    detail: str = ""


class Compiled:
    """A checked expression: ``judge`` for conditions, ``value`` for amounts and dates."""

    __slots__ = ("conjuncts", "currencies", "money_refs", "refs", "text", "type")

    text: str
    type: ValueType
    refs: tuple[str, ...]  # sorted, `param.x` and `row.x` included
    money_refs: tuple[str, ...]  # those of them that are money
    currencies: tuple[str, ...]  # of its money literals
    conjuncts: tuple[Conjunct, ...]

    def judge(self, values: Mapping[str, Value]) -> Judgement:
        """Whether the condition holds on these facts."""
        raise NotImplementedError

    def value(self, values: Mapping[str, Value]) -> Value:
        """The amount, date, number or text; EvaluationError PE221, PE222, PE204, PE205."""
        raise NotImplementedError


class Language:
    """What one policy version's expressions may say: its names, currency, rounding and zone."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        parameters: Mapping[str, ParameterType],
        row: Mapping[str, ValueType],
        currency: str | None,
        rounding: Rounding,
        zone: ZoneInfo,
    ) -> None:
        raise NotImplementedError

    def compile(self, source: str, expect: ValueType | None) -> Compiled:
        """Check everything that can be checked before there are facts; ExpressionError if wrong."""
        raise NotImplementedError
