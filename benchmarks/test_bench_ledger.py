"""From a file of events to a synced ledger, and back: verify and replay. 100 policies, one core.

Beside `run`: the same entries, byte for byte, inserted by SQLAlchemy alone in as many transactions.
One round is a whole pass; `extra_info` says how many events and entries that is.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import stream
import workload
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import create_engine, event, insert
from sqlalchemy.pool import ConnectionPoolEntry

from policyengine.adapters import tables
from policyengine.adapters.files import open_events
from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import (
    Settings,
    configure_logging,
    keep_what_is_loaded,
    open_ledger,
    pipeline_of,
    policy_set_of,
    shipped_rules,
)
from policyengine.ledger.entries import Entry
from policyengine.service.policy_sets import PolicySet
from policyengine.service.replay import replay
from policyengine.service.stream import generate
from policyengine.service.verification import verify_ledger

EVENTS = 20_000
CUSTOMERS = 2_000
BATCH = 500
ROUNDS = 3
SHARD = "0"


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    stream.write(path, workload.make(100), EVENTS, CUSTOMERS)
    return path


@pytest.fixture(scope="module")
def ledger(events: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"
    run(url, events)
    return url


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], str]:
    """A new database file for each round."""
    numbers = count()
    return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"


def run(url: str, events: Path) -> int:
    """What `policyengine run` does, compiling included, without its command line; the number of entries."""
    return decide_into(url, events, stream.policy_set(workload.make(100)))


def decide_into(url: str, events: Path, policies: PolicySet) -> int:
    """A file of events into a new ledger; the number of entries."""
    settings = Settings(batch_size=BATCH, log_level="error")
    configure_logging(settings)
    store = open_ledger(url)
    try:
        writer = pipeline_of(store, policies, settings, "bench")
        writer.publish()
        keep_what_is_loaded()
        with open_events(events, 0, b"") as source:
            for records in source.batches(BATCH):
                writer.process(records)
        return writer.head.size
    finally:
        store.close()


def entries_of(url: str) -> list[Entry]:
    store = open_ledger(url, read_only=True)
    try:
        return list(store.entries(SHARD))
    finally:
        store.close()


def _pragmas(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def bare_insert(url: str, entries: list[Entry]) -> None:
    """The entries' rows in as many transactions as `run` needs, by SQLAlchemy Core alone."""
    engine = create_engine(url)
    event.listen(engine, "connect", _pragmas)
    tables.metadata.create_all(engine, tables=[tables.entry])
    names = [column.name for column in tables.entry.columns if column.name != "shard"]
    size = -(-len(entries) // (EVENTS // BATCH))
    for start in range(0, len(entries), size):
        rows = [
            {"shard": SHARD, **{name: getattr(entry, name) for name in names}}
            for entry in entries[start : start + size]
        ]
        with engine.begin() as connection:
            connection.execute(insert(tables.entry), rows)
    engine.dispose()


def note(benchmark: BenchmarkFixture, name: str, entries: int) -> None:
    benchmark.group = "ledger"
    benchmark.name = name
    benchmark.extra_info.update(engine=name, events=EVENTS, entries=entries)


def test_run(benchmark: BenchmarkFixture, events: Path, ledger: str, fresh: Callable[[], str]) -> None:
    note(benchmark, "run", len(entries_of(ledger)))
    benchmark.pedantic(run, setup=lambda: ((fresh(), events), {}), rounds=ROUNDS)


def test_run_of_a_year(
    benchmark: BenchmarkFixture, tmp_path_factory: pytest.TempPathFactory, fresh: Callable[[], str]
) -> None:
    """The stream of `make demo` and the shipped policies: one event in five is granted something."""
    path = tmp_path_factory.mktemp("year") / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in generate(5, CUSTOMERS, EVENTS)))
    policies = policy_set_of(shipped_rules(), [])
    note(benchmark, "run, the demo's stream", decide_into(fresh(), path, policies))
    benchmark.pedantic(decide_into, setup=lambda: ((fresh(), path, policies), {}), rounds=ROUNDS)


def test_the_same_bytes_by_sqlalchemy(
    benchmark: BenchmarkFixture, ledger: str, fresh: Callable[[], str]
) -> None:
    entries = entries_of(ledger)
    note(benchmark, "SQLAlchemy alone", len(entries))
    benchmark.pedantic(bare_insert, setup=lambda: ((fresh(), entries), {}), rounds=ROUNDS)


def on_ledger(url: str, check: Callable[[SqlLedgerStore], list[Any]]) -> None:
    store = open_ledger(url, read_only=True)
    try:
        assert check(store) == []
    finally:
        store.close()


def test_verify(benchmark: BenchmarkFixture, ledger: str) -> None:
    note(benchmark, "verify", len(entries_of(ledger)))
    benchmark.pedantic(
        on_ledger, args=(ledger, lambda store: verify_ledger(store, None).faults), rounds=ROUNDS
    )


def test_replay(benchmark: BenchmarkFixture, ledger: str) -> None:
    note(benchmark, "replay", len(entries_of(ledger)))
    benchmark.pedantic(on_ledger, args=(ledger, lambda store: list(replay(store, SHARD))), rounds=ROUNDS)
