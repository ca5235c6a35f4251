"""Deciding without a ledger comes to what a run comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyengine.ledger.entries import Kind, decision_body, rejected_body
from policyengine.service.dry_run import dry_run
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
