"""Whatever a shard remembers beside its entries is folded again: each row that does not follow is named."""

# ruff: noqa: S608 - tables and columns come from the parameters below

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from policyengine.service.verification import Verification, verify_ledger
from tests.service import worlds
from tests.service.runs import feed, lines, opened, pipeline
from tests.support import booked, cancelled, event


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two customers of Haifa, one of the core; an offer that waits; a crisis that has yet to reach both."""
    folder = tmp_path_factory.mktemp("original")
    people = [
        event(
            "customer.registered",
            "2020-02-01T00:00:00Z",
            name,
            language="he",
            region="haifa",
            core=name == "b",
        )
        for name in ("a", "b")
    ]
    crisis = event(
        "crisis.declared", "2020-03-02T11:00:00Z", "k", crisis_id="k", region="IL", onset_from="2020-03-20"
    )
    crisis["data"]["kind"] = "war"
    mine = [{**one, "subject": "a"} for one in (booked(region="haifa"), cancelled())]
    with opened(folder) as store:
        writer = pipeline(store, worlds.policies())
        feed(writer, lines(*people, *mine, crisis))
        assert writer.jobs() == (1, 2)
        assert store.timer_count("0") == 2  # the offer's deadline, the first phase
        assert verify_ledger(store, None).faults == []
    return folder


def after(original: Path, folder: Path, sql: str) -> Verification:
    shutil.copy(original / "ledger.db", folder)
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(sql).rowcount > 0
    with opened(folder, read_only=True) as store:
        return verify_ledger(store, None)


CHANGED = [
    ("UPDATE timer SET due = due + 1 WHERE customer = 'a'", "timer.due", "customer `a`, id `d-"),
    ("UPDATE timer SET event = 'remedy.ended' WHERE customer = 'a'", "timer.event", "customer `a`"),
    ("UPDATE timer SET data = CAST('{}' AS BLOB) WHERE customer = ''", "timer.data", "customer ``"),
    ("UPDATE timer SET data = CAST('[' AS BLOB) WHERE customer = ''", "timer.data", "customer ``"),
    ("UPDATE ranking SET rank = 1", "ranking.rank", "customer `b`"),
    ("UPDATE queue SET customer = 'c' WHERE position = 1", "queue.customer", "job `1`, position `1`"),
    (
        "UPDATE state SET body = CAST('{}' AS BLOB) WHERE part = 'crisis/k'",
        "state.body",
        "part `crisis/k`",
    ),
    ("UPDATE state SET body = CAST('{}' AS BLOB) WHERE part = '@clock'", "state.body", "part `@clock`"),
    ("UPDATE state SET body = CAST('[]' AS BLOB) WHERE part = '@jobs'", "state.body", "part `@jobs`"),
]
REMOVED = [
    ("DELETE FROM timer WHERE customer = ''", "timer", "customer ``, id `crisis.phase_began:k:onset_from"),
    ("DELETE FROM place WHERE customer = 'b' AND part LIKE 'customer%'", "place", "customer `b`"),
    ("DELETE FROM ranking", "ranking", "customer `b`"),
    ("DELETE FROM queue WHERE position = 0", "queue", "job `1`, position `0`"),
    ("DELETE FROM state WHERE customer = '' AND part = 'crisis/k'", "state", "part `crisis/k`"),
]
ADDED = [
    (
        "INSERT INTO timer SELECT shard, 'c', id, due, event, data FROM timer WHERE customer = 'a'",
        "timer.customer or id", "customer `c`",
    ),
    (
        "INSERT INTO place SELECT shard, key, 'c', part FROM place WHERE part = 'booking/b1' LIMIT 1",
        "place.key or customer or part", "customer `c`, part `booking/b1`",
    ),
    ("INSERT INTO ranking SELECT shard, 'a', 0 FROM ranking", "ranking.customer", "customer `a`"),
    ("INSERT INTO queue SELECT shard, 2, 0, 'a' FROM queue LIMIT 1", "queue.job or position", "job `2`, position `0`"),
    (
        "INSERT INTO state SELECT shard, '', 'crisis/x', body FROM state WHERE part = 'crisis/k'",
        "state.customer or part", "part `crisis/x`",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "place", "row"), [*CHANGED, *ADDED])
def test_a_row_that_was_changed_or_added_is_named(
    original: Path, tmp_path: Path, sql: str, place: str, row: str
) -> None:
    (fault,) = after(original, tmp_path, sql).faults
    assert (fault.code, f"{fault.table}.{fault.column}") == ("PE807", place)
    assert row in fault.row


@pytest.mark.parametrize(("sql", "table", "row"), REMOVED)
def test_a_row_that_was_removed_is_named(
    original: Path, tmp_path: Path, sql: str, table: str, row: str
) -> None:
    found = after(original, tmp_path, sql).faults
    assert {(fault.code, fault.table, fault.column, fault.message) for fault in found} == {
        ("PE807", table, "", "is missing")
    }
    assert all(row in fault.row for fault in found)


@pytest.mark.parametrize(
    ("table", "column"),
    [("timer", "due"), ("timer", "data"), ("ranking", "rank"), ("queue", "position"), ("place", "key")],
)
def test_a_value_of_another_type_is_named(original: Path, tmp_path: Path, table: str, column: str) -> None:
    value = "x'00'" if column == "key" else "'x'"
    sql = f'UPDATE OR IGNORE {table} SET "{column}" = {value} WHERE customer = (SELECT max(customer) FROM {table})'
    found = after(original, tmp_path, sql).faults
    assert {(fault.code, fault.table, fault.column) for fault in found} == {("PE801", table, column)}
