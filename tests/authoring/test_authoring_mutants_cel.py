"""Small mistakes in expressions, each at its place in the source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine.authoring.mutants_cel import cel_edits, shifted


def told(source: str) -> list[str]:
    return [f"{edit.offset} {edit.kind.value}: {edit.applied(source)}" for edit in cel_edits(source)]


@pytest.mark.parametrize(
    ("source", "edits"),
    [
        # `< 14` and `<= 13` are the same, so 15 is left to the comparison
        ("a.n < 14", ["4 comparisons: a.n <= 14", "6 thresholds: a.n < 13"]),
        ("a.n <= 14", ["4 comparisons: a.n < 14", "7 thresholds: a.n <= 15"]),
        ("a.n > 14", ["4 comparisons: a.n >= 14", "6 thresholds: a.n > 15"]),
        ("a.n >= -5", ["4 comparisons: a.n > -5", "7 thresholds: a.n >= -6"]),
        ("14 < a.n", ["3 comparisons: 14 <= a.n", "0 thresholds: 15 < a.n"]),
        ("a.n == 3", ["4 comparisons: a.n != 3", "7 thresholds: a.n == 2", "7 thresholds: a.n == 4"]),
        ('a.t != "x"', ['4 comparisons: a.t == "x"']),
        ('a.m > money("10 ILS")', ['4 comparisons: a.m >= money("10 ILS")', '12 thresholds: a.m > money("10.01 ILS")']),
        ("a.m <= money('10 JPY')", ["4 comparisons: a.m < money('10 JPY')", "13 thresholds: a.m <= money('11 JPY')"]),
        ('a.d < date("2020-03-01")', ['4 comparisons: a.d <= date("2020-03-01")', '11 thresholds: a.d < date("2020-02-29")']),
        (
            'a.i < timestamp("2020-03-01T10:00:00Z")',
            [
                '4 comparisons: a.i <= timestamp("2020-03-01T10:00:00Z")',
                '16 thresholds: a.i < timestamp("2020-02-29T10:00:00Z")',
                '16 thresholds: a.i < timestamp("2020-03-02T10:00:00Z")',
            ],
        ),
        ("percent(a.m, 80)", ["13 percentages: percent(a.m, 20)", "13 thresholds: percent(a.m, 79)", "13 thresholds: percent(a.m, 81)"]),
        ("percent(a.m, 50)", ["13 thresholds: percent(a.m, 49)", "13 thresholds: percent(a.m, 51)"]),
        ("percent(a.m, 7.5)", ["13 thresholds: percent(a.m, 7.4)", "13 thresholds: percent(a.m, 7.6)"]),
        ("percent(a.m, param.p)", ["13 percentages: percent(a.m, 100 - param.p)"]),
        ("add_days(a.d, 7)", ["14 thresholds: add_days(a.d, 6)", "14 thresholds: add_days(a.d, 8)"]),
        # nobody wrote the numbers that CEL puts into a macro
        ('a.l.exists_one(r, r == "x")', ['20 comparisons: a.l.exists_one(r, r != "x")']),
        ("a.n <", []),
    ],
)  # fmt: skip
def test_edits_of_an_expression(source: str, edits: list[str]) -> None:
    assert sorted(told(source)) == sorted(edits)


def test_an_edit_says_which_case_would_tell() -> None:
    assert [edit.case for edit in cel_edits('booking.paid > money("10 ILS")')] == [
        "with booking.paid = 10 ILS",
        "that tells 10 ILS from 10.01 ILS",
    ]


@pytest.mark.parametrize(
    ("text", "less", "more"),
    [
        ("5", "4", "6"),
        ("7.50", "7.49", "7.51"),
        ("0 ILS", "-0.01 ILS", "0.01 ILS"),
        ("2020-12-31", "2020-12-30", "2021-01-01"),
        ("gold", None, None),
    ],
)
def test_one_unit_less_and_one_unit_more(text: str, less: str | None, more: str | None) -> None:
    assert (shifted(text, -1), shifted(text, 1)) == (less, more)


@given(st.text(alphabet='ab.<>=!&|()"0123456789 ,?:+-', max_size=30))
def test_any_text_gives_edits_that_are_in_it_or_none(source: str) -> None:
    for edit in cel_edits(source):
        assert source[edit.offset : edit.offset + len(edit.old)] == edit.old
        assert edit.applied(source) != source
