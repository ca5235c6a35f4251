"""The loop of a worker with nothing in it: what the Kafka client and the database allow, a process.

Consume as a member of the group; write a row for each event, and the offset after them, in one transaction
of the same kind, 500 events at a time; publish a message for each event in Kafka transactions, with the
position, at the pace of a worker; note the position in the database. Clients and settings are a worker's.
The row and the message are the same bytes, as many as a decision has. Nothing is parsed, validated,
decided, hashed, remembered or read back; nothing is looked up but the offset.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text, insert, select, update

from policyengine.adapters.database import Database, Statement
from policyengine.adapters.kafka_settings import KafkaSettings, read_kafka_settings
from policyengine.service.shards import Pace

PACE = Pace()
tables = MetaData()
rows = Table(
    "passed",
    tables,
    Column("shard", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
places = Table(
    "passed_place",
    tables,
    Column("shard", Text, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
)


class Kept:
    """Rows and offsets in a database."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, read_only=False)
        self._insert = Statement(insert(rows), self._database.engine)
        with self._database.writing() as connection:
            tables.create_all(connection)

    def write(self, shard: str, records: list[Any], body: bytes) -> None:
        """A row each, and the offset after them."""
        here = places.c.shard == shard
        offset = records[-1].offset + 1
        with self._database.writing() as connection:
            if connection.execute(select(places.c.offset).where(here)).scalar_one_or_none() is None:
                connection.execute(insert(places).values(shard=shard, offset=offset, published=0))
            else:
                connection.execute(update(places).where(here).values(offset=offset))
            self._insert.many(
                connection, [(shard, record.offset, "event", record.key, body) for record in records]
            )

    def published(self, shard: str, position: int) -> None:
        """All before it is out."""
        with self._database.writing() as connection:
            connection.execute(update(places).where(places.c.shard == shard).values(published=position))


class Shard:
    """What came and is not published yet."""

    def __init__(self, settings: KafkaSettings, one: TopicPartition, kept: Kept | None, body: bytes) -> None:
        self._settings, self._one, self._kept, self._body = settings, one, kept, body
        self._name = f"{one.topic}-{one.partition}"
        self._waiting: deque[Any] = deque()
        self._at = 0.0
        self._producer = KafkaProducer(**settings.writer(f"{settings.group}-{self._name}"))
        self._producer.init_transactions()

    def take(self, records: list[Any]) -> None:
        """Keep what was read, to be published."""
        for start in range(0, len(records), PACE.batch):
            batch = records[start : start + PACE.batch]
            if self._kept is not None:
                self._kept.write(self._name, batch, self._body)
            self._waiting.extend(batch)

    def publish(self) -> None:
        """As much at once as a worker; not before that much is there, or some time has passed."""
        if not self._waiting or (len(self._waiting) < PACE.published and time.monotonic() < self._at):
            return
        due = [self._waiting.popleft() for _ in range(min(PACE.published, len(self._waiting)))]
        position = due[-1].offset + 1
        producer = self._producer
        producer.begin_transaction()
        headers = [("decision_id", b"0" * 32), ("shard", self._name.encode()), ("seq", b"0")]
        sent = [
            producer.send(self._settings.decision_topic, self._body, one.key, headers=headers) for one in due
        ]
        producer.flush(30)
        for future in sent:
            future.get(30)
        offsets = {self._one: OffsetAndMetadata(position, "", -1)}
        producer.send_offsets_to_transaction(
            offsets, ConsumerGroupMetadata(f"{self._settings.group}-relay", -1, "", None)
        )
        producer.commit_transaction()
        if self._kept is not None:
            self._kept.published(self._name, position)
        self._at = time.monotonic() + PACE.publish_every


def main(url: str, size: int) -> None:
    """Until told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    settings = read_kafka_settings()
    kept = None if url == "none" else Kept(url)
    body = (b'{"decision":"granted"}' * (size // 22 + 1))[:size]
    consumer = KafkaConsumer(
        settings.customer_topic, **{**settings.member(), "auto_offset_reset": "earliest"}
    )
    shards: dict[TopicPartition, Shard] = {}
    while True:
        found = consumer.poll(100 if not shards else 20)
        for one in consumer.assignment() - shards.keys():
            shards[one] = Shard(settings, one, kept, body)
        for one, records in found.items():
            shards[one].take(records)
        for shard in shards.values():
            shard.publish()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
