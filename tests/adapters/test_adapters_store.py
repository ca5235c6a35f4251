"""The SQL store on SQLite: opening, migrating, refusing; what every store does is in the contract tests."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from policyengine.adapters import database, tables
from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import LedgerError, PolicyEngineError, UsageError
from policyengine.ledger.entries import event_key, policy_set_body
from policyengine.ledger.verify import verify
from tests.ledger.ledgers import Writer, event_and_decision, event_body, write_small


def open_at(path: Path, *, read_only: bool = False) -> SqlLedgerStore:
    return SqlLedgerStore(f"sqlite:///{path}", read_only=read_only)


def refusal(path: Path, *, read_only: bool = False) -> PolicyEngineError:
    with pytest.raises(PolicyEngineError) as caught:
        open_at(path, read_only=read_only)
    return caught.value


class TestSchema:
    def test_opening_nothing_makes_the_tables_of_today(self, tmp_path: Path) -> None:
        open_at(tmp_path / "l.db").close()
        engine = create_engine(f"sqlite:///{tmp_path / 'l.db'}")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert context.get_current_revision() == tables.REVISION
            assert compare_metadata(context, tables.metadata) == []
        engine.dispose()

    def test_the_migrations_make_what_the_tables_say_word_by_word(self, tmp_path: Path) -> None:
        open_at(tmp_path / "l.db").close()
        engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
        tables.metadata.create_all(engine)
        engine.dispose()
        assert columns_of(tmp_path / "l.db") == columns_of(tmp_path / "other.db")

    def test_the_last_migration_is_the_one_that_the_tables_name(self) -> None:
        script = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
        assert script.get_heads() == [tables.REVISION]

    def test_opening_again_migrates_nothing(self, tmp_path: Path) -> None:
        write_small(tmp_path / "l.db")
        with closing(open_at(tmp_path / "l.db")) as store:
            assert store.shards() == ["guests", "members"]

    def test_a_schema_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        write_small(tmp_path / "l.db")
        with closing(sqlite3.connect(tmp_path / "l.db")) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '0999'")
        for read_only in (False, True):
            error = refusal(tmp_path / "l.db", read_only=read_only)
            assert (error.code, "newer version" in error.message) == ("PE703", True)

    def test_a_ledger_without_tables_is_not_migrated_by_a_reader(self, tmp_path: Path) -> None:
        (tmp_path / "l.db").touch()
        assert refusal(tmp_path / "l.db", read_only=True).code == "PE704"
        assert (tmp_path / "l.db").read_bytes() == b""

    def test_a_database_of_something_else_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "l.db")) as connection, connection:
            connection.execute("CREATE TABLE customers (id INTEGER)")
        error = refusal(tmp_path / "l.db")
        assert (error.code, "`customers`" in error.message) == ("PE705", True)
        assert "entry" not in columns_of(tmp_path / "l.db")

    def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "l.db").write_text("policy: airline/points-kept\n" * 100)
        for read_only in (False, True):
            error = refusal(tmp_path / "l.db", read_only=read_only)
            assert (error.code, "is no database" in error.message) == ("PE705", True)

    def test_commits_are_synced_and_the_log_is_written_ahead(self, tmp_path: Path) -> None:
        with closing(open_at(tmp_path / "l.db")) as store, store._database.reading() as connection:
            values = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert values == ["wal", 2, 1]  # 2 is FULL

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            (
                "SELECT * FROM entry WHERE kind IN ('decision', 'policy_set') AND kind = ? AND ref = ?",
                "entry_ref",
            ),
            (
                "SELECT * FROM entry WHERE customer IS NOT NULL AND customer = ? AND shard = ?",
                "entry_customer",
            ),
        ],
    )
    def test_looking_up_uses_an_index(self, tmp_path: Path, query: str, index: str) -> None:
        write_small(tmp_path / "l.db")
        with closing(sqlite3.connect(tmp_path / "l.db")) as connection:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ("a", "b")).fetchall()
        assert any(index in row[3] for row in plan)


class TestMigration:
    """Revision 0002: what a shard remembers besides states; events of the world are nobody's."""

    def old(self, path: Path) -> None:
        """The small ledger as the first revision kept it, with an event of the world and its subject."""
        catalogue = {
            "events/crisis.declared": {"x-scope": "world"},
            "events/t": {},
            "entities/t": {"x-scope": "world"},
        }
        crisis = {"id": "w-1", "source": "urn:w", "subject": "covid", "type": "crisis.declared"}
        with closing(open_at(path)) as store:
            writer = Writer(store, "world")
            policies = policy_set_body([], catalogue)
            body = event_body(crisis, event_key("urn:w", "w-1"))
            decided = event_and_decision(1, "c", str(policies.ref))
            writer.write([(0, policies), (1, body), *((2, one) for one in decided)], 2)
        write_small(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            for table in ("timer", "place", "ranking", "queue"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("DROP INDEX entry_world")
            connection.execute("UPDATE alembic_version SET version_num = '0001'")

    def test_the_first_revision_is_what_the_test_takes_it_for(self, tmp_path: Path) -> None:
        self.old(tmp_path / "l.db")
        engine = create_engine(f"sqlite:///{tmp_path / 'first.db'}")
        with engine.begin() as connection:
            config = database._alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        engine.dispose()
        assert columns_of(tmp_path / "l.db") == columns_of(tmp_path / "first.db")

    def test_a_reader_leaves_an_older_ledger_alone_and_says_what_helps(self, tmp_path: Path) -> None:
        self.old(tmp_path / "l.db")
        assert refusal(tmp_path / "l.db", read_only=True).code == "PE704"

    def test_an_older_ledger_is_brought_up_to_date_and_goes_on(self, tmp_path: Path) -> None:
        self.old(tmp_path / "l.db")
        with closing(open_at(tmp_path / "l.db")) as store:
            assert list(verify(store)) == []
            assert [entry.customer for entry in store.entries("world")] == [None, None, "c", "c"]
            assert [entry.customer for entry in store.entries("guests")] == [None, "guest", "guest"]
            assert store.timer_count("world") == 0
            assert store.claim("members").epoch == 2
        open_at(tmp_path / "new.db").close()
        assert columns_of(tmp_path / "l.db") == columns_of(tmp_path / "new.db")

    def test_the_event_whose_customer_was_left_is_named(self, tmp_path: Path) -> None:
        self.old(tmp_path / "l.db")
        open_at(tmp_path / "l.db").close()
        with closing(sqlite3.connect(tmp_path / "l.db")) as connection, connection:
            connection.execute("UPDATE entry SET customer = 'covid' WHERE shard = 'world' AND seq = 1")
        with closing(open_at(tmp_path / "l.db", read_only=True)) as store:
            assert [(fault.column, fault.seq) for fault in verify(store)] == [("customer", 1)]


def columns_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')"
        ).fetchall()
        return {
            name: connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            + connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
            for (name,) in names
            if not name.startswith(("sqlite_", "alembic_"))
        }


class TestOpening:
    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///"])
    def test_a_ledger_in_memory_is_refused(self, url: str) -> None:
        with pytest.raises(UsageError, match="would be lost with its process"):
            SqlLedgerStore(url)

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("ledger.db", "no database URL; write sqlite:///"),
            ("", "no database URL"),
            ("mysql://localhost/ledger", "not in `mysql`"),
            ("postgresql+nosuchdriver://localhost/ledger", "nosuchdriver"),
        ],
    )
    def test_another_url_is_refused_with_what_to_write(self, url: str, text: str) -> None:
        with pytest.raises(UsageError, match=text) as caught:
            SqlLedgerStore(url)
        assert caught.value.code == "PE900"

    def test_a_folder_that_there_is_not_is_not_made(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "no" / "l.db")
        assert (error.code, "there is no folder" in error.message) == ("PE900", True)

    def test_a_folder_is_no_ledger(self, tmp_path: Path) -> None:
        assert "is a folder" in refusal(tmp_path).message

    def test_reading_makes_no_file(self, tmp_path: Path) -> None:
        error = refusal(tmp_path / "l.db", read_only=True)
        assert (error.code, "there is no ledger" in error.message) == ("PE900", True)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_may_not_be_written_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_small(tmp_path / "l.db")
        ask = database.sqlite_uri
        monkeypatch.setattr(database, "sqlite_uri", lambda path, **_: ask(path, read_only=True))
        with closing(open_at(tmp_path / "l.db")) as store, pytest.raises(UsageError, match="you may write"):
            store.claim("members")

    def test_a_medium_that_cannot_be_written_is_read_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "l.db"
        write_small(path)
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert database.sqlite_uri(path, read_only=True).endswith("?mode=ro&immutable=1")
        with closing(open_at(path, read_only=True)) as store:
            assert store.head("members").size == 12
        assert list(tmp_path.iterdir()) == [path]
        path.with_name("l.db-wal").write_bytes(b"x")
        assert database.sqlite_uri(path, read_only=True).endswith("?mode=ro")

    @pytest.mark.parametrize("name", ["a b.db", "50%.db", "#1.db", "פנקס.db"])
    def test_a_file_may_have_any_name(self, tmp_path: Path, name: str) -> None:
        write_small(tmp_path / name)
        with closing(open_at(tmp_path / name, read_only=True)) as store:
            assert store.shards() == ["guests", "members"]
        assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in tmp_path.iterdir()} == {name}

    def test_options_in_the_url_are_refused(self) -> None:
        with pytest.raises(UsageError, match="takes no options"):
            SqlLedgerStore("sqlite:///l.db?mode=ro")

    def test_a_writer_waits_for_another_and_then_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
        path = tmp_path / "l.db"
        write_small(path)
        with (
            closing(open_at(path)) as store,
            closing(sqlite3.connect(path, isolation_level=None)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="held by another process") as caught:
                store.claim("members")
            other.execute("ROLLBACK")
            assert store.claim("members").epoch == 2
        assert caught.value.code == "PE702"

    def test_closing_leaves_one_file(self, tmp_path: Path) -> None:
        write_small(tmp_path / "l.db")
        assert [path.name for path in tmp_path.iterdir()] == ["l.db"]


class TestDamage:
    @pytest.mark.parametrize("table", ["shard", "checkpoint", "outbox"])
    def test_a_writer_does_not_go_on_from_a_changed_row(self, tmp_path: Path, table: str) -> None:
        path = tmp_path / "l.db"
        write_small(path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE {table} SET digest = x'00'")  # noqa: S608
        with closing(open_at(path)) as store:
            asks: dict[str, Callable[[], object]] = {
                "shard": lambda: store.claim("members"),
                "checkpoint": lambda: store.checkpoint("members", "events.jsonl"),
                "outbox": lambda: store.outbox("members", "decisions"),
            }
            with pytest.raises(LedgerError, match=f"table `{table}`") as caught:
                asks[table]()
        assert caught.value.code == "PE708"

    def test_a_torn_file_is_told_to_be_restored(self, tmp_path: Path) -> None:
        path = tmp_path / "l.db"
        with closing(open_at(path)) as store:
            writer = Writer(store, "members")
            for number in range(1, 120):
                writer.write([(number, body) for body in event_and_decision(number, "c", "")], number)
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) // 2])
        with (
            pytest.raises(LedgerError, match="is damaged; restore it") as caught,
            closing(open_at(path, read_only=True)) as store,
        ):
            list(store.entries("members"))
        assert caught.value.code == "PE708"
