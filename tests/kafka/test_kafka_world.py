"""Every shard reads all of the world, from its own place, in order, once."""

from __future__ import annotations

from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from policyengine.adapters.kafka_world import WorldReader
from policyengine.errors import StreamError
from tests.kafka.conftest import NewTopic
from tests.kafka.streams import settings_for, until, write


@pytest.fixture
def topic(broker: Any, new_topic: NewTopic) -> str:
    name = new_topic()
    write(broker.bootstrap, name, [(None, str(number).encode()) for number in range(10)])
    return name


def taken(reader: WorldReader, shard: str, count: int) -> list[int]:
    """The values of the next messages, read as they come."""
    values: list[int] = []

    def enough() -> bool:
        reader.poll(0.1)
        values.extend(int(one.value or b"") for one in reader.take(shard, count - len(values)))
        return len(values) == count

    until(enough)
    return values


def test_shards_read_the_world_from_places_of_their_own(broker: Any, topic: str) -> None:
    with WorldReader(settings_for(broker.bootstrap, world_topic=topic)) as reader:
        assert (reader.open("a", None), reader.open("b", 8)) == (0, 8)
        assert taken(reader, "b", 2) == [8, 9]
        assert taken(reader, "a", 3) == [0, 1, 2]
        reader.open("c", 1)  # before what is still held
        assert taken(reader, "c", 9) == list(range(1, 10))
        assert taken(reader, "a", 7) == list(range(3, 10))
        reader.poll(0.1)
        assert [reader.take(shard, 9) for shard in "abc"] == [[], [], []]
        write(broker.bootstrap, topic, [(None, b"10")])
        assert [taken(reader, shard, 1) for shard in "abc"] == [[10], [10], [10]]


def test_what_is_only_looked_at_stays_and_a_shard_may_go_back(broker: Any, topic: str) -> None:
    with WorldReader(settings_for(broker.bootstrap, world_topic=topic)) as reader:
        reader.open("a", 4)
        until(lambda: reader.poll(0.1) and len(reader.peek("a", 9)) == 6)
        assert [one.offset for one in reader.take("a", 2)] == [4, 5]
        reader.open("a", 5)  # a batch that was not committed
        assert taken(reader, "a", 5) == [5, 6, 7, 8, 9]


def test_lag_counts_what_a_shard_has_not_taken(broker: Any, topic: str) -> None:
    with WorldReader(settings_for(broker.bootstrap, world_topic=topic)) as reader:
        reader.open("a", 4)
        reader.open("b", 9)
        until(lambda: reader.poll(0.1) and len(reader.peek("b", 9)) == 1)
        assert reader.lag() == {"a": 6, "b": 1}
        reader.take("a", 5)
        assert reader.lag() == {"a": 1, "b": 1}


def test_the_window_is_bounded_and_the_slowest_shard_moves_it(broker: Any, new_topic: NewTopic) -> None:
    """Messages of 100 bytes, 250 allowed: the third fills it; polls of one message each."""
    topic = new_topic()
    write(broker.bootstrap, topic, [(None, f"{number:0100}".encode()) for number in range(8)])
    small = settings_for(broker.bootstrap, world_topic=topic, max_poll_bytes=250, max_poll_records=1)
    with WorldReader(small) as reader:
        reader.open("fast", 0)
        reader.open("slow", 0)
        until(lambda: not reader.poll(0.2) and len(reader.peek("fast", 9)) == 3)
        assert len(reader.take("fast", 9)) == 3
        assert not reader.poll(0.2)
        assert [int(one.value or b"") for one in reader.take("slow", 2)] == [0, 1]
        assert taken(reader, "fast", 1) == [3]
        reader.leave("slow")
        assert taken(reader, "fast", 4) == [4, 5, 6, 7]


def test_a_place_that_is_gone_is_told(broker: Any, topic: str) -> None:
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        admin.delete_records({TopicPartition(topic, 0): 5})
    with WorldReader(settings_for(broker.bootstrap, world_topic=topic)) as reader:
        assert reader.open("new", None) == 5
        assert taken(reader, "new", 5) == [5, 6, 7, 8, 9]
        reader.open("old", 2)

        def told() -> bool:
            try:
                reader.poll(0.2)
            except StreamError as error:
                return error.code == "PE723" and "does not hold offset 2" in str(error)
            return False

        until(told)
        reader.leave("old")
        reader.open("new", 9)
        assert taken(reader, "new", 1) == [9]
