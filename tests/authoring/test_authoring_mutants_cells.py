"""Small mistakes in the cells of a decision table."""

from __future__ import annotations

import pytest

from policyengine.authoring.mutants_cells import cell_edits
from policyengine.domain.policy import ColumnType, InputColumn, OutputColumn


def told(text: str, kind: ColumnType, *, result: bool = False) -> list[str]:
    column = OutputColumn(set="x", type=kind) if result else InputColumn(when="a.b", type=kind)
    return [f"{edit.kind.value}: {edit.applied(text)}" for edit in cell_edits(text, column)]


@pytest.mark.parametrize(
    ("text", "kind", "edits"),
    [
        # `<= 1500` and `< 1501` are the same, so 1499 is left to the comparison
        ("<= 1500", "integer", ["comparisons: < 1500", "thresholds: <= 1501", "clauses: -"]),
        ("> 60", "integer", ["comparisons: >= 60", "thresholds: > 61", "clauses: -"]),
        (
            "(1..10]",
            "integer",
            ["comparisons: [1..10]", "thresholds: (2..10]", "comparisons: (1..10)", "thresholds: (1..11]", "clauses: -"],
        ),
        (">= 10 ILS", "money", ["comparisons: > 10 ILS", "thresholds: >= 9.99 ILS", "clauses: -"]),
        ("< 2020-03-01", "date", ["comparisons: <= 2020-03-01", "thresholds: < 2020-02-29", "clauses: -"]),
        ("120", "integer", ["thresholds: 119", "thresholds: 121", "clauses: -"]),
        ("= 3", "integer", ["thresholds: = 2", "thresholds: = 4", "clauses: -"]),
        ("not(1, 2)", "integer", ["thresholds: not(0, 2)", "thresholds: not(2, 2)", "thresholds: not(1, 1)", "thresholds: not(1, 3)", "clauses: -"]),
        ('"IL","EU"', "text", ["clauses: -"]),
        ("true", "flag", ["comparisons: false", "clauses: -"]),
        ("-", "integer", []),
    ],
)  # fmt: skip
def test_edits_of_a_condition(text: str, kind: ColumnType, edits: list[str]) -> None:
    assert told(text, kind) == edits


@pytest.mark.parametrize(
    ("text", "kind", "edits"),
    [
        ("250 EUR", "money", ["thresholds: 249.99 EUR", "thresholds: 250.01 EUR"]),
        ("gold", "text", []),
        ("= percent(a.m, 80)", "money", ["percentages: = percent(a.m, 20)", "thresholds: = percent(a.m, 79)", "thresholds: = percent(a.m, 81)"]),
    ],
)  # fmt: skip
def test_edits_of_a_result(text: str, kind: ColumnType, edits: list[str]) -> None:
    assert told(text, kind, result=True) == edits
