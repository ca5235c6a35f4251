"""The broker of the tests itself: it starts, dies, comes back with its data; three of them bear a loss."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.kafka import jars
from tests.kafka.broker import Broker
from tests.kafka.conftest import make_topic
from tests.kafka.streams import PATIENCE


def values(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first values of a topic's only partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    read: list[bytes] = []
    while len(read) < count:
        for records in consumer.poll(10_000).values():
            read += [record.value for record in records]
    consumer.close()
    return read


def test_what_was_acknowledged_survives_a_kill(own_broker: Broker) -> None:
    topic = make_topic(own_broker.bootstrap)
    with KafkaProducer(bootstrap_servers=own_broker.bootstrap) as producer:
        producer.send(topic, b"before").get(PATIENCE)
    own_broker.restart()
    with KafkaProducer(bootstrap_servers=own_broker.bootstrap) as producer:
        producer.send(topic, b"after").get(PATIENCE)
    assert values(own_broker.bootstrap, topic, 2) == [b"before", b"after"]


def test_without_java_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(jars.NoKafkaError, match="install Java 17 or later and Maven"):
        jars.jars()


def test_without_maven_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin-that-is-none")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(jars.NoKafkaError, match="no `mvn`: install Java 17 or later and Maven"):
        jars.jars()


def test_an_old_java_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(jars.NoKafkaError, match="`java` is 11: install Java 17"):
        jars.jars()
