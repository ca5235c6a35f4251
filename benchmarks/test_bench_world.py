"""Reaching customers: a world event's decisions beside single events', and what waiting timers cost.

The same rule decides in both: a membership at a site that closes rests. Each round goes on from a copy of
a ledger in which the customers are known. One round is a whole pass; `extra_info` says over how much.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from policyengine.adapters.store import SqlLedgerStore
from policyengine.bootstrap import Settings, catalogue_of, configure_logging, open_ledger, pipeline_of
from policyengine.domain.events import Record
from policyengine.domain.policy import Policy
from policyengine.domain.timers import Timer
from policyengine.ledger.records import Batch
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet, prepare
from policyengine.service.ports import Place

CUSTOMERS = 10_000
EVENTS = 2_000  # of customers who have no part in what waits or is far away
FEW, MANY = 1_000, 1_000_000
ROUNDS = 3
SHARD = "0"
DAY = 86_400_000_000  # µs
FAR = 4_102_444_800_000_000  # 2100-01-01: what waits until then is due in no round


class Open(NamedTuple):
    """A ledger and its writer."""

    store: SqlLedgerStore
    writer: Pipeline


def policy(shared: str, grant: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "policy": "bench/closure",
            "version": 1,
            "title": {"en": "Closed"},
            "owner": "bench",
            "basis": "contractual",
            "effective": {"from": "2020-01-01"},
            "rules": [
                {
                    "id": name,
                    "on": event,
                    "for": "subscription",
                    "when": ['subscription.kind == "gym"', "event.share_percent == 100"],
                    "grant": [grant],
                    "say": {"en": shared},
                }
                for name, event in (
                    ("reached", "facility.closed"),
                    ("asked", "subscription.service_interrupted"),
                )
            ],
        }
    )


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    configure_logging(Settings(log_level="error"))
    rest = {"kind": "freeze", "from": "event.closed_from"}
    return prepare([policy("Your membership rests from {from}.", rest)], catalogue_of([]))


def line(number: int, kind: str, day: int, subject: str, data: dict[str, Any]) -> Record:
    document = {
        "specversion": "1.0", "id": f"e{number}", "source": "/bench", "type": kind, "subject": subject,
        "time": f"2020-03-{day:02}T08:00:00Z", "data": data,
    }  # fmt: skip
    return Record(orjson.dumps(document), number)


def members(customers: int) -> Iterator[Record]:
    for number in range(customers):
        data = {
            "subscription_id": f"u{number}", "kind": "gym", "site": "pool",
            "monthly_fee": {"amount": "240.00", "currency": "ILS"},
        }  # fmt: skip
        yield line(number + 1, "subscription.started", 1, f"c{number}", data)


def closure(number: int, facility: str) -> Record:
    data = {"facility_id": facility, "closed_from": "2020-03-16", "share_percent": 100}
    return line(number, "facility.closed", 16, facility, data)


def asked(first: int, customers: int) -> Iterator[Record]:
    for number in range(customers):
        data = {"subscription_id": f"u{number}", "closed_from": "2020-03-16", "share_percent": 100}
        yield line(first + number, "subscription.service_interrupted", 16, f"c{number}", data)


def process(ledger: Open, records: Sequence[Record]) -> None:
    for start in range(0, len(records), 500):
        ledger.writer.process(records[start : start + 500])
    for _ in ledger.writer.work_off():
        pass


def opened(path: Path, policies: PolicySet) -> Open:
    store = open_ledger(f"sqlite:///{path}")
    writer = pipeline_of(store, policies, Settings(), "bench")
    writer.publish()
    return Open(store, writer)


@pytest.fixture(scope="module")
def known(policies: PolicySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger that knows the customers."""
    path = tmp_path_factory.mktemp("known") / "ledger.db"
    ledger = opened(path, policies)
    process(ledger, list(members(CUSTOMERS)))
    ledger.store.close()
    return path


@pytest.fixture
def again(tmp_path: Path, policies: PolicySet) -> Callable[[Path], Open]:
    """A writer that goes on from a copy of a ledger."""
    numbers = count()

    def copy(path: Path) -> Open:
        mine = tmp_path / f"{next(numbers)}.db"
        shutil.copy(path, mine)
        return opened(mine, policies)

    return copy


def measure(
    benchmark: BenchmarkFixture, name: str, what: tuple[str, int], setup: Callable[[], Open],
    records: Sequence[Record],
) -> Open:  # fmt: skip
    """The last round's ledger; ``what`` a round is over, and how many of it."""
    benchmark.group, benchmark.name = "world", name
    benchmark.extra_info.update(engine=name, per=what[0], number=what[1])
    ledgers: list[Open] = []

    def prepared() -> tuple[tuple[Open, Sequence[Record]], dict[str, Any]]:
        ledgers.append(setup())
        return (ledgers[-1], records), {}

    benchmark.pedantic(process, setup=prepared, rounds=ROUNDS)
    return ledgers[-1]


def granted(ledger: Open) -> int:
    return sum(
        entry.kind == "decision" and entry.document()["outcome"] == "granted"
        for entry in ledger.store.entries(SHARD)
    )


def test_fan_out(benchmark: BenchmarkFixture, known: Path, again: Callable[[Path], Open]) -> None:
    """One closure reaches everybody at the site."""
    records = [closure(CUSTOMERS + 1, "pool")]
    ledger = measure(benchmark, "reached", ("decision", CUSTOMERS), partial(again, known), records)
    assert granted(ledger) == CUSTOMERS


def test_single_events(benchmark: BenchmarkFixture, known: Path, again: Callable[[Path], Open]) -> None:
    """The same decisions, each on an event of the customer's own."""
    records = list(asked(CUSTOMERS + 1, CUSTOMERS))
    ledger = measure(benchmark, "asked", ("decision", CUSTOMERS), partial(again, known), records)
    assert granted(ledger) == CUSTOMERS


@pytest.fixture(scope="module")
def crowd(policies: PolicySet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A ledger whose index knows so many customers, all somewhere else."""

    def make(customers: int) -> Path:
        path = tmp_path_factory.mktemp("crowd") / "ledger.db"
        ledger = opened(path, policies)
        places = {Place("ref:facility/hall", f"k{n}", "subscription/u"): True for n in range(customers)}
        written(ledger, places=places)
        return path

    return make


@pytest.fixture(scope="module")
def waiting(policies: PolicySet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A ledger in which so many timers wait."""

    def make(timers: int) -> Path:
        path = tmp_path_factory.mktemp("waiting") / "ledger.db"
        ledger = opened(path, policies)
        pending = {
            (f"k{n}", "t"): Timer(FAR + n % 365 * DAY, f"k{n}", "t", "remedy.ended", {})
            for n in range(timers)
        }
        written(ledger, timers=pending)
        return path

    return make


def written(ledger: Open, **rows: Any) -> None:
    head = ledger.writer.head
    batch = Batch(root=head.root, frontier=head.frontier, policy_set=head.policy_set, **rows)
    ledger.store.commit(SHARD, batch, head)
    ledger.store.close()


@pytest.mark.parametrize("customers", [FEW, MANY])
def test_a_world_event_that_touches_nobody(
    benchmark: BenchmarkFixture,
    crowd: Callable[[int], Path],
    again: Callable[[Path], Open],
    customers: int,
) -> None:
    path = crowd(customers)
    records = [closure(number + 1, f"f{number}") for number in range(100)]
    name = f"touching none of {customers:,}"
    measure(benchmark, name, ("world event", len(records)), partial(again, path), records)


@pytest.mark.parametrize("timers", [FEW, MANY])
def test_events_while_timers_wait(
    benchmark: BenchmarkFixture,
    waiting: Callable[[int], Path],
    again: Callable[[Path], Open],
    timers: int,
) -> None:
    path = waiting(timers)
    records = list(members(EVENTS))
    measure(benchmark, f"with {timers:,} timers waiting", ("event", EVENTS), partial(again, path), records)
