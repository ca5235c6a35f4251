"""Overlaps, gaps and hidden rows of tables are those that trying every place finds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.engine.domains import ANY, Domain, Point, interval, one_of, without
from policyengine.engine.table_space import MOST_STEPS, Space, gap, hidden, overlaps

NUMBERS: tuple[Point, ...] = tuple(range(-1, 6))
TEXTS: tuple[Point, ...] = ("a", "b", "c", "anything else")
FLAGS: tuple[Point, ...] = (True, False)
AXES: Mapping[str, tuple[Point, ...]] = {"n": NUMBERS, "t": TEXTS, "f": FLAGS}
BOUND = st.integers(0, 4)
RANGES = st.one_of(
    st.tuples(BOUND, BOUND).map(lambda two: interval(min(two), max(two))),
    BOUND.map(lambda low: interval(low, None)),
    BOUND.map(lambda high: interval(None, high)),
    st.lists(BOUND, min_size=1, max_size=3).map(one_of),
    st.lists(BOUND, min_size=1, max_size=2).map(without),
)
NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=2)
TESTS: Mapping[str, st.SearchStrategy[Domain]] = {
    "n": RANGES,
    "t": st.one_of(NAMES.map(one_of), NAMES.map(without)),
    "f": st.sampled_from([one_of([True]), one_of([False])]),
}
ROWS = st.lists(st.fixed_dictionaries({}, optional=TESTS), min_size=1, max_size=5)
SPACES = st.fixed_dictionaries({"f": st.just(one_of(FLAGS))}, optional={"n": RANGES, "t": TESTS["t"]})


def takes(space: Space, place: Mapping[str, Point]) -> bool:
    return all(space.get(axis, ANY).holds(value) for axis, value in place.items())


def places(space: Space) -> list[dict[str, Point]]:
    """Every place with small values; beyond them nothing new happens."""
    every = [dict(zip(AXES, some, strict=True)) for some in product(*AXES.values())]
    return [place for place in every if takes(space, place)]


@settings(max_examples=20, deadline=None)
@given(ROWS, SPACES)
def test_a_gap_is_found_where_there_is_one_and_nowhere_else(rows: list[Space], space: Space) -> None:
    outside = [place for place in places(space) if not any(takes(row, place) for row in rows)]
    found = gap(rows, space, list(AXES))
    assert (found is not None) == bool(outside)
    if found is not None:
        assert takes(space, found)
        # an axis that the witness does not name does not matter: every value of it is a gap
        assert any(found.items() <= place.items() for place in outside) or any(
            value not in AXES[axis] for axis, value in found.items()
        )


@settings(max_examples=20, deadline=None)
@given(ROWS, SPACES)
def test_two_rows_overlap_where_one_place_falls_in_both(rows: list[Space], space: Space) -> None:
    inside = places(space)
    expected = {
        (one + 1, two + 1)
        for one in range(len(rows))
        for two in range(one + 1, len(rows))
        if any(takes(rows[one], place) and takes(rows[two], place) for place in inside)
    }
    found = overlaps(rows, space)
    assert {(overlap.first, overlap.second) for overlap in found} == expected
    for overlap in found:
        for row in (rows[overlap.first - 1], rows[overlap.second - 1], space):
            assert takes(row, overlap.place)


@settings(max_examples=20, deadline=None)
@given(ROWS, SPACES)
def test_a_row_is_hidden_where_those_before_it_leave_nothing(rows: list[Space], space: Space) -> None:
    inside = places(space)
    expected = {
        number + 1
        for number, row in enumerate(rows)
        if not any(
            takes(row, place) and not any(takes(one, place) for one in rows[:number]) for place in inside
        )
    }
    assert {number for number, _ in hidden(rows, space, list(AXES))} == expected


def test_a_flight_of_1500_km_falls_in_two_rows() -> None:
    rows = [{"km": interval(None, 1500)}, {"km": interval(1500, None)}]
    assert overlaps(rows, {}) == [(1, 2, {"km": 1500})]
    assert gap(rows, {}, ["km"]) is None


def test_between_two_rows_a_value_is_left_out() -> None:
    rows = [{"km": interval(None, 1499)}, {"km": interval(1501, None)}]
    assert gap(rows, {}, ["km"]) == {"km": 1500}


def test_nothing_is_claimed_of_a_table_that_is_too_large() -> None:
    axes = [f"x{n}" for n in range(30)]
    rows = [{axis: one_of([1]), f"x{(n + 1) % 30}": one_of([n])} for n, axis in enumerate(axes)]
    space = {axis: interval(0, 9) for axis in axes}
    covering = [{axes[-1]: interval(0, 9)}]
    assert MOST_STEPS > 0
    assert gap([*rows, *covering], space, axes) is None
