"""The ledger's tables as they are now; how they came to be is in migrations, what uses them in store."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

REVISION = "0001"  # the migration that makes these tables

metadata = MetaData()


def _shard() -> Column[str]:
    return Column("shard", Text, ForeignKey("shard.shard"), primary_key=True)


shard = Table(
    "shard",
    metadata,
    Column("shard", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("policy_set", Text, nullable=False),
    Column("counters", LargeBinary, nullable=False),  # canonical JSON
    Column("digest", LargeBinary, nullable=False),
)

entry = Table(
    "entry",
    metadata,
    _shard(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("header", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("ref", Text),
    Column("customer", Text),
)
# An event is found through `seen`, so its ref needs no index.
# SQLite takes a partial index only where the query repeats its condition word by word.
found_by_ref = text("kind IN ('decision', 'policy_set')")
found_by_customer = text("customer IS NOT NULL")
Index("entry_ref", entry.c.ref, sqlite_where=found_by_ref, postgresql_where=found_by_ref)
Index(
    "entry_customer",
    entry.c.customer,
    entry.c.shard,
    entry.c.seq,
    sqlite_where=found_by_customer,
    postgresql_where=found_by_customer,
)

root = Table(
    "root",
    metadata,
    _shard(),
    Column("batch", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _shard(),
    Column("input", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

state = Table(
    "state",
    metadata,
    _shard(),
    Column("customer", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    _shard(),
    Column("key", LargeBinary, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    _shard(),
    Column("channel", Text, primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("position", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
