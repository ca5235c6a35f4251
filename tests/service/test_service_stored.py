"""What a shard remembers in its store: at every moment the same as in plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.adapters.store import SqlLedgerStore
from policyengine.domain.timers import Timer
from policyengine.ledger.records import Batch, Head
from policyengine.service import pending
from policyengine.service.in_memory import InMemory
from policyengine.service.stored import StoredMemory


def opened(path: Path) -> SqlLedgerStore:
    return SqlLedgerStore(f"sqlite:///{path / 'ledger.db'}")


CUSTOMERS = ["", "a", "b", "é", "z", "\U0001f600", "\uffee"]
KEYS = ["IL", "IL/north", "IT"]
EVER = 2**62
Operation = tuple[Any, ...]

customers = st.sampled_from(CUSTOMERS[1:])
keys = st.frozensets(st.sampled_from(KEYS))
operation = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(CUSTOMERS), st.sampled_from("tuv"), st.integers(-3, 12)),
    st.tuples(st.just("drop"), st.sampled_from(CUSTOMERS), st.sampled_from("tuv")),
    st.tuples(st.just("fire"), st.integers(-3, 12)),
    st.tuples(st.just("place"), customers, st.sampled_from(["booking/1", "booking/2"]), keys),
    st.tuples(st.just("rank"), customers, st.none() | st.integers(0, 2)),
    st.tuples(st.just("queue"), st.lists(customers)),
    st.tuples(st.just("finish")),
    st.tuples(st.just("commit")),
)


class Both:
    """The same done to both; a commit writes the one and changes nothing in the other."""

    def __init__(self, store: SqlLedgerStore) -> None:
        self.store = store
        self.plain = InMemory()
        self.stored = StoredMemory(store, "0", 1)
        self.head: Head = store.claim("0")
        self.jobs: list[int] = []

    def do(self, name: str, *given: Any) -> None:
        getattr(self, f"do_{name}")(*given)

    def do_set(self, customer: str, timer_id: str, due: int) -> None:
        timer = Timer(due, customer, timer_id, "offer.expired", {"at": due})
        for memory in (self.plain, self.stored):
            memory.set_timer(timer)

    def do_drop(self, customer: str, timer_id: str) -> None:
        for memory in (self.plain, self.stored):
            memory.drop_timer(customer, timer_id)

    def do_fire(self, until: int) -> None:
        due = self.plain.next_timer(until)
        assert self.stored.next_timer(until) == due
        if due is not None:
            self.do_drop(due.customer, due.id)

    def do_place(self, customer: str, part: str, after: frozenset[str]) -> None:
        before = self.plain.places.get((customer, part), frozenset())
        for memory in (self.plain, self.stored):
            memory.place(customer, part, before, after)

    def do_rank(self, customer: str, rank: int | None) -> None:
        for memory in (self.plain, self.stored):
            memory.rank(customer, rank)

    def do_queue(self, listed: Sequence[str]) -> None:
        self.jobs.append(len(self.jobs) + 1)
        for memory in (self.plain, self.stored):
            memory.queue(self.jobs[-1], listed)

    def do_finish(self) -> None:
        if self.plain.lists:
            job = min(self.plain.lists)
            for memory in (self.plain, self.stored):
                memory.finish(job)

    def do_commit(self) -> None:
        batch = Batch(self.head.root, self.head.frontier, "", **self.stored.changes()._asdict())
        self.head = self.store.commit("0", batch, self.head)
        self.stored.committed(())

    def compare(self) -> None:
        for until in (-1, 5, EVER):
            assert self.stored.next_timer(until) == self.plain.next_timer(until)
        for customer in CUSTOMERS:
            assert self.stored.timers(customer) == self.plain.timers(customer)
        for asked in ([], KEYS[:1], KEYS[1:], KEYS):
            assert self.stored.touched(asked) == self.plain.touched(asked)
        for job, listed in self.plain.lists.items():
            assert self.stored.queued(job, 0, 99) == list(listed)
            assert self.stored.queued(job, 1, 2) == list(listed[1:3])


@contextmanager
def both(page: int) -> Iterator[Both]:
    with TemporaryDirectory() as folder, opened(Path(folder)) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pending, "PAGE", page)
        patch.setattr(pending, "MOST", 2 * page)
        yield Both(store)


@settings(max_examples=60, deadline=None)
@given(page=st.integers(1, 4), operations=st.lists(operation, max_size=40))
def test_it_answers_as_plain_dictionaries_do_whenever_it_is_committed(
    page: int, operations: list[Operation]
) -> None:
    with both(page) as memory:
        for one in operations:
            memory.do(*one)
            memory.compare()
        memory.do_commit()
        memory.compare()
        memory.stored.reset()
        memory.compare()


def test_what_was_not_committed_is_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        memory = Both(store)
        memory.do_set("a", "t", 5)
        memory.do_commit()
        memory.stored.set_timer(Timer(1, "a", "u", "offer.expired", {}))
        memory.stored.drop_timer("a", "t")
        memory.stored.place("a", "booking/1", set(), {"IL"})
        memory.stored.rank("a", 1)
        memory.stored.queue(1, ["a"])
        memory.stored.reset()
        assert memory.stored.next_timer(EVER) == Timer(5, "a", "t", "offer.expired", {"at": 5})
        assert memory.stored.touched(["IL"]) == []
        assert memory.stored.changes() == ({}, {}, {}, {}, {})


def test_the_next_timer_is_known_without_asking_the_store(tmp_path: Path) -> None:
    """Four thousand timers, a page of a thousand: the store is asked once, and four times when all fire."""
    with opened(tmp_path) as store:
        memory = Both(store)
        for due in range(4_000):
            memory.stored.set_timer(Timer(due, f"c{due}", "t", "offer.expired", {}))
        memory.do_commit()
        memory.stored.reset()
        asked = []
        real = store.timers

        def timers(shard: str, after: Timer | None, limit: int) -> list[Timer]:
            asked.append(after)
            return real(shard, after, limit)

        store.timers = timers  # type: ignore[method-assign]
        for _ in range(50):
            assert memory.stored.next_timer(-1) is None
        assert len(asked) == 1
        fired = []
        while (timer := memory.stored.next_timer(EVER)) is not None:
            memory.stored.drop_timer(timer.customer, timer.id)
            fired.append(timer.due)
        assert fired == list(range(4_000))
        assert len(asked) == 1 + 4  # the last page is empty


def test_customers_stand_in_the_order_of_their_rank_and_then_of_their_bytes(tmp_path: Path) -> None:
    """U+1F600 is more bytes than U+FFEE, though its UTF-16 units are smaller."""
    with opened(tmp_path) as store:
        memory = Both(store)
        for customer in ("\U0001f600", "\uffee", "z", "a", "b"):
            memory.do_place(customer, "booking/1", frozenset({"IL"}))
        memory.do_commit()
        memory.do_rank("z", 0)
        memory.do_rank("b", 1)
        assert memory.stored.touched(["IL"]) == ["z", "b", "a", "\uffee", "\U0001f600"]
        memory.do_commit()
        assert memory.stored.touched(["IL"]) == ["z", "b", "a", "\uffee", "\U0001f600"]
