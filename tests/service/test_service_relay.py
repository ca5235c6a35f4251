"""What a channel publishes: everything once and in order, nothing of what was decided in shadow."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from policyengine.adapters.files import JsonLinesSink
from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import UsageError
from policyengine.ledger.entries import Kind
from policyengine.service.ports import DEAD_LETTERS, DECISIONS
from policyengine.service.relay import relay
from tests.service.runs import HALF, STREAM, entries, feed, half, lines, opened, pipeline
from tests.support import booked, cancelled, draft, policy_set, refund

CHANNELS = (DECISIONS, DEAD_LETTERS)


class Killed(BaseException):
    """Stands for a process that is gone."""


def publish(store: SqlLedgerStore, path: Path, channel: str = DECISIONS, *, killed: bool = False) -> int:
    """Relay into the channel's file; killed: after the lines are written and before that is marked."""
    box = store.outbox("0", channel)
    assert box is not None
    sink = JsonLinesSink(path / f"{channel}.jsonl", box.position)
    write = sink.write

    def write_and_die(raw: list[bytes]) -> bytes:
        write(raw)
        raise Killed

    if killed:
        sink.write = write_and_die  # type: ignore[method-assign]
    try:
        return relay(store, "0", channel, sink)
    finally:
        sink.close()


def published(path: Path, channel: str = DECISIONS) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in (path / f"{channel}.jsonl").read_bytes().splitlines()]


def test_decisions_go_out_in_order_as_they_were_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half(), channels=CHANNELS), STREAM)
        assert publish(store, tmp_path) == 6  # three bookings, three cancellations
        assert published(tmp_path) == [entry.document() for entry in entries(store, Kind.DECISION)]
        assert publish(store, tmp_path) == 0


def test_messages_that_wait_for_the_staff_stay_in_the_ledger_until_they_are_released(tmp_path: Path) -> None:
    """Announced on 2 March, 48 hours ahead of the customers: until midnight of the 4th."""
    rule = {**refund("booking.paid"), "say": {"en": "All of it."}}
    first = draft("travel/all", rule, announced="2020-03-02", staff_first={"hours": 48})
    with opened(tmp_path) as store:
        writer = pipeline(store, policy_set(first), channels=CHANNELS)
        feed(writer, lines(booked(), cancelled(), booked("b2", "2020-03-05T00:00:00Z")))
        assert publish(store, tmp_path) == 4
        _, held, released, _ = published(tmp_path)
        assert (held["messages"], released["messages"]) == ({}, {"en": "All of it."})
        (waiting,) = held["held"]
        assert waiting == {"policy": "travel/all", "version": 1, "until": "2020-03-04T00:00:00Z"}
        recorded = entries(store, Kind.DECISION)[1].document()["held"]
        assert recorded == [{**waiting, "messages": {"en": "All of it."}}]


def test_dead_letters_say_why_and_where_and_hold_the_input(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half(), channels=CHANNELS), lines(booked(), b'{"id":"x"}', b"\xe9"))
        assert publish(store, tmp_path, DEAD_LETTERS) == 2
        text, binary = published(tmp_path, DEAD_LETTERS)
    end = len(lines(booked(), b'{"id":"x"}'))
    assert {key: text[key] for key in ("code", "id", "source", "raw", "shard", "seq", "offset")} == {
        "code": "EV010", "id": "x", "source": None, "raw": '{"id":"x"}', "shard": "0", "seq": 3, "offset": end,
    }  # fmt: skip
    assert text["reason"].startswith("`specversion` is missing")
    assert (binary["code"], binary["raw_base64"]) == ("EV002", b64encode(b"\xe9").decode())
    assert "raw" not in binary


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("before", [0, 1])
def test_a_crash_between_writing_and_marking_repeats_no_line(
    tmp_path: Path, channel: str, before: int
) -> None:
    """Also the very first time, into a file that holds something already."""
    (tmp_path / f"{channel}.jsonl").write_bytes(b'{"older":1}\n')
    with opened(tmp_path) as store:
        writer = pipeline(store, half(), channels=CHANNELS)
        feed(writer, STREAM, size=4, stop=before)
        if before:
            publish(store, tmp_path, channel)
        feed(writer, STREAM)
        with pytest.raises(Killed):
            publish(store, tmp_path, channel, killed=True)
    with opened(tmp_path) as store:
        publish(store, tmp_path, channel)
        kind = Kind.DECISION if channel == DECISIONS else Kind.REJECTED
        older, *rest = published(tmp_path, channel)
        assert older == {"older": 1}
        assert len(rest) == len(entries(store, kind))
        ids = [one.get("decision_id", one.get("seq")) for one in rest]
        assert len(set(ids)) == len(ids)


def test_a_channel_that_is_opened_late_publishes_from_the_first_entry_on(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        pipeline(store, half(), channels=(DECISIONS,))
        assert publish(store, tmp_path) == 6


def test_more_than_a_page_goes_out(tmp_path: Path) -> None:
    many = lines(*(booked(f"b{number}") for number in range(1_001)))
    with opened(tmp_path) as store:
        feed(pipeline(store, half(), channels=(DECISIONS,)), many)
        assert publish(store, tmp_path) == 1_001


def test_shadow_is_recorded_and_never_published(tmp_path: Path) -> None:
    shadow = draft("travel/trial", refund("booking.paid", rule="all"), shadow=True)
    with opened(tmp_path) as store:
        feed(pipeline(store, policy_set(HALF, shadow), channels=(DECISIONS,)), lines(booked(), cancelled()))
        recorded = entries(store, Kind.DECISION)[-1].document()
        publish(store, tmp_path)
    sent = published(tmp_path)[-1]
    assert [one["policy"] for one in recorded["shadow"]["remedies"]] == ["travel/trial"]
    assert {rule["policy"] for rule in recorded["trace"]} == {"travel/half-back", "travel/trial"}
    assert "travel/trial" not in json.dumps(sent)
    assert sent == {
        **{key: value for key, value in recorded.items() if key != "shadow"},
        "trace": [rule for rule in recorded["trace"] if rule["policy"] == "travel/half-back"],
    }


def test_a_file_that_is_not_the_one_of_the_earlier_runs_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half(), channels=CHANNELS), STREAM)
        publish(store, tmp_path)
        (tmp_path / "decisions.jsonl").write_bytes(b"x" * 100_000)
        with pytest.raises(UsageError, match="name the file of the earlier runs"):
            publish(store, tmp_path)
    assert (tmp_path / "decisions.jsonl").stat().st_size == 100_000
