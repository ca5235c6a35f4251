"""Decision tables: what a cell means, which rows fit, and every fault at its cell."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.domain.money import Money
from policyengine.domain.policy import Table
from policyengine.domain.values import Value, ValueType
from policyengine.engine.expressions import Compiled, ExpressionError, Problem
from policyengine.engine.table_cells import CellError, read_result, read_test
from policyengine.engine.tables import CompiledTable, compile_table
from policyengine.errors import EvaluationError


class Name(Compiled):
    """An expression that is one attribute, or `double <attribute>` in results."""

    def __init__(self, source: str, kind: ValueType) -> None:
        self.text = source
        self.type = kind
        self.refs = (source.removeprefix("double "),)

    def value(self, values: Mapping[str, Value]) -> Value:
        (name,) = self.refs
        if name not in values:
            raise EvaluationError(f"{name} is absent", code="PE221")
        value = values[name]
        if self.text.startswith("double "):
            assert isinstance(value, int)
            return value * 2
        return value


class Names:
    """A language whose expressions are names; `bad` is an error at its third character."""

    def __init__(self, currency: str | None = None) -> None:
        self.currency = currency

    def compile(self, source: str, expect: ValueType | None) -> Name:
        if source.strip() == "bad":
            raise ExpressionError((Problem("PE031", "unknown attribute `bad`", "", 2),))
        assert expect is not None
        return Name(source.strip(), expect)


def table(columns: list[tuple[str, str, str]], rows: Any, hit: str = "unique") -> Table:
    return Table.model_validate(
        {"hit": hit, "columns": [{key: name, "type": kind} for key, name, kind in columns], "rows": rows}
    )


def compiled(*args: Any, currency: str | None = None, **keys: Any) -> CompiledTable:
    faults: list[Any] = []
    result = compile_table(table(*args, **keys), Names(currency), lambda *fault: faults.append(fault))
    assert faults == []
    return result


def faults_of(*args: Any, currency: str | None = None, **keys: Any) -> list[tuple[Any, ...]]:
    faults: list[tuple[Any, ...]] = []
    compile_table(table(*args, **keys), Names(currency), lambda *fault: faults.append(fault[:2]))
    return faults


EUR = "EUR"


@pytest.mark.parametrize(
    ("cell", "kind", "fitting", "others"),
    [
        ("<= 1500", "integer", [1500, 0, -5], [1501]),
        ("< 3", "integer", [2], [3]),
        (">= 5", "integer", [5, 6], [4]),
        ("> 2", "integer", [3], [2]),
        ("= 7", "integer", [7], [6, 8]),
        (7, "integer", [7], [6, 8]),
        ("1, 2,3", "integer", [1, 2, 3], [0, 4]),
        ("[1..10)", "integer", [1, 9], [0, 10]),
        ("(1..10]", "integer", [2, 10], [1, 11]),
        ("[1..10]", "integer", [1, 10], [0, 11]),
        ("(1..10)", "integer", [2, 9], [1, 10]),
        ("[ -3 .. -1 ]", "integer", [-3, -1], [-4, 0]),
        ("not(1, 2)", "integer", [0, 3], [1, 2]),
        ('"IL","EU"', "text", ["IL", "EU"], ["US", "il"]),
        ("IL, EU", "text", ["IL", "EU"], ["US"]),
        ('not("IL","EU")', "text", ["US", ""], ["IL", "EU"]),
        ("gold", "text", ["gold"], ["Gold"]),
        ('"a, b"', "text", ["a, b"], ["a"]),
        ("'say \"x\"'", "text", ['say "x"'], ["x"]),
        ("זהב", "text", ["זהב"], ["כסף"]),
        ("= 5", "text", ["5"], [""]),
        ("true", "flag", [True], [False]),
        (False, "flag", [False], [True]),
        (">= 2020-03-15", "date", [date(2020, 3, 15)], [date(2020, 3, 14)]),
        ("2020-03-15", "date", [date(2020, 3, 15)], [date(2020, 3, 16)]),
        (
            "[2020-03-15..2020-07-01)",
            "date",
            [date(2020, 3, 15), date(2020, 6, 30)],
            [date(2020, 3, 14), date(2020, 7, 1)],
        ),
        ("<= 1000 ILS", "money", [Money(100_000, "ILS")], [Money(100_001, "ILS")]),
        ("[0.50 EUR..1 EUR)", "money", [Money(50, EUR), Money(99, EUR)], [Money(49, EUR), Money(100, EUR)]),
    ],
)
def test_a_cell_means_what_it_says(cell: Any, kind: Any, fitting: list[Any], others: list[Any]) -> None:
    test = read_test(cell, kind)
    assert test is not None
    assert [test.fits(value) for value in fitting] == [True] * len(fitting)
    assert [test.fits(value) for value in others] == [False] * len(others)


@pytest.mark.parametrize(
    ("cell", "kind", "code"),
    [
        ("<= ", "integer", "PE041"),
        ("=> 5", "integer", "PE043"),
        ("== 5", "integer", "PE041"),
        ("5..10", "integer", "PE043"),
        ("[10..1]", "integer", "PE042"),
        ("[1..1)", "integer", "PE042"),
        ("(1..2)", "integer", "PE042"),
        ("(2020-01-01..2020-01-01]", "date", "PE042"),
        ("1,500", "integer", "PE041"),
        ("1,", "integer", "PE041"),
        ("gold", "integer", "PE043"),
        ("1.5", "integer", "PE043"),
        ("9007199254740992", "integer", "PE043"),
        ("9" * 5000, "integer", "PE043"),
        (True, "text", "PE043"),
        (True, "integer", "PE043"),
        ("yes", "flag", "PE043"),
        ("< true", "flag", "PE043"),
        ("< b", "text", "PE043"),
        ("[a..b]", "text", "PE043"),
        ('"IL', "text", "PE041"),
        ('"IL" "EU"', "text", "PE041"),
        ("!= IL", "text", "PE041"),
        ("2020-02-30", "date", "PE041"),
        ("15.3.2020", "date", "PE043"),
        ("1000", "money", "PE043"),
        ("1000 XYZ", "money", "PE043"),
        ("1.005 ILS", "money", "PE043"),
        ("[1 ILS..5 EUR]", "money", "PE035"),
        ("not()", "integer", "PE041"),
        ("not(1", "integer", "PE043"),
    ],
)
def test_a_malformed_cell_is_an_error_that_says_how_to_write_it(cell: Any, kind: Any, code: str) -> None:
    with pytest.raises(CellError) as caught:
        read_test(cell, kind)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("250 EUR", "money", Money(25_000, EUR)),
        (3, "integer", 3),
        ("3", "integer", 3),
        ("full refund, in money", "text", "full refund, in money"),
        ('"= not CEL"', "text", "= not CEL"),
        ("true", "flag", True),
        ("2020-03-15", "date", date(2020, 3, 15)),
    ],
)
def test_a_result_is_a_value_of_its_columns_type(cell: Any, kind: Any, value: Value) -> None:
    assert read_result(cell, kind) == value


def test_a_result_is_never_a_dash() -> None:
    with pytest.raises(CellError, match="a result cannot be `-`"):
        read_result("-", "money")


DISTANCE = [
    ("when", "flight.km", "integer"),
    ("when", "flight.intra_eu", "flag"),
    ("set", "amount", "money"),
]
EU261 = [
    ["<= 1500", "-", "250 EUR"],
    ["> 1500", True, "400 EUR"],
    ["(1500..3500]", False, "400 EUR"],
    ["> 3500", False, "600 EUR"],
]


@pytest.mark.parametrize(
    ("km", "intra_eu", "row", "cents"),
    [
        (1500, True, 1, 25_000),
        (1501, True, 2, 40_000),
        (9000, True, 2, 40_000),
        (1501, False, 3, 40_000),
        (3500, False, 3, 40_000),
        (3501, False, 4, 60_000),
    ],
)
def test_the_compensation_of_eu_261_as_a_table(km: int, intra_eu: bool, row: int, cents: int) -> None:
    facts: dict[str, Value] = {"flight.km": km, "flight.intra_eu": intra_eu}
    result = compiled(DISTANCE, EU261)
    assert result.fitting(facts) == (row,)
    assert result.match(facts) == [{"row.amount": Money(cents, EUR)}]
    assert result.outputs == {"amount": ValueType.MONEY}


def test_a_dash_asks_for_nothing_so_its_attribute_may_be_absent() -> None:
    assert compiled(DISTANCE, EU261).fitting({"flight.km": 1000}) == (1,)


def test_a_row_that_depends_on_an_absent_attribute_makes_the_table_unknown() -> None:
    with pytest.raises(EvaluationError, match=r"flight\.intra_eu") as caught:
        compiled(DISTANCE, EU261).match({"flight.km": 2000})
    assert caught.value.code == "PE221"


def test_two_rows_of_a_unique_table_are_an_error_that_names_both() -> None:
    rows = [["<= 10", 1], [">= 10", 2]]
    columns = [("when", "x", "integer"), ("set", "y", "integer")]
    with pytest.raises(EvaluationError, match="rows 1 and 2") as caught:
        compiled(columns, rows).match({"x": 10})
    assert caught.value.code == "PE045"
    assert compiled(columns, rows, hit="first").match({"x": 10}) == [{"row.y": 1}]
    assert compiled(columns, rows, hit="collect").match({"x": 10}) == [{"row.y": 1}, {"row.y": 2}]
    assert compiled(columns, rows[:1]).match({"x": 11}) == []


def test_a_first_table_stops_before_a_row_that_would_be_unknown() -> None:
    columns = [("when", "x", "integer"), ("when", "z", "integer"), ("set", "y", "integer")]
    rows = [[1, "-", 1], ["-", 5, 2]]
    assert compiled(columns, rows, hit="first").match({"x": 1}) == [{"row.y": 1}]
    with pytest.raises(EvaluationError, match="asks for z"):
        compiled(columns, rows, hit="collect").match({"x": 1})


def test_a_result_after_an_equals_sign_is_computed() -> None:
    columns = [("when", "x", "integer"), ("set", "y", "integer")]
    assert compiled(columns, [["-", "= double x"]]).match({"x": 21}) == [{"row.y": 42}]


def test_another_currency_in_the_facts_is_an_error_in_the_decision() -> None:
    columns = [("when", "paid", "money"), ("set", "y", "integer")]
    with pytest.raises(EvaluationError) as caught:
        compiled(columns, [["<= 10 EUR", 1]]).match({"paid": Money(1, "ILS")})
    assert caught.value.code == "PE204"


def test_rows_may_be_written_as_lines_between_bars() -> None:
    text = """
      | <= 1500      | -     | 250 EUR |
      | > 1500       | true  | 400 EUR |
      (1500..3500]   | false | 400 EUR
      > 3500         | false | 600 EUR
    """
    assert table(DISTANCE, text).rows == [[str(cell).replace("True", "true").replace("False", "false") for cell in row] for row in EU261]  # fmt: skip
    assert compiled(DISTANCE, text) .fitting({"flight.km": 4000, "flight.intra_eu": False}) == (4,)  # fmt: skip


def test_every_fault_of_a_table_is_reported_at_its_cell() -> None:
    columns = [("when", "x", "integer"), ("when", "paid", "money"), ("set", "y", "money")]
    rows = [
        ["[9..1]", "<= 5 EUR", "1 EUR"],
        ["-", "<= 5 ILS", "-"],
        ["-", "-"],
        ["-", "-", "= bad"],
        ["-", "-", "2 ILS"],
    ]
    assert faults_of(columns, rows) == [
        (("rows", 0, 0), "PE042"),
        (("rows", 1, 1), "PE035"),
        (("rows", 1, 2), "PE044"),
        (("rows", 2), "PE040"),
        (("rows", 3, 2), "PE031"),
        (("rows", 4, 2), "PE035"),
    ]


def test_columns_at_fault_are_reported() -> None:
    columns = [("when", "bad", "integer"), ("set", "y", "integer"), ("set", "y", "integer")]
    assert faults_of(columns, [[1, 2, 3]]) == [
        (("columns", 0, "when"), "PE031"),
        (("columns", 2, "set"), "PE006"),
    ]
    assert faults_of([("set", "y", "integer")], [[1]]) == [(("columns",), "PE040")]


def test_amounts_are_of_the_policys_currency() -> None:
    columns = [("when", "x", "integer"), ("set", "y", "money")]
    assert faults_of(columns, [["-", "1 EUR"]], currency="ILS") == [(("rows", 0, 1), "PE035")]


def test_the_offset_of_an_error_in_a_result_counts_from_the_start_of_the_cell() -> None:
    seen: list[Any] = []
    broken = table([("when", "x", "integer"), ("set", "y", "integer")], [["-", "= bad"]])
    compile_table(broken, Names(), lambda *fault: seen.append(fault))
    # `=` stands at 0, so the third character of ` bad` stands at 1 + 2
    assert [fault[4] for fault in seen] == [3]


DAY = date(2020, 1, 1)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["integer", "money", "date"]),
    st.integers(-20, 20),
    st.integers(-20, 20),
    st.sampled_from(["[]", "[)", "(]", "()"]),
    st.integers(-25, 25),
)
def test_intervals_and_comparisons_agree_with_arithmetic(
    kind: Any, low: int, high: int, ends: str, number: int
) -> None:
    left, right = ends

    def write(value: int) -> str:
        if kind == "integer":
            return str(value)
        if kind == "money":
            return str(Money(value, EUR))
        return (DAY + timedelta(days=value)).isoformat()

    def make(value: int) -> Value:
        if kind == "integer":
            return value
        return Money(value, EUR) if kind == "money" else DAY + timedelta(days=value)

    value = make(number)
    above = number >= low if left == "[" else number > low
    below = number <= high if right == "]" else number < high
    try:
        interval = read_test(f"{left}{write(low)}..{write(high)}{right}", kind)
    except CellError:
        assert low >= high or high - low == 1
    else:
        assert interval is not None
        assert interval.fits(value) == (above and below)
    for operator, expected in (
        ("<", number < low),
        ("<=", number <= low),
        (">", number > low),
        (">=", number >= low),
        ("=", number == low),
    ):
        test = read_test(f"{operator} {write(low)}", kind)
        assert test is not None
        assert test.fits(value) == expected


TEXTS = st.text(alphabet="ab ,().<=-!'אב", max_size=5)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS, st.booleans())
def test_quoted_lists_hold_exactly_their_texts(words: list[str], word: str, negated: bool) -> None:
    listed = ",".join(f'"{each}"' for each in words)
    test = read_test(f"not({listed})" if negated else listed, "text")
    assert test is not None
    assert test.fits(word) == ((word in words) != negated)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="[](),.<>=-\"' 0123456789ILSEURnottruefalse", max_size=14) | st.text(max_size=10),
    st.sampled_from(["integer", "money", "text", "flag", "date"]),
)
def test_any_cell_is_read_or_refused(cell: str, kind: Any) -> None:
    for read in (read_test, read_result):
        with suppress(CellError):
            read(cell, kind)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["<", ">", "=", "-"])), min_size=1, max_size=5),
    st.integers(0, 3) | st.none(),
)
def test_the_hit_policies_agree_with_their_definition(cells: list[tuple[int, str]], x: int | None) -> None:
    rows = [["-" if sign == "-" else f"{sign} {bound}", number] for number, (bound, sign) in enumerate(cells)]
    columns = [("when", "x", "integer"), ("set", "y", "integer")]
    facts: dict[str, Value] = {} if x is None else {"x": x}

    def fits(bound: int, sign: str) -> bool:
        assert x is not None
        return {"<": x < bound, ">": x > bound, "=": x == bound, "-": True}[sign]

    collect = compiled(columns, rows, hit="collect")
    if x is None and any(sign != "-" for _, sign in cells):
        with pytest.raises(EvaluationError):
            collect.match(facts)
        return
    expected = [
        {"row.y": number} for number, (bound, sign) in enumerate(cells) if sign == "-" or fits(bound, sign)
    ]
    assert collect.match(facts) == expected
    assert compiled(columns, rows, hit="first").match(facts) == expected[:1]
    if len(expected) <= 1:
        assert compiled(columns, rows, hit="unique").match(facts) == expected
    else:
        with pytest.raises(EvaluationError):
            compiled(columns, rows, hit="unique").match(facts)
