"""The ledger's tables as they are now; how they came to be is in migrations, what uses them in store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

REVISION = "0002"  # the migration that makes these tables

metadata = MetaData()


class Blob(LargeBinary):
    """Bytes as the driver gives them: no copy per row, and verify may see what is no bytes at all."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """None is needed: the drivers of both databases return bytes."""


# invariant: names are ordered by their UTF-8 bytes, in any database; SQLite does so by itself
Name = Text().with_variant(Text(collation="C"), "postgresql")


def _shard() -> Column[str]:
    return Column("shard", Text, ForeignKey("shard.shard"), primary_key=True)


shard = Table(
    "shard",
    metadata,
    Column("shard", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", Blob, nullable=False),
    Column("frontier", Blob, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("policy_set", Text, nullable=False),
    Column("counters", Blob, nullable=False),  # canonical JSON
    Column("digest", Blob, nullable=False),
)

entry = Table(
    "entry",
    metadata,
    _shard(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("header", Blob, nullable=False),
    Column("leaf", Blob, nullable=False),
    Column("salt", Blob, nullable=False),
    Column("body", Blob, nullable=False),
    Column("ref", Text),
    Column("customer", Text),
)
# An event is found through `seen`, so its ref needs no index.
# SQLite takes a partial index only where the query repeats its condition word by word.
found_by_ref = text("kind IN ('decision', 'policy_set')")
found_by_customer = text("customer IS NOT NULL")
found_in_world = text("kind = 'internal' AND customer IS NULL")
Index("entry_ref", entry.c.ref, sqlite_where=found_by_ref, postgresql_where=found_by_ref)
Index(
    "entry_customer",
    entry.c.customer,
    entry.c.shard,
    entry.c.seq,
    sqlite_where=found_by_customer,
    postgresql_where=found_by_customer,
)
Index("entry_world", entry.c.ref, sqlite_where=found_in_world, postgresql_where=found_in_world)

root = Table(
    "root",
    metadata,
    _shard(),
    Column("batch", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", Blob, nullable=False),
    Column("frontier", Blob, nullable=False),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _shard(),
    Column("input", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("fingerprint", Blob, nullable=False),
    Column("digest", Blob, nullable=False),
)

state = Table(
    "state",
    metadata,
    _shard(),
    Column("customer", Name, primary_key=True),
    Column("part", Name, primary_key=True),
    Column("body", Blob, nullable=False),
    sqlite_with_rowid=False,
)

seen = Table(
    "seen",
    metadata,
    _shard(),
    Column("key", Blob, primary_key=True),
    Column("digest", Blob, nullable=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    _shard(),
    Column("channel", Text, primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("position", Blob, nullable=False),
    Column("digest", Blob, nullable=False),
)

timer = Table(
    "timer",
    metadata,
    _shard(),
    Column("customer", Name, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("due", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("data", Blob, nullable=False),  # canonical JSON
    sqlite_with_rowid=False,
)
Index("timer_due", timer.c.shard, timer.c.due, timer.c.customer, timer.c.id)

place = Table(
    "place",
    metadata,
    _shard(),
    Column("key", Name, primary_key=True),
    Column("customer", Name, primary_key=True),
    Column("part", Name, primary_key=True),
    sqlite_with_rowid=False,
)

ranking = Table(
    "ranking",
    metadata,
    _shard(),
    Column("customer", Name, primary_key=True),
    Column("rank", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

queue = Table(
    "queue",
    metadata,
    _shard(),
    Column("job", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("customer", Name, nullable=False),
    sqlite_with_rowid=False,
)
