"""The rows of what a shard remembers besides states: timers, places, ranks, lists of jobs, the past.

Half of adapters.store, which writes them with everything else of a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import (
    Connection,
    Delete,
    Engine,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from policyengine.adapters.database import Database, Statement
from policyengine.adapters.tables import (
    entry,
    found_by_customer,
    found_in_world,
    place,
    queue,
    ranking,
    timer,
)
from policyengine.domain.timers import Timer, TimerOrder
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry
from policyengine.ledger.records import Batch, Place

PAGE = 500  # rows read at a time, keys asked for at a time


def upserting(engine: Engine) -> Any:
    """The insert of the database's own dialect, which knows what to do about a row that is there."""
    return (postgresql if engine.dialect.name == "postgresql" else sqlite).insert


class Remembered:
    """What SqlLedgerStore keeps of timers, places, ranks and queues."""

    def __init__(self, database: Database) -> None:
        self._database = database
        engine = database.engine
        upsert = upserting(engine)
        timers, ranks = upsert(timer), upsert(ranking)
        self._upsert_timers = Statement(
            timers.on_conflict_do_update(
                index_elements=["shard", "customer", "id"],
                set_={name: timers.excluded[name] for name in ("due", "event", "data")},
            ),
            engine,
        )
        self._delete_timers = Statement(_deleting(timer, "shard", "customer", "id"), engine)
        self._insert_places = Statement(upsert(place).on_conflict_do_nothing(), engine)
        self._delete_places = Statement(_deleting(place, "shard", "key", "customer", "part"), engine)
        self._upsert_ranks = Statement(
            ranks.on_conflict_do_update(
                index_elements=["shard", "customer"], set_={"rank": ranks.excluded.rank}
            ),
            engine,
        )
        self._delete_ranks = Statement(_deleting(ranking, "shard", "customer"), engine)
        self._insert_queue = Statement(insert(queue), engine)
        self._delete_queue = Statement(_deleting(queue, "shard", "job"), engine)

    def _write_memory(self, connection: Connection, shard: str, batch: Batch) -> None:
        self._delete_timers.many(
            connection, [(shard, *key) for key, to in batch.timers.items() if to is None]
        )
        self._upsert_timers.many(
            connection,
            [
                (shard, to.customer, to.id, to.due, to.event, canonical(dict(to.data)))
                for to in batch.timers.values()
                if to is not None
            ],
        )
        self._delete_places.many(
            connection, [(shard, *at) for at, there in batch.places.items() if not there]
        )
        self._insert_places.many(connection, [(shard, *at) for at, there in batch.places.items() if there])
        self._delete_ranks.many(
            connection, [(shard, who) for who, rank in batch.ranks.items() if rank is None]
        )
        self._upsert_ranks.many(
            connection, [(shard, who, rank) for who, rank in batch.ranks.items() if rank is not None]
        )
        self._delete_queue.many(
            connection, [(shard, job) for job, list_ in batch.queues.items() if list_ is None]
        )
        for job, customers in batch.queues.items():
            rows = [(shard, job, position, customer) for position, customer in enumerate(customers or ())]
            self._insert_queue.many(connection, rows)

    # --- timers ----------------------------------------------------------------------------------

    def timers(self, shard: str, after: Timer | None, limit: int) -> list[Timer]:
        """The pending timers that follow one, in timers' order."""
        columns = (timer.c.due, timer.c.customer, timer.c.id)
        query = select(*columns, timer.c.event, timer.c.data).where(timer.c.shard == shard)
        if after is not None:
            query = query.where(timer.c.due >= after.due, tuple_(*columns) > tuple_(*after[:3]))
        return [_timer(row) for row in self._next(query.order_by(*columns).limit(limit))]

    def timers_of(self, shard: str, customer: str) -> list[Timer]:
        """The pending timers of a customer, in no order."""
        query = select(timer.c.due, timer.c.customer, timer.c.id, timer.c.event, timer.c.data)
        return [
            _timer(row)
            for row in self._all(query.where(timer.c.shard == shard, timer.c.customer == customer))
        ]

    def timer_count(self, shard: str) -> int:
        """How many timers are pending."""
        return int(self._all(select(func.count()).select_from(timer).where(timer.c.shard == shard))[0][0])

    def timers_counted(
        self, shard: str, after: TimerOrder | None, limit: int
    ) -> tuple[int, TimerOrder | None]:
        """How many pending timers follow one, and where to go on; at the most ``limit`` rows are read."""
        columns = (timer.c.due, timer.c.customer, timer.c.id)
        query = select(*columns).where(timer.c.shard == shard)
        if after is not None:
            query = query.where(timer.c.due >= after[0], tuple_(*columns) > tuple_(*after))
        last = self._next(query.order_by(*columns).offset(limit - 1).limit(1))
        if last:
            return limit, (last[0][0], last[0][1], last[0][2])
        return int(self._all(select(func.count()).select_from(query.subquery()))[0][0]), None

    def timer_rows(self, shard: str) -> Iterator[tuple[str, str, int, str, bytes]]:
        """Customer, id, due, event and data of every pending timer, by customer and id."""
        query = select(timer.c.customer, timer.c.id, timer.c.due, timer.c.event, timer.c.data)
        for row in self._stream(query.where(timer.c.shard == shard).order_by(timer.c.customer, timer.c.id)):
            yield row[0], row[1], row[2], row[3], row[4]

    # --- who is where ----------------------------------------------------------------------------

    def found(self, shard: str, keys: Iterable[str]) -> dict[str, int | None]:
        """The customers that are found by any of the keys, with their rank."""
        query = (
            select(place.c.customer, ranking.c.rank)
            .select_from(
                place.outerjoin(
                    ranking, and_(ranking.c.shard == place.c.shard, ranking.c.customer == place.c.customer)
                )
            )
            .where(place.c.shard == shard, place.c.key.in_(bindparam("keys", expanding=True)))
            .distinct()
        )
        return {customer: rank for customer, rank in self._looked_up(query, keys)}  # noqa: C416 - rows are no pairs

    def places_of(self, shard: str, key: str, customers: Iterable[str]) -> set[Place]:
        """By which parts these customers are found by a key."""
        query = select(place.c.key, place.c.customer, place.c.part).where(
            place.c.shard == shard,
            place.c.key == key,
            place.c.customer.in_(bindparam("keys", expanding=True)),
        )
        return {Place(*row) for row in self._looked_up(query, customers)}

    def ranks(self, shard: str, customers: Iterable[str]) -> dict[str, int]:
        """The ranks of those of the customers that have one."""
        query = select(ranking.c.customer, ranking.c.rank).where(
            ranking.c.shard == shard, ranking.c.customer.in_(bindparam("keys", expanding=True))
        )
        return {customer: rank for customer, rank in self._looked_up(query, customers)}  # noqa: C416 - as above

    def place_rows(self, shard: str) -> Iterator[Place]:
        """Every place, by key, customer and part."""
        query = select(place.c.key, place.c.customer, place.c.part).where(place.c.shard == shard)
        for row in self._stream(query.order_by(place.c.key, place.c.customer, place.c.part)):
            yield Place(*row)

    def rank_rows(self, shard: str) -> Iterator[tuple[str, int]]:
        """Every rank, by customer."""
        query = select(ranking.c.customer, ranking.c.rank).where(ranking.c.shard == shard)
        for row in self._stream(query.order_by(ranking.c.customer)):
            yield row[0], row[1]

    # --- jobs ------------------------------------------------------------------------------------

    def queued(self, shard: str, job: int, start: int, count: int) -> list[str]:
        """Some of a job's customers, by their place in its list."""
        query = select(queue.c.customer).where(
            queue.c.shard == shard,
            queue.c.job == job,
            queue.c.position >= start,
            queue.c.position < start + count,
        )
        return [customer for (customer,) in self._all(query.order_by(queue.c.position))]

    def queue_rows(self, shard: str) -> Iterator[tuple[int, int, str]]:
        """Every place in every job's list, by job and position."""
        query = select(queue.c.job, queue.c.position, queue.c.customer).where(queue.c.shard == shard)
        for row in self._stream(query.order_by(queue.c.job, queue.c.position)):
            yield row[0], row[1], row[2]

    # --- the past --------------------------------------------------------------------------------

    def of_customer(self, shard: str, customer: str) -> Iterator[Entry]:
        """Every event and decision of a customer in a shard."""
        query = select(entry).where(found_by_customer, entry.c.customer == customer, entry.c.shard == shard)
        for row in self._stream(query.order_by(entry.c.seq)):
            yield Entry(*row)

    def customer_events(self, shard: str) -> Iterator[tuple[str, bytes]]:
        """Customer and body of every customer's event from outside, in order."""
        query = select(entry.c.customer, entry.c.body).where(
            entry.c.shard == shard, entry.c.kind == "event", entry.c.customer.is_not(None)
        )
        for row in self._stream(query.order_by(entry.c.seq)):
            yield row[0], row[1]

    def internal_world_events(self, shard: str, ref: str) -> list[Entry]:
        """The engine's own events of the world with that key, oldest first."""
        query = select(entry).where(found_in_world, entry.c.ref == ref, entry.c.shard == shard)
        return [Entry(*row) for row in self._all(query.order_by(entry.c.seq))]

    def world_events(self, shard: str, stop: int) -> Iterator[Entry]:
        """Every event of the world before a sequence, in order."""
        query = select(entry).where(
            entry.c.shard == shard,
            entry.c.seq < stop,
            entry.c.kind.in_(("event", "internal")),
            entry.c.customer.is_(None),
        )
        for row in self._stream(query.order_by(entry.c.seq)):
            yield Entry(*row)

    # --- how -------------------------------------------------------------------------------------

    def _all(self, query: Select[*tuple[Any, ...]]) -> list[Row[*tuple[Any, ...]]]:
        with self._database.reading() as connection:
            return list(connection.execute(query))

    def _next(self, query: Select[*tuple[Any, ...]]) -> list[Row[*tuple[Any, ...]]]:
        """The first rows in the order of an index."""
        with self._database.paging() as connection:
            return list(connection.execute(query))

    def _looked_up(
        self, query: Select[*tuple[Any, ...]], keys: Iterable[Any]
    ) -> Iterator[Row[*tuple[Any, ...]]]:
        rest = iter(keys)
        while part := list(islice(rest, PAGE)):
            with self._database.reading() as connection:
                yield from connection.execute(query, {"keys": part}).all()

    def _stream(self, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
        with self._database.streaming() as connection:
            yield from connection.execute(query, execution_options={"yield_per": PAGE})


def _deleting(table: Table, *keys: str) -> Delete:
    return delete(table).where(*(table.c[key] == bindparam(f"{key}_") for key in keys))


def _timer(row: Row[*tuple[Any, ...]]) -> Timer:
    due, customer, timer_id, event, data = row
    try:
        return Timer(due, customer, timer_id, event, dict(orjson.loads(data)))
    except (TypeError, ValueError) as error:
        message = (
            f"timer `{timer_id}` was changed outside of the engine; `policyengine verify` says what else was"
        )
        raise LedgerError(message, code="PE708") from error
