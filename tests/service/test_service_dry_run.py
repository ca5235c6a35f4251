"""Deciding without a ledger comes to what a run comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.domain.state import to_micros
from policyengine.ledger.entries import Kind, decision_body, rejected_body
from policyengine.service.door import Door
from policyengine.service.dry_run import dry_run
from tests.service import worlds
from tests.service.runs import STREAM, entries, feed, half, lines, opened, pipeline
from tests.support import booked, cancelled


def dry(raw: bytes) -> list[bytes]:
    """The bodies that the answers would have in a ledger."""
    found = []
    for answer in dry_run(half(), raw.removesuffix(b"\n").split(b"\n")):
        if answer.rejection is not None:
            found.append(rejected_body(answer.rejection).raw)
        found.extend(decision_body(decision.to_json()).raw for decision in answer.decisions)
    return found


@pytest.mark.parametrize(
    "raw",
    [
        STREAM,
        # in Python 1 is True; in an event they are two contents
        lines(
            {**booked(), "urgent": True}, {**booked(), "urgent": 1}, {**booked(), "urgent": True}, cancelled()
        ),
    ],
)
def test_decisions_and_rejections_are_those_of_a_run(tmp_path: Path, raw: bytes) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw)
        recorded = [entry.body for entry in entries(store) if entry.kind in (Kind.DECISION, Kind.REJECTED)]
    assert dry(raw) == recorded


def test_a_duplicate_decides_nothing() -> None:
    answers = list(dry_run(half(), lines(booked(), booked())[:-1].split(b"\n")))
    assert [len(answer.decisions) for answer in answers] == [1, 0]
    assert not any(answer.rejection for answer in answers)


def test_what_a_run_refuses_as_too_early_decides_nothing_and_lets_no_time_pass(tmp_path: Path) -> None:
    """An offer waits until 9 March 2020; an event of 2099 would let it lapse, and everything else."""
    door = Door(lambda: to_micros(worlds.datetime.fromisoformat("2020-03-05T00:00:00Z")), 300, 40)
    raw = lines(
        booked(), cancelled(), booked("b2", "2099-01-01T00:00:00Z"), booked("b3", "2020-03-04T00:00:00Z")
    )
    answers = list(dry_run(worlds.policies(), raw.removesuffix(b"\n").split(b"\n"), door=door))
    with opened(tmp_path) as store:
        feed(pipeline(store, worlds.policies(), door=door), raw)
        (refused,) = entries(store, Kind.REJECTED)
    assert answers[2].rejection is not None
    assert rejected_body(answers[2].rejection).raw == refused.body
    assert answers[2].rejection.code == "EV091"
    assert answers[2].earlier == answers[3].earlier == []


def test_a_jump_of_too_many_days_is_refused_too() -> None:
    """31 days after 1 February 2020, 10:00, is 3 March, 10:00."""
    raw = lines(booked(), booked("b2", "2020-03-03T10:00:01Z"), booked("b3", "2020-03-03T10:00:00Z"))
    answers = list(dry_run(half(), raw.removesuffix(b"\n").split(b"\n"), door=Door(jump=31)))
    assert [one.rejection and one.rejection.code for one in answers] == [None, "EV091", None]
