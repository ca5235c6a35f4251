"""What every ledger store must do, whatever it keeps the ledger in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.events import Rejection
from policyengine.domain.timers import Timer
from policyengine.errors import LedgerError, UsageError
from policyengine.ledger.entries import event_body, event_key, rejected_body
from policyengine.ledger.merkle import EMPTY_ROOT, Tree
from policyengine.ledger.records import Batch, Checkpoint, Head, Outbox, Place, Seen
from policyengine.ledger.verify import verify
from policyengine.service.ports import DEAD_LETTERS, DECISIONS, LedgerStore
from tests.ledger.ledgers import POLICIES, SOURCE, Writer, event_and_decision


class Opener(Protocol):
    def __call__(self, *, read_only: bool = False) -> SqlLedgerStore: ...


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same ledger again and again; each kind of store adds itself to the parameters."""
    sqlite = f"sqlite:///{tmp_path / 'ledger.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres")

    def open_store(*, read_only: bool = False) -> SqlLedgerStore:
        return SqlLedgerStore(url, read_only=read_only)

    return open_store


@pytest.fixture
def store(opener: Opener) -> Iterator[SqlLedgerStore]:
    with closing(opener()) as opened:
        yield opened


def written(store: SqlLedgerStore) -> Writer:
    """Policies, events 1 and 2 of customers ann and bob, a rejection: sequences 0 to 5."""
    writer = Writer(store, "members")
    bodies = [(0, POLICIES)]
    for number, customer in ((1, "ann"), (2, "bob")):
        bodies.extend((10 * number, body) for body in event_and_decision(number, customer))
    bodies.append((30, rejected_body(Rejection("EV001", "is not JSON", b"{", None, None))))
    writer.write(bodies, 30, duplicates=1)
    return writer


class TestStore:
    def test_it_keeps_the_port(self, store: SqlLedgerStore) -> None:
        port: LedgerStore = store
        assert port.shards() == []

    def test_a_shard_that_there_is_not_has_an_empty_head(self, store: SqlLedgerStore) -> None:
        head = store.head("members")
        assert (head.size, head.root, head.epoch, head.policy_set) == (0, EMPTY_ROOT, 0, "")
        assert store.checkpoint("members", "events.jsonl") is None
        assert store.outbox("members", DECISIONS) is None
        assert store.unpublished("members", DECISIONS, "decision", 10) == []

    def test_a_claim_makes_the_shard_and_counts_the_epoch(self, store: SqlLedgerStore) -> None:
        assert [store.claim("members").epoch for _ in range(3)] == [1, 2, 3]
        assert store.shards() == ["members"]
        assert store.head("members") == Head("members", epoch=3)

    def test_a_batch_is_there_as_a_whole_after_opening_again(self, opener: Opener) -> None:
        with closing(opener()) as store:
            head = written(store).head
            before = list(store.entries("members"))
        with closing(opener()) as store:
            assert store.head("members") == head
            assert (head.size, head.counters, head.policy_set) == (6, {"duplicates": 1}, POLICIES.ref)
            assert list(store.entries("members")) == before
            assert store.checkpoint("members", "events.jsonl") == Checkpoint(
                "events.jsonl", 30, 1, b"first bytes"
            )
            assert store.states("members", ["ann", "bob", "cem"]) == {
                "ann": {"last": b'{"last":"e-1"}'}, "bob": {"last": b'{"last":"e-2"}'},
            }  # fmt: skip
            assert store.outbox("members", DECISIONS) == Outbox(DECISIONS, 0)
            assert list(verify(store)) == []

    def test_a_state_is_overwritten_and_counters_add_up(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        head = writer.write([(40, body) for body in event_and_decision(3, "ann")], 40, duplicates=4)
        assert store.states("members", ["ann"]) == {"ann": {"last": b'{"last":"e-3"}'}}
        assert head.counters == {"duplicates": 1 + 4}
        assert (head.batch, head.size) == (2, 6 + 2)

    def test_seen_knows_what_was_accepted_and_by_which_entry(self, store: SqlLedgerStore) -> None:
        written(store)
        keys = [event_key(SOURCE, f"e-{number}") for number in range(2000)]
        found = store.seen("members", keys)
        assert {keys.index(key): seen.seq for key, seen in found.items()} == {1: 1, 2: 3}
        assert store.seen("guests", keys) == {}

    def test_entries_are_read_by_stretches(self, store: SqlLedgerStore) -> None:
        written(store)
        assert [entry.seq for entry in store.entries("members", 2, 5)] == [2, 3, 4]
        assert [entry.seq for entry in store.entries("members", 4)] == [4, 5]
        one = store.entry("members", 3)
        assert one is not None
        assert one.document()["event"]["id"] == "e-2"
        assert store.entry("members", 6) is None

    def test_a_writer_goes_on_while_it_reads_a_stretch(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        for _ in store.entries("members"):
            writer.write([], 30)
        assert store.head("members").batch == 1 + 6

    def test_decisions_are_found_by_id_in_every_shard(self, store: SqlLedgerStore) -> None:
        written(store)
        guests = Writer(store, "guests")
        guests.write([(0, POLICIES), *((1, body) for body in event_and_decision(2, "gil"))], 1)
        assert [(entry.shard, entry.seq) for entry in store.find_decisions("d-2")] == [
            ("guests", 2),
            ("members", 4),
        ]
        assert store.find_decisions("d-9") == []
        assert store.find_decisions(str(POLICIES.ref)) == []

    def test_the_history_of_a_customer_is_all_that_concerns_them(self, store: SqlLedgerStore) -> None:
        written(store)
        assert [(entry.seq, entry.kind) for entry in store.history("bob")] == [(3, "event"), (4, "decision")]
        assert list(store.history("nobody")) == []

    def test_a_policy_set_is_read_by_its_digest(self, store: SqlLedgerStore) -> None:
        written(store)
        assert store.policy_set(str(POLICIES.ref)) == POLICIES.raw
        assert store.policy_set("00" * 32) is None

    def test_states_come_by_customer(self, store: SqlLedgerStore) -> None:
        written(store)
        assert list(store.state_rows("members")) == [
            ("ann", "last", b'{"last":"e-1"}'),
            ("bob", "last", b'{"last":"e-2"}'),
        ]


def timer(due: int, customer: str, timer_id: str = "t", **data: str) -> Timer:
    return Timer(due, customer, timer_id, "offer.expired", data)


def remembered(store: SqlLedgerStore, writer: Writer, **changes: Any) -> None:
    """One more batch of the writer's, with these changes."""
    writer.head = store.commit(writer.shard, replace(writer.batch([], 30), **changes), writer.head)


class TestMemory:
    """Names are ordered by their UTF-8 bytes: U+FFEE before U+1F600, though its UTF-16 units are larger."""

    NAMES = ("Z", "a", "\uffee", "\U0001f600")

    def test_timers_come_by_due_time_customer_and_id_page_by_page(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        wanted = [timer(-5, "z"), *(timer(7, name) for name in self.NAMES), timer(7, "\U0001f600", "u")]
        remembered(store, writer, timers={(one.customer, one.id): one for one in reversed(wanted)})
        assert store.timers("members", None, 10) == wanted
        pages = [store.timers("members", after, 2) for after in (None, wanted[1], wanted[3], wanted[5])]
        assert pages == [wanted[:2], wanted[2:4], wanted[4:], []]
        assert store.timers("guests", None, 10) == []
        assert (store.timer_count("members"), store.timer_count("guests")) == (6, 0)

    def test_timers_are_counted_a_stretch_at_a_time(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        six = [timer(7, name) for name in ("a", "b", "c", "d", "e")] + [timer(9, "a", "u")]
        remembered(store, writer, timers={(one.customer, one.id): one for one in six})
        assert store.timers_counted("members", None, 4) == (4, (7, "d", "t"))
        assert store.timers_counted("members", (7, "d", "t"), 4) == (2, None)
        assert store.timers_counted("members", None, 6) == (6, (9, "a", "u"))
        assert store.timers_counted("members", (9, "a", "u"), 6) == (0, None)
        assert store.timers_counted("guests", None, 4) == (0, None)

    def test_a_timer_is_replaced_and_dropped(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        remembered(store, writer, timers={("a", "t"): timer(1, "a"), ("b", "t"): timer(2, "b")})
        remembered(
            store, writer, timers={("a", "t"): timer(9, "a", offer="o"), ("b", "t"): None, ("c", "t"): None}
        )
        assert store.timers("members", None, 10) == [timer(9, "a", offer="o")]
        assert store.timers_of("members", "a") == [timer(9, "a", offer="o")]
        assert store.timers_of("members", "b") == []
        assert list(store.timer_rows("members")) == [("a", "t", 9, "offer.expired", b'{"offer":"o"}')]

    def test_customers_are_found_by_keys_with_their_rank(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        there = [Place("IL", "a", "booking/1"), Place("IL", "a", "booking/2"), Place("IT", "b", "customer/b")]
        remembered(store, writer, places=dict.fromkeys(there, True), ranks={"b": 1})
        assert store.found("members", ["IL", "IT"]) == {"a": None, "b": 1}
        assert store.found("members", ["FR"]) == {}
        assert store.places_of("members", "IL", ["a", "b"]) == set(there[:2])
        assert store.ranks("members", ["a", "b"]) == {"b": 1}
        remembered(store, writer, places={there[0]: False, there[2]: False}, ranks={"b": None, "a": 0})
        assert store.found("members", ["IL", "IT"]) == {"a": 0}
        assert list(store.place_rows("members")) == [there[1]]
        assert list(store.rank_rows("members")) == [("a", 0)]
        remembered(store, writer, places={there[1]: True}, ranks={"a": 2})  # there already
        assert store.found("members", ["IL"]) == {"a": 2}

    def test_a_jobs_list_is_read_by_slices_until_it_is_finished(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        remembered(store, writer, queues={1: self.NAMES, 2: ("b",)})
        assert store.queued("members", 1, 1, 2) == ["a", "\uffee"]
        assert store.queued("members", 1, 3, 2) == ["\U0001f600"]
        remembered(store, writer, queues={1: None})
        assert store.queued("members", 1, 0, 9) == []
        assert list(store.queue_rows("members")) == [(2, 0, "b")]

    def test_all_rows_come_in_the_order_of_utf8(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        states = {name: {name: b"{}"} for name in reversed(self.NAMES)}
        places = {Place("k", name, "p"): True for name in reversed(self.NAMES)}
        timers = {(name, "t"): timer(1, name) for name in reversed(self.NAMES)}
        ranks = dict.fromkeys(reversed(self.NAMES), 1)
        remembered(store, writer, states=states, places=places, timers=timers, ranks=ranks)
        wanted = list(self.NAMES)
        assert [row[0] for row in store.state_rows("members") if row[2] == b"{}"] == wanted
        assert [row.customer for row in store.place_rows("members")] == wanted
        assert [row[0] for row in store.timer_rows("members")] == wanted
        assert [row[0] for row in store.rank_rows("members")] == wanted

    def test_what_customers_did_and_what_the_engine_told_the_world_is_found(
        self, store: SqlLedgerStore
    ) -> None:
        writer = written(store)
        key = event_key("urn:policyengine", "tick")
        tick = event_body(b'{"id":"tick"}', None, key, internal=True)
        own = event_body(b'{"id":"due"}', "ann", event_key("urn:policyengine", "due"), internal=True)
        told = event_body(b'{"id":"w"}', None, event_key("urn:w", "w"))
        writer.write([(40, tick), (40, own), (40, told), (50, tick)], 50)
        assert [customer for customer, _ in store.customer_events("members")] == ["ann", "bob"]
        assert [entry.seq for entry in store.internal_world_events("members", key.hex())] == [6, 9]
        assert [entry.seq for entry in store.of_customer("members", "ann")] == [1, 2, 7]
        assert [entry.seq for entry in store.history("ann")] == [1, 2, 7]


class TestCompareAndSet:
    def test_who_was_superseded_writes_nothing(self, opener: Opener) -> None:
        with closing(opener()) as first, closing(opener()) as second:
            zombie = written(first)
            second.claim("members")
            with pytest.raises(LedgerError, match="another writer took over shard `members`") as caught:
                zombie.write([(40, body) for body in event_and_decision(3, "ann")], 40)
            assert caught.value.code == "PE701"
            assert second.head("members").size == 6
            assert second.states("members", ["ann"]) == {"ann": {"last": b'{"last":"e-1"}'}}

    def test_of_two_batches_on_the_same_head_one_wins(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        batch = writer.batch([], 35)
        store.commit("members", batch, writer.head)
        with pytest.raises(LedgerError, match="PE701"):
            store.commit("members", batch, writer.head)

    def test_a_batch_read_from_another_position_is_refused(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        for since in (None, 29, 31):
            with pytest.raises(LedgerError, match="stands at 30") as caught:
                store.commit("members", replace(writer.batch([], 40), since=since), writer.head)
            assert caught.value.code == "PE701"
        assert store.head("members") == writer.head
        store.commit("members", replace(writer.batch([], 40), since=30), writer.head)

    def test_a_batch_without_claim_is_refused(self, store: SqlLedgerStore) -> None:
        tree = Tree()
        with pytest.raises(LedgerError, match="never claimed"):
            store.commit("members", Batch(tree.root(), tree.to_bytes(), ""), Head("members"))

    @pytest.mark.parametrize("fault", ["gap", "root", "frontier", "shard"])
    def test_a_batch_that_does_not_continue_the_shard_is_refused(
        self, store: SqlLedgerStore, fault: str
    ) -> None:
        writer = written(store)
        batch = writer.batch([(40, body) for body in event_and_decision(3, "ann")], 40)
        wrong = {
            "gap": replace(batch, entries=batch.entries[1:]),
            "root": replace(batch, root=bytes(32)),
            "frontier": replace(batch, frontier=writer.head.frontier),
            "shard": replace(batch, entries=[entry._replace(shard="x") for entry in batch.entries]),
        }[fault]
        with pytest.raises(LedgerError, match="does not continue shard `members`") as caught:
            store.commit("members", wrong, writer.head)
        assert caught.value.code == "PE706"

    def test_a_batch_that_fails_halfway_leaves_nothing(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        batch = writer.batch([(40, body) for body in event_and_decision(3, "ann")], 40)
        again = {event_key(SOURCE, "e-1"): Seen(bytes(32), 6)}  # accepted before: the key is taken
        with pytest.raises(LedgerError, match="PE700"):
            store.commit("members", replace(batch, seen=again), writer.head)
        assert store.head("members") == writer.head
        assert store.entry("members", 6) is None
        assert store.commit("members", batch, writer.head).size == 8

    def test_shards_do_not_disturb_each_other(self, store: SqlLedgerStore) -> None:
        one, two = written(store), Writer(store, "guests")
        for number in (3, 4):
            for writer in (one, two):
                bodies = [
                    (10 * number, body) for body in event_and_decision(number, "ann", writer.policy_set)
                ]
                writer.write(bodies, 10 * number)
        assert (one.head.size, two.head.size) == (6 + 4, 4)
        assert list(verify(store)) == []


class TestOutbox:
    def test_a_channel_publishes_its_kind_in_order(self, store: SqlLedgerStore) -> None:
        written(store)
        assert [entry.seq for entry in store.unpublished("members", DECISIONS, "decision", 10)] == [2, 4]
        assert [entry.seq for entry in store.unpublished("members", DECISIONS, "decision", 1)] == [2]

    def test_what_is_published_does_not_come_again(self, opener: Opener) -> None:
        with closing(opener()) as store:
            written(store)
            store.mark_published("members", DECISIONS, 3, b'{"bytes":120}')
        with closing(opener()) as store:
            assert store.outbox("members", DECISIONS) == Outbox(DECISIONS, 3, b'{"bytes":120}')
            assert [entry.seq for entry in store.unpublished("members", DECISIONS, "decision", 10)] == [4]

    def test_a_new_channel_starts_where_it_is_told_and_an_old_one_stays(self, store: SqlLedgerStore) -> None:
        writer = written(store)
        store.mark_published("members", DECISIONS, 6, b"")
        batch = replace(writer.batch([], 40), channels={DECISIONS: 0, DEAD_LETTERS: 5})
        store.commit("members", batch, writer.head)
        assert store.outbox("members", DECISIONS) == Outbox(DECISIONS, 6)
        assert store.outbox("members", DEAD_LETTERS) == Outbox(DEAD_LETTERS, 5)
        rejected = store.unpublished("members", DEAD_LETTERS, "rejected", 10)
        assert [entry.document()["code"] for entry in rejected] == ["EV001"]

    @pytest.mark.parametrize(("channel", "next_seq"), [(DECISIONS, 2), (DECISIONS, 7), ("other", 4)])
    def test_a_channel_goes_neither_back_nor_beyond_the_end(
        self, store: SqlLedgerStore, channel: str, next_seq: int
    ) -> None:
        written(store)
        store.mark_published("members", DECISIONS, 3, b"")
        with pytest.raises(LedgerError, match="cannot be set to sequence") as caught:
            store.mark_published("members", channel, next_seq, b"")
        assert caught.value.code == "PE709"
        assert store.outbox("members", DECISIONS) == Outbox(DECISIONS, 3)


class TestReadOnly:
    def test_it_sees_one_state_however_long_it_reads(self, opener: Opener) -> None:
        with closing(opener()) as store:
            writer = written(store)
            with closing(opener(read_only=True)) as reader:
                writer.write([(40, body) for body in event_and_decision(3, "ann")], 40)
                assert reader.head("members").size == 6
                assert len(list(reader.entries("members"))) == 6
                assert list(verify(reader)) == []
            with closing(opener(read_only=True)) as reader:
                assert reader.head("members").size == 8

    def test_it_writes_nothing(self, opener: Opener) -> None:
        with closing(opener()) as store:
            written(store)
        with closing(opener(read_only=True)) as reader, pytest.raises(UsageError, match="reading only"):
            reader.claim("members")
