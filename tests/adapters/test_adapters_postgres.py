"""The SQL store on PostgreSQL: several at once, a server that dies, errors that say what to do.

What every store does is in the contract tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, event, make_url, text

from policyengine.adapters import postgres as adapter
from policyengine.adapters.store import SqlLedgerStore
from policyengine.errors import LedgerError, PolicyEngineError, UsageError
from policyengine.ledger.records import Seen
from policyengine.ledger.verify import verify
from tests.ledger.ledgers import POLICIES, Writer, event_and_decision
from tests.postgres import Databases, Postgres


def small(store: SqlLedgerStore) -> Writer:
    writer = Writer(store, "members")
    writer.write([(0, POLICIES), *((10, body) for body in event_and_decision(1, "ann"))], 10)
    return writer


@pytest.fixture
def own(own_postgres: Postgres) -> Iterator[str]:
    """A database on the server that may be killed."""
    databases = Databases(own_postgres.url)
    yield databases.new()
    databases.drop()


class TestSeveralAtOnce:
    def test_who_opens_an_empty_database_together_makes_its_tables_once(self, postgres: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            stores = list(pool.map(lambda _: SqlLedgerStore(postgres), range(4)))
        for store in stores:
            assert store.shards() == []
            store.close()

    def test_who_claims_a_shard_together_gets_it_one_after_the_other(self, postgres: str) -> None:
        """Of four, each its own epoch: 1, 2, 3, 4."""
        stores = [SqlLedgerStore(postgres) for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            epochs = list(pool.map(lambda store: store.claim("members").epoch, stores))
        assert sorted(epochs) == [1, 2, 3, 4]
        for store in stores:
            store.close()

    def test_of_two_that_write_the_same_shard_together_one_does(self, postgres: str) -> None:
        """Also when the second waits for the first's lock: it finds another head then."""
        with closing(SqlLedgerStore(postgres)) as first, closing(SqlLedgerStore(postgres)) as second:
            writer = small(first)
            batch = writer.batch([(20, body) for body in event_and_decision(2, "bob")], 20)
            with ThreadPoolExecutor(2) as pool:
                outcomes = list(pool.map(lambda store: tried(store, writer, batch), (first, second)))
            assert sorted(outcomes) == ["", "PE701"]
            assert list(verify(first)) == []

    def test_workers_with_shards_of_their_own_do_not_disturb_each_other(self, postgres: str) -> None:
        def work(shard: str) -> int:
            with closing(SqlLedgerStore(postgres)) as store:
                writer = Writer(store, shard)
                writer.write([(0, POLICIES)], 0)
                for number in range(20):
                    writer.write([(number, body) for body in event_and_decision(number, "ann")], number)
                return writer.head.size

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(work, ["a", "b", "c"])) == [1 + 20 * 2] * 3
        with closing(SqlLedgerStore(postgres, read_only=True)) as store:
            assert list(verify(store)) == []


def tried(store: SqlLedgerStore, writer: Writer, batch: object) -> str:
    try:
        store.commit("members", batch, writer.head)  # type: ignore[arg-type]
    except LedgerError as error:
        return error.code
    return ""


class TestDeath:
    def test_a_server_that_died_is_told_and_the_store_goes_on_when_it_is_back(
        self, own: str, own_postgres: Postgres
    ) -> None:
        with closing(SqlLedgerStore(own)) as store:
            writer = small(store)
            batch = writer.batch([(20, body) for body in event_and_decision(2, "bob")], 20)
            own_postgres.kill()
            try:
                for _ in range(2):
                    with pytest.raises(LedgerError, match="work goes on when it") as caught:
                        store.commit("members", batch, writer.head)
                    assert caught.value.code == "PE713"
                with pytest.raises(LedgerError) as caught:
                    SqlLedgerStore(own)
                assert caught.value.code == "PE713"
            finally:
                own_postgres.start()
            assert store.commit("members", batch, writer.head).size == 5
            assert list(verify(store)) == []

    def test_a_writer_that_was_frozen_within_its_rows_does_not_keep_its_shard(
        self, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It holds the row of its shard and has sent half of a copy; the server waits for the rest."""
        monkeypatch.setattr(adapter, "_IDLE_SECONDS", 1)
        monkeypatch.setattr(adapter, "_LOCK_SECONDS", 2)
        with closing(SqlLedgerStore(postgres)) as store:
            before = small(store).head
            url = make_url(postgres).set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(url, application_name="policyengine") as frozen, frozen.cursor() as cursor:
                cursor.execute("UPDATE shard SET epoch = epoch WHERE shard = 'members'")
                frozen.pgconn.send_query(b"COPY root FROM STDIN")
                frozen.pgconn.flush()
                assert store.claim("members").epoch == before.epoch + 1
                frozen.pgconn.finish()

    def test_a_server_that_does_not_answer_is_given_up(self, own_postgres: Postgres, own: str) -> None:
        with closing(SqlLedgerStore(f"{own}&answer_timeout=3")) as store:
            store.claim("members")
            own_postgres.freeze()
            try:
                with pytest.raises(LedgerError, match="no answer within 3 seconds") as caught:
                    store.claim("members")
                assert caught.value.code == "PE713"
            finally:
                own_postgres.thaw()
            assert store.claim("members").epoch > 1

    def test_a_connection_that_was_cut_is_made_again(self, postgres: str) -> None:
        with closing(SqlLedgerStore(postgres)) as store:
            writer = small(store)
            batch = writer.batch([], 20)
            engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
            with engine.connect() as other:
                cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                other.execute(text(f"{cut} AND datname = current_database()"))
            engine.dispose()
            with pytest.raises(LedgerError) as caught:
                store.commit("members", batch, writer.head)
            assert caught.value.code == "PE713"
            store.commit("members", batch, writer.head)

    def test_a_connection_that_is_cut_between_two_rows_is_made_again(
        self, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The head is written by then, and undone with the rest."""

        class Cut(list[tuple[object, ...]]):
            def __iter__(self) -> Iterator[tuple[object, ...]]:
                yield self[0]
                engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
                with engine.connect() as other:
                    other.execute(
                        text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode LIKE 'Row%'")
                    )
                engine.dispose()
                yield self[1]

        with closing(SqlLedgerStore(postgres)) as store:
            writer = small(store)
            batch = writer.batch([(20, body) for body in event_and_decision(2, "bob")], 20)
            copied = store._insert_entries.many
            with monkeypatch.context() as patched:
                patched.setattr(store._insert_entries, "many", lambda to, rows: copied(to, Cut(rows)))
                with pytest.raises(LedgerError) as caught:
                    store.commit("members", batch, writer.head)
            assert caught.value.code == "PE713"
            assert store.head("members") == writer.head
            assert store.commit("members", batch, writer.head).size == 5

    def test_a_row_that_is_refused_undoes_the_batch(self, postgres: str) -> None:
        """Twice the same key: what was copied before is gone, and the connection is as good as before."""
        with closing(SqlLedgerStore(postgres)) as store:
            writer = small(store)
            batch = writer.batch([(20, body) for body in event_and_decision(2, "bob")], 20)
            [(key, _)] = store.seen_rows("members")
            with pytest.raises(LedgerError, match="duplicate key") as caught:
                store.commit("members", replace(batch, seen={key: Seen(b"", 3)}), writer.head)
            assert caught.value.code == "PE700"
            assert [entry.seq for entry in store.entries("members")] == [0, 1, 2]
            assert store.commit("members", batch, writer.head).size == 5


class TestPages:
    MANY = """
        INSERT INTO timer (shard, customer, id, due, event, data)
        SELECT 'members', 'c' || n, 't', 7, 'offer.expired', '{}' FROM generate_series(1, 20000) AS many(n)
    """

    def test_a_page_of_timers_is_read_along_the_index_of_a_table_that_was_never_analysed(
        self, postgres: str
    ) -> None:
        """Sorting what follows, for each page, a million timers at one midnight would never be through."""
        plans: list[str] = []

        def explain(connection: Connection, _: object, sql: str, given: object, *__: object) -> None:
            if sql.startswith("SELECT") and "timer" in sql:
                told = connection.connection.cursor().execute(f"EXPLAIN {sql}", given)  # type: ignore[arg-type]
                plans.append("\n".join(line for (line,) in told))

        with closing(SqlLedgerStore(postgres)) as store:
            small(store)
            with store._database.writing() as connection:
                connection.exec_driver_sql("ALTER TABLE timer SET (autovacuum_enabled = false)")
                connection.exec_driver_sql(self.MANY)
            event.listen(store._database.engine, "before_cursor_execute", explain)
            first = store.timers("members", None, 10)
            assert store.timers("members", first[-1], 10)[0] > first[-1]
            assert store.timers_counted("members", None, 10_000)[0] == 10_000
        assert len(plans) == 3
        assert [plan for plan in plans if "timer_due" not in plan or "Sort" in plan] == []


class TestErrors:
    def refusal(self, call: Callable[[], object]) -> PolicyEngineError:
        with pytest.raises(PolicyEngineError) as caught:
            call()
        return caught.value

    def test_a_database_that_is_not_there_is_told(self, postgres: str) -> None:
        url = make_url(postgres).set(database="there_is_none").render_as_string(hide_password=False)
        error = self.refusal(lambda: SqlLedgerStore(url))
        assert isinstance(error, UsageError)
        assert "is not there; make it (CREATE DATABASE)" in str(error)

    def test_nobody_there_is_told_without_the_password(self) -> None:
        url = "postgresql://me:hush-7f3a@127.0.0.1:9/ledger"
        error = self.refusal(lambda: SqlLedgerStore(url))
        assert error.code == "PE713"
        assert "hush-7f3a" not in str(error)

    def test_a_lock_that_another_holds_is_not_waited_for_for_ever(
        self, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(adapter, "_LOCK_SECONDS", 1)
        with closing(SqlLedgerStore(postgres)) as store:
            small(store)
            engine = create_engine(postgres)
            with engine.begin() as other:
                other.execute(text("SELECT * FROM shard FOR UPDATE"))
                error = self.refusal(lambda: store.claim("members"))
            engine.dispose()
        assert error.code == "PE702"

    def test_a_database_with_other_tables_is_none_of_ours(self, postgres: str) -> None:
        engine = create_engine(postgres)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE invoice (id int)"))
        engine.dispose()
        assert self.refusal(lambda: SqlLedgerStore(postgres)).code == "PE705"

    @pytest.mark.parametrize(
        ("state", "lost", "code", "says"),
        [
            ("40001", False, "PE701", "written by another process at the same time"),
            ("40P01", False, "PE701", "written by another process at the same time"),
            ("55P03", False, "PE702", "is held by another process"),
            ("53100", False, "PE707", "the disk is full"),
            ("58030", False, "PE707", "the disk fails"),
            ("XX001", False, "PE708", "is damaged"),
            ("53300", True, "PE713", "no room for another connection"),
            ("57P01", True, "PE713", "is being stopped or started"),
            ("57P03", True, "PE713", "is being stopped or started"),
            ("08006", True, "PE713", "does not answer"),
            (None, True, "PE713", "does not answer"),
            ("42501", False, "PE900", "GRANT it"),
            ("25006", False, "PE900", "may only be read; name the primary server"),
            ("28P01", True, "PE900", "mend the user or password"),
            ("23505", False, "PE700", "refuses"),
            (None, False, "PE700", "refuses"),
        ],
    )
    def test_each_state_says_what_to_do(self, state: str | None, lost: bool, code: str, says: str) -> None:
        class RefusedError(Exception):
            sqlstate = state

        error = adapter.explained("ledger", RefusedError("two\nlines"), lost=lost)
        assert error.code == code
        assert says in str(error)
        assert "(two lines)" in str(error)

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("connection refused", "PE713"),
            ("FATAL: the database system is starting up", "PE713"),
            ("FATAL: sorry, too many clients already", "PE713"),
            ('FATAL: database "x" does not exist', "PE900"),
            ('FATAL: role "x" does not exist', "PE900"),
            ('FATAL: password authentication failed for user "x"', "PE900"),
        ],
    )
    def test_what_refuses_a_connection_has_no_state_but_words(self, text: str, code: str) -> None:
        assert adapter.explained("ledger", RuntimeError(text), lost=True).code == code

    def test_the_urls_own_words_go_before_ours(self) -> None:
        url = make_url("postgresql+psycopg://h/d?connect_timeout=3")
        assert "connect_timeout" not in adapter.connecting(url)
        assert adapter.with_driver(make_url("postgresql://h/d")).drivername == "postgresql+psycopg"
        assert adapter.with_driver(make_url("postgresql+pg8000://h/d")).drivername == "postgresql+pg8000"
