"""The phases of a crisis: which one holds on a day, and dates that would run backwards."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import catalogue

from policyengine.domain.phases import (
    PHASES,
    begins,
    first_days,
    has_phases,
    phase_began,
    phase_on,
    runs_backwards,
)
from policyengine.domain.values import Value

MARCH, APRIL, MAY, JUNE = (date(2020, month, 1) for month in (3, 4, 5, 6))
WHOLE: dict[str, Value] = {
    "onset_from": MARCH, "ongoing_from": APRIL, "recovery_from": MAY, "ended_from": JUNE
}  # fmt: skip


@pytest.mark.parametrize(
    ("day", "phase"),
    [
        (date(2020, 2, 29), None),
        (MARCH, "onset"),
        (date(2020, 3, 31), "onset"),
        (APRIL, "ongoing"),
        (MAY, "recovery"),
        (JUNE, "ended"),
        (date(2030, 1, 1), "ended"),
    ],
)
def test_the_phase_is_the_one_whose_date_is_the_latest_that_has_come(day: date, phase: str | None) -> None:
    assert phase_on(WHOLE, day) == phase


def test_a_phase_may_be_left_out() -> None:
    assert phase_on({"onset_from": MARCH, "ended_from": MAY}, date(2020, 4, 15)) == "onset"


def test_of_two_phases_on_one_day_the_later_one_holds() -> None:
    assert phase_on({"recovery_from": MAY, "ended_from": MAY, "onset_from": MARCH}, MAY) == "ended"


def test_nothing_is_known_of_a_crisis_without_dates() -> None:
    assert phase_on({"kind": "war"}, MAY) is None
    assert first_days({"kind": "war"}) == []


@pytest.mark.parametrize(
    ("values", "pair"),
    [
        (WHOLE, None),
        ({"onset_from": MARCH, "ended_from": MARCH}, None),
        ({"onset_from": APRIL, "ongoing_from": MARCH}, ("onset", "ongoing")),
        ({"onset_from": MARCH, "recovery_from": JUNE, "ended_from": MAY}, ("recovery", "ended")),
    ],
)
def test_phases_run_backwards_where_a_later_one_begins_first(
    values: dict[str, Value], pair: tuple[str, str] | None
) -> None:
    assert runs_backwards(values) == pair


@given(st.dictionaries(st.sampled_from(PHASES), st.dates(MARCH, JUNE)))
def test_where_no_phase_runs_backwards_phases_only_go_forward(dates: dict[str, date]) -> None:
    values: dict[str, Value] = {begins(phase): day for phase, day in dates.items()}
    seen = [phase_on(values, MARCH + timedelta(days=number)) for number in range(93)]
    order = [PHASES.index(phase) for phase in seen if phase is not None]
    if runs_backwards(values) is None:
        assert order == sorted(order)


def test_the_crisis_has_phases_and_an_event_that_tells_of_them() -> None:
    known = catalogue()
    assert [name for name, kind in known.entities.items() if has_phases(kind)] == ["crisis"]
    assert phase_began(known, "crisis") == "crisis.phase_began"
    assert phase_began(known, "restriction") is None
