"""Three brokers, of which one dies: what was acknowledged is there, what was decided is there once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Thread

from kafka import KafkaAdminClient, KafkaProducer

from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.service.policy_sets import PolicySet
from tests.kafka.broker import Broker, Cluster
from tests.kafka.running import running
from tests.kafka.streams import PATIENCE, committed
from tests.kafka.workers import Group
from tests.service.runs import HALF
from tests.support import booked, cancelled, line, policy_set

EVENTS = 500


@cache
def policies() -> PolicySet:
    return policy_set(HALF)


class Copied(Group):
    """Topics of three copies, two of them in step."""

    @property
    def kafka(self) -> KafkaSettings:
        return super().kafka.model_copy(update={"replication": 3})


def leader(cluster: Cluster, topic: str) -> Broker:
    """Who leads the topic's first partition."""
    with KafkaAdminClient(bootstrap_servers=cluster.bootstrap) as admin:
        ((described),) = admin.describe_topics([topic])
    return cluster.brokers[described["partitions"][0]["leader_id"] - 1]


def test_a_leader_that_dies_costs_no_event_and_doubles_no_decision(cluster: Cluster, tmp_path: Path) -> None:
    acknowledged: list[bytes] = []

    def send() -> None:
        with KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all", linger_ms=5) as producer:
            for number in range(EVENTS // 2):
                sent = []
                for one in (booked(f"b{number}"), cancelled(f"b{number}")):
                    value = line({**one, "id": f"{number}-{one['type']}", "subject": f"c{number}"})
                    sent.append(
                        (value, producer.send(group.kafka.customer_topic, value, f"c{number}".encode()))
                    )
                for value, future in sent:
                    future.get(PATIENCE)
                    acknowledged.append(value)

    group = Copied(cluster.bootstrap, f"sqlite:///{tmp_path / 'ledger.db'}", tmp_path)
    with group, running(group, policies()) as worker:
        sender = Thread(target=send)
        sender.start()
        group.until(lambda: group.position() > EVENTS // 5)
        leader(cluster, group.kafka.customer_topic).kill()
        sender.join()
        group.until_read(EVENTS)
        assert len(acknowledged) == EVENTS
        kept = [
            one.value
            for number in range(2)
            for one in committed(cluster.bootstrap, group.kafka.customer_topic, number)
        ]
        assert sorted(kept) == sorted(acknowledged)  # none lost, none written twice
        assert group.assert_sound(policies()) == EVENTS
        assert worker.health.why_not_ready() == []
