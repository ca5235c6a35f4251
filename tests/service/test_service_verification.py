"""A whole ledger is verified: entries, rows beside them, and the states that they fold to."""

# ruff: noqa: S608 - tables and columns come from the parameters below

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from policyengine.ledger.entries import Body, Entry, Kind, decision_body
from policyengine.ledger.faults import Fault
from policyengine.service.verification import Expected, Verification, verify_ledger
from tests.service.runs import STREAM, as_it_is, feed, forge, half, opened, pipeline


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    with opened(folder) as store:
        feed(pipeline(store, half(), channels=("decisions",)), STREAM, size=4)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copy(original / "ledger.db", tmp_path)
    return tmp_path


def change(folder: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        assert connection.execute(sql, values).rowcount > 0


def verified(folder: Path, expected: Expected | None = None) -> Verification:
    with opened(folder, read_only=True) as store:
        return verify_ledger(store, expected)


def places(faults: Sequence[Fault]) -> list[tuple[str, str, str]]:
    return [(fault.code, fault.table, fault.column) for fault in faults]


def test_an_untouched_ledger_verifies_with_its_size_and_root(folder: Path) -> None:
    with opened(folder, read_only=True) as store:
        head = store.head("0")
    found = verified(folder, Expected("0", head.size, head.root))
    assert found.faults == []
    assert found.roots == {"0": (16, head.root)}
    assert found.to_json() == {
        "verified": True, "faults": [], "roots": {"0": {"size": 16, "root": head.root.hex()}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "column", "text"),
    [
        (
            "UPDATE state SET body = replace(body, '5000', '6000') WHERE part LIKE 'remedies%'",
            "body",
            "fold to",
        ),
        ("DELETE FROM state WHERE part = 'booking/b2'", "", "part `booking/b2`, state: is missing"),
        (
            "UPDATE state SET part = 'booking/b9' WHERE part = 'booking/b2'",
            "customer or part",
            "no entry makes",
        ),
        (
            "INSERT INTO state SELECT shard, 'c9', part, body FROM state WHERE part = 'booking/b1'",
            "customer or part",
            "customer `c9`",
        ),
    ],
)
def test_a_state_that_does_not_follow_from_the_entries_is_named(
    folder: Path, sql: str, column: str, text: str
) -> None:
    if "replace" in sql:
        sql = sql.replace("replace(body", "CAST(replace(CAST(body AS TEXT)").replace(
            "'6000')", "'6000') AS BLOB)"
        )
    change(folder, sql)
    faults = verified(folder).faults
    assert places(faults[:1]) == [("PE807", "state", column)]
    assert text in str(faults[0])


def test_a_forged_decision_whose_hashes_fit_is_found_by_the_state(tmp_path: Path, folder: Path) -> None:
    """Only who forges the states too is left; and whoever noted a root earlier finds that."""

    def dearer(entry: Entry) -> list[Body]:
        if entry.kind != Kind.DECISION or not entry.document()["remedies"]:
            return [as_it_is(entry)]
        document = entry.document()
        document["remedies"][0]["amount"]["value"] = "99.00"
        return [decision_body(document)]

    (tmp_path / "forged").mkdir()
    with opened(folder, read_only=True) as store:
        head = store.head("0")
        forge(store, tmp_path / "forged", dearer)
    assert places(verified(tmp_path / "forged").faults) == [("PE807", "state", "body")]
    noted = verified(tmp_path / "forged", Expected("0", head.size, head.root))
    assert [fault.code for fault in noted.faults] == ["PE805"]


def test_entries_that_cannot_be_folded_are_a_finding(tmp_path: Path, folder: Path) -> None:
    def broken(entry: Entry) -> list[Body]:
        if entry.kind != Kind.DECISION or not entry.document()["remedies"]:
            return [as_it_is(entry)]
        document = entry.document()
        document["remedies"][0]["amount"] = {"value": "much", "currency": "ILS"}
        return [decision_body(document)]

    (tmp_path / "forged").mkdir()
    with opened(folder, read_only=True) as store:
        forge(store, tmp_path / "forged", broken)
    (fault,) = verified(tmp_path / "forged").faults
    assert fault.code == "PE807"
    assert "the entries cannot be folded" in fault.message


COLUMNS = [
    ("shard", "size"), ("shard", "root"), ("shard", "counters"), ("entry", "seq"), ("entry", "header"),
    ("entry", "body"), ("root", "batch"), ("root", "frontier"), ("checkpoint", "offset"),
    ("checkpoint", "fingerprint"), ("seen", "seq"), ("seen", "digest"), ("state", "body"), ("outbox", "position"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_value_of_another_type_is_named_and_trips_nothing(folder: Path, table: str, column: str) -> None:
    change(
        folder,
        f'UPDATE {table} SET "{column}" = ? WHERE "{column}" = (SELECT max("{column}") FROM {table})',
        "x",
    )
    found = verified(folder)
    assert set(places(found.faults)) == {("PE801", table, column)}
    assert orjson.dumps(found.to_json())


@pytest.mark.parametrize("table", ["shard", "entry", "state", "outbox"])
def test_text_that_is_none_any_more_is_told_as_it_can_be_printed(folder: Path, table: str) -> None:
    change(folder, f"UPDATE {table} SET shard = CAST(x'ff30' AS TEXT)")
    found = verified(folder)
    assert found.faults
    assert b"\\udcff0" in orjson.dumps(found.to_json()).replace(b"\\\\", b"\\")
    assert all("\udcff" not in str(fault) for fault in found.faults)


def test_counters_that_read_the_same_but_are_written_otherwise_are_found(folder: Path) -> None:
    change(folder, "UPDATE shard SET counters = CAST('{ }' AS BLOB)")
    assert [fault.table for fault in verified(folder).faults] == ["shard"]
