"""From the moment at which an event is sent to the one at which a `read_committed` reader has its decision.

As a program: sends events at a steady rate. The times are those of the machine's clock, in milliseconds:
the event's and the decision's own timestamps say when they were handed to Kafka's client.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import stream
import workload
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka_ground import Ground, environment, running, wait_joined, worker

from policyengine.adapters.kafka_settings import KafkaSettings, read_kafka_settings

WARM = 3.0  # seconds that are left out at the beginning
BURSTS = 50  # a second
SHARES = (0.5, 0.99)


def latency(
    ground: Ground, settings: KafkaSettings, ledger: str, rate: float, seconds: float, **more: str
) -> dict[str, Any]:
    """Milliseconds, at so many events a second."""
    with running(worker(ledger), settings, ground.folder, **more) as workers:
        wait_joined(settings, 1, workers)
        time.sleep(1.0)
        before = ground.cpu(workers)
        began = time.monotonic()
        command = [sys.executable, __file__, str(rate), str(seconds)]
        with subprocess.Popen(command, env=environment(settings)) as sender:
            came = dict(_seen(settings, int(rate * seconds), began + seconds + 30))
        assert sender.returncode == 0
        cpu = ground.cpu(workers).since(before)
        took = time.monotonic() - began
    events = _messages(settings, settings.customer_topic, int(rate * seconds))
    sent = {orjson.loads(one.value)["id"]: one.timestamp for one in events}
    first = min(sent.values()) + WARM * 1_000
    rows = [(sent[name], *times) for name, times in came.items() if sent[name] >= first]
    whole = sorted(seen - event for event, _, seen in rows)
    return {
        "rate": round(rate),
        "decisions": len(rows),
        "all": _shares(whole),
        "until_published": _shares(sorted(decision - event for event, decision, _ in rows)),
        "publishing": _shares(sorted(seen - decision for _, decision, seen in rows)),
        "cores_used": {name: round(used / took, 2) for name, used in cpu._asdict().items()},
    }


def _shares(sorted_values: Sequence[float]) -> dict[str, float]:
    return {f"p{share * 100:g}": sorted_values[int(share * (len(sorted_values) - 1))] for share in SHARES}


def _seen(settings: KafkaSettings, count: int, until: float) -> Iterator[tuple[str, tuple[float, float]]]:
    """The id of the event of each decision; when the decision was made ready and when it was seen."""
    values: list[tuple[bytes, float, float]] = []
    consumer = _consumer(settings, settings.decision_topic)
    while len(values) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(values)} of {count} decisions")
        for records in consumer.poll(20).values():
            now = time.time() * 1_000
            values += [(record.value, record.timestamp, now) for record in records]
    consumer.close()
    for value, made, now in values:
        yield orjson.loads(value)["data"]["event"]["id"], (made, now)


def _messages(settings: KafkaSettings, topic: str, count: int) -> Iterator[Any]:
    """The first messages of a topic that are there already."""
    consumer, left = _consumer(settings, topic), count
    while left > 0:
        for records in consumer.poll(1_000).values():
            left -= len(records)
            yield from records
    consumer.close()


def decisions_of(settings: KafkaSettings, count: int, *, bare: bool = False) -> dict[str, bytes]:
    """Every message of the topic of decisions by the id of its event; ``bare``: without an envelope."""
    found = {}
    for one in _messages(settings, settings.decision_topic, count):
        document = orjson.loads(one.value)
        found[(document if bare else document["data"])["event"]["id"]] = one.value
    return found


def _consumer(settings: KafkaSettings, topic: str) -> Any:
    consumer = KafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, isolation_level="read_committed",
        auto_offset_reset="earliest", max_poll_records=2_000, metrics_enabled=False,
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, 0)])
    return consumer


def send(settings: KafkaSettings, rate: float, seconds: float) -> None:
    """Steadily, some each fiftieth of a second."""
    count, customers = int(rate * seconds), 10_000
    lines = stream.lines(workload.make(100), count, customers)
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers, linger_ms=0, metrics_enabled=False)
    began = time.monotonic()
    for sent, line in enumerate(lines):
        if sent >= (time.monotonic() - began) * rate:
            time.sleep(1 / BURSTS)
        producer.send(settings.customer_topic, line, f"c-{sent % customers}".encode(), partition=0)
    producer.flush(30)
    producer.close()


if __name__ == "__main__":
    send(read_kafka_settings(), float(sys.argv[1]), float(sys.argv[2]))
