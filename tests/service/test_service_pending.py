"""Timers are counted a stretch at a time: a million of them hold nobody up."""

from __future__ import annotations

import pytest

from policyengine.domain.timers import TimerOrder
from policyengine.service import pending
from policyengine.service.pending import TimerCount


class Rows:
    """Timers that are due one after the other."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.read = 0

    def count(self, after: TimerOrder | None, limit: int) -> tuple[int, TimerOrder | None]:
        done = 0 if after is None else after[0]
        found = min(limit, self.number - done)
        self.read += found
        return found, None if found < limit else (done + found, "c", "t")


@pytest.fixture(autouse=True)
def _ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "STRETCH", 10)


def test_each_look_reads_one_stretch_and_says_how_many_were_found_so_far() -> None:
    """25 timers are 10, 20, 25; a count that begins anew says 25 until it is through."""
    rows = Rows(25)
    count = TimerCount(rows.count)
    said = []
    for _ in range(5):
        count.go_on()
        said.append((count.number, count.under_way))
    assert said == [(10, True), (20, True), (25, False), (25, True), (25, True)]
    assert rows.read == 25 + 20


def test_a_count_that_is_through_is_what_is_said_until_the_next() -> None:
    rows = Rows(7)
    count = TimerCount(rows.count)
    assert (count.number, count.under_way) == (0, False)
    count.go_on()
    rows.number = 3
    assert count.number == 7
    count.go_on()
    assert (count.number, count.under_way) == (3, False)
