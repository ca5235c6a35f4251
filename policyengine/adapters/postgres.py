"""What PostgreSQL needs beside SQL: how to connect, a lock, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, event, exc, text

from policyengine.errors import LedgerError, PolicyEngineError, UsageError

_MIGRATING = 0x706F6C6963  # a number of this program's own, for the lock
_LOCK_SECONDS = 10
_IDLE_SECONDS = 10  # in a transaction: a writer that is frozen must not hold its shard for ever
_ANSWER_SECONDS = 60.0  # for a statement of a writer
ANSWER = "answer_timeout"  # of the URL, seconds: for a writer's statement, by default the above; 0: no bound
_FOR_EVER = 86_400.0
_TYPES = {str: "text", int: "int8", bytes: "bytea"}
_FOR_A_WHILE = ("starting up", "shutting down", "recovery", "too many clients", "connection slots")
# by SQLSTATE or its class (two characters): code and what to do; "" are those of wrong use
_REMEDIES = {
    "40001": ("PE701", "was written by another process at the same time; nothing of this was written"),
    "40P01": ("PE701", "was written by another process at the same time; nothing of this was written"),
    "55P03": ("PE702", "is held by another process; stop it, or wait and run again"),
    "53100": ("PE707", "cannot grow, the disk is full; nothing of this was written"),
    "58": ("PE707", "cannot be read or written, the disk fails"),
    "XX": ("PE708", "is damaged; restore it from a copy and verify that"),
    "53": ("PE713", "has no room for another connection; work goes on when it has"),
    "08": ("PE713", "does not answer; work goes on when it does"),
    "57": ("PE713", "is being stopped or started; work goes on when it is back"),
    "57014": ("PE713", "takes too long for a statement; see why, or raise answer_timeout in --ledger"),
    "28": ("", "does not let this user in; mend the user or password in --ledger"),
    "3D": ("", "is not there; make it (CREATE DATABASE), or name another with --ledger"),
    "42501": ("", "may not be used like this by this user; GRANT it"),
    "25006": ("", "may only be read; name the primary server with --ledger"),
}


def with_driver(url: URL) -> URL:
    """The URL with the driver that this program comes with, where it names none."""
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def split(url: URL) -> tuple[URL, float]:
    """The URL as the driver knows it, and for how many seconds a writer waits for an answer; 0: for ever."""
    told = url.query.get(ANSWER, _ANSWER_SECONDS)
    try:
        seconds = float(str(told))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < _FOR_EVER:
        raise UsageError(
            f"`{ANSWER}={told}` in --ledger: write seconds, such as {_ANSWER_SECONDS:g}; 0: no bound"
        )
    return url.difference_update_query([ANSWER]), seconds


def connecting(url: URL, *, read_only: bool = False, answer: float = _ANSWER_SECONDS) -> dict[str, Any]:
    """Arguments for the driver: no wait is endless, unless the URL says so.

    Whoever only reads does so in one transaction, and may think in between for as long as it takes.
    ``answer``: seconds that the server gives a writer's statement; see ``patient`` for one that is frozen.
    """
    idle = f" -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s -c statement_timeout={answer:.3f}s"
    idle = "" if read_only else idle
    wanted: dict[str, Any] = {
        "application_name": "policyengine",
        "connect_timeout": 10,
        "tcp_user_timeout": 30_000,  # ms: a connection that was cut is found out
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": f"-c lock_timeout={_LOCK_SECONDS}s{idle}",
    }
    return {name: value for name, value in wanted.items() if name not in url.query}


def patient(engine: Engine, seconds: float) -> None:
    """Let no connection of the engine wait longer for an answer: the server may be frozen, or the line.

    The system sees a line that is cut (``tcp_user_timeout``), not a server that takes what it is sent and
    does not answer. Such a connection is given up.
    """
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        patience: float | None = seconds

        def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
            return super().wait(self._hurried(gen), *arguments, **named)

        def _hurried(self, gen: Any) -> Generator[Any, Any, Any]:
            """What the driver does while it waits, also when nothing has come for a moment."""
            began, come = monotonic(), None
            try:
                while True:
                    come = yield gen.send(come)
                    if not come and self.patience is not None and monotonic() > began + self.patience:
                        self.pgconn.finish()
                        raise psycopg.OperationalError(f"no answer within {self.patience:g} seconds")
            except StopIteration as over:
                return over.value

    event.listen(
        engine, "do_connect", lambda _dialect, _record, args, named: Impatient.connect(*args, **named)
    )


def along_the_index(connection: Connection) -> None:
    """In this transaction, rows are read in the order of an index that has it, a page costs a page.

    Of a table that was not analysed since it grew (a ledger that was just restored) the planner believes
    that it is small: it would gather and sort all that follows, for each page again.
    """
    connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")


def end_silent(connection: Connection) -> bool:
    """End writers of this database that are in the middle of a transaction, and whose client says nothing.

    The server itself ends those who are idle between two statements, not a client that was frozen within a
    row of them that it had begun to send: that would hold its shard for as long as it sleeps.
    """
    query = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid() "
        "AND application_name = 'policyengine' AND backend_xid IS NOT NULL AND wait_event = 'ClientRead' "
        "AND state_change < now() - make_interval(secs => :seconds)"
    )
    return bool(connection.execute(query, {"seconds": _IDLE_SECONDS}).scalar_one())


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """A transaction that may take as long as it likes: tables are being changed."""
    driver = connection.connection.driver_connection
    before = getattr(driver, "patience", None)
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    if before is not None:
        driver.patience = None  # type: ignore[union-attr]
    try:
        yield
    finally:
        if before is not None:
            driver.patience = before  # type: ignore[union-attr]


class Copied:
    """New rows of a table by COPY: a fifth of the CPU time of INSERT here, two thirds of it in the server."""

    def __init__(self, table: Table, engine: Engine) -> None:
        names = [column.name for column in table.columns]
        quoted = ", ".join(map(engine.dialect.identifier_preparer.quote, names))
        self._sql = f"COPY {table.name} ({quoted}) FROM STDIN (FORMAT BINARY)"
        self._types = [_TYPES[column.type.python_type] for column in table.columns]
        self._dialect = engine.dialect

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add the rows, each with the values of all columns in the table's order."""
        if not rows:
            return
        import psycopg

        driver: Any = connection.connection.driver_connection
        try:
            with driver.cursor() as cursor, cursor.copy(self._sql) as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:  # it did not come through SQLAlchemy, which would do the same
            lost = driver.closed
            if lost:
                connection.invalidate(error)
            raise exc.DBAPIError.instance(
                self._sql, None, error, psycopg.Error, connection_invalidated=lost, dialect=self._dialect
            ) from error


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Nobody else brings the tables up to date meanwhile; who comes second sees what the first did."""
    with engine.connect() as connection:
        held = connection.execution_options(isolation_level="AUTOCOMMIT")
        held.exec_driver_sql("SET statement_timeout = 0")
        held.exec_driver_sql(f"SELECT pg_advisory_lock({_MIGRATING})")
        yield  # closing the connection gives the lock back


def explained(name: str, error: BaseException | None, *, lost: bool) -> PolicyEngineError:
    """The driver's error as ours. ``lost``: the connection is no longer there."""
    state = getattr(error, "sqlstate", None) or (_unnamed(str(error)) if lost else "")
    code, text = _REMEDIES.get(state) or _REMEDIES.get(state[:2]) or ("PE700", "refuses")
    message = f"the database of the ledger {name} {text} ({_one_line(error)})"
    return LedgerError(message, code=code) if code else UsageError(message)


def _unnamed(text: str) -> str:
    """The state of an error without one: those of connecting. Who is told FATAL was answered."""
    if "FATAL" not in text or any(words in text for words in _FOR_A_WHILE):
        return "08006"
    return "3D000" if "database" in text and "does not exist" in text else "28000"


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
