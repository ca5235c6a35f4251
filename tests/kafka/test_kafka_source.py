"""A member of the group reads its partitions from where the ledger stands, through every rebalance."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.kafka_source import KafkaSource, Partition
from policyengine.errors import LedgerError, StreamError
from tests.kafka.broker import Broker
from tests.kafka.conftest import NewTopic, make_topic
from tests.kafka.streams import Ledger, killed, polling, settings_for, until, write


def setting(broker: Any, topic: str, **more: Any) -> KafkaSettings:
    return settings_for(broker.bootstrap, group=topic, customer_topic=topic, **more)


def lines(first: int, last: int) -> list[tuple[str | None, bytes]]:
    return [("ann", str(number).encode()) for number in range(first, last)]


def values(first: int, last: int) -> list[bytes]:
    return [value for _, value in lines(first, last)]


class TestPlaces:
    def test_it_reads_from_the_place_that_it_is_told_whatever_the_group_committed(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic(partitions=2)
        one, two = Partition(topic, 0), Partition(topic, 1)
        for number in (0, 1):
            write(broker.bootstrap, topic, lines(0, 10), partition=number)
        other = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=topic)
        other.commit({TopicPartition(topic, 0): OffsetAndMetadata(2, "", -1)})
        other.close()
        ledger = Ledger({one: 7, two: None})
        with KafkaSource(setting(broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and sum(map(len, ledger.read.values())) == 3 + 10)
            assert set(source.partitions) == {one, two}
        assert ledger.values(one) == values(7, 10)
        assert ledger.values(two) == values(0, 10)
        assert one.shard == f"{topic}-0"

    def test_a_failure_while_taking_a_partition_up_is_told_and_tried_again(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic()
        write(broker.bootstrap, topic, lines(0, 3))
        asked = []

        class Busy(Ledger):
            def assigned(self, partition: Partition) -> int | None:
                asked.append(partition)
                if len(asked) < 3:
                    raise LedgerError("busy", code="PE702")
                return 1

        ledger, refused = Busy(), 0
        with KafkaSource(setting(broker, topic), ledger) as source:
            while not ledger.read:
                try:
                    ledger.take(source)
                except LedgerError:
                    refused += 1
        assert refused == 2
        assert ledger.values(Partition(topic, 0)) == values(1, 3)

    def test_a_seek_brings_messages_again(self, broker: Any, new_topic: NewTopic) -> None:
        topic = new_topic()
        write(broker.bootstrap, topic, lines(0, 5))
        ledger, partition = Ledger(), Partition(topic, 0)
        with KafkaSource(setting(broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and len(ledger.values(partition)) == 5)
            source.seek(partition, 3)
            until(lambda: ledger.take(source) >= 0 and len(ledger.values(partition)) == 5 + 2)
        assert ledger.values(partition) == values(0, 5) + values(3, 5)

    @pytest.mark.parametrize("place", [9, 1])
    def test_a_place_that_is_not_in_the_topic_stops_that_partition_only(
        self, broker: Any, new_topic: NewTopic, place: int
    ) -> None:
        """9 is beyond the end; 1 was deleted."""
        topic = new_topic(partitions=2)
        for number in (0, 1):
            write(broker.bootstrap, topic, lines(0, 5), partition=number)
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
            admin.delete_records({TopicPartition(topic, 0): 3})
        ledger = Ledger({Partition(topic, 0): place})
        with KafkaSource(setting(broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and bool(ledger.errors) and bool(ledger.read))
            write(broker.bootstrap, topic, lines(5, 6), partition=1)
            until(lambda: ledger.take(source) >= 0 and len(ledger.read[Partition(topic, 1)]) == 6)
        assert list(ledger.read) == [Partition(topic, 1)]
        assert [error.code for error in ledger.errors] == ["PE723"]
        assert f"{topic}-0 does not hold offset {place}" in str(ledger.errors[0])


class TestBounds:
    def test_a_poll_takes_so_many_messages_and_bytes_at_most_and_loses_none(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic()
        large: list[tuple[str | None, bytes]] = [("ann", bytes([65 + number]) * 400) for number in range(9)]
        write(broker.bootstrap, topic, large)
        ledger, partition = Ledger(), Partition(topic, 0)
        taken = []
        # 3 + 400 bytes each: two fit into 1000
        with KafkaSource(setting(broker, topic, max_poll_bytes=1_000), ledger) as source:
            until(lambda: taken.append(ledger.take(source)) is None and sum(taken) == 9)
        assert max(taken) == 2
        assert ledger.values(partition) == [value for _, value in large]
        again = []
        ledger = Ledger()
        with KafkaSource(setting(broker, topic, max_poll_records=4), ledger) as source:
            until(lambda: again.append(ledger.take(source)) is None and sum(again) == 9)
        assert max(again) <= 4

    def test_a_message_larger_than_the_bound_comes_alone(self, broker: Any, new_topic: NewTopic) -> None:
        topic = new_topic()
        write(broker.bootstrap, topic, [("ann", b"x" * 5_000), ("ann", b"y")])
        ledger = Ledger()
        taken = []
        with KafkaSource(setting(broker, topic, max_poll_bytes=100), ledger) as source:
            until(lambda: taken.append(ledger.take(source)) is None and sum(taken) == 2)
        assert max(taken) == 1

    def test_a_paused_partition_gives_nothing_and_stays_ours(self, broker: Any, new_topic: NewTopic) -> None:
        topic = new_topic()
        ledger, partition = Ledger(), Partition(topic, 0)
        with KafkaSource(setting(broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and source.partitions == [partition])
            source.pause(partition)
            write(broker.bootstrap, topic, lines(0, 3))
            assert [ledger.take(source, 0.3) for _ in range(12)] == [0] * 12  # longer than the session
            assert source.paused == {partition}
            source.resume(partition)
            until(lambda: ledger.take(source) == 3)
        assert ledger.told == [("assigned", 0), ("revoked", 0)]

    def test_lag_and_the_groups_offset_tell_how_far_it_is(self, broker: Any, new_topic: NewTopic) -> None:
        topic = new_topic()
        write(broker.bootstrap, topic, lines(0, 5))
        ledger, partition = Ledger(), Partition(topic, 0)
        with KafkaSource(setting(broker, topic, max_poll_records=2), ledger) as source:
            until(lambda: ledger.take(source) > 0)
            assert source.lag() == {partition: 5 - 2}
            until(lambda: ledger.take(source) >= 0 and len(ledger.values(partition)) == 5)
            assert source.lag() == {partition: 0}
            source.commit({partition: 5})
            with closing(KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=topic)) as group:
                until(lambda: group.committed(TopicPartition(topic, 0)) == 5)


class TestRebalances:
    def test_partitions_move_one_by_one_and_come_back(self, broker: Any, new_topic: NewTopic) -> None:
        """Of 4 partitions 2 go to the second worker; the first is told of those two only."""
        topic = new_topic(partitions=4)
        first, second = Ledger(), Ledger()
        with polling(setting(broker, topic), first) as one:
            until(lambda: len(one.partitions) == 4)
            with polling(setting(broker, topic), second) as two:
                until(lambda: len(one.partitions) == len(two.partitions) == 2)
                moved = {partition.number for partition in two.partitions}
                assert set(first.told[4:]) == {("revoked", number) for number in moved}
                for number in range(4):
                    write(broker.bootstrap, topic, lines(0, 3), partition=number)
                until(lambda: sum(map(len, [*first.read.values(), *second.read.values()])) == 12)
                assert {partition.number for partition in second.read} == moved
                first.places.update(second.places)
            until(lambda: len(one.partitions) == 4)
            assert sorted(second.told) == sorted((what, n) for what in ("assigned", "revoked") for n in moved)
        every = {**first.read, **second.read}
        assert {partition.number: len(read) for partition, read in every.items()} == dict.fromkeys(
            range(4), 3
        )
        assert sum(map(len, first.read.values())) == 6

    def test_a_worker_that_was_silent_too_long_is_told_that_it_lost_its_partitions(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic()
        silent, other = Ledger(), Ledger()
        brief = setting(broker, topic, poll_interval=1_000, session_timeout=1_000)
        with KafkaSource(brief, silent) as one:
            until(lambda: silent.take(one) >= 0 and len(one.partitions) == 1)
            with polling(setting(broker, topic), other) as two:
                until(lambda: len(two.partitions) == 1)
                until(lambda: silent.take(one, 0.1) >= 0 and len(silent.told) > 1)
        assert silent.told[:2] == [("assigned", 0), ("lost", 0)]

    def test_a_static_member_keeps_its_partitions_while_it_restarts(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic(partitions=2)
        stays, comes_back = Ledger(), Ledger()
        other, named = (
            setting(broker, topic, instance_id=name, session_timeout=20_000)
            for name in ("worker-a", "worker-b")
        )
        with polling(other, stays) as one:
            with polling(named, comes_back) as two:
                until(lambda: len(one.partitions) == len(two.partitions) == 1)
            told = stays.told.copy()
            time.sleep(1)
            with polling(named, comes_back) as two:
                until(lambda: len(two.partitions) == 1)
                assert stays.told == told

    def test_a_dead_workers_partitions_are_taken_up_where_it_was(
        self, broker: Any, new_topic: NewTopic
    ) -> None:
        topic = new_topic()
        write(broker.bootstrap, topic, lines(0, 5))
        place = int(killed(_READS_ONE, broker.bootstrap, topic))
        ledger = Ledger({Partition(topic, 0): place})
        with KafkaSource(setting(broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and len(ledger.values(Partition(topic, 0))) == 5 - place)
        assert ledger.values(Partition(topic, 0)) == values(place, 5)


_READS_ONE = """
import sys, time
from policyengine.adapters.kafka_source import KafkaSource
from tests.kafka.streams import Ledger, settings_for
bootstrap, topic = sys.argv[1:]
ledger = Ledger()
source = KafkaSource(settings_for(bootstrap, group=topic, customer_topic=topic, max_poll_records=2), ledger)
while not ledger.take(source):
    pass
print("now", max(ledger.places.values()), flush=True)
time.sleep(60)
"""


class TestWhenTheBrokerIsAway:
    def test_it_reads_on_when_the_broker_is_back(self, own_broker: Broker) -> None:
        topic = make_topic(own_broker.bootstrap)
        write(own_broker.bootstrap, topic, lines(0, 2))
        ledger, partition = Ledger(), Partition(topic, 0)
        with KafkaSource(setting(own_broker, topic), ledger) as source:
            until(lambda: ledger.take(source) >= 0 and len(ledger.values(partition)) == 2)
            own_broker.kill()
            quiet(source, ledger)
            own_broker.start()
            write(own_broker.bootstrap, topic, lines(2, 4))
            until(lambda: quiet(source, ledger) and len(ledger.values(partition)) == 4)
        assert ledger.values(partition) == values(0, 4)

    def test_it_closes_while_the_broker_answers_nothing(self, own_broker: Broker) -> None:
        topic = make_topic(own_broker.bootstrap)
        ledger = Ledger()
        source = KafkaSource(setting(own_broker, topic), ledger)
        until(lambda: ledger.take(source) >= 0 and len(source.partitions) == 1)
        own_broker.freeze()
        try:
            source.close(2)
        finally:
            own_broker.thaw()
        assert ledger.told == [("assigned", 0), ("revoked", 0)]

    def test_a_topic_that_is_not_there_is_told(self, broker: Any) -> None:
        with pytest.raises(StreamError, match="there is no topic `there-is-none`") as caught:
            KafkaSource(setting(broker, "there-is-none"), Ledger())
        assert caught.value.code == "PE720"

    def test_nobody_there_is_told(self) -> None:
        with pytest.raises(StreamError, match="does not answer while connecting") as caught:
            KafkaSource(settings_for("127.0.0.1:9", request_timeout=1_000), Ledger())
        assert caught.value.code == "PE721"


def quiet(source: KafkaSource, ledger: Ledger) -> bool:
    """Poll while the broker may be away."""
    try:
        ledger.take(source)
    except StreamError as error:
        assert error.code == "PE721"  # noqa: PT017 - not always there is one
    return True
