"""C++ CEL: the check of types that has the last word, and the evaluation of plain conditions.

invariant: it is never handed a function implemented in Python, since each call of one leaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from policyengine.domain.money import Money
from policyengine.engine.functions import FUNCTIONS, declarations
from policyengine.engine.syntax import ExpressionError, Problem
from policyengine.engine.units import Kind, Unit
from policyengine.errors import EvaluationError

_KEPT = 256  # environments: 20 µs and 14 kB each


@lru_cache(maxsize=_KEPT)
def _environment(variables: tuple[tuple[str, Unit], ...], functions: frozenset[str]) -> Any:
    return cel.NewEnv(
        variables={name: unit.cel for name, unit in variables}, functions=declarations(functions)
    )


def compile_native(source: str, units: Mapping[str, Unit], called: Iterable[str]) -> Any:
    """Compile with these variables alone; ExpressionError PE032 where C++ CEL sees a mistake."""
    variables = tuple(sorted(units.items(), key=_by_name))
    environment = _environment(variables, frozenset(called).intersection(FUNCTIONS))
    try:
        return environment.compile(source)
    except RuntimeError as error:
        text = str(error).partition("ERROR: ")[2].partition("\n")[0]
        raise ExpressionError((Problem("PE032", "the types do not fit", text, 0),)) from error


def runner(expression: Any, units: Mapping[str, Unit]) -> Callable[[Mapping[str, Any]], bool]:
    """A condition as a function of facts; an error of CEL becomes EvaluationError PE222."""
    converted = {name: _CONVERSIONS[unit.kind] for name, unit in units.items() if unit.kind in _CONVERSIONS}
    plain = tuple(name for name in units if name not in converted)
    evaluate = expression.eval

    def run(facts: Mapping[str, Any]) -> bool:
        data = {name: facts[name] for name in plain if name in facts}
        for name, convert in converted.items():
            if name in facts:
                data[name] = convert(facts[name])
        result = evaluate(data=data).value()
        if result is True or result is False:
            return result
        raise EvaluationError(_said(str(result)), code="PE222")

    return run


def check_pattern(pattern: str) -> str:
    """What is wrong with a pattern of `matches`, or the empty string."""
    result = _environment((("text", Unit(Kind.TEXT)), ("pattern", Unit(Kind.TEXT))), frozenset()).compile(
        "text.matches(pattern)"
    )
    value = result.eval(data={"text": "", "pattern": pattern}).value()
    return "" if value is True or value is False else _said(str(value))


def _by_name(pair: tuple[str, Unit]) -> str:
    return pair[0]


def _said(text: str) -> str:
    """CEL's message without its status."""
    return text.partition(": ")[2] or text


def _minor(money: Money) -> int:
    return money.minor


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


_CONVERSIONS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.MONEY: _minor,
    Kind.DATE: _midnight,
    Kind.LIST: list,
}
