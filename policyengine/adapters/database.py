"""One connection to the ledger's database: opening, migrating, transactions, errors that say what to do.

SQLite in a file by default; the same for PostgreSQL where a driver is installed. What is read and
written is the store's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Engine,
    Insert,
    Table,
    create_engine,
    event,
    exc,
    func,
    insert,
    inspect,
    make_url,
    or_,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler

from policyengine.adapters import postgres, tables
from policyengine.errors import LedgerError, PolicyEngineError, UsageError

BUSY_SECONDS = 10.0
_MIGRATIONS = Path(__file__).parent / "migrations"
_WRITER_PRAGMAS = (
    "PRAGMA page_size = 8192",  # of a new file: keys and customers are spread over all pages
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -65536",  # KiB
    "PRAGMA wal_autocheckpoint = 8000",  # pages: a page written by ten batches is copied back once
)
_REMEDIES = {
    "SQLITE_BUSY": ("PE702", "is held by another process; stop it, or wait and run again"),
    "SQLITE_LOCKED": ("PE702", "is held by another process; stop it, or wait and run again"),
    "SQLITE_NOTADB": ("PE705", "is no database; name another file with --ledger"),
    "SQLITE_FULL": ("PE707", "cannot grow, the disk is full; nothing of this batch was written"),
    "SQLITE_IOERR": ("PE707", "cannot be read or written, the disk fails"),
    "SQLITE_CORRUPT": ("PE708", "is damaged; restore it from a copy and verify that"),
}
_FORBIDDEN = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")


class Statement:
    """SQL compiled once, run with plain tuples: half the cost of Core per row."""

    def __init__(self, statement: Insert | Delete, engine: Engine) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - narrows the type, never false
        self._sql = str(compiled)
        self._names = list(compiled.positiontup or compiled.params)
        self._positional = compiled.positional

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run once per row; the row's values in the order of the statement's parameters."""
        if not rows:
            return
        if self._positional:
            connection.exec_driver_sql(self._sql, list(rows))
        else:
            named = [dict(zip(self._names, row, strict=True)) for row in rows]
            connection.exec_driver_sql(self._sql, named)


def inserting(table: Table, engine: Engine) -> Statement | postgres.Copied:
    """What adds new rows, given with the values of all columns in the table's order."""
    if engine.dialect.driver == "psycopg":
        return postgres.Copied(table, engine)
    return Statement(insert(table), engine)


class Database:
    """The connection, and the transactions on it.

    Read-only, one transaction spans the whole life: every read sees the same state of the ledger.
    """

    def __init__(self, url: str, *, read_only: bool) -> None:
        parsed = _parse(url)
        self.name = parsed.database or url
        self.read_only = read_only
        self._begin = "BEGIN"
        with self.errors():
            self.engine = _engine(parsed, read_only=read_only)
            if parsed.get_backend_name() == "sqlite":
                event.listen(self.engine, "begin", self._on_begin)
            self._connection = self.engine.connect()
        try:
            with self.errors():
                if read_only:
                    self._connection.begin()
                    self._check_revision()
                else:
                    self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back; a transaction still open is rolled back."""
        self._connection.close()
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state."""
        with self.errors():
            if self.read_only:
                yield self._connection
            else:
                with self._connection.begin():
                    yield self._connection

    @contextmanager
    def paging(self) -> Iterator[Connection]:
        """The same for the next rows in the order of an index, however many follow them."""
        with self.reading() as connection:
            if self.engine.dialect.name == "postgresql":
                postgres.along_the_index(connection)
            yield connection

    @contextmanager
    def streaming(self) -> Iterator[Connection]:
        """A transaction for a long read: a writer's goes over a connection of its own, so it can go on."""
        with self.errors():
            if self.read_only:
                yield self._connection
            else:
                with self.engine.connect() as connection, connection.begin():
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start, so it never fails halfway on one."""
        if self.read_only:
            raise UsageError(f"the ledger {self.name} was opened for reading only")
        self._begin = "BEGIN IMMEDIATE"
        try:
            with self.errors(), self._connection.begin():
                yield self._connection
        finally:
            self._begin = "BEGIN"

    def end_silent(self) -> bool:
        """End writers that hold locks and say nothing; whether there were any."""
        if self.engine.dialect.name != "postgresql":
            return False
        with self.writing() as connection:
            return postgres.end_silent(connection)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except exc.DBAPIError as error:
            if hasattr(error.orig, "sqlstate"):  # the other driver's errors
                lost = error.connection_invalidated or isinstance(error, exc.OperationalError)
                raise postgres.explained(self.name, error.orig, lost=lost) from error
            raise self._explained(error.orig) from error
        except sqlite3.Error as error:  # raised while the connection is being made
            raise self._explained(error) from error

    def _explained(self, error: BaseException | None) -> PolicyEngineError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_FORBIDDEN):
            return UsageError(
                f"the ledger {self.name} cannot be opened or written ({error}); "
                "check that its folder exists and that you may write there"
            )
        for prefix, (code, text) in _REMEDIES.items():
            if name.startswith(prefix):
                return LedgerError(f"the ledger {self.name} {text} ({error})", code=code)
        return LedgerError(f"the database of the ledger {self.name} refuses: {error}", code="PE700")

    def _on_begin(self, connection: Connection) -> None:
        connection.exec_driver_sql(self._begin)

    def mistyped(self, table: Table, limit: int = 500) -> Iterator[tuple[str, str, str]]:
        """Table, row and column of values that are not of their column's type: SQLite takes any in any."""
        if self.engine.dialect.name != "sqlite":
            return
        wrong = [func.typeof(column).not_in(_typeof(column)) for column in table.columns]
        with self.reading() as connection:
            rows = connection.execute(select(table).where(or_(*wrong)).limit(limit)).all()
        for row in rows:
            values = dict(zip(table.columns.keys(), row, strict=True))
            place = ", ".join(repr(values[column.name]) for column in table.primary_key)
            for column in table.columns:
                value = values[column.name]
                if type(value) is not column.type.python_type and not (value is None and column.nullable):
                    yield table.name, place, column.name

    # --- schema ----------------------------------------------------------------------------------

    def _revision(self) -> str | None:
        """The schema's revision; None for a database without tables."""
        names = set(inspect(self._connection).get_table_names())
        if "alembic_version" in names:
            row = self._connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchone()
            if row is not None:
                return str(row[0])
        if names:
            found = ", ".join(f"`{name}`" for name in sorted(names)[:3])
            raise LedgerError(
                f"the database {self.name} holds other tables ({found}) and is no ledger; "
                "name another one with --ledger",
                code="PE705",
            )
        return None

    def _check_revision(self) -> bool:
        """Whether the schema is the current one; raises where only a migration or another program helps."""
        revision = self._revision()
        if revision == tables.REVISION:
            return True
        if revision is not None and revision not in _known_revisions():
            raise LedgerError(
                f"the ledger {self.name} has schema `{revision}`, this program knows `{tables.REVISION}`; "
                "it was written by a newer version: install that one",
                code="PE703",
            )
        if self.read_only:
            raise LedgerError(
                f"the ledger {self.name} has schema `{revision or 'none'}`, this program reads "
                f"`{tables.REVISION}`; `policyengine publish` or `run` brings it up to date",
                code="PE704",
            )
        return False

    def _migrate(self) -> None:
        with self.reading():
            if self._check_revision():
                return
        is_postgres = self.engine.dialect.name == "postgresql"
        lock = postgres.alone(self.engine) if is_postgres else nullcontext()
        with self.errors(), lock, self.writing() as connection:  # now that nobody else can be migrating
            unhurried = postgres.unhurried(connection) if is_postgres else nullcontext()
            if self._check_revision():
                return
            from alembic import command

            config = _alembic_config()
            config.attributes["connection"] = connection
            with unhurried:
                command.upgrade(config, "head")


def _typeof(column: Column[Any]) -> list[str]:
    """SQLite's names for the types that a column may hold."""
    name = {str: "text", int: "integer", bytes: "blob"}[column.type.python_type]
    return [name, "null"] if column.nullable else [name]


def _alembic_config() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise UsageError(f"`{url}` is no database URL; write sqlite:///path/to/ledger.db") from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise UsageError(f"a ledger lives in sqlite or postgresql, not in `{backend}`")
    if backend == "sqlite" and "?" in url:
        raise UsageError(f"`{url}`: a sqlite ledger takes no options, and its path no question mark")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UsageError(
            "a ledger in memory would be lost with its process; "
            "name a file (sqlite:///ledger.db), or use `policyengine decide` for a dry run"
        )
    return postgres.with_driver(parsed)


def _engine(url: URL, *, read_only: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        _check_file(path, read_only=read_only)
        return create_engine(
            "sqlite://", creator=lambda: _connect_sqlite(path, read_only=read_only), poolclass=NullPool
        )
    url, answer = postgres.split(url)
    is_ours = url.get_driver_name() == "psycopg"
    try:
        engine = create_engine(
            url,
            poolclass=NullPool,
            isolation_level="REPEATABLE READ",
            connect_args=postgres.connecting(url, read_only=read_only, answer=answer) if is_ours else {},
        )
    except (ModuleNotFoundError, exc.NoSuchModuleError) as error:
        raise UsageError(f"the driver of `{url.drivername}` is not installed ({error})") from error
    if is_ours and answer and not read_only:
        postgres.patient(engine, answer)
    return engine.execution_options(postgresql_readonly=read_only)


def _check_file(path: Path, *, read_only: bool) -> None:
    if path.is_dir():
        raise UsageError(f"the ledger {path} is a folder; name a file in it")
    if read_only and not path.exists():
        raise UsageError(f"there is no ledger {path}; `policyengine run` makes one")
    if not path.parent.is_dir():
        raise UsageError(f"the ledger {path} cannot be made: there is no folder {path.parent}")


def sqlite_uri(path: Path, *, read_only: bool) -> str:
    """The file as SQLite's URI.

    A ledger on a medium that cannot be written (an auditor's copy) is opened as immutable, since SQLite
    would otherwise want to put its shared memory beside it; not while a write-ahead log holds anything.
    """
    mode = "rwc"
    if read_only:
        log = path.with_name(path.name + "-wal")
        logged = log.exists() and log.stat().st_size > 0
        frozen = not logged and not os.access(path.parent, os.W_OK)
        mode = "ro&immutable=1" if frozen else "ro"
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def _connect_sqlite(path: Path, *, read_only: bool) -> sqlite3.Connection:
    uri = sqlite_uri(path, read_only=read_only)
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
    # a changed byte may leave text that is no UTF-8: verify must be able to read and name it
    connection.text_factory = _decode
    try:
        for pragma in () if read_only else _WRITER_PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        with suppress(sqlite3.Error):  # the first error is the one to tell
            connection.close()
        raise
    return connection


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
