"""Generated, well-typed expressions: our evaluator and C++ CEL behind `judge` both give what the oracle gives."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policyengine.domain.decision import ClauseResult
from policyengine.domain.money import MAX_EXACT, Money, Rounding
from policyengine.domain.values import Value, ValueType
from policyengine.engine.conjuncts import index_value
from policyengine.engine.expressions import DECIMAL, Compiled, Language
from policyengine.engine.units import unit_of
from policyengine.engine.vocabulary import Term, Vocabulary
from policyengine.errors import EvaluationError
from tests.oracle.cel_oracle import ERROR, Oracle, T, to_cel

ZONE = ZoneInfo("Asia/Jerusalem")
TYPES = {
    "booking.paid": ValueType.MONEY,
    "booking.fee": ValueType.MONEY,
    "booking.nights": ValueType.INTEGER,
    "booking.rooms": ValueType.INTEGER,
    "booking.starts_on": ValueType.DATE,
    "booking.ends_on": ValueType.DATE,
    "booking.made_at": ValueType.INSTANT,
    "event.time": ValueType.INSTANT,
    "booking.name": ValueType.TEXT,
    "booking.city": ValueType.TEXT,
    "booking.flexible": ValueType.FLAG,
    "booking.insured": ValueType.FLAG,
    "booking.tags": ValueType.TEXTS,
}
VOCABULARY = Vocabulary({name: Term(value_type) for name, value_type in TYPES.items()})


def language(rounding: Rounding, *, native: bool) -> Language:
    return Language(
        VOCABULARY,
        parameters={"rate": DECIMAL},
        row={},
        currency=None,
        rounding=rounding,
        zone=ZONE,
        native_conditions=native,
    )


LANGUAGES = {
    (rounding, native): language(rounding, native=native) for rounding in Rounding for native in (True, False)
}
VARIABLES = {name: unit_of(value_type).cel for name, value_type in TYPES.items()} | {"param.rate": T.DOUBLE}
ORACLES = {rounding: Oracle(VARIABLES, rounding.value, ZONE) for rounding in Rounding}

EDGE = 2**53
NUMBERS = [0, 1, -1, 2, 3, 7, 30, 100, -7, EDGE - 1, EDGE, -EDGE, 2**62, 2**63 - 1, 1 - 2**63]
TEXTS = ["", "a", "gold", "שלום", "שלו", "לום עולם", 'quo"te', "back\\slash", "🎫", "Z", "é"]
DAYS = ["1900-01-01", "2020-01-31", "2020-02-29", "2020-03-15", "2021-02-28", "2024-05-03", "2200-12-31"]
INSTANTS = [
    "1900-01-01T00:00:00Z",
    "1999-12-31T23:59:59.999999Z",
    "2020-03-14T22:00:00Z",  # midnight in Jerusalem
    "2020-03-15T10:30:00.000001+02:00",
    "2200-12-31T00:00:00Z",
]
AMOUNTS = ["0 ILS", "100 ILS", "12.50 ILS", "-0.01 ILS", "1 ILS", "90071992547409.91 ILS"]
DURATIONS = ["0s", "24h", "-90m", "1h30m", "0.000001s", "2562047h", "-2562047h", "1ms"]

_any_number = st.sampled_from(NUMBERS) | st.integers(-40, 40)


def literal(name: str, texts: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(texts).map(lambda text: f'{name}("{text}")')


def text_literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


ATOMS = {
    ValueType.INTEGER: st.sampled_from(["booking.nights", "booking.rooms"]) | _any_number.map(str),
    ValueType.MONEY: st.sampled_from(["booking.paid", "booking.fee"]) | literal("money", AMOUNTS),
    ValueType.DATE: st.sampled_from(["booking.starts_on", "booking.ends_on"]) | literal("date", DAYS),
    ValueType.INSTANT: st.sampled_from(["booking.made_at", "event.time"]) | literal("timestamp", INSTANTS),
    ValueType.TEXT: st.sampled_from(["booking.name", "booking.city"])
    | st.sampled_from(TEXTS).map(text_literal),
    ValueType.FLAG: st.sampled_from(["booking.flexible", "booking.insured", "true", "false"]),
    ValueType.TEXTS: st.just("booking.tags")
    | st.lists(st.sampled_from(TEXTS).map(text_literal), min_size=1, max_size=3).map(
        lambda items: f"[{', '.join(items)}]"
    ),
}
COUNTRIES = st.sampled_from(['"IL"', '"DE"', '"US"'])
PARTS = ["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"]
CLOCK = ["getHours", "getMinutes", "getSeconds"]
LOOPS = ["exists", "all", "exists_one"]
A_RANGE = re.compile(r"\(-?\d+ - -?\d+\)", re.ASCII)


@st.composite
def expressions(draw: st.DrawFn, wanted: ValueType, depth: int = 3) -> str:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(ATOMS[wanted])
    form = draw(st.sampled_from(FORMS[wanted] + CHOICES[wanted]))
    return fill(draw, form, depth - 1)


def fill(draw: st.DrawFn, form: str, depth: int) -> str:
    """`{money}` and the like become expressions of that type."""
    out, rest = "", form
    while "{" in rest:
        before, _, rest = rest.partition("{")
        hole, _, rest = rest.partition("}")
        out += before + draw(HOLES[hole] if hole in HOLES else expressions(ValueType(hole), depth))
    return out + rest


def durations() -> st.SearchStrategy[str]:
    return literal("duration", DURATIONS) | st.sampled_from(
        [
            "(booking.made_at - event.time)",
            "(booking.ends_on - booking.starts_on)",
            '(duration("2562047h") + duration("40m"))',
        ]
    )


HOLES: dict[str, st.SearchStrategy[str]] = {
    "duration": durations(),
    "country": COUNTRIES,
    "part": st.sampled_from(PARTS),
    "clock": st.sampled_from(CLOCK),
    "loop": st.sampled_from(LOOPS),
    "compare": st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    "decimal": st.sampled_from(["7.5", "0.1", "33.333", "-2.5", "param.rate"]),
    "small": st.integers(-30, 30).map(str),
    "ask": st.sampled_from(["contains", "startsWith", "endsWith"]),
    "name": st.sampled_from(sorted(TYPES)),
    # `in [1 - 5]` is refused: people write it for a range
    "member": expressions(ValueType.INTEGER, 2).filter(lambda text: not A_RANGE.fullmatch(text)),
}
FORMS = {
    ValueType.INTEGER: [
        "({integer} + {integer})", "({integer} - {integer})", "({integer} * {integer})",
        "({integer} / {integer})", "({integer} % {integer})", "-({integer})",
        "percent({integer}, {integer})", "percent({integer}, {decimal})",
        "min({integer}, {integer})", "max({integer}, {integer})", "clamp({integer}, {integer}, {integer})",
        "size({text})", "{text}.size()", "size({texts})", "{instant}.{part}()", "{date}.{part}()",
        "{instant}.{clock}()", "{duration}.{clock}()", "{instant}.getMilliseconds()",
        "days_between({date}, {date})", "months_between({date}, {date})",
        "business_days({date}, {date}, {country})", "overlap_days({date}, {date}, {date}, {date})",
        "hours_between({instant}, {instant})", "minutes_between({instant}, {instant})",
        "year({date})", "month({date})", "day({date})", "weekday({date})",
        "[{integer}, {integer}][{small}]", "[{integer}, {integer}].map(i, i * 2)[1]",
    ],
    ValueType.MONEY: [
        "({money} + {money})", "({money} - {money})", "({money} * {integer})", "({integer} * {money})",
        "-({money})", "percent({money}, {integer})", "percent({money}, {decimal})",
        "prorate({money}, {integer}, {integer})", "prorate({money}, {small}, {small})",
        "round_to({money}, {money})", "min({money}, {money})", "max({money}, {money})",
        "clamp({money}, {money}, {money})",
    ],
    ValueType.DATE: [
        "date_of({instant})", "add_days({date}, {small})", "add_days({date}, {integer})",
        "add_months({date}, {small})", "end_of_month({date})", "next_business_day({date}, {country})",
        "add_business_days({date}, {small}, {country})", "min({date}, {date})", "max({date}, {date})",
        "clamp({date}, {date}, {date})",
    ],
    ValueType.INSTANT: ["({instant} + {duration})", "({instant} - {duration})", "({duration} + {instant})"],
    ValueType.TEXT: ["({text} + {text})", "string({integer})", "{texts}[{small}]"],
    ValueType.FLAG: [
        "({flag} && {flag})", "({flag} || {flag})", "(!{flag})", "({flag} && {flag} && {flag})",
        "({integer} {compare} {integer})", "({money} {compare} {money})", "({date} {compare} {date})",
        "({instant} {compare} {instant})", "({text} {compare} {text})", "({flag} == {flag})",
        "({duration} {compare} {duration})", "({texts} == {texts})", "({texts} != {texts})",
        "({text} in {texts})", "({integer} in [{member}, {member}])", "({money} in [{money}, {money}])",
        "({date} in [{date}])", "{text}.{ask}({text})", "present({name})",
        "between({money}, {money}, {money})", "between({integer}, {integer}, {integer})",
        "between({date}, {date}, {date})", "between({instant}, {instant}, {instant})",
        "{texts}.{loop}(t, t == {text})", "{texts}.{loop}(t, {flag} || t == {text})",
        "[{integer}, {integer}, {integer}].{loop}(i, 6 / i == {integer})",
        "[{money}, {money}].{loop}(m, m > {money})",
        "{texts}.{loop}(t, booking.tags.exists(u, u + t == {text}))",
    ],
    ValueType.TEXTS: [
        "({texts} + {texts})", "{texts}.filter(t, t != {text})", "{texts}.map(t, t + {text})",
        "{texts}.map(t, {flag} && t != {text}, t + t)", "[{text}, {text}]",
    ],
}  # fmt: skip
CHOICES = {kind: [f"({{flag}} ? {{{kind}}} : {{{kind}}})"] for kind in FORMS}

_VALUES = {
    ValueType.INTEGER: st.sampled_from([number for number in NUMBERS if abs(number) <= MAX_EXACT])
    | st.integers(-40, 40),
    ValueType.MONEY: st.sampled_from([0, 1, 1250, 9999, 10000, 10001, -1, MAX_EXACT]).map(
        lambda minor: Money(minor, "ILS")
    ),
    ValueType.DATE: st.sampled_from(DAYS).map(date.fromisoformat)
    | st.dates(date(1990, 1, 1), date(2050, 1, 1)),
    ValueType.INSTANT: st.sampled_from(INSTANTS).map(
        lambda text: datetime.fromisoformat(text).astimezone(UTC)
    ),
    ValueType.TEXT: st.sampled_from(TEXTS),
    ValueType.FLAG: st.booleans(),
    ValueType.TEXTS: st.lists(st.sampled_from(TEXTS), max_size=3).map(tuple),
}
FACTS = st.fixed_dictionaries(
    {"param.rate": st.sampled_from([Decimal("7.5"), Decimal("0.1"), Decimal("12.345"), Decimal(-3)])},
    optional={name: _VALUES[value_type] for name, value_type in TYPES.items()},
)
SETTINGS = settings(max_examples=200, deadline=None)
ROUNDINGS = st.sampled_from(list(Rounding))


def ours(compiled: Compiled, facts: dict[str, Value]) -> Any:
    try:
        return to_cel(compiled.value(facts))
    except EvaluationError as error:
        return error


def agree(compiled: Compiled, facts: dict[str, Value], expected: Any) -> None:
    got = ours(compiled, facts)
    if expected is ERROR:
        assert isinstance(got, EvaluationError), (compiled.text, facts, got)
        absent = [name for name in compiled.refs if name not in facts]
        assert (got.code == "PE221") <= bool(absent)
    elif isinstance(expected, int) and abs(expected) > MAX_EXACT:
        assert isinstance(got, EvaluationError)
        assert got.code == "PE205"
    else:
        assert got == expected, (compiled.text, facts)
        assert isinstance(got, bool) == isinstance(expected, bool)


@pytest.mark.parametrize("wanted", [kind for kind in FORMS if kind is not ValueType.FLAG])
@given(data=st.data(), facts=FACTS, rounding=ROUNDINGS)
@SETTINGS
def test_amounts_dates_and_texts_are_what_cel_computes(
    wanted: ValueType, data: st.DataObject, facts: dict[str, Value], rounding: Rounding
) -> None:
    source = data.draw(expressions(wanted))
    compiled = LANGUAGES[rounding, False].compile(source, wanted)
    agree(compiled, facts, ORACLES[rounding].evaluate(source, facts))


@given(source=expressions(ValueType.FLAG), facts=FACTS, rounding=ROUNDINGS)
@example("(-9223372036854775807 - 1) % -1 == 0", {}, Rounding.UP)
@example("(-9223372036854775807 - 1) / -1 == 0", {}, Rounding.UP)
@example("-7 / 2 == -3 && -7 % 2 == -1 && 7 % -2 == 1", {}, Rounding.UP)
@example("[1, 2, 3].exists_one(x, 1 / (x - 2) == 1)", {}, Rounding.UP)
@example("[1, 2, 3].all(x, 1 / (x - 2) == 1)", {}, Rounding.UP)
@example("booking.rooms > 1 || booking.insured", {"booking.insured": True}, Rounding.UP)
@example("booking.insured || booking.rooms > 1", {"booking.insured": False}, Rounding.UP)
@SETTINGS
def test_conditions_are_judged_as_cel_judges_them(
    source: str, facts: dict[str, Value], rounding: Rounding
) -> None:
    expected = ORACLES[rounding].evaluate(source, facts)
    for native in (True, False):
        judgement = LANGUAGES[rounding, native].compile(source, ValueType.FLAG).judge(facts)
        if expected is ERROR:
            assert judgement.result in (ClauseResult.UNKNOWN, ClauseResult.ERROR)
            assert (judgement.result is ClauseResult.UNKNOWN) == bool(judgement.absent)
            assert not set(judgement.absent) & set(facts)
        else:
            assert judgement.result is (ClauseResult.HELD if expected else ClauseResult.FAILED), source


_COMPARE = {
    "==": lambda seen, value: seen == value,
    "!=": lambda seen, value: seen != value,
    "<": lambda seen, value: seen < value,
    "<=": lambda seen, value: seen <= value,
    ">": lambda seen, value: seen > value,
    ">=": lambda seen, value: seen >= value,
    "in": lambda seen, value: seen in value,
}
_INDEXABLE = [
    "{flag}", "booking.flexible", "!booking.insured", "booking.nights {compare} {integer}",
    "{integer} {compare} booking.nights", "booking.paid {compare} {money}", "{money} {compare} booking.fee",
    "booking.starts_on {compare} {date}", "{instant} {compare} event.time", "booking.name {compare} {text}",
    "{text} {compare} booking.city", "booking.city in {texts}", "booking.rooms in [{member}, {member}]",
    "booking.starts_on in [{date}]", "booking.flexible == {flag}", "booking.paid in [{money}, {money}]",
    "between(booking.ends_on, {date}, {date})", "between(booking.paid, {money}, {money})",
]  # fmt: skip


@st.composite
def conjunctions(draw: st.DrawFn) -> str:
    forms = draw(st.lists(st.sampled_from(_INDEXABLE), min_size=1, max_size=4))
    return " && ".join(fill(draw, form, draw(st.integers(0, 1))) for form in forms)


def indexed(value: Value) -> Any:
    return index_value(value.minor if isinstance(value, Money) else value)


@given(source=conjunctions(), facts=FACTS)
@SETTINGS
def test_a_condition_that_held_satisfies_every_conjunct_drawn_from_it(
    source: str, facts: dict[str, Value]
) -> None:
    compiled = LANGUAGES[Rounding.HALF_UP, True].compile(source, ValueType.FLAG)
    held = compiled.judge(facts).result is ClauseResult.HELD
    satisfied = [
        conjunct.attribute in facts
        and _COMPARE[conjunct.operator](indexed(facts[conjunct.attribute]), conjunct.value)
        for conjunct in compiled.conjuncts
    ]
    assert all(satisfied) or not held


def test_a_timedelta_beyond_64_bits_of_nanoseconds_is_an_error_as_in_cel() -> None:
    """2^63 ns are 9223372036.85… s = 106751.99… days: 292 years and a bit."""
    facts: dict[str, Value] = {
        "event.time": datetime(1900, 1, 1, tzinfo=UTC),
        "booking.made_at": datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=106_752),
    }
    source = 'booking.made_at - event.time > duration("1h")'
    assert ORACLES[Rounding.UP].evaluate(source, facts) is ERROR
    judgement = LANGUAGES[Rounding.UP, False].compile(source, ValueType.FLAG).judge(facts)
    assert judgement.result is ClauseResult.ERROR
