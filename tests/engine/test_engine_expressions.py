"""Expressions: what compiles, how conditions are judged, what amounts come to, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from policyengine.domain.decision import ClauseResult
from policyengine.domain.money import Money, Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine.conjuncts import Conjunct
from policyengine.engine.expressions import DECIMAL, Compiled, ExpressionError, Judgement, Language, Problem
from policyengine.engine.vocabulary import Term, Vocabulary
from policyengine.errors import EvaluationError

TERMS = {
    "booking.paid": Term(ValueType.MONEY),
    "booking.fee": Term(ValueType.MONEY),
    "booking.nights": Term(ValueType.INTEGER),
    "booking.rooms": Term(ValueType.INTEGER),
    "booking.starts_on": Term(ValueType.DATE),
    "booking.flexible": Term(ValueType.FLAG),
    "booking.name": Term(ValueType.TEXT),
    "booking.tags": Term(ValueType.TEXTS),
    "event.time": Term(ValueType.INSTANT),
    "membership.tier": Term(ValueType.TEXT, choices=("gold", "platinum", "silver")),
    "membership.points": Term(ValueType.INTEGER),
}
NOTES = {"event.amount": "it is money in a.paid but integer in b.counted"}
FACTS: dict[str, Value] = {
    "booking.paid": Money(12345, "ILS"),
    "booking.nights": 5,
    "booking.starts_on": date(2020, 3, 15),
    "booking.flexible": True,
    "booking.name": "שלום",
    "booking.tags": ("vip", "family"),
    "event.time": datetime(2020, 3, 1, 12, tzinfo=UTC),
    "membership.tier": "gold",
    "param.months": 6,
    "row.share": 50,
}


def language(currency: str | None = None, *, native: bool = True) -> Language:
    return Language(
        Vocabulary(TERMS, NOTES),
        parameters={"months": ValueType.INTEGER, "rate": DECIMAL, "ceiling": ValueType.MONEY},
        row={"share": ValueType.INTEGER},
        currency=currency,
        rounding=Rounding.HALF_UP,
        zone=ZoneInfo("Asia/Jerusalem"),
        native_conditions=native,
    )


def condition(source: str, currency: str | None = None) -> Compiled:
    return language(currency).compile(source, ValueType.FLAG)


def problems(source: str, expect: ValueType | None = None, currency: str | None = None) -> list[Problem]:
    with pytest.raises(ExpressionError) as caught:
        language(currency).compile(source, expect)
    return list(caught.value.problems)


def said(source: str, expect: ValueType | None = None) -> str:
    (problem,) = problems(source, expect)
    return f"{problem.offset} {problem.code} {problem.message}; {problem.hint}"


# --- judging


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ('booking.paid > money("123.45 ILS")', ClauseResult.FAILED),
        ('booking.paid >= money("123.45 ILS")', ClauseResult.HELD),
        ('membership.tier in ["gold", "platinum"]', ClauseResult.HELD),
        ('booking.name == "שלום" && booking.name.size() == 4', ClauseResult.HELD),
        ('booking.name.matches("^ש.*ם$")', ClauseResult.HELD),
        ('"vip" in booking.tags', ClauseResult.HELD),
        ('booking.tags.exists(tag, tag.startsWith("fam"))', ClauseResult.HELD),
        ('booking.starts_on < date("2020-03-15")', ClauseResult.FAILED),
        ('booking.starts_on - date("2020-03-14") == duration("24h")', ClauseResult.HELD),
        ("param.months == 6 && row.share == 50", ClauseResult.HELD),
    ],
)
def test_a_condition_holds_or_fails(source: str, result: ClauseResult) -> None:
    assert condition(source).judge(FACTS) == Judgement(result)


@pytest.mark.parametrize("native", [True, False])
def test_a_condition_on_an_absent_attribute_is_unknown_and_names_it(native: bool) -> None:
    compiled = language(native=native).compile("booking.rooms > 1 && booking.flexible", ValueType.FLAG)
    assert compiled.judge(FACTS) == Judgement(ClauseResult.UNKNOWN, ("booking.rooms",))


@pytest.mark.parametrize("native", [True, False])
def test_the_other_side_may_decide_whatever_is_absent(native: bool) -> None:
    either = language(native=native).compile("booking.rooms > 1 || booking.flexible", ValueType.FLAG)
    both = language(native=native).compile("booking.rooms > 1 && !booking.flexible", ValueType.FLAG)
    assert either.judge(FACTS).result is ClauseResult.HELD
    assert both.judge(FACTS).result is ClauseResult.FAILED


def test_present_asks_for_an_absent_attribute_without_needing_it() -> None:
    assert condition("present(booking.rooms)").judge(FACTS) == Judgement(ClauseResult.FAILED)
    guarded = condition("!present(booking.rooms) || booking.rooms > 3")
    assert guarded.judge(FACTS).result is ClauseResult.HELD
    assert guarded.refs == ("booking.rooms",)


@pytest.mark.parametrize("native", [True, False])
def test_arithmetic_that_fails_with_everything_there_is_an_error(native: bool) -> None:
    compiled = language(native=native).compile("booking.nights / (booking.nights - 5) == 1", ValueType.FLAG)
    judgement = compiled.judge(FACTS)
    assert judgement.result is ClauseResult.ERROR
    assert "zero" in judgement.detail


def test_two_currencies_are_an_error_never_a_comparison() -> None:
    facts: dict[str, Value] = {"booking.paid": Money(1, "USD"), "booking.fee": Money(2, "ILS")}
    judgement = condition("booking.paid < booking.fee").judge(facts)
    assert judgement.result is ClauseResult.ERROR
    assert "USD" in judgement.detail
    assert "ILS" in judgement.detail


def test_a_currency_that_is_not_the_policys_is_an_error_even_where_the_other_side_decides() -> None:
    compiled = condition("booking.flexible || booking.paid > booking.fee", currency="EUR")
    assert compiled.judge(FACTS) == Judgement(
        ClauseResult.ERROR, (), "`booking.paid` is in ILS, the policy counts in EUR"
    )


# --- values


def test_an_amount_takes_the_currency_of_what_it_is_made_of() -> None:
    """5% of 123.45 is 6.1725: half up, 6.17."""
    compiled = language().compile("percent(booking.paid, 5)", ValueType.MONEY)
    assert compiled.value(FACTS) == Money(617, "ILS")
    assert compiled.value({"booking.paid": Money(12345, "EUR")}) == Money(617, "EUR")
    assert (compiled.type, compiled.money_refs, compiled.currencies) == (
        ValueType.MONEY,
        ("booking.paid",),
        (),
    )


def test_dates_numbers_texts_and_lists_come_out_as_such() -> None:
    compute = language().compile
    assert compute("add_months(booking.starts_on, param.months)", None).value(FACTS) == date(2020, 9, 15)
    assert compute("booking.nights * 2 - row.share", None).value(FACTS) == -40
    assert compute('booking.flexible ? "a" + string(booking.nights) : "b"', None).value(FACTS) == "a5"
    assert compute('booking.tags.filter(t, t != "vip")', ValueType.TEXTS).value(FACTS) == ("family",)
    assert compute("event.time", None).value(FACTS) == datetime(2020, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("booking.rooms + 1", "PE221", "`booking.rooms` is absent"),
        ("booking.rooms + membership.points", "PE221", "`booking.rooms`, `membership.points` are absent"),
        ("booking.nights / 0", "PE222", "division by zero"),
        (
            'percent(booking.paid + money("1 EUR"), 5)',
            "PE204",
            "`booking.paid` is in ILS, the expression counts in EUR",
        ),
    ],
)
def test_a_value_that_cannot_be_computed_says_why(source: str, code: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        language().compile(source, None).value(FACTS)
    assert caught.value.code == code
    assert message in caught.value.message


# --- what is refused, with place and hint


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("membership.point > 1", "0 PE031 unknown attribute `membership.point`; did you mean `membership.points`?"),
        ("param.month > 1", "0 PE031 unknown parameter `param.month`; did you mean `param.months`?"),
        ("booking.paid.amount > 1", "0 PE031 unknown attribute `booking.paid.amount`; `booking.paid` is money and has no parts"),
        ("event.amount > 1", "0 PE031 `event.amount` cannot be used: it is money in a.paid but integer in b.counted; write a rule for each event type"),
        ("booking.paid > 100", '13 PE032 compares money with a number; write money("100 ILS")'),
        ('booking.paid == "100 EUR"', '13 PE032 compares money with text; write money("100 EUR")'),
        ("booking.paid * booking.fee > booking.paid", "13 PE032 multiplies money by money; "),
        ("booking.paid / 3 > booking.fee", "13 PE032 divides money by a number; write prorate(booking.paid, 1, 3)"),
        ("booking.starts_on > event.time", "18 PE032 compares a date with an instant; write date_of(event.time)"),
        ('booking.starts_on > "2020-03-15"', '18 PE032 compares a date with text; write date("2020-03-15")'),
        ("booking.starts_on + 5 == booking.starts_on", "18 PE032 adds a number to a date; write add_days(booking.starts_on, 5)"),
        ('booking.nights == "5"', "15 PE032 compares a number with text; write 5 without quotes"),
        ('membership.tier == "golden"', "19 PE032 `membership.tier` is never `golden`; did you mean `gold`?"),
        ('membership.tier in ["gold", "tin"]', "28 PE032 `membership.tier` is never `tin`; it is one of gold, platinum, silver"),
        ("booking.paid", "0 PE032 a condition is true or false, but this is money; "),
        ("booking.paid && booking.flexible", "0 PE032 `&&` needs true or false, not money; "),
        ("percent(booking.name, 5) > 1", '0 PE032 `percent` is given text, a number; write it as in percent(money("12.50 ILS"), 5)'),
        ("min(booking.paid, 5) > booking.paid", '0 PE032 `min` is given money, a number; write money("5 ILS")'),
        ("param.rate > 1", "11 PE032 compares a decimal with a number; a decimal can only be an argument of `percent`"),
        ("booking.name == 'שלום' and booking.flexible", "23 PE033 `and` is not understood; write &&"),
        ("booking.nights = 5", "15 PE033 `=` does not compare; write `==` to compare"),
        ('booking.name == "x', '16 PE033 the text is not closed; end it with `"`'),
        ("booking.nights >", "16 PE033 the expression ends too early; something is missing behind it"),
        ("", "0 PE033 the expression is empty; "),
        ("prcent(booking.paid, 5) > booking.fee", "0 PE034 unknown function `prcent`; did you mean `percent`?"),
        ("booking.paid.percent(5) > booking.fee", "13 PE034 `percent` is not called with a dot; write percent(booking.paid, …)"),
        ('money("1 ILS") == money("1 EUR")', "18 PE035 money in EUR, but the money before it is in ILS; use one currency"),
        ("booking.paid == null", "16 PE036 `null` is not supported; ask `present(...)` whether an attribute is there"),
        ("has(booking.paid)", "3 PE036 `has` is not supported; write `present(...)`"),
        ("int(booking.name) == 5", "0 PE036 the function `int` is not supported; "),
        ("booking.tags == []", "16 PE036 an empty list is not supported; ask `size(x) == 0`"),
        ("booking.tags.exists(booking, true)", "19 PE036 the variable `booking` hides the attributes `booking.…`; choose another name"),
        ("booking.name.matches(booking.name)", "21 PE036 `matches` takes a pattern that is a text literal; "),
        ('booking.name.matches("a") && present(booking.name)', "0 PE036 `matches` cannot stand beside functions of money or dates, nor in an amount; give it a condition of its own"),
        ('booking.name.matches("a(")', "21 PE037 the pattern of `matches` is faulty; invalid regular expression: missing ): a("),
        ('booking.paid > money("1.234 ILS")', "15 PE037 `1.234` has more decimals than ILS allows (2); "),
        ("booking.paid > money(booking.name)", '15 PE037 `money` takes one text literal; write money("100 ILS")'),
        ('booking.starts_on > date("2020-02-30")', "20 PE037 `2020-02-30` is not a date; write year, month and day, such as 2020-03-15"),
        ('event.time > timestamp("2020-02-01")', "13 PE037 `2020-02-01` is not an instant; write it with a time zone, such as 2020-03-15T10:30:00Z"),
        ('next_business_day(booking.starts_on, "XX") == booking.starts_on', "37 PE037 no calendar of business days for the country `XX`; write an ISO 3166 code such as IL"),
        ("booking.nights > 99999999999999999999", "17 PE037 the number is too large; "),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place_and_a_hint(source: str, expected: str) -> None:
    assert said(source, ValueType.FLAG) == expected


@pytest.mark.parametrize(
    ("source", "expect", "hint"),
    [
        ("100 ILS", ValueType.MONEY, 'write money("100 ILS")'),
        ('"100 ILS"', ValueType.MONEY, 'write money("100 ILS")'),
        ("100", ValueType.MONEY, 'write money("100 ILS")'),
        ("2020-03-15", ValueType.DATE, 'write date("2020-03-15")'),
        ('"2020-03-15"', ValueType.DATE, 'write date("2020-03-15")'),
        ("gold", ValueType.TEXT, 'text needs quotes: "gold"'),
        ('"5"', ValueType.INTEGER, "write 5 without quotes"),
    ],
)
def test_a_bare_literal_is_told_how_it_is_written(source: str, expect: ValueType, hint: str) -> None:
    assert [problem.hint for problem in problems(source, expect)] == [hint]


def test_every_problem_of_an_expression_is_found_at_once() -> None:
    source = "booking.nigths > 1 && foo(1) && booking.paid > 3"
    assert [(problem.offset, problem.code) for problem in problems(source)] == [
        (0, "PE031"), (22, "PE034"), (45, "PE032"),
    ]  # fmt: skip


def test_a_literal_in_another_currency_than_the_policys_is_refused() -> None:
    (problem,) = problems('booking.paid > money("1 EUR")', currency="ILS")
    assert (problem.code, problem.message) == ("PE035", "money in EUR, but the policy counts in ILS")


@pytest.mark.parametrize(
    "source", ["(" * 60 + "true" + ")" * 60, " + ".join(["booking.nights"] * 500), "true" + " " * 10_000]
)
def test_an_expression_that_is_too_large_is_refused(source: str) -> None:
    (problem,) = problems(source)
    assert problem.code == "PE036"


@pytest.mark.parametrize("source", ["duration('1h')", "[1, 2]", "param.rate", "{'a': 1}", "b'x' == b'x'", "1u == 1u", "1.5 + 1.5", "type(1) == int", "booking.name[0]", "event.time.getHours('Asia/Jerusalem')", "timestamp(booking.name)", "math.greatest(1, 2)", "[1, 'a']", "-booking.flexible", "\ud800"])  # fmt: skip
def test_what_policies_do_without_is_refused_when_loaded(source: str) -> None:
    assert problems(source)


# --- conjuncts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('membership.tier == "gold"', [Conjunct("membership.tier", "==", "gold")]),
        ('"gold" != membership.tier', [Conjunct("membership.tier", "!=", "gold")]),
        ("5 < booking.nights", [Conjunct("booking.nights", ">", 5)]),
        ("booking.flexible && !booking.flexible", [Conjunct("booking.flexible", "==", True), Conjunct("booking.flexible", "==", False)]),
        ('membership.tier in ["gold", "gold", "silver"]', [Conjunct("membership.tier", "in", ("gold", "silver"))]),
        ('booking.paid <= money("12.50 ILS")', [Conjunct("booking.paid", "<=", 1250, "ILS")]),
        ('booking.starts_on >= date("1970-01-02")', [Conjunct("booking.starts_on", ">=", 1)]),
        ('event.time < timestamp("1970-01-01T02:00:01+02:00")', [Conjunct("event.time", "<", 1_000_000)]),
        ("between(booking.nights, 2, 7)", [Conjunct("booking.nights", ">=", 2), Conjunct("booking.nights", "<=", 7)]),
        ("booking.nights > 1 && (booking.rooms > 2 && booking.flexible)", [Conjunct("booking.nights", ">", 1), Conjunct("booking.rooms", ">", 2), Conjunct("booking.flexible", "==", True)]),
        ("booking.nights > 9007199254740991", [Conjunct("booking.nights", ">", 2**53 - 1)]),
        ("booking.nights > 9007199254740992", []),  # beyond what an index holds exactly
        ('booking.name < "b"', []),  # an index may order texts in another way
        ("booking.nights > 1 || booking.flexible", []),
        ("booking.nights > param.months", []),
        ("param.months > 3 && row.share == 50", []),
        ("booking.nights + 1 > 3", []),
        ('"vip" in booking.tags', []),
        ("booking.nights in [1, booking.rooms]", []),
    ],
)  # fmt: skip
def test_conjuncts_are_comparisons_of_an_attribute_with_a_constant(
    source: str, expected: list[Conjunct]
) -> None:
    assert list(condition(source).conjuncts) == expected


def test_an_expression_names_everything_it_reads() -> None:
    source = "booking.tags.exists(t, t == booking.name) && param.months > row.share && present(booking.rooms)"
    compiled = condition(source)
    assert compiled.refs == ("booking.name", "booking.rooms", "booking.tags", "param.months", "row.share")
    assert compiled.text == source
