"""Deciding again from the ledger alone: the same bytes, and every entry that does not come out the same."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest

from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Body, Entry, Kind, decision_body, event_key
from policyengine.ledger.verify import verify
from policyengine.service.refold import refold
from policyengine.service.replay import Difference, replay
from tests.ledger.ledgers import event_body
from tests.service.runs import FULL, STREAM, as_it_is, feed, forge, half, lines, opened, pipeline
from tests.support import booked, cancelled, line, policy_set


def differences(folder: Path) -> list[Difference]:
    with opened(folder, read_only=True) as store:
        return list(replay(store, "0"))


def forged(
    tmp_path: Path, change: Callable[[Entry], Sequence[Body]], raw: bytes = STREAM
) -> list[Difference]:
    """What replay says of a ledger whose entries were changed together with all hashes."""
    (tmp_path / "forged").mkdir()
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw)
        forge(store, tmp_path / "forged", change)
    with opened(tmp_path / "forged", read_only=True) as store:
        assert list(verify(store)) == []
    return differences(tmp_path / "forged")


def test_an_untouched_ledger_is_replayed_identically(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
    counted: list[int] = []
    with opened(tmp_path, read_only=True) as store:
        assert list(replay(store, "0", progress=counted.append)) == []
        assert sum(counted) == store.head("0").size


def test_each_entry_is_replayed_under_the_policies_in_force_at_it(tmp_path: Path) -> None:
    raw = lines(booked("b1"), cancelled("b1"), booked("b2"), cancelled("b2"), b"{")
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), raw, size=2, stop=1)
        feed(pipeline(store, policy_set(FULL)), raw)
    assert differences(tmp_path) == []


def test_a_decision_changed_with_all_hashes_is_shown(tmp_path: Path) -> None:
    def more(entry: Entry) -> list[Body]:
        if entry.kind != Kind.DECISION or not entry.document()["remedies"]:
            return [as_it_is(entry)]
        document = entry.document()
        document["remedies"][0]["amount"]["value"] = "99.00"
        return [decision_body(document)]

    found = forged(tmp_path, more)
    assert [(one.seq, one.what) for one in found] == [(6, "decision"), (11, "decision"), (15, "decision")]
    for one, paid in zip(found, ["50.00", "50.00", "16.67"], strict=True):
        recorded, again = orjson.loads(one.recorded), orjson.loads(one.replayed)
        assert recorded["remedies"][0]["amount"]["value"] == "99.00"
        assert again["remedies"][0]["amount"]["value"] == paid


def test_a_decision_that_was_removed_is_shown_at_its_event(tmp_path: Path) -> None:
    def without(entry: Entry) -> list[Body]:
        return [] if entry.seq == 6 else [as_it_is(entry)]

    (one,) = forged(tmp_path, without)
    assert (one.seq, one.what, one.recorded) == (5, "decision missing", b"")
    assert orjson.loads(one.replayed)["remedies"][0]["amount"]["value"] == "50.00"


def test_the_last_decision_of_a_ledger_is_missed_too(tmp_path: Path) -> None:
    def without(entry: Entry) -> list[Body]:
        return [] if entry.seq == 4 else [as_it_is(entry)]

    (one,) = forged(tmp_path, without, lines(booked(), cancelled()))
    assert (one.seq, one.what) == (3, "decision missing")


def test_a_decision_that_was_added_is_shown(tmp_path: Path) -> None:
    def twice(entry: Entry) -> list[Body]:
        if entry.seq != 6:
            return [as_it_is(entry)]
        return [as_it_is(entry), decision_body({**entry.document(), "decision_id": "d-more"})]

    (one,) = forged(tmp_path, twice)
    assert (one.seq, one.what, one.replayed) == (7, "decision", b"")


def test_an_event_changed_with_all_hashes_is_shown_by_what_follows_from_it(tmp_path: Path) -> None:
    def paid(entry: Entry) -> list[Body]:
        if entry.seq != 1:
            return [as_it_is(entry)]
        event = booked("b1", paid={"amount": "20.00", "currency": "ILS"})
        event["id"] = entry.document()["event"]["id"]
        return [event_body(event, event_key(event["source"], event["id"]))]

    (one,) = forged(tmp_path, paid)
    assert (one.seq, one.what) == (6, "decision")
    assert orjson.loads(one.replayed)["remedies"][0]["amount"]["value"] == "10.00"  # half of 20


def test_an_event_that_is_none_any_more_is_shown_and_the_others_are_replayed(tmp_path: Path) -> None:
    def no_event(entry: Entry) -> list[Body]:
        if entry.seq != 5:
            return [as_it_is(entry)]
        event = {**cancelled("b1"), "type": "booking.lost"}
        return [event_body(event, event_key(event["source"], event["id"]))]

    one, orphan = forged(tmp_path, no_event)
    assert (one.seq, one.what) == (5, "event")
    assert orjson.loads(one.replayed)["code"] == "EV016"
    assert (orphan.seq, orphan.what, orphan.replayed) == (6, "decision", b"")


def test_rejections_are_replayed_and_conflicts_are_not(tmp_path: Path) -> None:
    """A conflict was refused for what came before it, not for what it is."""

    def milder(entry: Entry) -> list[Body]:
        if entry.kind != Kind.REJECTED:
            return [as_it_is(entry)]
        document = {**entry.document(), "reason": "because"}
        return [Body(entry.kind, canonical(document), None, None)]

    found = forged(tmp_path, milder)
    assert [(one.seq, one.what, orjson.loads(one.replayed)["code"]) for one in found] == [
        (7, "rejection", "EV004"),
        (9, "rejection", "EV001"),  # 8 is the conflict
    ]


def test_an_event_recorded_as_rejected_is_shown(tmp_path: Path) -> None:
    def refused(entry: Entry) -> list[Body]:
        if entry.kind != Kind.REJECTED:
            return [as_it_is(entry)]
        document = {**entry.document(), "raw": b64encode(line(cancelled())).decode()}
        return [Body(entry.kind, canonical(document), None, None)]

    (one,) = forged(tmp_path, refused, lines(booked(), b"{"))
    assert (one.what, one.replayed) == ("rejection", b"")


def test_a_ledger_without_its_policies_is_sent_to_verify(tmp_path: Path) -> None:
    def no_policies(entry: Entry) -> list[Body]:
        return [] if entry.kind == Kind.POLICY_SET else [as_it_is(entry)]

    (tmp_path / "forged").mkdir()
    with opened(tmp_path) as store:
        feed(pipeline(store, half()), STREAM)
        forge(store, tmp_path / "forged", no_policies)
    with opened(tmp_path / "forged", read_only=True) as store:
        with pytest.raises(LedgerError, match=r"PE712 .*does not hold it; run `verify`"):
            list(replay(store, "0"))
        with pytest.raises(LedgerError, match="PE712"):
            refold(store, "0")
