"""Canonical JSON: equal to RFC 8785 where a ledger may go, and refused elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical

MAX = 2**53 - 1
TEXT = st.text(st.characters(exclude_categories=("Cs",)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX, MAX) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


class Colour(StrEnum):
    RED = "red"


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_canonical_is_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_keys_are_sorted_and_nothing_is_spaced() -> None:
    assert canonical({"b": 1, "a": [True, None, "שלום"]}) == '{"a":[true,null,"שלום"],"b":1}'.encode()


def test_keys_above_u_ffff_are_sorted_by_utf_16_units() -> None:
    # U+1F600 is D83D DE00 in UTF-16, which comes before FB33; by code point it would come after
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


def test_a_tuple_is_an_array() -> None:
    assert canonical((1, ("a",))) == b'[1,["a"]]'


def test_the_largest_exact_integers_are_taken() -> None:
    assert canonical([MAX, -MAX]) == b"[9007199254740991,-9007199254740991]"


@pytest.mark.parametrize(
    "value",
    [
        1.5, 1.0, float("nan"), float("inf"), MAX + 1, -MAX - 1, {1: "a"}, {None: 1}, "\ud800",
        {"a": ["\udfff"]}, b"bytes", {1, 2}, pytest.param(object(), id="object"), datetime(2020, 1, 1, tzinfo=UTC), Colour.RED,
        UUID(int=1), {Colour.RED: 1},
    ],
    ids=repr,
)  # fmt: skip
def test_whatever_else_has_no_canonical_form(value: object) -> None:
    for wrapped in (value, [value], {"a": {"b": (value,)}}):
        with pytest.raises(LedgerError) as caught:
            canonical(wrapped)
        assert caught.value.code == "PE710"
