"""The ledger in a SQL database: one transaction per batch, guarded by a compare-and-set.

Keeps service.ports.LedgerStore. What entries mean is the ledger package's, connections are database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import orjson
from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from policyengine.adapters.database import Database, Statement, inserting
from policyengine.adapters.remembered import Remembered, upserting
from policyengine.adapters.tables import (
    checkpoint,
    entry,
    found_by_ref,
    metadata,
    outbox,
    root,
    seen,
    state,
)
from policyengine.adapters.tables import shard as head_table
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry, Kind
from policyengine.ledger.publications import POLICIES
from policyengine.ledger.records import Batch, Checkpoint, Head, Outbox, Root, Seen, follow

_CLAIMS = 5


class SqlLedgerStore(Remembered):
    """A ledger behind a database URL; see service.ports.LedgerStore for what each method promises.

    Opening for writing makes the file and brings its tables up to date; opening read-only makes nothing.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        super().__init__(Database(url, read_only=read_only))
        engine = self._database.engine
        upsert = upserting(engine)
        states, channels = upsert(state), upsert(outbox)
        self._insert_entries = inserting(entry, engine)
        self._insert_seen = inserting(seen, engine)
        self._upsert_states = Statement(
            states.on_conflict_do_update(
                index_elements=["shard", "customer", "part"], set_={"body": states.excluded.body}
            ),
            engine,
        )
        self._new_channels = Statement(channels.on_conflict_do_nothing(), engine)
        self._new_head = upsert(head_table).on_conflict_do_nothing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._database.close()

    # --- writing ---------------------------------------------------------------------------------

    def claim(self, shard: str) -> Head:
        """Take over a shard: whoever held it can write no more."""
        for _ in range(_CLAIMS):
            try:
                return self._claim(shard)
            except LedgerError as error:
                if error.code != "PE701" and not (error.code == "PE702" and self._database.end_silent()):
                    raise
                refused = error  # another claimed or wrote it in this moment: after that one, then
        raise refused

    def _claim(self, shard: str) -> Head:
        with self._database.writing() as connection:
            connection.execute(self._new_head, {"shard": shard, **_head_values(Head(shard))})
            row = connection.execute(select(head_table).where(head_table.c.shard == shard)).one()
            before = self._checked_head(row)
            head = replace(before, epoch=before.epoch + 1)
            connection.execute(
                update(head_table).where(head_table.c.shard == shard).values(_head_values(head))
            )
        return head

    def commit(self, shard: str, batch: Batch, expected: Head) -> Head:
        """Write all of a batch, or nothing."""
        head = follow(expected, shard, batch)
        with self._database.writing() as connection:
            # invariant: the head's row is written first; its lock and its epoch keep every other writer out
            self._advance_head(connection, expected, head)
            if batch.checkpoint is not None:
                self._advance_checkpoint(connection, head, batch.checkpoint, batch.since)
            self._insert_entries.many(connection, batch.entries)
            self._insert_seen.many(
                connection, [(shard, key, digest, seq) for key, (digest, seq) in batch.seen.items()]
            )
            self._upsert_states.many(
                connection,
                [
                    (shard, customer, part, body)
                    for customer, parts in batch.states.items()
                    for part, body in parts.items()
                ],
            )
            self._write_memory(connection, shard, batch)
            channels = [Outbox(channel, first) for channel, first in batch.channels.items()]
            self._new_channels.many(
                connection,
                [(shard, box.channel, box.next_seq, box.position, box.digest(shard)) for box in channels],
            )
            connection.execute(
                insert(root).values(
                    shard=shard, batch=head.batch, size=head.size, root=head.root, frontier=head.frontier
                )
            )
        return head

    def mark_published(self, shard: str, channel: str, next_seq: int, position: bytes) -> None:
        """Advance a channel."""
        box = Outbox(channel, next_seq, position)
        size = select(head_table.c.size).where(head_table.c.shard == shard).scalar_subquery()
        change = (
            update(outbox)
            .where(
                outbox.c.shard == shard,
                outbox.c.channel == channel,
                outbox.c.next_seq <= next_seq,
                size >= next_seq,
            )
            .values(next_seq=next_seq, position=position, digest=box.digest(shard))
        )
        with self._database.writing() as connection:
            if connection.execute(change).rowcount != 1:
                raise LedgerError(
                    f"channel `{channel}` of shard `{shard}` cannot be set to sequence {next_seq}: there is "
                    "no such channel, it is further already, or the ledger is not that long",
                    code="PE709",
                )

    @staticmethod
    def _advance_head(connection: Connection, expected: Head, head: Head) -> None:
        change = (
            update(head_table)
            .where(
                head_table.c.shard == expected.shard,
                head_table.c.batch == expected.batch,
                head_table.c.size == expected.size,
                head_table.c.epoch == expected.epoch,
            )
            .values(_head_values(head))
        )
        if connection.execute(change).rowcount == 1:
            return
        row = connection.execute(select(head_table).where(head_table.c.shard == expected.shard)).one_or_none()
        found = "never claimed" if row is None else f"at batch {row.batch}, epoch {row.epoch}"
        raise LedgerError(
            f"another writer took over shard `{expected.shard}`: it is {found}, this one expected batch "
            f"{expected.batch}, epoch {expected.epoch}; nothing was written. Let only one process write a "
            "shard, then run again: it continues from the stored position",
            code="PE701",
        )

    @staticmethod
    def _advance_checkpoint(connection: Connection, head: Head, new: Checkpoint, since: int | None) -> None:
        new = replace(new, epoch=head.epoch)
        values = {
            "offset": new.offset, "epoch": new.epoch,
            "fingerprint": new.fingerprint, "digest": new.digest(head.shard),
        }  # fmt: skip
        here = and_(checkpoint.c.shard == head.shard, checkpoint.c.input == new.input)
        stored = connection.execute(select(checkpoint.c.offset).where(here)).scalar_one_or_none()
        if stored != since:
            raise LedgerError(
                f"input `{new.input}` of shard `{head.shard}` stands at {stored}, this batch was read from "
                f"{since}; nothing was written. Run again: it continues from the stored position",
                code="PE701",
            )
        if stored is None:
            connection.execute(insert(checkpoint).values(shard=head.shard, input=new.input, **values))
        else:
            connection.execute(update(checkpoint).where(here).values(values))

    # --- what a writer reads ---------------------------------------------------------------------

    def head(self, shard: str) -> Head:
        """Where a shard stands."""
        with self._database.reading() as connection:
            row = connection.execute(select(head_table).where(head_table.c.shard == shard)).one_or_none()
        return Head(shard) if row is None else self._checked_head(row)

    def checkpoint(self, shard: str, input_name: str) -> Checkpoint | None:
        """Where to go on reading."""
        for found, digest in self.checkpoint_rows(shard):
            if found.input == input_name:
                if not _is(digest, found.digest, shard):
                    raise _damaged("checkpoint", shard)
                return found
        return None

    def outbox(self, shard: str, channel: str) -> Outbox | None:
        """How far a channel has published."""
        for found, digest in self.outbox_rows(shard):
            if found.channel == channel:
                if not _is(digest, found.digest, shard):
                    raise _damaged("outbox", shard)
                return found
        return None

    def states(self, shard: str, customers: Iterable[str]) -> dict[str, dict[str, bytes]]:
        """The stored states, in parts, of those customers that have one."""
        query = select(state.c.customer, state.c.part, state.c.body).where(
            state.c.shard == shard, state.c.customer.in_(bindparam("keys", expanding=True))
        )
        found: dict[str, dict[str, bytes]] = {}
        for customer, part, body in self._looked_up(query, customers):
            found.setdefault(customer, {})[part] = body
        return found

    def seen(self, shard: str, keys: Iterable[bytes]) -> dict[bytes, Seen]:
        """Those keys that were accepted before."""
        query = select(seen.c.key, seen.c.digest, seen.c.seq).where(
            seen.c.shard == shard, seen.c.key.in_(bindparam("keys", expanding=True))
        )
        return {key: Seen(digest, seq) for key, digest, seq in self._looked_up(query, keys)}

    def unpublished(self, shard: str, channel: str, kind: str, limit: int) -> list[Entry]:
        """What a channel has not published."""
        box = self.outbox(shard, channel)
        if box is None:
            return []
        query = (
            select(entry)
            .where(entry.c.shard == shard, entry.c.seq >= box.next_seq, entry.c.kind == kind)
            .order_by(entry.c.seq)
            .limit(limit)
        )
        return [Entry(*row) for row in self._next(query)]

    # --- what an auditor reads -------------------------------------------------------------------

    def shards(self) -> list[str]:
        """All shards, by name."""
        return sorted(shard for (shard,) in self._all(select(head_table.c.shard)))

    def entries(self, shard: str, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """A stretch of entries."""
        query = select(entry).where(entry.c.shard == shard)
        if start:  # from 0 on, verify must see what stands before it, too
            query = query.where(entry.c.seq >= start)
        if stop is not None:
            query = query.where(entry.c.seq < stop)
        for row in self._stream(query.order_by(entry.c.seq)):
            yield Entry(*row)

    def entry(self, shard: str, seq: int) -> Entry | None:
        """One entry."""
        found = self._all(select(entry).where(entry.c.shard == shard, entry.c.seq == seq))
        return Entry(*found[0]) if found else None

    def find_decisions(self, decision_id: str) -> list[Entry]:
        """The decisions with that id."""
        query = select(entry).where(found_by_ref, entry.c.kind == "decision", entry.c.ref == decision_id)
        return [Entry(*row) for row in self._all(query.order_by(entry.c.shard, entry.c.seq))]

    def policy_set(self, digest: str) -> bytes | None:
        """The body of a published policy set, or of one that is to be published."""
        query = select(entry.c.body).where(found_by_ref, entry.c.kind == "policy_set", entry.c.ref == digest)
        found = self._all(query.order_by(entry.c.shard, entry.c.seq).limit(1))
        if not found:  # no index is needed: few entries stand in that shard
            of_shard = select(entry.c.body).where(entry.c.shard == POLICIES, entry.c.kind == Kind.STAGED)
            found = self._all(of_shard.where(entry.c.ref == digest).limit(1))
        return found[0][0] if found else None

    def history(self, customer: str) -> Iterator[Entry]:
        """Every event and decision of a customer."""
        for shard in self.shards():
            yield from self.of_customer(shard, customer)

    def state_rows(self, shard: str) -> Iterator[tuple[str, str, bytes]]:
        """Every part of every stored state."""
        query = select(state.c.customer, state.c.part, state.c.body).where(state.c.shard == shard)
        for row in self._stream(query.order_by(state.c.customer, state.c.part)):
            yield row[0], row[1], row[2]

    # --- what only verification reads ------------------------------------------------------------

    def strays(self) -> dict[str, list[str]]:
        """Shard names without a head."""
        found: dict[str, list[str]] = {}
        heads = set(self.shards())
        for table in metadata.sorted_tables:
            for (shard,) in self._all(select(table.c.shard).distinct()):
                if shard not in heads:
                    found.setdefault(shard, []).append(table.name)
        return found

    def mistyped(self) -> list[tuple[str, str, str]]:
        """Table, row and column of each value that is not of its column's type."""
        return [place for table in metadata.sorted_tables for place in self._database.mistyped(table)]

    def head_row(self, shard: str) -> tuple[Head, bytes]:
        """The head and its stored digest."""
        row = self._all(select(head_table).where(head_table.c.shard == shard))[0]
        return _head(row), row.digest

    def root_rows(self, shard: str) -> Iterator[Root]:
        """Every root."""
        query = select(root.c.batch, root.c.size, root.c.root, root.c.frontier).where(root.c.shard == shard)
        for row in self._stream(query.order_by(root.c.batch)):
            yield Root(*row)

    def checkpoint_rows(self, shard: str) -> list[tuple[Checkpoint, bytes]]:
        """Every checkpoint with its stored digest."""
        columns = checkpoint.c
        query = select(columns.input, columns.offset, columns.epoch, columns.fingerprint, columns.digest)
        rows = self._all(query.where(columns.shard == shard))
        return [(Checkpoint(*row[:-1]), row[-1]) for row in rows]

    def outbox_rows(self, shard: str) -> list[tuple[Outbox, bytes]]:
        """Every outbox with its stored digest."""
        columns = outbox.c
        query = select(columns.channel, columns.next_seq, columns.position, columns.digest)
        rows = self._all(query.where(columns.shard == shard))
        return [(Outbox(*row[:-1]), row[-1]) for row in rows]

    def seen_count(self, shard: str) -> int:
        """How many event keys are remembered."""
        return int(self._all(select(func.count()).select_from(seen).where(seen.c.shard == shard))[0][0])

    def seen_rows(self, shard: str) -> Iterator[tuple[bytes, Seen]]:
        """Every event key that is remembered."""
        query = select(seen.c.key, seen.c.digest, seen.c.seq).where(seen.c.shard == shard)
        for key, digest, seq in self._stream(query):
            yield key, Seen(digest, seq)

    # --- how ---------------------------------------------------------------------------------------

    @staticmethod
    def _checked_head(row: Row[*tuple[Any, ...]]) -> Head:
        head = _head(row)
        if not _is(row.digest, head.digest):
            raise _damaged("shard", head.shard)
        return head


def _head(row: Row[*tuple[Any, ...]]) -> Head:
    counters = {"": 0}  # nobody counts that: the digest will not fit, and verify names the row
    with suppress(ValueError, TypeError, LedgerError):
        read = dict(orjson.loads(row.counters))
        counters = read if canonical(read) == row.counters else counters
    return Head(row.shard, row.batch, row.size, row.root, row.frontier, row.epoch, row.policy_set, counters)


def _head_values(head: Head) -> dict[str, Any]:
    """All columns but the key.

    Every other table refers to the key: were it set, also to what it is, SQLite would look through
    every row of the shard for one that still has the old key, at each commit.
    """
    return {
        "batch": head.batch,
        "size": head.size,
        "root": head.root,
        "frontier": head.frontier,
        "epoch": head.epoch,
        "policy_set": head.policy_set,
        "counters": canonical(dict(head.counters)),
        "digest": head.digest(),
    }


def _is(stored: bytes, digest: Callable[..., bytes], *arguments: str) -> bool:
    """Whether a row has its stored digest; values of another type have none."""
    try:
        return digest(*arguments) == stored
    except (AttributeError, TypeError, LedgerError):
        return False


def _damaged(table: str, shard: str) -> LedgerError:
    return LedgerError(
        f"a row of table `{table}` of shard `{shard}` was changed outside of the engine; "
        "`policyengine verify` says what else was",
        code="PE708",
    )
