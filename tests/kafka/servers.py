"""A broker and a database that may be killed, and the lines over which workers reach them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.kafka.broker import Broker
from tests.kafka.proxy import Proxy
from tests.postgres import Databases, Postgres


@dataclass
class Servers:
    """Both, started, and the lines to them."""

    broker: Broker
    database: Postgres
    to_broker: Proxy
    to_database: Proxy

    @property
    def bootstrap(self) -> str:
        """The broker's address for workers."""
        return f"127.0.0.1:{self.to_broker.port}"

    def ledger(self, url: str) -> str:
        """A ledger's URL for workers; who does not answer for some seconds is given up."""
        here = make_url(self.to_database.before(url)).update_query_dict({"answer_timeout": "5"})
        return here.render_as_string(hide_password=False)

    def end_connections(self) -> None:
        """The server of the database ends every connection of ours."""
        engine = create_engine(self.database.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND application_name = 'policyengine'"
                )
            )
        engine.dispose()

    def new_ledger(self) -> str:
        """A fresh database's URL."""
        return Databases(self.database.url).new()


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Both of them, for as long as they are needed."""
    with Proxy() as to_broker, Proxy() as to_database:
        broker = Broker(folder / "kafka", through=to_broker.port)
        to_broker.to = ("127.0.0.1", broker.proxied or 0)
        broker.start()
        try:
            database = Postgres(folder / "postgres")
            try:
                yield Servers(broker, database, to_broker, to_database)
            finally:
                database.thaw()
                database.close()
        finally:
            broker.kill()
