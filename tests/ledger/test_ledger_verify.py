"""Verification finds every manipulation, and says which shard, which entry, which column."""

# ruff: noqa: S608 - tables and columns come from the parameters below

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import (
    Header,
    commitment,
    content_digest,
    event_body,
    event_key,
    policy_set_body,
)
from policyengine.ledger.faults import Fault
from policyengine.ledger.merkle import EMPTY_ROOT, Tree, leaf_hash
from policyengine.ledger.records import Head, Seen
from policyengine.ledger.remembered import STATES as STATE_ROWS
from policyengine.ledger.remembered import compare
from policyengine.ledger.verify import verify
from tests.ledger.ledgers import STATES, Writer, write_small

# the tables without a rowid
KEYS = {"seen": "shard, key", "state": "shard, customer, part"}
Change = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Head]]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    return path, write_small(path)


@pytest.fixture
def ledger(original: tuple[Path, dict[str, Head]], tmp_path: Path) -> Path:
    return Path(shutil.copy(original[0], tmp_path / "ledger.db"))


def change(path: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            sql, parameters = (statement, ()) if isinstance(statement, str) else statement
            assert connection.execute(sql, parameters).rowcount > 0, sql


def faults_of(path: Path, expect: dict[str, tuple[int, bytes]] | None = None) -> list[Fault]:
    with SqlLedgerStore(f"sqlite:///{path}", read_only=True) as store:
        found = list(verify(store, expect))
        for shard, states in STATES.items():
            expected = {
                (customer, part): (body,)
                for customer, parts in states.items()
                for part, body in parts.items()
            }
            found.extend(compare(shard, STATE_ROWS, expected, store.state_rows(shard)))
    return found


def told(faults: list[Fault]) -> list[tuple[str, str, str, int | None]]:
    return [(fault.code, fault.table, fault.column, fault.seq) for fault in faults]


def flip(column: str, place: int = 1) -> str:
    """SQL that changes one byte of a blob and keeps its length."""
    byte = f"substr({column}, {place}, 1)"
    other = f"CASE {byte} WHEN x'41' THEN x'42' ELSE x'41' END"
    return f"CAST(substr({column}, 1, {place - 1}) || {other} || substr({column}, {place + 1}) AS BLOB)"


def test_an_untouched_ledger_has_no_fault(ledger: Path, original: tuple[Path, dict[str, Head]]) -> None:
    noted = {shard: (head.size, head.root) for shard, head in original[1].items()}
    assert faults_of(ledger, noted) == []
    assert noted["members"][0] == 1 + 2 * 2 + 1 + 3 * 2


def test_progress_counts_every_entry(ledger: Path) -> None:
    counted: list[int] = []
    with SqlLedgerStore(f"sqlite:///{ledger}", read_only=True) as store:
        assert list(verify(store, progress=counted.append)) == []
    assert sum(counted) == 12 + 3


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("header", flip("header", 17), "header"),
        ("header", "CAST(replace(header, '0.1.0', '0.1.1') AS BLOB)", "header"),
        ("header", "CAST(replace(header, '\"offset\":20', '\"offset\":21') AS BLOB)", "header"),
        ("leaf", flip("leaf"), "leaf"),
        ("salt", flip("salt", 5), "salt or body"),
        ("salt", "x'00'", "salt"),
        ("body", "CAST(replace(body, 'e-2', 'e-3') AS BLOB)", "salt or body"),
        ("body", "CAST(body || ' ' AS BLOB)", "body"),
        ("body", "x''", "body"),
        ("kind", "'decision'", "kind"),
        ("ref", "'00'", "ref"),
        ("ref", "NULL", "ref"),
        ("customer", "'c-6'", "customer"),
        ("customer", "CAST(x'ff41' AS TEXT)", "customer"),
        ("body", "'text'", "body"),
    ],
)
def test_a_changed_column_of_an_entry_is_named(ledger: Path, column: str, value: str, named: str) -> None:
    change(ledger, f"UPDATE entry SET {column} = {value} WHERE shard = 'members' AND seq = 3")
    assert ("PE801", "entry", named, 3) in told(faults_of(ledger))
    assert {fault.shard for fault in faults_of(ledger)} == {"members"}


@pytest.mark.parametrize("column", ["header", "leaf", "salt", "kind", "ref", "customer"])
def test_one_changed_column_is_one_fault(ledger: Path, column: str) -> None:
    value = "'x'" if column in ("kind", "ref", "customer") else flip(column, 20)
    change(ledger, f"UPDATE entry SET {column} = {value} WHERE shard = 'members' AND seq = 4")
    named = "salt or body" if column == "salt" else column
    assert told(faults_of(ledger)) == [("PE801", "entry", named, 4)]


@pytest.mark.parametrize("seq", range(12))
def test_a_removed_entry_is_named_wherever_it_stood(ledger: Path, seq: int) -> None:
    change(ledger, f"DELETE FROM entry WHERE shard = 'members' AND seq = {seq}")
    assert ("PE802", "entry", "", seq) in told(faults_of(ledger))


def test_a_removed_stretch_over_a_batch_is_one_fault_of_entries(ledger: Path) -> None:
    change(ledger, "DELETE FROM entry WHERE shard = 'members' AND seq BETWEEN 4 AND 7")
    entries = [fault for fault in faults_of(ledger) if fault.table == "entry"]
    assert [(fault.code, fault.row) for fault in entries] == [("PE802", "sequences 4 to 7")]


def test_an_entry_added_at_the_end_is_found(ledger: Path) -> None:
    change(
        ledger,
        "INSERT INTO entry SELECT shard, 12, kind, header, leaf, salt, body, ref, customer "
        "FROM entry WHERE shard = 'members' AND seq = 5",
    )
    found = told(faults_of(ledger))
    assert ("PE803", "entry", "", 12) in found
    assert ("PE801", "entry", "seq", 12) in found


def test_an_entry_added_before_the_first_is_found(ledger: Path) -> None:
    change(
        ledger,
        "INSERT INTO entry SELECT shard, -1, kind, header, leaf, salt, body, ref, customer "
        "FROM entry WHERE shard = 'members' AND seq = 5",
    )
    assert ("PE803", "entry", "seq", -1) in told(faults_of(ledger))


def test_a_duplicate_put_between_by_renumbering_is_found(ledger: Path) -> None:
    change(
        ledger,
        "UPDATE entry SET seq = seq + 1000 WHERE shard = 'members' AND seq > 4",
        "UPDATE entry SET seq = seq - 999 WHERE shard = 'members' AND seq > 1000",
        "INSERT INTO entry SELECT shard, 5, kind, header, leaf, salt, body, ref, customer "
        "FROM entry WHERE shard = 'members' AND seq = 4",
    )
    found = told(faults_of(ledger))
    assert ("PE801", "entry", "seq", 5) in found
    assert ("PE803", "entry", "", 12) in found


@pytest.mark.parametrize(("one", "two"), [(2, 4), (3, 10), (0, 11)])
def test_swapped_entries_are_both_named(ledger: Path, one: int, two: int) -> None:
    change(
        ledger,
        f"UPDATE entry SET seq = -7 WHERE shard = 'members' AND seq = {one}",
        f"UPDATE entry SET seq = {one} WHERE shard = 'members' AND seq = {two}",
        f"UPDATE entry SET seq = {two} WHERE shard = 'members' AND seq = -7",
    )
    found = told(faults_of(ledger))
    assert ("PE801", "entry", "seq", one) in found
    assert ("PE801", "entry", "seq", two) in found


def test_a_body_forged_with_its_commitment_and_leaf_is_caught_by_the_root(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        where = "WHERE shard = 'members' AND seq = 2"
        salt, body, raw = connection.execute(f"SELECT salt, body, header FROM entry {where}").fetchone()
        body = body.replace(b'"outcome":"none"', b'"outcome":"granted"')
        header = Header.from_bytes(raw)
        forged = raw.replace(header.commitment.encode(), commitment(salt, body).encode())
        values = (body, forged, leaf_hash(forged))
        connection.execute(f"UPDATE entry SET body = ?, header = ?, leaf = ? {where}", values)
    faults = faults_of(ledger)
    assert [(fault.code, fault.table, fault.column, fault.row) for fault in faults] == [
        ("PE804", "root", "root", "batch 2")
    ]
    assert "a header was changed together with its leaf" in faults[0].message


@pytest.mark.parametrize(
    ("table", "column", "value", "where", "code", "named"),
    [
        ("root", "root", flip("root"), "batch = 2", "PE804", "root"),
        ("root", "root", flip("root", 32), "batch = 4", "PE804", "root"),
        ("root", "frontier", flip("frontier", 9), "batch = 2", "PE804", "frontier"),
        ("root", "frontier", flip("frontier", 1), "batch = 4", "PE804", "frontier"),
        ("root", "size", "5", "batch = 2", "PE804", "size"),
        ("root", "size", "70", "batch = 2", "PE804", "size"),
        ("root", "size", "-1", "batch = 4", "PE804", "size"),
        ("root", "batch", "9", "batch = 4", "PE802", "batch"),
        ("shard", "size", "11", "1", "PE806", "size"),
        ("shard", "root", flip("root"), "1", "PE806", "root"),
        ("shard", "frontier", flip("frontier", 20), "1", "PE806", "frontier"),
        ("shard", "policy_set", "'none'", "1", "PE806", "policy_set"),
        ("shard", "epoch", "8", "1", "PE806", "batch or epoch or counters or digest"),
        ("shard", "batch", "3", "1", "PE806", "batch or epoch or counters or digest"),
        (
            "shard", "counters", "CAST('{\"duplicates\":3}' AS BLOB)", "1",
            "PE806", "batch or epoch or counters or digest",
        ),
        ("shard", "counters", "x'ff'", "1", "PE806", "batch or epoch or counters or digest"),
        ("shard", "digest", flip("digest"), "1", "PE806", "batch or epoch or counters or digest"),
        ("checkpoint", "offset", "70", "1", "PE806", ""),
        ("checkpoint", "offset", "90", "1", "PE806", ""),
        ("checkpoint", "epoch", "2", "1", "PE806", ""),
        ("checkpoint", "fingerprint", flip("fingerprint"), "1", "PE806", ""),
        ("checkpoint", "digest", flip("digest"), "1", "PE806", ""),
        ("checkpoint", "input", "'events.json'", "1", "PE806", ""),
        ("outbox", "next_seq", "10", "1", "PE806", ""),
        ("outbox", "position", "x''", "1", "PE806", ""),
        ("outbox", "channel", "'decision'", "1", "PE806", ""),
        ("outbox", "digest", flip("digest"), "1", "PE806", ""),
        ("seen", "digest", flip("digest"), "seq = 3", "PE806", "digest"),
        ("seen", "seq", "4", "seq = 3", "PE806", "seq"),
        ("seen", "key", flip("key"), "seq = 3", "PE806", "key"),
        ("state", "body", flip("body", 5), "customer = 'c-6'", "PE807", "body"),
        ("state", "customer", "'c-9'", "customer = 'c-6'", "PE807", "customer or part"),
        ("state", "part", "'first'", "customer = 'c-6'", "PE807", "customer or part"),
    ],
)  # fmt: skip
def test_a_changed_row_beside_the_entries_is_named(
    ledger: Path, *, table: str, column: str, value: str, where: str, code: str, named: str
) -> None:
    change(ledger, f"UPDATE {table} SET {column} = {value} WHERE shard = 'members' AND {where}")
    found = told(faults_of(ledger))
    assert (code, table, named) in [fault[:3] for fault in found]
    assert {fault[1] for fault in found} == {table}


@pytest.mark.parametrize(
    ("table", "where", "code"),
    [
        ("root", "batch = 3", "PE802"),
        ("root", "batch = 4", "PE802"),
        ("seen", "seq = 3", "PE806"),
        ("checkpoint", "1", "PE806"),
        ("state", "customer = 'c-6'", "PE807"),
    ],
)
def test_a_removed_row_beside_the_entries_is_named(ledger: Path, table: str, where: str, code: str) -> None:
    change(ledger, f"DELETE FROM {table} WHERE shard = 'members' AND {where}")
    assert [fault[:2] for fault in told(faults_of(ledger))] == [(code, table)]


@pytest.mark.parametrize(
    ("insert", "code", "table"),
    [
        ("INSERT INTO root SELECT shard, 5, size, root, frontier FROM root WHERE batch = 4", "PE803", "root"),
        ("INSERT INTO seen SELECT shard, x'00', digest, seq FROM seen WHERE seq = 3", "PE806", "seen"),
        ("INSERT INTO state VALUES ('members', 'nobody', 'last', x'7b7d')", "PE807", "state"),
        ("INSERT INTO state VALUES ('nowhere', 'nobody', 'last', x'7b7d')", "PE803", "state"),
    ],
)
def test_an_added_row_beside_the_entries_is_named(ledger: Path, insert: str, code: str, table: str) -> None:
    change(ledger, insert)
    assert [fault[:2] for fault in told(faults_of(ledger))] == [(code, table)]


@pytest.mark.parametrize("table", ["shard", "entry", "root", "checkpoint", "state", "seen", "outbox"])
@pytest.mark.parametrize("value", ["'memberz'", "CAST(x'6dff' AS TEXT)"])
def test_rows_moved_to_another_shard_are_found(ledger: Path, table: str, value: str) -> None:
    change(ledger, f"UPDATE {table} SET shard = {value} WHERE shard = 'members'")
    faults = faults_of(ledger)
    assert faults
    assert all(str(fault).encode() for fault in faults)


def test_a_tail_cut_off_with_care_is_found_against_what_was_noted(
    ledger: Path, original: tuple[Path, dict[str, Head]]
) -> None:
    """Whoever rewrites head, roots and all the rest leaves a ledger that verifies, but a shorter one."""
    head = original[1]["members"]
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM entry WHERE shard = 'members' AND seq >= 6")
        connection.execute("DELETE FROM root WHERE shard = 'members' AND batch > 2")
        connection.execute("DELETE FROM seen WHERE shard = 'members' AND seq >= 6")
        connection.execute("DELETE FROM outbox WHERE shard = 'members'")
        connection.execute("DELETE FROM state WHERE shard = 'members' AND customer LIKE 'c-%'")
        root, frontier = connection.execute(
            "SELECT root, frontier FROM root WHERE shard = 'members' AND batch = 2"
        ).fetchone()
        cut = Head("members", 2, 6, root, frontier, 1, head.policy_set, {"duplicates": 0})
        connection.execute(
            "UPDATE shard SET size = 6, batch = 2, root = ?, frontier = ?, counters = ?, digest = ? "
            "WHERE shard = 'members'",
            (root, frontier, b'{"duplicates":0}', cut.digest()),
        )
    assert {fault.table for fault in faults_of(ledger)} == {"state"}  # c-6 to c-8 were expected
    faults = faults_of(ledger, {"members": (head.size, head.root)})
    noted = [fault for fault in faults if fault.code == "PE805"]
    assert [(fault.row, fault.message) for fault in noted] == [
        ("sequences 6 to 11", "12 entries were noted, 6 are there: the tail was cut off")
    ]


def test_a_rewritten_history_is_found_against_what_was_noted(
    ledger: Path, original: tuple[Path, dict[str, Head]]
) -> None:
    head = original[1]["members"]
    faults = faults_of(ledger, {"members": (head.size, bytes(32))})
    assert [(fault.code, fault.row) for fault in faults] == [("PE805", "the tree of 12 entries")]
    assert head.root.hex() in faults[0].message


def test_an_earlier_note_still_holds_when_the_ledger_has_grown(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        leaves = [
            row[0]
            for row in connection.execute("SELECT leaf FROM entry WHERE shard = 'members' ORDER BY seq")
        ]
    tree = Tree()
    for size in range(13):
        assert faults_of(ledger, {"members": (size, tree.root())}) == []
        if size < 12:
            tree.append(leaves[size])
    assert faults_of(ledger, {"members": (0, bytes(32))}) != []
    assert faults_of(ledger, {"members": (0, EMPTY_ROOT)}) == []


def test_a_noted_shard_that_is_gone_is_found(ledger: Path) -> None:
    assert [fault.code for fault in faults_of(ledger, {"clients": (1, EMPTY_ROOT)})] == ["PE805"]


def test_a_fault_reads_as_a_sentence_with_its_place(ledger: Path) -> None:
    change(ledger, "UPDATE entry SET kind = 'event' WHERE shard = 'members' AND seq = 2")
    assert [str(fault) for fault in faults_of(ledger)] == [
        "PE801 shard `members`, sequence 2, entry.kind: is `event`, its header says `decision`"
    ]


def cells(path: Path) -> Iterator[tuple[str, int, str, bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        tables = ["shard", "entry", "root", "checkpoint", "state", "seen", "outbox"]
        for table in tables:
            columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]
            key = KEYS.get(table, "rowid")
            rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {key}").fetchall()
            for number, row in enumerate(rows):
                for column, value in zip(columns, row, strict=True):
                    if isinstance(value, bytes):
                        yield table, number, column, value


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_any_text_or_blob_is_a_fault(
    data: st.DataObject, original: tuple[Path, dict[str, Head]], tmp_path: Path
) -> None:
    path = Path(shutil.copy(original[0], tmp_path / "flipped.db"))
    table, number, column, value = data.draw(st.sampled_from(sorted(cells(path))))
    if not value:
        return
    place = data.draw(st.integers(0, len(value) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != value[place]))
    flipped = value[:place] + bytes([byte]) + value[place + 1 :]
    key = KEYS.get(table, "rowid")
    row = f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {number}"
    with closing(sqlite3.connect(path)) as connection, connection:
        is_text = connection.execute(f"SELECT typeof({column}) = 'text' FROM {table} LIMIT 1 OFFSET {number}")
        new = "CAST(? AS TEXT)" if is_text.fetchone()[0] else "?"
        sql = f"UPDATE OR IGNORE {table} SET {column} = {new} WHERE ({key}) = ({row})"
        if connection.execute(sql, (flipped,)).rowcount == 0:
            return  # another row has that key: the database refuses
    assert faults_of(path)


def test_a_changed_schema_revision_is_refused(ledger: Path) -> None:
    change(ledger, "UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(LedgerError, match="PE703"):
        faults_of(ledger)


class TestWorld:
    """The event types of the world are those of the catalogue in the policy set before an entry."""

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Path:
        """Sequences 1 to 4: an event and one of the engine's own, of the world and of a customer."""
        world = {"x-scope": "world"}
        policies = policy_set_body([], {"events/crisis": world, "events/t": {}, "entities/t": world})
        bodies = [(0, policies)]
        for kind, customer in (("crisis", None), ("t", "c")):
            for internal in (False, True):
                source = "urn:policyengine" if internal else "urn:w"
                event = {"id": kind, "source": source, "subject": "c", "type": kind}
                key = event_key(source, kind)
                bodies.append((1, event_body(canonical(event), customer, key, internal=internal)))
        with SqlLedgerStore(f"sqlite:///{tmp_path / 'l.db'}") as store:
            writer = Writer(store, "members")
            seen = {
                bytes.fromhex(str(body.ref)): Seen(content_digest(orjson.loads(body.raw)["event"]), seq)
                for seq, (_, body) in enumerate(bodies)
                if body.kind == "event"
            }
            store.commit("members", replace(writer.batch(bodies, 1), seen=seen), writer.head)
        return tmp_path / "l.db"

    def found(self, ledger: Path) -> list[tuple[str, str, str, int | None]]:
        with SqlLedgerStore(f"sqlite:///{ledger}", read_only=True) as store:
            return told(list(verify(store)))

    def test_its_events_and_the_engines_own_verify(self, ledger: Path) -> None:
        assert self.found(ledger) == []

    @pytest.mark.parametrize("seq", [1, 2, 3, 4])
    def test_a_customer_that_was_written_or_taken_away_is_named(self, ledger: Path, seq: int) -> None:
        other = "'c'" if seq < 3 else "NULL"
        change(ledger, f"UPDATE entry SET customer = {other} WHERE seq = {seq}")
        assert self.found(ledger) == [("PE801", "entry", "customer", seq)]

    @pytest.mark.parametrize("seq", [1, 2])
    def test_a_key_that_was_changed_is_named(self, ledger: Path, seq: int) -> None:
        change(ledger, f"UPDATE entry SET ref = 'ab' WHERE seq = {seq}")
        assert self.found(ledger) == [("PE801", "entry", "ref", seq)]

    def test_what_the_engine_made_cannot_be_passed_off_as_what_came_from_outside(self, ledger: Path) -> None:
        change(ledger, "UPDATE entry SET kind = 'event' WHERE seq = 4")
        assert self.found(ledger) == [("PE801", "entry", "kind", 4)]

    def test_where_the_policy_set_is_gone_only_that_is_told(self, ledger: Path) -> None:
        change(ledger, "UPDATE entry SET body = CAST('' AS BLOB) WHERE seq = 0")
        assert self.found(ledger) == [("PE801", "entry", "body", 0)]
