"""The stream as a worker sees it: shards, records and announcements over Kafka's partitions and messages.

Keeps service.stream_ports. Each client is a module of its own: kafka_source, kafka_world, kafka_publisher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from policyengine.adapters.kafka_binding import Message, around, event_bytes, structured
from policyengine.adapters.kafka_publisher import ShardPublisher
from policyengine.adapters.kafka_settings import KafkaSettings
from policyengine.adapters.kafka_source import KafkaSource, Partition
from policyengine.adapters.kafka_world import WorldReader
from policyengine.domain.events import Record, Rejection
from policyengine.errors import StreamError

_Published = tuple[Mapping[str, Any], str, Mapping[str, str]]


class _Told(Protocol):
    """Who is told by the shard's name what happens to its partition."""

    def assigned(self, shard: str) -> int | None: ...

    def revoked(self, shard: str) -> None: ...

    def lost(self, shard: str) -> None: ...

    def gone(self, shard: str, because: str) -> None: ...


class _ByShard:
    """Tells it in the source's words."""

    def __init__(self, told: _Told) -> None:
        self._told = told

    def assigned(self, partition: Partition) -> int | None:
        return self._told.assigned(partition.shard)

    def revoked(self, partition: Partition) -> None:
        self._told.revoked(partition.shard)

    def lost(self, partition: Partition) -> None:
        self._told.lost(partition.shard)

    def gone(self, partition: Partition, error: StreamError) -> None:
        self._told.gone(partition.shard, str(error))


class AnnouncementPublisher:
    """A shard's publisher that takes events; what is written is ``kafka_binding.structured``."""

    def __init__(self, publisher: ShardPublisher) -> None:
        self._publisher = publisher

    def open(self) -> dict[str, int]:
        """How far each channel is published; see ``ShardPublisher.open``."""
        return self._publisher.open()

    def publish(self, messages: Mapping[str, Sequence[_Published]], positions: Mapping[str, int]) -> None:
        """Write all, or nothing; see ``ShardPublisher.publish``."""
        written = {
            channel: [structured(event, key=key, headers=headers) for event, key, headers in several]
            for channel, several in messages.items()
        }
        self._publisher.publish(written, positions)

    def close(self) -> None:
        """Give the connection back."""
        self._publisher.close()


class KafkaStream:
    """One worker's clients; ``topics`` are those of the channels. Not thread-safe."""

    def __init__(self, settings: KafkaSettings, told: _Told, topics: Mapping[str, str]) -> None:
        self._settings = settings
        self._topics = topics
        self._source = KafkaSource(settings, _ByShard(told))
        try:
            self._world = WorldReader(settings)
        except BaseException:
            self._source.close()
            raise

    def poll(self, seconds: float) -> dict[str, list[Record]]:
        """The next customers' events, by shard."""
        found = self._source.poll(seconds)
        return {partition.shard: records_of(messages) for partition, messages in found.items()}

    def seek(self, shard: str, offset: int) -> None:
        """Read from another place on."""
        self._source.seek(partition_of(shard), offset)

    def pause(self, shard: str) -> None:
        """Take nothing of a shard for now."""
        self._source.pause(partition_of(shard))

    def resume(self, shard: str) -> None:
        """Take from it again."""
        self._source.resume(partition_of(shard))

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Tell the group how far we are."""
        self._source.commit({partition_of(shard): offset for shard, offset in offsets.items()})

    def lag(self) -> dict[str, int]:
        """How many messages of both topics each shard has yet to take."""
        found = {partition.shard: lag for partition, lag in self._source.lag().items()}
        for shard, lag in self._world.lag().items():
            found[shard] = found.get(shard, 0) + lag
        return found

    def open_world(self, shard: str, offset: int | None) -> None:
        """Let a shard read the world's events."""
        self._world.open(shard, offset)

    def leave_world(self, shard: str) -> None:
        """It reads them no more."""
        self._world.leave(shard)

    def poll_world(self) -> None:
        """Read on."""
        self._world.poll()

    def world(self, shard: str, limit: int) -> list[Record]:
        """The shard's next events of the world; their key is not looked at."""
        return records_of(self._world.take(shard, limit), keyed=False)

    def publisher(self, shard: str) -> AnnouncementPublisher:
        """What publishes for a shard."""
        return AnnouncementPublisher(ShardPublisher(self._settings, partition_of(shard), self._topics))

    def close(self, seconds: float) -> None:
        """Leave the group."""
        self._source.close(seconds)
        self._world.close(max(1.0, seconds / 4))


def partition_of(shard: str) -> Partition:
    """The partition that a shard, or an input of one, is named after."""
    topic, _, number = shard.rpartition("-")
    return Partition(topic, int(number))


def records_of(messages: Iterable[Message], *, keyed: bool = True) -> list[Record]:
    """Messages as records; the offset is the position after each."""
    records = []
    for message in messages:
        raw = event_bytes(message, keyed=keyed)
        if isinstance(raw, Rejection):
            records.append(Record(raw.raw, message.offset + 1, raw))
        else:
            records.append(Record(raw, message.offset + 1, message=partial(around, message, raw)))
    return records
