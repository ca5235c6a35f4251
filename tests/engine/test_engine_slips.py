# ruff: noqa: RUF001 - odd characters are what this is about
"""What was most likely meant in an expression is told only where it is faulty, and at its place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.engine.follow_ups import not_past
from policyengine.engine.ruleset import PolicyVersion
from policyengine.engine.slips import slip
from policyengine.engine.syntax import ExpressionError, parse
from policyengine.errors import EvaluationError, MoneyError
from tests.support import draft, policy_set, refund


def told(source: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        parse(source)
    (problem,) = caught.value.problems
    return f"{problem.offset} {problem.message}; {problem.hint}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("booking.kind == “hotel”", '16 `“` is no quotation mark here; write plain quotation marks: "hotel"'),
        ("booking.nights ≥ 5", "15 `≥` is not understood; write >="),
        ("booking.nights => 5", "15 `=>` is not understood; write >="),
        ("booking.nights <> 5", "15 `<>` is not understood; write !="),
        ("booking.paid > 100 ILS", '15 `100 ILS` is not understood; write money("100 ILS")'),
        ("booking.paid > ₪1,000.50", '15 `₪1,000.50` is not understood; write money("1000.50 ILS")'),
        ("booking.nights > 5 AND booking.nights < 9", "19 `AND` is not understood; write &&"),
        ("percent(booking.paid, 80%)", "22 `80%` is no number; write 80: the function takes per cent"),
        ("booking.nights in 1..5", "18 a range is not written so; write between(booking.nights, 1, 5): both bounds belong to it"),
        ("booking.nights\u200b > 5", "14 a character that nobody sees stands here (zero width space, U+200B); delete it and type a plain space"),
        ("הזמנה > 5", "0 a word in other letters; names are written in English letters, and text in quotes"),
    ],
)  # fmt: skip
def test_a_slip_is_told_at_its_place_with_what_to_write(source: str, expected: str) -> None:
    assert told(source) == expected


def test_what_is_no_known_slip_is_told_as_it_was() -> None:
    assert slip("booking.nights > )", 17) is None
    assert told("booking.nights > )").startswith("17 `)` is not expected here")


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab1 .,%=<>&|!()[]{};:“”₪$≥–\xa0\"'אIndoILS0", max_size=25), st.integers(0, 30))
def test_any_text_has_a_slip_at_a_place_of_its_own_or_none(source: str, offset: int) -> None:
    found = slip(source, offset)
    if found is not None:
        assert 0 <= found.offset <= len(source)
        assert found.message
        assert found.hint


def test_what_is_no_date_is_in_error_without_a_closer_code() -> None:
    """PE220 is the code of an expression that fails on some facts alone; PE200 that of money at large."""
    prepared = policy_set(draft("a/b", refund("booking.paid")))
    version: PolicyVersion = prepared.ruleset.rules[0].policy
    prepared.ruleset.close()
    with pytest.raises(EvaluationError) as caught:
        not_past(version, "soon", "at", {"event.time": datetime(2020, 3, 1, tzinfo=UTC)})
    assert caught.value.code == "PE220"
    assert MoneyError("no closer code").code == "PE200"
