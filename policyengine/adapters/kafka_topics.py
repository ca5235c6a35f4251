"""The topics of the stream: those that are missing are made; what goes through them is others' business."""

from __future__ import annotations

from typing import Any

from policyengine.adapters.kafka_settings import KafkaSettings, stream_errors
from policyengine.errors import StreamError

_MOST_COPIES_IN_STEP = 2


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Make the topics that are missing; their names.

    Those that are there stay as they are. The world's topic has one partition, kept for ever: shards that
    are new read it from its beginning. PE720 where a topic of the world has several partitions.
    """
    from kafka import KafkaAdminClient
    from kafka.errors import TopicAlreadyExistsError

    with stream_errors("looking for topics"):
        admin = KafkaAdminClient(**settings.client())
        try:
            found = {one["name"] for one in admin.describe_topics()}
            missing = {name: how for name, how in _wanted(settings).items() if name not in found}
            if missing:
                try:
                    admin.create_topics(missing, wait_for_metadata=True)
                except TopicAlreadyExistsError:
                    return ensure_topics(settings)  # another worker has just made one
            _check_world(admin.describe_topics([settings.world_topic]))
        finally:
            admin.close()
    return sorted(missing)


def _wanted(settings: KafkaSettings) -> dict[str, dict[str, Any]]:
    safe = (
        {"min.insync.replicas": str(_MOST_COPIES_IN_STEP)}
        if settings.replication > _MOST_COPIES_IN_STEP
        else {}
    )
    kept = {"retention.ms": "-1", "retention.bytes": "-1"}
    large = {"max.message.bytes": str(settings.max_message_bytes)}  # a dead letter holds its event in base64
    return {
        name: {
            "num_partitions": partitions,
            "replication_factor": settings.replication,
            "configs": {**safe, **configs},
        }
        for name, partitions, configs in (
            (settings.customer_topic, settings.partitions, {}),
            (settings.world_topic, 1, kept),
            (settings.decision_topic, settings.partitions, large),
            (settings.dead_letter_topic, 1, large),
        )
    }


def _check_world(described: list[dict[str, Any]]) -> None:
    for topic in described:
        if len(topic["partitions"]) != 1:
            raise StreamError(
                f"the world's topic `{topic['name']}` has {len(topic['partitions'])} partitions; what "
                "happens to the world has one order: give it one partition, or name another topic"
            )
