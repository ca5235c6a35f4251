"""docs/functions.md says what the functions do: made of them, and its examples are computed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from policyengine.domain.money import Rounding
from policyengine.domain.values import ValueType
from policyengine.engine.expressions import Language
from policyengine.engine.functions import FUNCTIONS, Function
from policyengine.engine.reference import reference
from policyengine.engine.vocabulary import Term, Vocabulary

LANGUAGE = Language(
    Vocabulary({"event.id": Term(ValueType.TEXT)}),
    parameters={},
    row={},
    currency="ILS",
    rounding=Rounding.HALF_UP,
    zone=ZoneInfo("Asia/Jerusalem"),
)


def test_the_page_is_what_the_functions_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "functions.md"
    assert page.read_text(encoding="utf-8") == reference()


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_every_example_on_the_page_gives_the_result_beside_it(function: Function) -> None:
    assert f"{function.name}(" in function.example
    value = LANGUAGE.compile(function.example, None).value({"event.id": "e1"})
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    assert shown == (value.isoformat() if isinstance(value, date) else function.shown)
    assert shown == function.shown


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_every_function_names_as_many_parameters_as_it_takes(function: Function) -> None:
    assert {len(overload.parameters) for overload in function.overloads} == {len(function.parameters)}
