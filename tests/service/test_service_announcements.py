"""Decisions and dead letters as CloudEvents: what a reader of the topics can rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloudevents.v1.conversion import from_json
from cloudevents.v1.http import CloudEvent

from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind
from policyengine.service.announcements import ANNOUNCED, DECIDED, REFUSED, decided, refused
from policyengine.service.ports import DEAD_LETTERS, DECISIONS
from tests.service.runs import entries, feed, lines, opened, pipeline
from tests.support import booked, cancelled, draft, policy_set, refund

SHADOWED = draft("a/b", refund("booking.paid"), refund("booking.paid", "s", shadow=True))


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[list[Entry]]:
    """A shard with a decision that grants something, and two inputs that are no events."""
    with opened(tmp_path) as store:
        writer = pipeline(store, policy_set(SHADOWED), shard="customer-events-3")
        feed(writer, lines(booked(), cancelled(), b"{", b"\xff"))
        yield entries(store, shard="customer-events-3")


def of(found: list[Entry], kind: Kind) -> list[Entry]:
    return [entry for entry in found if entry.kind == kind]


class TestDecisions:
    def test_the_key_is_the_customer_and_the_id_the_decisions(self, recorded: list[Entry]) -> None:
        entry = of(recorded, Kind.DECISION)[-1]
        told = decided(entry)
        assert told.key == told.event["subject"] == "c1"
        assert told.event["id"] == told.headers["decision_id"] == entry.ref
        assert told.event["type"] == DECIDED
        assert told.event["source"] == "urn:policyengine:customer-events-3"

    def test_its_time_is_the_events(self, recorded: list[Entry]) -> None:
        assert decided(of(recorded, Kind.DECISION)[-1]).event["time"] == "2020-03-02T10:00:00Z"

    def test_headers_name_its_place_in_the_ledger(self, recorded: list[Entry]) -> None:
        """0 policy set, 1 booked, 2 decision, 3 cancelled, 4 decision."""
        assert decided(recorded[4]).headers == {
            "decision_id": recorded[4].ref, "shard": "customer-events-3", "seq": "4",
        }  # fmt: skip

    def test_what_was_decided_in_shadow_stays_in_the_ledger(self, recorded: list[Entry]) -> None:
        entry = of(recorded, Kind.DECISION)[-1]
        data = decided(entry).event["data"]
        assert "shadow" in entry.document()
        assert "shadow" not in data
        assert [remedy["rule"] for remedy in data["remedies"]] == ["r"]

    def test_a_library_reads_it_as_a_cloud_event(self, recorded: list[Entry]) -> None:
        read = from_json(CloudEvent, canonical(decided(of(recorded, Kind.DECISION)[-1]).event))
        assert (read["subject"], read["type"]) == ("c1", DECIDED)
        assert read.data["outcome"] == "granted"


class TestDeadLetters:
    def test_it_holds_code_reason_and_bytes(self, recorded: list[Entry]) -> None:
        """0 policy set, 1 booked, 2 decision, 3 cancelled, 4 decision, 5 and 6 refused."""
        not_json, not_utf8 = (refused(entry) for entry in of(recorded, Kind.REJECTED))
        assert not_json.event["data"]["raw"] == "{"
        assert not_utf8.event["data"]["raw_base64"] == "/w=="  # 0xff
        assert not_json.headers == {"code": "EV004", "shard": "customer-events-3", "seq": "5"}
        assert not_utf8.headers == {"code": "EV002", "shard": "customer-events-3", "seq": "6"}

    def test_its_key_is_the_shard_and_its_id_the_place(self, recorded: list[Entry]) -> None:
        told = refused(of(recorded, Kind.REJECTED)[0])
        assert (told.key, told.event["id"]) == ("customer-events-3", "customer-events-3/5")
        assert told.event["type"] == REFUSED
        assert "subject" not in told.event  # nobody knows whose event it was
        assert "time" not in told.event  # nor when it happened

    def test_a_library_reads_it_as_a_cloud_event(self, recorded: list[Entry]) -> None:
        read = from_json(CloudEvent, canonical(refused(of(recorded, Kind.REJECTED)[0]).event))
        assert read.data["code"] == "EV004"


def test_the_same_entry_is_the_same_bytes_whenever_it_is_sent(recorded: list[Entry]) -> None:
    for kind, announce in ANNOUNCED.values():
        for entry in of(recorded, kind):
            assert canonical(announce(entry).event) == canonical(announce(entry).event)


def test_each_channel_has_its_kind_of_entry() -> None:
    assert {channel: kind for channel, (kind, _) in ANNOUNCED.items()} == {
        DECISIONS: Kind.DECISION, DEAD_LETTERS: Kind.REJECTED,
    }  # fmt: skip
