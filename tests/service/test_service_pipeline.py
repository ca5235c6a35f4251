"""The loop of a shard: what becomes of every record, and what a transaction leaves behind."""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import product
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from policyengine.domain.money import Money
from policyengine.domain.schema import read_catalogue
from policyengine.domain.state import state_of_parts
from policyengine.engine.decide import decide
from policyengine.errors import Finding, LedgerError, PolicyError
from policyengine.ledger.entries import Kind
from policyengine.service import machine
from policyengine.service.in_memory import InMemory
from policyengine.service.machine import Machine
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.refold import refold
from policyengine.service.replay import replay
from policyengine.service.verification import verify_ledger
from tests.service.runs import (
    FULL,
    HALF,
    STREAM,
    amounts,
    bodies,
    entries,
    feed,
    half,
    lines,
    opened,
    pipeline,
    records,
)
from tests.support import booked, cancelled, catalogue, draft, event, ils, line, policy, policy_set, refund


class TestWhatBecomesOfARecord:
    def test_an_event_is_recorded_and_then_its_decisions(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(booked(), cancelled()))
            found = entries(store)
            assert [entry.kind for entry in found] == ["policy_set", "event", "decision", "event", "decision"]
            assert amounts(entries(store, Kind.DECISION)) == [[], ["50.00 ILS"]]  # half of 100
            assert found[3].document() == {"event": cancelled()}
        assert tally.counts == {"events": 2, "decisions": 2, "granted": 1, "none": 1}

    def test_the_same_event_again_is_counted_and_changes_nothing(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            writer = pipeline(store, half())
            feed(writer, lines(booked(), cancelled()))
            before = bodies(store)
            tally = writer.process(records(cancelled(), booked(), cancelled()))
            assert tally.counts == {"duplicates": 3}
            assert bodies(store) == before
            assert store.head("0").counters == {"duplicates": 3}

    def test_the_same_content_written_otherwise_is_the_same_event(self, tmp_path: Path) -> None:
        spaced = json.dumps(dict(reversed(cancelled().items())), indent=None, separators=(" , ", " : "))
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(booked(), cancelled(), spaced.encode()))
        assert tally.counts["duplicates"] == 1

    @pytest.mark.parametrize("size", [1, 2])
    def test_an_id_with_other_content_is_a_conflict_within_a_batch_and_across(
        self, tmp_path: Path, size: int
    ) -> None:
        other = {**booked(), "data": {**booked()["data"], "paid": ils("1.00")}}
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(booked(), other, cancelled()), size)
            (refused,) = entries(store, Kind.REJECTED)
            assert tally.rejections == {"EV090": 1}
            assert refused.document()["id"] == booked()["id"]
            assert b64decode(refused.document()["raw"]) == line(other)
            assert amounts(entries(store, Kind.DECISION))[-1] == ["50.00 ILS"]  # of the 100 that came first

    def test_the_same_id_from_another_source_is_another_event(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(booked(), {**booked(), "source": "other"}))
        assert tally.counts["events"] == 2

    def test_an_event_that_comes_late_does_not_overwrite_what_a_younger_one_set(self, tmp_path: Path) -> None:
        late = event("booking.paid", "2020-02-15T00:00:00Z", booking_id="b1", paid=ils("40.00"))
        young = event("booking.paid", "2020-02-20T00:00:00Z", booking_id="b1", paid=ils("60.00"))
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), lines(booked(), young, late, cancelled()))
            assert amounts(entries(store, Kind.DECISION))[-1] == ["30.00 ILS"]  # half of 60

    @pytest.mark.parametrize(
        ("raw", "code"),
        [
            (b"", "EV001"),
            (b"\xe9t\xe9, no UTF-8", "EV002"),
            (b"{", "EV004"),
            (b"[" * 1000, "EV006"),
            (b'{"x": "' + b"y" * 10_000_000 + b'"}', "EV007"),
        ],
    )
    def test_a_bad_line_is_kept_byte_for_byte_and_the_stream_goes_on(
        self, tmp_path: Path, raw: bytes, code: str
    ) -> None:
        with opened(tmp_path) as store:
            tally = feed(pipeline(store, half()), lines(booked(), raw, cancelled()))
            (refused,) = entries(store, Kind.REJECTED)
            assert tally.rejections == {code: 1}
            assert b64decode(refused.document()["raw"]) == raw
            assert amounts(entries(store, Kind.DECISION))[-1] == ["50.00 ILS"]

    def test_a_rule_that_cannot_be_decided_is_counted_and_told(self, tmp_path: Path) -> None:
        zero = draft("travel/part", refund("prorate(booking.paid, 1, booking.travellers - 1)"))
        with opened(tmp_path) as store, capture_logs() as logs:
            feed(pipeline(store, policy_set(zero)), lines(booked(travellers=1), cancelled()))
        (told,) = [log for log in logs if log["log_level"] == "warning"]
        assert (told["event_id"], told["policy"], told["shard"]) == (
            cancelled()["id"],
            "travel/part",
            "0",
        )
        assert told["decision_id"].startswith("d-")


class TestLines:
    def feed(self, tmp_path: Path, raw: bytes) -> list[str]:
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), raw)
            return [entry.kind for entry in store.entries("0", start=1)]

    def test_the_last_line_needs_no_newline(self, tmp_path: Path) -> None:
        assert self.feed(tmp_path, lines(booked(), cancelled())[:-1]) == ["event", "decision"] * 2

    def test_a_carriage_return_is_part_of_the_newline(self, tmp_path: Path) -> None:
        raw = lines(booked(), cancelled()).replace(b"\n", b"\r\n")
        assert self.feed(tmp_path, raw) == ["event", "decision"] * 2

    def test_an_empty_file_leaves_the_policies_alone(self, tmp_path: Path) -> None:
        assert self.feed(tmp_path, b"") == []

    def test_an_empty_line_is_rejected_wherever_it_stands(self, tmp_path: Path) -> None:
        raw = b"\n" + lines(booked()) + b"\r\n"
        assert self.feed(tmp_path, raw) == ["rejected", "event", "decision", "rejected"]


class TestPositions:
    def test_an_entry_names_the_position_after_its_record(self, tmp_path: Path) -> None:
        one, two = lines(booked()), lines(cancelled())
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), one + two)
            offsets = [orjson.loads(entry.header)["input"]["offset"] for entry in entries(store)]
            assert offsets == [0, len(one), len(one), len(one) + len(two), len(one) + len(two)]
            checkpoint = store.checkpoint("0", "events.jsonl")
            assert checkpoint is not None
            assert checkpoint.offset == len(one) + len(two)

    def test_duplicates_alone_move_the_position_too(self, tmp_path: Path) -> None:
        raw = lines(booked())
        with opened(tmp_path) as store:
            writer = pipeline(store, half())
            feed(writer, raw * 3, size=1)
            assert writer.offset == 3 * len(raw)
        with opened(tmp_path) as store:
            assert pipeline(store, half()).offset == 3 * len(raw)

    def test_two_inputs_have_a_position_each(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), lines(booked()))
            other = pipeline(store, half(), input_name="more.jsonl")
            assert other.offset == 0
            assert feed(other, lines(booked(), cancelled())).counts["duplicates"] == 1
            assert verify_ledger(store, None).faults == []

    @pytest.mark.parametrize("size", [1, 7, 500])
    def test_the_size_of_batches_changes_no_body(self, tmp_path: Path, size: int) -> None:
        (tmp_path / "one").mkdir()
        with opened(tmp_path / "one") as store:
            feed(pipeline(store, half()), STREAM)
            expected = bodies(store)
        with opened(tmp_path) as store:
            feed(pipeline(store, half(), state_cache=1), STREAM, size)
            assert bodies(store) == expected
            assert amounts(entries(store, Kind.DECISION)) == [
                [], [], ["50.00 ILS"], ["50.00 ILS"], [],
                ["16.67 ILS"],  # half of 33.33 is 16.665, half up
            ]  # fmt: skip

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(stops=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2)), max_size=5))
    def test_a_run_that_stops_and_goes_on_leaves_the_same_bodies(
        self, tmp_path_factory: pytest.TempPathFactory, stops: list[tuple[int, int]]
    ) -> None:
        calm, path = tmp_path_factory.mktemp("calm"), tmp_path_factory.mktemp("stopped")
        with opened(calm) as store:
            feed(pipeline(store, half()), STREAM)
            expected = bodies(store)
        for size, batches in [*stops, (500, None)]:
            with opened(path) as store:
                feed(pipeline(store, half(), channels=("decisions",)), STREAM, size, batches)
        with opened(path) as store:
            assert bodies(store) == expected
            assert verify_ledger(store, None).faults == []


class TestWriters:
    def test_who_was_superseded_is_told_so_and_writes_nothing(self, tmp_path: Path) -> None:
        with opened(tmp_path) as one, opened(tmp_path) as two:
            first = pipeline(one, half())
            second = pipeline(two, half())
            with pytest.raises(LedgerError, match="another writer took over shard `0`") as caught:
                first.process(records(booked()))
            assert caught.value.code == "PE701"
            assert second.process(records(booked())).counts["events"] == 1
            assert len(entries(two, Kind.EVENT)) == 1

    def test_two_shards_have_a_writer_each(self, tmp_path: Path) -> None:
        with opened(tmp_path) as one, opened(tmp_path) as two:
            writers = [pipeline(one, half(), shard="a"), pipeline(two, half(), shard="b")]
            for writer, record in product(writers, records(booked(), cancelled())):
                writer.process([record])
            assert bodies(one, "a") == bodies(two, "b")
            assert verify_ledger(two, None).faults == []


class TestPolicySets:
    def test_a_set_is_published_once_however_often_a_run_starts(self, tmp_path: Path) -> None:
        for _ in range(3):
            with opened(tmp_path) as store:
                pipeline(store, half())
        with opened(tmp_path) as store:
            assert [entry.kind for entry in entries(store)] == ["policy_set"]
            assert store.head("0").policy_set == half().digest

    def test_a_changed_set_governs_from_its_entry_on_and_earlier_decisions_keep_theirs(
        self, tmp_path: Path
    ) -> None:
        raw = lines(booked("b1"), cancelled("b1"), booked("b2"), cancelled("b2"))
        full = policy_set(FULL)
        with opened(tmp_path) as store:
            feed(pipeline(store, half()), raw, size=2, stop=1)
            feed(pipeline(store, full), raw, size=2)
            feed(pipeline(store, half()), raw + lines(booked("b3"), cancelled("b3")))
            published = [entry.document()["policies"][0]["version"] for entry in entries(store, "policy_set")]
            decided = entries(store, Kind.DECISION)
            assert published == [1, 2, 1]
            assert amounts(decided) == [[], ["50.00 ILS"], [], ["100.00 ILS"], [], ["50.00 ILS"]]
            assert [entry.document()["policy_set"] for entry in decided] == [
                half().digest, half().digest, full.digest, full.digest, half().digest, half().digest,
            ]  # fmt: skip
            assert verify_ledger(store, None).faults == []

    def test_the_order_of_policies_changes_no_digest(self) -> None:
        other = draft("a/first", refund("booking.price"))
        assert policy_set(HALF, other).digest == policy_set(other, HALF).digest


class TestState:
    def test_the_state_is_the_same_in_the_store_in_memory_and_refolded(self, tmp_path: Path) -> None:
        prepared, memory = half(), InMemory()
        again = Machine(prepared.ruleset, memory)
        with opened(tmp_path) as store:
            writer = pipeline(store, prepared)
            feed(writer, STREAM, size=3)
            refolded = refold(store, "0").states
            stored = state_of_parts("c1", store.states("0", ["c1"])["c1"])
            for entry in entries(store, Kind.EVENT):
                parsed = writer._validator.validate(line(entry.document()["event"]))
                assert [one.event for one in again.record(parsed)] == [parsed]
            assert verify_ledger(store, None).faults == []
        assert stored == refolded["c1"] == memory.state("c1")
        # 50 + 50 for b1 and b2, 16.67 for b3
        assert [record.amount for record in stored.remedies] == [
            Money(5000, "ILS"), Money(5000, "ILS"), Money(1667, "ILS"),
        ]  # fmt: skip

    def test_a_cache_of_one_customer_decides_as_one_of_all(self, tmp_path: Path) -> None:
        raw = lines(*(one for customer in "abcab" for one in (
            event("booking.paid", f"2020-02-0{ord(customer) - 96}T00:00:00Z", customer, booking_id="b", paid=ils("8.00")),
        )), *({**cancelled("b"), "subject": customer, "id": customer} for customer in "abc"))  # fmt: skip
        with opened(tmp_path) as store:
            feed(pipeline(store, half(), state_cache=1), raw, size=2)
            assert amounts(entries(store, Kind.DECISION))[-3:] == [["4.00 ILS"]] * 3

    def test_an_exception_in_a_batch_commits_nothing_and_leaves_no_trace_in_memory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = iter([True, True, False])

        def failing(*arguments: object) -> object:
            if next(calls, True):
                return decide(*arguments)  # type: ignore[arg-type]
            message = "a fault in the engine"
            raise RuntimeError(message)

        batch = records(booked("b1"), cancelled("b1"), booked("b2"))
        with opened(tmp_path) as store:
            writer = pipeline(store, half())
            before = store.head("0")
            monkeypatch.setattr(machine, "decide", failing)
            with pytest.raises(RuntimeError, match="a fault in the engine"):
                writer.process(batch)
            assert store.head("0") == before
            assert store.states("0", ["c1"]) == {}
            assert writer.process(batch).counts["events"] == 3
            state = refold(store, "0").states["c1"]
            assert len(state.remedies) == 1
            assert state_of_parts("c1", store.states("0", ["c1"])["c1"]) == state
            assert verify_ledger(store, None).faults == []


class TestLogs:
    def test_each_message_names_shard_and_policy_set_of_its_own_writer(self, tmp_path: Path) -> None:
        with opened(tmp_path) as store, capture_logs() as logs:
            one: Pipeline = pipeline(store, half(), shard="a")
            pipeline(store, policy_set(FULL), shard="b")
            one.process(records(booked(), b"{"))
        told = {log["event"]: log for log in logs if log["shard"] == "a"}
        assert set(told) == {"policy set in force", "decided", "event rejected", "batch committed"}
        assert {log["policy_set"] for log in told.values()} == {half().digest}
        assert told["decided"]["event_id"] == booked()["id"]
        assert told["decided"]["outcome"] == "none"
        assert told["event rejected"]["code"] == "EV004"
        assert told["batch committed"]["size"] == 4


class TestReload:
    def test_a_new_set_governs_from_the_next_batch_on_and_the_old_one_is_freed(self, tmp_path: Path) -> None:
        before, after = policy_set(HALF), policy_set(FULL)
        with opened(tmp_path) as store:
            writer = pipeline(store, before)
            feed(writer, lines(booked(), cancelled()))
            assert writer.reload(lambda: after) is True
            writer.process(records({**cancelled(), "id": "again"}))
            decisions = entries(store, Kind.DECISION)
            kinds = [entry.kind for entry in entries(store)]
        digests = [entry.document()["policy_set"] for entry in decisions]
        assert digests == [before.digest, before.digest, after.digest]
        assert kinds == ["policy_set", *["event", "decision"] * 2, "policy_set", "event", "decision"]
        assert before.ruleset.index.network_count == 0

    def test_a_faulty_set_is_refused_and_the_last_good_one_stays(self, tmp_path: Path) -> None:
        def faulty() -> PolicySet:
            raise PolicyError([Finding("x.yaml", 1, 1, "PE001", "not YAML")])

        with opened(tmp_path) as store, capture_logs() as logs:
            writer = pipeline(store, half())
            feed(writer, lines(booked()))
            assert writer.reload(faulty) is False
            writer.process(records(cancelled()))
            assert amounts(entries(store, Kind.DECISION))[-1] == ["50.00 ILS"]  # half of 100, as before
        assert [one["because"] for one in logs if one["log_level"] == "error"] == [
            "x.yaml:1:1: PE001 not YAML"
        ]


def test_a_world_event_is_recorded_and_nothing_is_decided_on_it(tmp_path: Path) -> None:
    documents = dict(catalogue().documents)
    documents["events/crisis.declared"] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "events/crisis.declared",
        "title": "crisis.declared",
        "description": "a crisis begins",
        "type": "object",
        "x-scope": "world",
        "properties": {"region": {"type": "string", "description": "where"}},
        "additionalProperties": False,
    }
    prepared = prepare([policy(HALF)], read_catalogue(documents))
    declared = event("crisis.declared", "2020-03-01T00:00:00Z", "world", region="north")
    with opened(tmp_path) as store:
        tally = feed(pipeline(store, prepared), lines(declared, booked()))
        kinds = [entry.kind for entry in entries(store)]
        assert list(replay(store, "0")) == []
        assert verify_ledger(store, None).faults == []
    assert kinds == ["policy_set", "event", "event", "decision"]
    assert tally.counts["events"] == 2
