"""Where conditions hold is never told too narrowly: brute force over all small facts agrees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.decision import ClauseResult
from policyengine.domain.money import Money, Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine.conjuncts import index_value
from policyengine.engine.expressions import Language
from policyengine.engine.satisfy import (
    ABSENT,
    NOWHERE,
    Boxes,
    Known,
    all_of,
    implies,
    outcomes,
    surely_there,
)
from policyengine.engine.vocabulary import Term, Vocabulary

TERMS = {
    "b.nights": Term(ValueType.INTEGER),
    "b.kind": Term(ValueType.TEXT, choices=("hotel", "tour", "cruise")),
    "b.flexible": Term(ValueType.FLAG),
    "b.paid": Term(ValueType.MONEY),
    "b.starts_on": Term(ValueType.DATE),
}
LANGUAGE = Language(
    Vocabulary(TERMS),
    parameters={"least": ValueType.INTEGER, "on": ValueType.FLAG},
    row={},
    currency=None,
    rounding=Rounding.HALF_UP,
    zone=ZoneInfo("UTC"),
)
FIXED = {"param.least": 2, "param.on": False}
KNOWN = Known({"b.kind": ("hotel", "tour", "cruise")}, FIXED)
VALUES: Mapping[str, tuple[Value | None, ...]] = {
    "b.nights": (None, 0, 1, 2, 3),
    "b.kind": (None, "hotel", "tour", "cruise"),
    "b.flexible": (None, True, False),
    "b.paid": (None, Money(0, "ILS"), Money(100, "ILS"), Money(200, "ILS"), Money(100, "EUR")),
    "b.starts_on": (None, date(2020, 3, 1), date(2020, 3, 2)),
}
EVERY: list[dict[str, Any]] = [
    {**FIXED, **{name: value for name, value in zip(VALUES, some, strict=True) if value is not None}}
    for some in product(*VALUES.values())
]


def boxes_of(text: str) -> Boxes:
    return outcomes(LANGUAGE.compile(text, ValueType.FLAG).tree, KNOWN).held


def together(*texts: str) -> Boxes:
    return all_of(boxes_of(text) for text in texts)


def inside(boxes: Boxes, facts: Mapping[str, Any]) -> bool:
    """Whether some box has these facts in it; of terms that are no attribute nothing is asked."""
    for box in boxes:
        for term, domain in box.items():
            name, _, currency = term.partition("\0currency")
            if name not in TERMS or name.endswith(")"):
                continue
            value = facts.get(name)
            if domain is ABSENT:
                if value is not None:
                    break
            elif value is None:
                break
            elif currency or term != name:
                if not domain.holds(value.currency):
                    break
            else:
                point = value.minor if isinstance(value, Money) else index_value(value)
                if point is None or not domain.holds(point):
                    break
        else:
            return True
    return False


ATOMS = st.sampled_from(
    ["b.nights > 1", "b.nights <= 2", "b.nights == 3", "b.nights != 0", "b.nights in [1, 2]", "b.nights >= param.least",
     "between(b.nights, 1, 3)", 'b.kind == "hotel"', 'b.kind != "tour"', 'b.kind in ["tour", "cruise"]', "b.flexible",
     "param.on", "present(b.nights)", "present(b.kind)", 'b.paid > money("1 ILS")', 'b.paid <= money("1 ILS")',
     'b.starts_on < date("2020-03-02")', "b.nights + 1 > 2", "b.nights + 1 <= 2",
     "1 > 2", "true", "b.nights * 2 == b.nights"]
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) && ({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}) || ({two[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"(({three[0]}) ? ({three[1]}) : ({three[2]}))"),
    ),
    max_leaves=4,
)


@settings(max_examples=25, deadline=None)
@given(CONDITIONS, st.lists(st.sampled_from(EVERY), min_size=30, max_size=60))
def test_whatever_comes_out_of_a_condition_lies_in_the_boxes_of_that_outcome(
    text: str, some: list[dict[str, Any]]
) -> None:
    compiled = LANGUAGE.compile(text, ValueType.FLAG)
    held, failed, unknown = outcomes(compiled.tree, KNOWN)
    for facts in some:
        match compiled.judge(facts).result:
            case ClauseResult.HELD:
                assert inside(held, facts)
            case ClauseResult.FAILED:
                assert inside(failed, facts)
            case _:
                assert inside(unknown, facts)


@settings(max_examples=25, deadline=None)
@given(CONDITIONS, CONDITIONS)
def test_what_is_never_true_never_is_and_what_is_implied_always_is(one: str, two: str) -> None:
    first, second = (LANGUAGE.compile(text, ValueType.FLAG) for text in (one, two))
    holding = [facts for facts in EVERY[::5] if first.judge(facts).result is ClauseResult.HELD]
    boxes = boxes_of(one)
    if boxes == NOWHERE:
        assert not holding
    if all_of((boxes, boxes_of(two))) == NOWHERE:
        assert all(second.judge(facts).result is not ClauseResult.HELD for facts in holding)
    if implies(boxes, second.tree, KNOWN):
        assert all(second.judge(facts).result is ClauseResult.HELD for facts in holding)
    for facts in holding:
        assert {name for name in surely_there(boxes) if name in TERMS} <= facts.keys()


@pytest.mark.parametrize(
    "conditions",
    [
        ("b.nights > 5", "b.nights < 3"),
        ("b.nights > 5", "b.nights < 6"),  # no whole number lies between
        ("b.nights >= 2 && b.nights <= 2", "b.nights != 2"),
        ('b.kind == "hotel"', 'b.kind == "tour"'),
        ('b.kind != "hotel"', 'b.kind != "tour"', 'b.kind != "cruise"'),
        ("b.flexible", "!b.flexible"),
        ("!present(b.nights)", "b.nights > 0"),
        ('b.paid > money("1 ILS")', 'b.paid > money("1 EUR")'),
        ('b.paid > money("1 ILS")', 'b.paid <= money("1 ILS")'),
        ('b.starts_on > date("2020-03-01")', 'b.starts_on < date("2020-03-02")'),
        ("b.nights < param.least", "b.nights > 1"),
        ("b.nights + 1 > 5", "b.nights + 1 < 5"),
        ("b.nights < size(b.kind)", "b.nights > size(b.kind)"),
        ("b.nights == 1 || b.nights == 2", "b.nights > 2"),
        ("param.on",),
        ("1 > 2",),
        ("false",),
    ],
)
def test_conditions_that_exclude_one_another_hold_nowhere(conditions: tuple[str, ...]) -> None:
    assert together(*conditions) == NOWHERE


@pytest.mark.parametrize(
    "conditions",
    [
        ("b.nights > 5", "b.nights < 7"),
        ("!present(b.nights) || b.nights > 5", "!present(b.nights) || b.nights < 3"),  # where there are none
        ('b.kind == "hotel" || b.kind == "tour"', 'b.kind != "hotel"'),
        ('b.paid > money("1 ILS") || b.flexible', 'b.paid > money("1 EUR")'),
        ("b.nights < size(b.kind)", "b.nights <= size(b.kind)"),
    ],
)
def test_conditions_that_can_hold_together_do_somewhere(conditions: tuple[str, ...]) -> None:
    assert together(*conditions) != NOWHERE


def test_very_many_alternatives_restrict_nothing_rather_than_take_long() -> None:
    many = " && ".join(f"(b.nights == {n} || b.nights + {n} == {n} || b.flexible)" for n in range(40))
    assert together(many) != NOWHERE
