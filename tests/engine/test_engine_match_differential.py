"""The index against the definition of a candidate, on generated rules and facts: exactly equal.

The reference is written anew here, with nothing of the index in it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from policyengine.domain.money import Money
from policyengine.domain.values import Value
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.match import Index, IndexedRule

EDGE = 2**53
EVENT_TYPES = ["booking.cancelled", "order.placed", "חגיגה"]
ENTITIES = [None, "booking", "order"]
TEXTS = ["gold", "Gold", "זהב", "", 'a"b', "a\\b", "a\nb", "5", "🎫", "\x00", "true", "gold "]
NUMBERS = [0, 1, -1, 5, 6, 7, 999, EDGE - 1, 1 - EDGE]
LITERALS = [*NUMBERS, EDGE, -EDGE]
CURRENCIES = ["ILS", "EUR", "JPY"]
DAY_ZERO = date(1970, 1, 1)
TIME_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = [date(2020, 3, 14), date(2020, 3, 15), date(2020, 3, 16), date(1969, 12, 31)]
INSTANTS = [
    datetime(2020, 3, 15, tzinfo=UTC),
    datetime(2020, 3, 14, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2020, 3, 15, 0, 0, 0, 1, tzinfo=UTC),
]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda seen, literal: seen == literal,
    "!=": lambda seen, literal: seen != literal,
    "<": lambda seen, literal: seen < literal,
    "<=": lambda seen, literal: seen <= literal,
    ">": lambda seen, literal: seen > literal,
    ">=": lambda seen, literal: seen >= literal,
    "in": lambda seen, literals: seen in literals,
}
# attribute name: its values, and the literals that conditions on it use
TYPES: dict[str, tuple[list[Any], list[Any]]] = {
    "text": (TEXTS, TEXTS),
    "integer": (NUMBERS, LITERALS),
    "flag": ([True, False], [True, False]),
    "date": (DAYS, [(day - DAY_ZERO).days for day in DAYS]),
    "instant": (INSTANTS, [(instant - TIME_ZERO) // timedelta(microseconds=1) for instant in INSTANTS]),
}
ATTRIBUTES = {f"booking.{name}{number}": name for name in [*TYPES, "money"] for number in (1, 2)}


@st.composite
def conjuncts(draw: st.DrawFn) -> Conjunct:
    attribute = draw(st.sampled_from(sorted(ATTRIBUTES)))
    kind = ATTRIBUTES[attribute]
    literals = NUMBERS if kind == "money" else TYPES[kind][1]
    currency = draw(st.sampled_from(CURRENCIES)) if kind == "money" else None
    if kind != "flag" and draw(st.integers(0, 3)) == 0:
        some = draw(st.lists(st.sampled_from(literals), max_size=4))
        return Conjunct(attribute, "in", tuple(some), currency)
    operators = ["==", "!="] if kind == "flag" else COMPARISONS
    operator: Any = draw(st.sampled_from(operators))
    return Conjunct(attribute, operator, draw(st.sampled_from(literals)), currency)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[IndexedRule]:
    return [
        IndexedRule(
            number,
            tuple(draw(st.lists(st.sampled_from(EVENT_TYPES), min_size=1, max_size=2))),
            draw(st.sampled_from(ENTITIES)),
            tuple(draw(st.lists(conjuncts(), max_size=5))),
        )
        for number in range(draw(st.integers(0, 25)))
    ]


def values(kind: str) -> st.SearchStrategy[Value]:
    if kind == "money":
        return st.builds(Money, st.sampled_from(NUMBERS), st.sampled_from(CURRENCIES))
    return st.sampled_from(TYPES[kind][0])


FACTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={**{name: values(kind) for name, kind in ATTRIBUTES.items()}, "event.other": st.just("x")}
)


def conjunct_makes_a_candidate(conjunct: Conjunct, facts: dict[str, Any]) -> bool:
    if conjunct.attribute not in facts:
        return False
    seen = facts[conjunct.attribute]
    if isinstance(seen, Money):
        if seen.currency != conjunct.currency:
            return True
        seen = seen.minor
    elif isinstance(seen, datetime):
        seen = (seen - TIME_ZERO) // timedelta(microseconds=1)
    elif isinstance(seen, date):
        seen = (seen - DAY_ZERO).days
    return bool(COMPARE[conjunct.operator](seen, conjunct.value))


def expected_candidates(
    rules: list[IndexedRule], event_type: str, entity: str | None, facts: dict[str, Any]
) -> list[int]:
    return [
        rule.number
        for rule in rules
        if event_type in rule.event_types
        and rule.entity == entity
        and all(conjunct_makes_a_candidate(conjunct, facts) for conjunct in rule.conjuncts)
    ]


@given(rules=rule_sets(), many=st.lists(FACTS, min_size=1, max_size=6))
@example(
    rules=[IndexedRule(0, ("order.placed",), None, (Conjunct("booking.integer1", "<=", EDGE),))],
    many=[{"booking.integer1": EDGE - 1}],
)
@settings(max_examples=80, deadline=None)
def test_the_index_finds_exactly_the_rules_whose_conjuncts_hold(
    rules: list[IndexedRule], many: list[dict[str, Any]]
) -> None:
    with Index(rules) as index:
        for facts in many:
            for event_type in EVENT_TYPES:
                for entity in ENTITIES:
                    found = index.candidates(event_type, entity, facts)
                    assert found == expected_candidates(rules, event_type, entity, facts)


@given(rules=rule_sets(), facts=FACTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_rules_are_given_does_not_matter(
    rules: list[IndexedRule], facts: dict[str, Any], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rules))
    with Index(rules) as index, Index(shuffled) as other:
        for event_type in EVENT_TYPES:
            assert index.candidates(event_type, "booking", facts) == other.candidates(
                event_type, "booking", facts
            )


@given(
    lowest=st.integers(-EDGE, EDGE),
    width=st.integers(0, 3),
    value=st.integers(-EDGE + 1, EDGE - 1),
    near=st.integers(-2, 2),
)
@settings(max_examples=100, deadline=None)
def test_ranges_are_exact_at_and_around_their_bounds(lowest: int, width: int, value: int, near: int) -> None:
    bounds = (Conjunct("booking.points", ">=", lowest), Conjunct("booking.points", "<", lowest + width))
    with Index([IndexedRule(0, ("a",), None, bounds)]) as index:
        for seen in (value, lowest + near, lowest + width + near):
            found = index.candidates("a", None, {"booking.points": seen})
            assert found == ([0] if lowest <= seen < lowest + width else [])


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    other=st.text(st.characters(exclude_categories=["Cs"])),
)
@settings(max_examples=100, deadline=None)
def test_texts_of_any_characters_are_compared_exactly(text: str, other: str) -> None:
    rules = [
        IndexedRule(0, ("a",), None, (Conjunct("event.note", "==", text),)),
        IndexedRule(1, ("a",), None, (Conjunct("event.note", "!=", text),)),
        IndexedRule(2, ("a",), None, (Conjunct("event.note", "in", (text, "x")),)),
        IndexedRule(3, ("a",), None, (Conjunct("event.note", "<", text),)),
    ]
    with Index(rules) as index:
        assert index.candidates("a", None, {"event.note": text}) == [0, 2]
        expected = [0] if other == text else [1]
        expected += [2] if other in (text, "x") else []
        expected += [3] if other < text else []
        assert index.candidates("a", None, {"event.note": other}) == expected
