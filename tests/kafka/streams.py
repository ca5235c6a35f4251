"""What tests do with topics: write messages, read what was committed, make settings and publishers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from policyengine.adapters.kafka_binding import Message, Outgoing
from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.kafka_source import KafkaSource, Partition, message_of
from policyengine.errors import StreamError

# seconds: what must happen is given up after so long; on a busy machine much takes longer than one would think
PATIENCE = 240.0


def settings_for(bootstrap: str, **more: Any) -> KafkaSettings:
    """Settings that notice quickly what fails."""
    return KafkaSettings(
        **{
            "bootstrap_servers": bootstrap, "session_timeout": 3_000, "request_timeout": 10_000,
            "transaction_timeout": 10_000, **more,
        }
    )  # fmt: skip


def write(
    bootstrap: str, topic: str, messages: Iterable[tuple[str | None, bytes]], *, partition: int | None = 0
) -> None:
    """Write values with their keys, and wait until they are there."""
    with KafkaProducer(bootstrap_servers=bootstrap) as producer:
        sent = [
            producer.send(topic, value, None if key is None else key.encode(), partition=partition)
            for key, value in messages
        ]
        for one in sent:
            one.get(PATIENCE)


def committed(bootstrap: str, topic: str, partition: int = 0) -> list[Message]:
    """Every message of a partition that a `read_committed` reader sees, up to its present end."""
    one = TopicPartition(topic, partition)
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    consumer.assign([one])
    end = consumer.end_offsets([one])[one]
    read: list[Message] = []
    while (consumer.position(one) or 0) < end:
        read += [message_of(record) for record in consumer.poll(500).get(one, ())]
    consumer.close()
    return read


def numbered(first: int, last: int, key: str = "ann") -> list[Outgoing]:
    """Messages with the values `first` to `last - 1`."""
    return [Outgoing(key.encode(), str(number).encode()) for number in range(first, last)]


def until(happens: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end, "it never happens"
        time.sleep(0.05)


class Ledger:
    """Stands for the worker: remembers what it was told of partitions, and where each is to be read on."""

    def __init__(self, places: dict[Partition, int | None] | None = None) -> None:
        self.places = places or {}
        self.told: list[tuple[str, int]] = []
        self.read: dict[Partition, list[Message]] = {}
        self.errors: list[StreamError] = []

    def assigned(self, partition: Partition) -> int | None:
        self.told.append(("assigned", partition.number))
        return self.places.get(partition)

    def revoked(self, partition: Partition) -> None:
        self.told.append(("revoked", partition.number))

    def lost(self, partition: Partition) -> None:
        self.told.append(("lost", partition.number))

    def gone(self, partition: Partition, error: StreamError) -> None:
        self.told.append(("gone", partition.number))
        self.errors.append(error)

    def take(self, source: KafkaSource, timeout: float = 0.2) -> int:
        """Poll once, remember what came and the place after it; how many messages came."""
        found = source.poll(timeout)
        for partition, messages in found.items():
            self.read.setdefault(partition, []).extend(messages)
            self.places[partition] = messages[-1].offset + 1
        return sum(map(len, found.values()))

    def values(self, partition: Partition) -> list[bytes | None]:
        return [message.value for message in self.read.get(partition, [])]


@contextmanager
def polling(settings: KafkaSettings, ledger: Ledger) -> Iterator[KafkaSource]:
    """A worker in a thread of its own, as workers are: they join a group together."""
    source, over = KafkaSource(settings, ledger), Event()

    def work() -> None:
        while not over.is_set():
            ledger.take(source, 0.1)
        source.close()

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield source
    finally:
        over.set()
        thread.join(PATIENCE)


def killed(program: str, *arguments: str) -> str:
    """Run a program until it prints a line that starts with `now`, kill it, return the rest of that line."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("now"))
        process.kill()
    return line.removeprefix("now").strip()
