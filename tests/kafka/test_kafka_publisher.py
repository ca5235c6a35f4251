"""What a shard decided is in its topics once, in order, whoever dies in the middle of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from policyengine.adapters.kafka_binding import Outgoing
from policyengine.adapters.kafka_publisher import Connections, ShardPublisher
from policyengine.adapters.kafka_source import Partition
from policyengine.errors import FencedError, StreamError
from tests.kafka.broker import Broker
from tests.kafka.conftest import NewTopic, make_topic
from tests.kafka.streams import PATIENCE, committed, killed, numbered, settings_for, until

D, X = "decisions", "dead-letters"


class Shard:
    """One shard's topics and its publishers."""

    def __init__(self, bootstrap: str, **more: Any) -> None:
        self.bootstrap = bootstrap
        self.input, self.decisions, self.dead = (make_topic(bootstrap) for _ in range(3))
        self.settings = settings_for(bootstrap, group=self.input, **more)

    def publisher(self) -> ShardPublisher:
        topics = {D: self.decisions, X: self.dead}
        return ShardPublisher(self.settings, Partition(self.input, 0), topics)

    def published(self) -> list[int]:
        return [int(one.value or b"") for one in committed(self.bootstrap, self.decisions)]

    def dead_letters(self) -> list[int]:
        return [int(one.value or b"") for one in committed(self.bootstrap, self.dead)]


@pytest.fixture
def shard(broker: Any) -> Shard:
    return Shard(broker.bootstrap)


class TestTransactions:
    def test_messages_of_both_channels_and_positions_are_there_together(self, shard: Shard) -> None:
        with shard.publisher() as publisher:
            assert publisher.open() == {}
            publisher.publish({D: numbered(0, 5), X: numbered(100, 102)}, {D: 7, X: 9})
            publisher.publish({D: numbered(5, 6)}, {D: 8, X: 9})
        assert shard.published() == [0, 1, 2, 3, 4, 5]
        assert shard.dead_letters() == [100, 101]
        with shard.publisher() as publisher:
            assert publisher.open() == {D: 8, X: 9}
            publisher.publish({}, {D: 9, X: 11})  # positions alone
            assert publisher.open() == {D: 9, X: 11}

    def test_a_message_goes_out_as_it_is(self, shard: Shard) -> None:
        one = Outgoing(
            "אנה".encode(), b'{"a":1}', (("content-type", b"x"), ("shard", b"s-3"), ("shard", b""))
        )
        with shard.publisher() as publisher:
            publisher.open()
            publisher.publish({D: [one]}, {D: 1, X: 0})
        (read,) = committed(shard.bootstrap, shard.decisions)
        assert (read.key, read.value, read.headers) == one

    def test_those_of_one_customer_stay_in_order_in_a_topic_of_many_partitions(
        self, shard: Shard, new_topic: NewTopic
    ) -> None:
        many = new_topic(partitions=5)
        shard.decisions = many
        keys = ["ann", "bob", "cem", "dan", "eve", "fay"]
        with shard.publisher() as publisher:
            publisher.open()
            for first in (0, 300, 600):
                mixed = [Outgoing(keys[n % 6].encode(), str(n).encode()) for n in range(first, first + 300)]
                publisher.publish({D: mixed}, {D: first + 300, X: 0})
        by_key: dict[bytes | None, list[int]] = {}
        for partition in range(5):
            for one in committed(shard.bootstrap, many, partition):
                by_key.setdefault(one.key, []).append(int(one.value or b""))
        assert by_key == {key.encode(): list(range(n, 900, 6)) for n, key in enumerate(keys)}

    def test_it_must_be_open(self, shard: Shard) -> None:
        with pytest.raises(StreamError, match="is not open"):
            shard.publisher().publish({}, {D: 0, X: 0})

    def test_a_position_that_others_wrote_is_refused(self, shard: Shard) -> None:
        group = KafkaConsumer(bootstrap_servers=shard.bootstrap, group_id=f"{shard.input}-relay")
        group.commit({TopicPartition(shard.input, 0): OffsetAndMetadata(3, "", -1)})
        group.close()
        with shard.publisher() as publisher, pytest.raises(StreamError, match="not written by this program"):
            publisher.open()


class TestDeath:
    def test_one_that_dies_in_the_middle_of_a_transaction_leaves_nothing_of_it(self, shard: Shard) -> None:
        killed(_DIES, shard.bootstrap, shard.input, shard.decisions, shard.dead)
        with shard.publisher() as publisher:
            positions = publisher.open()
            assert positions == {D: 3, X: 0}
            publisher.publish({D: numbered(3, 8)}, {D: 8, X: 0})
        assert shard.published() == list(range(8))

    def test_a_reader_sees_nothing_of_a_transaction_before_its_end(self, shard: Shard) -> None:
        """Nor anything after it, until the broker undoes it by itself."""
        killed(_DIES, shard.bootstrap, shard.input, shard.decisions, shard.dead)
        with KafkaProducer(bootstrap_servers=shard.bootstrap) as other:
            other.send(shard.decisions, b"99").get(PATIENCE)
        assert shard.published() == [0, 1, 2]
        until(lambda: shard.published() == [0, 1, 2, 99])


_DIES = """
import sys, time
from tests.kafka.test_kafka_publisher import Shard, numbered, D, X
from tests.kafka.streams import settings_for
shard = object.__new__(Shard)
shard.bootstrap, shard.input, shard.decisions, shard.dead = sys.argv[1:]
shard.settings = settings_for(shard.bootstrap, group=shard.input)
publisher = shard.publisher()
publisher.open()
publisher.publish({D: numbered(0, 3)}, {D: 3, X: 0})
producer = publisher._producer
producer.begin_transaction()
for one in numbered(3, 8):
    producer.send(shard.decisions, one.value, one.key)
producer.flush(10)
producer.send_offsets_to_transaction(*publisher._offsets({D: 8, X: 0}))
print("now", flush=True)
time.sleep(60)
"""


class TestZombies:
    def test_of_two_the_one_that_opened_last_writes(self, shard: Shard) -> None:
        with shard.publisher() as zombie, shard.publisher() as heir:
            zombie.open()
            zombie.publish({D: numbered(0, 2)}, {D: 2, X: 0})
            assert heir.open() == {D: 2, X: 0}
            with pytest.raises(FencedError, match="another worker publishes") as caught:
                zombie.publish({D: numbered(2, 9)}, {D: 9, X: 0})
            assert caught.value.code == "PE722"
            with pytest.raises(StreamError, match="is not open"):
                zombie.publish({D: numbered(2, 9)}, {D: 9, X: 0})
            heir.publish({D: numbered(2, 4)}, {D: 4, X: 0})
            heir.publish({D: numbered(4, 5)}, {D: 5, X: 0})
        assert shard.published() == [0, 1, 2, 3, 4]

    def test_one_that_wakes_in_the_middle_of_a_transaction_writes_nothing_of_it(self, shard: Shard) -> None:
        with shard.publisher() as zombie, shard.publisher() as heir:
            zombie.open()
            producer = zombie._producer
            producer.begin_transaction()
            producer.send(shard.decisions, b"0", b"ann")
            producer.flush(10)
            heir.open()
            heir.publish({D: numbered(0, 1)}, {D: 1, X: 0})
            # what it would do next, from the same transaction on
            producer.begin_transaction = lambda: None
            with pytest.raises(FencedError):
                zombie.publish({D: numbered(1, 5)}, {D: 5, X: 0})
            heir.publish({D: numbered(1, 2)}, {D: 2, X: 0})
        assert shard.published() == [0, 1]


class TestFailures:
    def test_a_topic_that_is_not_there_is_told_and_nothing_hangs(self, shard: Shard) -> None:
        topics = {D: "there-is-none", X: shard.dead}
        settings = settings_for(shard.bootstrap, group=shard.input, request_timeout=2_000)
        with ShardPublisher(settings, Partition(shard.input, 0), topics) as publisher:
            publisher.open()
            with pytest.raises(StreamError):
                publisher.publish({X: numbered(0, 2), D: numbered(0, 1)}, {D: 1, X: 2})
        assert shard.dead_letters() == []

    def test_a_message_that_is_too_large_says_what_to_raise(self, shard: Shard) -> None:
        with shard.publisher() as publisher:
            publisher.open()
            with pytest.raises(StreamError, match=r"raise the topic's max\.message\.bytes"):
                publisher.publish({D: [*numbered(0, 1), Outgoing(b"ann", b"x" * 2_000_000)]}, {D: 2, X: 0})
            publisher.open()
            publisher.publish({D: numbered(0, 1)}, {D: 1, X: 0})
        assert shard.published() == [0]

    def test_nobody_there_is_told(self) -> None:
        settings = settings_for("127.0.0.1:9", request_timeout=1_000)
        publisher = ShardPublisher(settings, Partition("t", 0), {D: "d"})
        with pytest.raises(StreamError) as caught:
            publisher.open()
        assert caught.value.code == "PE721"

    def test_a_coordinator_that_died_is_not_ready_and_no_error(self) -> None:
        """For an error, the producer forgets what it was about to ask, and its messages grow too old."""
        client = Connections(bootstrap_servers=["127.0.0.1:9"])
        assert client.await_ready("bootstrap-0", 1_000) is False
        client.close()

    def test_a_broker_that_answers_nothing_any_more_holds_nobody_up(self, own_broker: Broker) -> None:
        shard = Shard(own_broker.bootstrap, request_timeout=1_500)
        with shard.publisher() as publisher:
            publisher.open()
            publisher.publish({D: numbered(0, 2)}, {D: 2, X: 0})
            own_broker.freeze()
            try:
                with pytest.raises(StreamError) as caught:
                    publisher.publish({D: numbered(2, 4)}, {D: 4, X: 0})
                assert caught.value.code == "PE721"
            finally:
                own_broker.thaw()
            positions = opened(publisher)
            publisher.publish({D: numbered(positions[D], 6)}, {D: 6, X: 0})
        assert shard.published() == list(range(6))

    def test_what_was_not_published_goes_out_when_the_broker_is_back(self, own_broker: Broker) -> None:
        shard = Shard(own_broker.bootstrap, request_timeout=2_000)
        with shard.publisher() as publisher:
            publisher.open()
            publisher.publish({D: numbered(0, 2)}, {D: 2, X: 0})
            own_broker.kill()
            with pytest.raises(StreamError) as caught:
                publisher.publish({D: numbered(2, 4)}, {D: 4, X: 0})
            assert caught.value.code == "PE721"
            own_broker.start()
            positions = opened(publisher)
            publisher.publish({D: numbered(positions[D], 6)}, {D: 6, X: 0})
        assert shard.published() == list(range(6))


def opened(publisher: ShardPublisher) -> dict[str, int]:
    """Open as a worker does: again and again until the broker is there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return publisher.open()
        except StreamError as error:
            assert error.code == "PE721"  # noqa: PT017 - not always there is one
            assert time.monotonic() < end


class TestAfterABrokersDeath:
    def test_a_transaction_is_whole_that_ended_when_the_broker_died(self, own_broker: Broker) -> None:
        """Brokers have been seen to come back without the marks of its end: every other time, by luck."""
        shard = Shard(own_broker.bootstrap)
        with shard.publisher() as publisher:
            publisher.open()
            publisher.publish({D: numbered(0, 2), X: numbered(0, 1)}, {D: 2, X: 1})
            own_broker.restart()
            assert opened(publisher) == {D: 2, X: 1}
            publisher.publish({D: numbered(2, 4)}, {D: 4, X: 1})
        assert shard.published() == [0, 1, 2, 3]
        assert shard.dead_letters() == [0]
