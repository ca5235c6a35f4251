"""The rule index: which rules are candidates, and what durable-rules' limits must not change."""

from __future__ import annotations

import gc
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import Any

import durable_rules_engine
import pytest

from policyengine.domain.money import Money
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.match import Index, IndexBrokenError, IndexedRule
from policyengine.engine.network_plan import key_names

LARGEST = 2**53


def rule(
    number: int, *conjuncts: Conjunct, on: str = "a.happened", entity: str | None = "booking"
) -> IndexedRule:
    return IndexedRule(number, (on,), entity, conjuncts)


def found(rules: list[IndexedRule], **facts: Any) -> list[int]:
    dotted = {name.replace("__", "."): value for name, value in facts.items()}
    with Index(rules) as index:
        return index.candidates("a.happened", "booking", dotted)


def fnv1a(text: str) -> int:
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) % 2**32
    return value


def test_a_rule_is_a_candidate_for_its_event_types_alone() -> None:
    rules = [
        IndexedRule(3, ("a.happened", "b.happened", "a.happened"), None, ()),
        IndexedRule(1, ("b.happened",), None, ()),
    ]
    with Index(rules) as index:
        assert index.candidates("a.happened", None, {}) == [3]
        assert index.candidates("b.happened", None, {}) == [1, 3]
        assert index.candidates("c.happened", None, {}) == []


def test_a_rule_is_a_candidate_for_the_entity_type_it_decides_on_alone() -> None:
    with Index([rule(1, entity="booking"), rule(2, entity=None), rule(3, entity="order")]) as index:
        assert index.candidates("a.happened", "booking", {}) == [1]
        assert index.candidates("a.happened", None, {}) == [2]
        assert index.candidates("a.happened", "", {}) == [2]
        assert index.candidates("a.happened", "flight", {}) == []


def test_an_empty_index_has_no_candidates() -> None:
    with Index([]) as index:
        assert index.candidates("a.happened", None, {"event.id": "1"}) == []


@pytest.mark.parametrize(
    ("operator", "true_for"),
    [("<", [4]), ("<=", [4, 5]), ("==", [5]), (">=", [5, 6]), (">", [6]), ("!=", [4, 6])],
)
def test_a_bound_is_exact_on_both_of_its_sides(operator: Any, true_for: list[int]) -> None:
    rules = [rule(1, Conjunct("booking.nights", operator, 5))]
    assert [nights for nights in (4, 5, 6) if found(rules, booking__nights=nights)] == true_for


@pytest.mark.parametrize("bound", [LARGEST, -LARGEST, LARGEST - 1, 0, -1, 2**32, -(2**31)])
@pytest.mark.parametrize("operator", ["<", "<=", "==", ">=", ">", "!="])
def test_large_integers_are_compared_exactly(bound: int, operator: Any) -> None:
    rules = [rule(1, Conjunct("booking.points", operator, bound))]
    expected = {
        "<": [1, 0, 0],
        "<=": [1, 1, 0],
        "==": [0, 1, 0],
        ">=": [0, 1, 1],
        ">": [0, 0, 1],
        "!=": [1, 0, 1],
    }
    seen = [len(found(rules, booking__points=value)) for value in (bound - 1, bound, bound + 1)]
    assert seen == expected[operator]


def test_a_literal_beyond_the_exact_range_is_still_compared_exactly() -> None:
    rules = [
        rule(1, Conjunct("booking.points", "<", 10**30)),
        rule(2, Conjunct("booking.points", ">", 10**30)),
    ]
    assert found(rules, booking__points=7) == [1]


def test_an_absent_attribute_satisfies_nothing_not_even_inequality() -> None:
    rules = [
        rule(1, Conjunct("booking.kind", "!=", "wedding")),
        rule(2, Conjunct("booking.nights", "<", 5)),
        rule(3, Conjunct("booking.kind", "in", ("hotel",))),
        rule(4, Conjunct("booking.paid", ">=", 0, "ILS")),
        rule(5),
    ]
    assert found(rules) == [5]


def test_all_conjuncts_of_a_rule_must_hold() -> None:
    rules = [rule(1, Conjunct("booking.nights", ">", 5), Conjunct("booking.kind", "==", "hotel"))]
    assert found(rules, booking__nights=6, booking__kind="hotel") == [1]
    assert found(rules, booking__nights=5, booking__kind="hotel") == []
    assert found(rules, booking__nights=6) == []


def test_flags_are_not_numbers() -> None:
    rules = [
        rule(1, Conjunct("booking.refundable", "==", True)),
        rule(2, Conjunct("booking.refundable", "!=", True)),
        rule(3, Conjunct("booking.refundable", "==", 1)),
        rule(4, Conjunct("booking.refundable", "in", (False,))),
    ]
    assert found(rules, booking__refundable=True) == [1]
    assert found(rules, booking__refundable=False) == [2, 4]
    assert found(rules, booking__refundable=1) == [3]


HARD_TEXTS = [
    "",
    "5",
    "חתונה",
    'quo"ted',
    "back\\slash",
    "line\nbreak\ttab",
    "nul\x00inside",
    "\u2028 \ud7ff",
    "🎫🎫",
    "x" * 100_000,
    "true",
    " spaced ",
    "A",
    "a",
]


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_any_text_is_equal_to_itself_alone(text: str) -> None:
    rules = [rule(number, Conjunct("booking.kind", "==", other)) for number, other in enumerate(HARD_TEXTS)]
    lists = [
        rule(100, Conjunct("booking.kind", "in", (text, "z"))),
        rule(101, Conjunct("booking.kind", "!=", text)),
    ]
    assert found(rules + lists, booking__kind=text) == [HARD_TEXTS.index(text), 100]
    assert found(rules + lists, booking__kind=text + "!") == [101]


def test_texts_are_ordered_by_code_points() -> None:
    rules = [rule(1, Conjunct("booking.kind", "<", "b")), rule(2, Conjunct("booking.kind", ">=", "b"))]
    assert found(rules, booking__kind="B") == [1]
    assert found(rules, booking__kind="b") == [2]
    assert found(rules, booking__kind="ב") == [2]


def test_membership_holds_for_each_literal_of_the_list_and_no_other() -> None:
    rules = [
        rule(1, Conjunct("booking.kind", "in", ("hotel", "hall"))),
        rule(2, Conjunct("booking.kind", "in", ("hall", "flight"))),
        rule(3, Conjunct("booking.kind", "==", "hall")),
        rule(4, Conjunct("booking.nights", "in", (1, 2))),
        rule(5, Conjunct("booking.kind", "in", ())),
        rule(6, Conjunct("booking.kind", "in", ("hall", 2))),
    ]
    assert found(rules, booking__kind="hall", booking__nights=2) == [1, 2, 3, 4, 6]
    assert found(rules, booking__kind="hotel", booking__nights=3) == [1]
    assert found(rules, booking__kind="other") == []


def test_money_in_another_currency_makes_a_candidate_so_that_the_mismatch_is_reported() -> None:
    rules = [
        rule(1, Conjunct("booking.paid", ">", 10_000, "ILS")),
        rule(2, Conjunct("booking.paid", "<", 10_000, "EUR"), Conjunct("booking.kind", "==", "hotel")),
        rule(3, Conjunct("booking.paid", "in", (500, 10_000), "ILS")),
    ]
    assert found(rules, booking__paid=Money(10_001, "ILS"), booking__kind="hotel") == [1, 2]
    assert found(rules, booking__paid=Money(10_001, "ILS"), booking__kind="hall") == [1]
    assert found(rules, booking__paid=Money(10_000, "EUR"), booking__kind="hotel") == [1, 3]
    assert found(rules, booking__paid=Money(500, "ILS")) == [3]


def test_both_bounds_of_money_apply_in_its_own_currency() -> None:
    rules = [rule(1, Conjunct("booking.paid", ">", 100, "ILS"), Conjunct("booking.paid", "<", 200, "ILS"))]
    amounts = [Money(100, "ILS"), Money(101, "ILS"), Money(199, "ILS"), Money(200, "ILS"), Money(1, "EUR")]
    assert [len(found(rules, booking__paid=amount)) for amount in amounts] == [0, 1, 1, 0, 1]


def test_many_amounts_in_one_rule_stay_exact() -> None:
    names = [f"booking.fee{number}" for number in range(6)]
    rules = [rule(1, *(Conjunct(name, ">", 10, "ILS") for name in names))]
    with Index(rules) as index:
        high: dict[str, Any] = dict.fromkeys(names, Money(11, "ILS"))
        assert index.candidates("a.happened", "booking", high) == [1]
        for name in names:
            assert index.candidates("a.happened", "booking", {**high, name: Money(10, "ILS")}) == []
            assert index.candidates("a.happened", "booking", {**high, name: Money(10, "USD")}) == [1]


def test_dates_are_days_and_instants_are_microseconds_since_1970() -> None:
    day = 31 + 28 + 1  # 2 March 1970
    instant = (86_400 * day + 1) * 1_000_000 + 5
    rules = [
        rule(1, Conjunct("booking.on", ">=", day)),
        rule(2, Conjunct("event.time", "==", instant)),
        rule(3, Conjunct("event.time", "<", 0)),
    ]
    assert found(rules, booking__on=date(1970, 3, 1)) == []
    assert found(rules, booking__on=date(1970, 3, 2)) == [1]
    assert found(rules, event__time=datetime(1970, 3, 2, 0, 0, 1, 5, tzinfo=UTC)) == [2]
    assert found(rules, event__time=datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == [3]


class Tier(StrEnum):
    GOLD = "gold"


def test_a_value_of_a_subclass_is_what_its_class_inherits_from() -> None:
    assert found([rule(1, Conjunct("membership.tier", "==", "gold"))], membership__tier=Tier.GOLD) == [1]


def test_a_list_of_texts_is_not_indexed() -> None:
    assert found([rule(1, Conjunct("booking.kind", "==", "hall")), rule(2)], booking__kind=("hall",)) == [2]


def test_a_value_of_another_kind_than_the_literal_satisfies_nothing() -> None:
    rules = [
        rule(1, Conjunct("booking.x", ">=", 0)),
        rule(2, Conjunct("booking.x", "!=", "a")),
        rule(3, Conjunct("booking.x", ">=", 0, "ILS")),
    ]
    assert found(rules, booking__x="5") == [2]
    assert found(rules, booking__x=5) == [1]
    assert found(rules, booking__x=Money(5, "ILS")) == [3]
    assert found(rules, booking__x=("5",)) == []


def test_rules_with_the_same_conditions_are_all_found() -> None:
    """durable-rules writes past its list when 256 rules share a condition; the index shares a leaf."""
    rules = [rule(number, Conjunct("booking.nights", ">", 5)) for number in range(700)]
    assert found(rules, booking__nights=6) == list(range(700))


def test_more_rules_that_match_at_once_than_a_network_can_hold() -> None:
    """durable-rules' stack of 64 pending tests overflows otherwise."""
    rules = [rule(number, Conjunct("booking.nights", ">", number)) for number in range(300)]
    assert found(rules, booking__nights=250) == list(range(250))


def test_more_different_literals_than_a_network_can_hold() -> None:
    """durable-rules loops for ever over 512 tests that follow one test."""
    rules = [rule(number, Conjunct("booking.code", "==", f"c{number}")) for number in range(1200)]
    assert found(rules, booking__code="c777") == [777]


def test_more_attributes_than_a_fact_can_hold() -> None:
    names = [f"booking.a{number}" for number in range(400)]
    rules = [rule(number, Conjunct(name, "==", 1)) for number, name in enumerate(names)]
    with Index(rules) as index:
        assert index.candidates("a.happened", "booking", dict.fromkeys(names, 1)) == list(range(400))
        assert index.candidates("a.happened", "booking", {names[399]: 1, names[3]: 1, names[0]: 2}) == [
            3,
            399,
        ]


def test_more_conjuncts_than_a_path_can_hold() -> None:
    rules = [rule(1, *(Conjunct("booking.nights", "!=", number) for number in range(2000)))]
    with Index(rules) as index:
        assert index.candidates("a.happened", "booking", {"booking.nights": 1999}) == []
        assert index.candidates("a.happened", "booking", {"booking.nights": 2000}) == [1]


def test_names_of_properties_differ_in_durable_rules_hash() -> None:
    """It compares names by their 32-bit FNV hash alone."""
    names = [*key_names(), "0", "id", "sid"]
    assert len({fnv1a(name) for name in names}) == len(names) == len(set(names))


def test_an_index_gives_the_same_answer_again_and_in_any_order() -> None:
    rules = [rule(1, Conjunct("booking.nights", ">", 5)), rule(2, Conjunct("booking.nights", "<", 9))]
    with Index(rules) as index:
        for nights, expected in [(3, [2]), (6, [1, 2]), (6, [1, 2]), (9, [1]), (3, [2])] * 50:
            assert index.candidates("a.happened", "booking", {"booking.nights": nights}) == expected


class FailingOnce:
    """durable-rules' C module, but one of its functions fails when it is next called."""

    def __init__(self, function: str, error: BaseException) -> None:
        self._function = function
        self._error: BaseException | None = error

    def __getattr__(self, name: str) -> Any:
        if name == self._function and self._error is not None:
            error, self._error = self._error, None
            raise error
        return getattr(durable_rules_engine, name)


@pytest.mark.parametrize(
    "function", ["assert_fact", "start_action_for_state", "complete_and_start_action", "retract_fact"]
)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), durable_rules_engine.error("code 303")]
)
def test_an_interrupted_match_leaves_no_fact_behind(
    function: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [rule(1, Conjunct("booking.nights", ">", 5)), rule(2, Conjunct("booking.nights", ">", 2))]
    with Index(rules) as index:
        with monkeypatch.context() as patch:
            patch.setattr("policyengine.engine.match.durable", FailingOnce(function, error))
            with pytest.raises(type(error)):
                index.candidates("a.happened", "booking", {"booking.nights": 7})
        assert index.candidates("a.happened", "booking", {"booking.nights": 3}) == [2]
        assert index.candidates("a.happened", "booking", {"booking.nights": 1}) == []


def test_an_answer_that_should_not_be_is_an_error_and_the_network_is_rebuilt() -> None:
    with Index([rule(1, Conjunct("booking.nights", ">", 5))]) as index:
        network = index._networks[0]
        durable_rules_engine.assert_fact(network._handle, '{"id":1,"a":7}')  # a stale fact
        with pytest.raises(IndexBrokenError, match="PE299"):
            index.candidates("a.happened", "booking", {"booking.nights": 7})
        assert index.candidates("a.happened", "booking", {"booking.nights": 7}) == [1]


def test_threads_wait_for_each_other() -> None:
    rules = [rule(number, Conjunct("booking.nights", "==", number % 7)) for number in range(70)]
    wrong: list[int] = []
    with Index(rules) as index:

        def ask(nights: int) -> None:
            expected = list(range(nights, 70, 7))
            answers = [
                index.candidates("a.happened", "booking", {"booking.nights": nights}) for _ in range(300)
            ]
            wrong.extend(nights for answer in answers if answer != expected)

        threads = [Thread(target=ask, args=(nights,)) for nights in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_dropped_index_gives_its_networks_back() -> None:
    index = Index([rule(1, Conjunct("booking.nights", ">", 5))])
    handle = index._networks[0]._handle
    del index
    gc.collect()
    with pytest.raises(durable_rules_engine.error):
        durable_rules_engine.assert_fact(handle, '{"id":1}')


def test_closing_twice_is_harmless() -> None:
    index = Index([rule(1, Conjunct("booking.nights", ">", 5))])
    index.close()
    index.close()


def resident_kilobytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_a_hundred_reloads_do_not_grow_the_process() -> None:
    """A network of 200 rules takes some 3 MB: a hundred lost ones would be 300 MB."""
    rules = [rule(number, Conjunct("booking.nights", "==", number)) for number in range(200)]

    def reload(times: int) -> None:
        for _ in range(times):
            with Index(rules) as index:
                assert index.candidates("a.happened", "booking", {"booking.nights": 7}) == [7]

    reload(20)
    before = resident_kilobytes()
    reload(100)
    assert resident_kilobytes() - before < 30_000


def test_many_matches_do_not_grow_the_process() -> None:
    """A fact of 9 kB lost in each would be 180 MB."""
    rules = [rule(number, Conjunct("booking.nights", ">", number)) for number in range(3)]
    with Index(rules) as index:

        def match(times: int) -> None:
            for number in range(times):
                index.candidates("a.happened", "booking", {"booking.nights": number % 5})

        match(2_000)
        before = resident_kilobytes()
        match(20_000)
    assert resident_kilobytes() - before < 20_000
