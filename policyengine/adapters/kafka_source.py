"""Reading customers' partitions as a member of a group: which are ours, and what is in them, from a place on.

Where to read on is the caller's to say: the ledger knows, not Kafka. The world's topic is kafka_world's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any, NamedTuple, Protocol, Self

import structlog
from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    IllegalStateError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from kafka.structs import OffsetAndMetadata

from policyengine.adapters.kafka_binding import Message
from policyengine.adapters.kafka_guard import bounded
from policyengine.adapters.kafka_settings import KafkaSettings, stream_errors
from policyengine.errors import StreamError

_REBALANCE_MS = 10_000
log = structlog.get_logger()


class Partition(NamedTuple):
    """A partition of a topic; a shard of the ledger has its name."""

    topic: str
    number: int

    @property
    def shard(self) -> str:
        """The name of its shard."""
        return f"{self.topic}-{self.number}"


class Assignments(Protocol):
    """Who is told which partitions are ours, always within ``poll`` or ``close``, one at a time.

    What ``assigned`` raises comes out of ``poll``, and it is asked again at the next: until it has
    answered, nothing of that partition is read. The others may not raise.
    """

    def assigned(self, partition: Partition) -> int | None:
        """It is ours: the offset to read from; None: from the first message there is."""

    def revoked(self, partition: Partition) -> None:
        """It goes to another worker in order; nobody else has it yet."""

    def lost(self, partition: Partition) -> None:
        """It was taken away, another worker may have it already."""

    def gone(self, partition: Partition, error: StreamError) -> None:
        """Its place is no longer in the topic (PE723); it is ours, and nothing of it is read any more."""


class _Kind(Enum):
    ASSIGNED, REVOKED, LOST = range(3)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what happens; runs in the client's thread, where nothing may wait."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.happened: deque[tuple[_Kind, TopicPartition]] = deque()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        # invariant: nothing of a new partition is read before the caller has said from where on
        for one in sorted(assigned):
            self._consumer.pause(one)
            self._consumer.seek(one, 0)  # some place, else the client looks for one of its own
            self.happened.append((_Kind.ASSIGNED, one))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.happened.extend((_Kind.REVOKED, one) for one in sorted(revoked))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self.happened.extend((_Kind.LOST, one) for one in sorted(lost))


class KafkaSource:
    """A member of the group of workers. Not thread-safe; ``poll`` keeps the membership.

    A worker that has nothing to do with messages for a while pauses its partitions and goes on polling:
    without polls for ``poll_interval`` its partitions go to others.
    """

    def __init__(self, settings: KafkaSettings, assignments: Assignments) -> None:
        self._settings = settings
        self._assignments = assignments
        self._waiting: dict[TopicPartition, None] = {}  # assigned, place not known yet
        self._ours: dict[TopicPartition, Partition] = {}
        self._paused: set[Partition] = set()
        self._gone: set[Partition] = set()
        self._closed = False
        with stream_errors("connecting"):
            self._consumer: Any = KafkaConsumer(**settings.member())
        self._listener = _Listener(self._consumer)
        self._consumer.subscribe([settings.customer_topic], listener=self._listener)
        self._look_for(settings.customer_topic)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def partitions(self) -> list[Partition]:
        """Those that are ours and whose place is known."""
        return list(self._ours.values())

    def poll(self, timeout: float) -> dict[Partition, list[Message]]:
        """The next messages of each partition, in order; waits up to ``timeout`` seconds for some.

        At most ``max_poll_records``, and ``max_poll_bytes`` where it is more than one message. StreamError
        where Kafka refuses or is away, and whatever ``assigned`` raises: nothing is lost by either.
        """
        self._settle()
        found = self._fetch(timeout)
        try:
            self._settle()
        except BaseException:
            for one, records in found.items():
                if one in self._ours:
                    self._seek(one, records[0].offset)
            raise
        return self._bounded(found)

    def seek(self, partition: Partition, offset: int) -> None:
        """Read a partition from another place on: what was taken comes again."""
        if self._is_ours(partition):
            self._seek(TopicPartition(*partition), offset)

    def pause(self, *partitions: Partition) -> None:
        """Take nothing of these partitions until they are resumed; they stay ours."""
        ours = [partition for partition in partitions if self._is_ours(partition)]
        self._paused.update(ours)
        for one in ours:
            with _unless_taken():
                self._consumer.pause(TopicPartition(*one))

    def resume(self, *partitions: Partition) -> None:
        """Take from them again."""
        ours = [one for one in partitions if self._is_ours(one) and one not in self._gone]
        self._paused.difference_update(ours)
        for one in ours:
            with _unless_taken():
                self._consumer.resume(TopicPartition(*one))

    @property
    def paused(self) -> set[Partition]:
        """Those of which nothing is taken."""
        return set(self._paused)

    def lag(self) -> dict[Partition, int]:
        """How many messages are there beyond our place, as far as is known without asking."""
        found = {}
        for one, partition in self._ours.items():
            with stream_errors("asking for the lag"), _unless_taken():
                end = self._consumer.highwater(one)
                place = self._consumer.position(one, timeout_ms=0)
                if end is not None and place is not None:
                    found[partition] = max(0, end - place)
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka how far we are, for those who look at the group; nothing depends on it."""
        ours = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in offsets.items()
            if self._is_ours(partition)
        }
        if ours:
            with stream_errors("telling the group how far we are"), self._own_name():
                self._consumer.commit_async(ours, callback=_noted)

    def close(self, timeout: float = 10.0) -> None:
        """Give all partitions back and leave the group, within about ``timeout`` seconds."""
        if self._closed:
            return
        self._closed = True
        for partition in self.partitions:
            self._assignments.revoked(partition)
        self._ours.clear()
        self._waiting.clear()
        with suppress(StreamError, KafkaError):  # the group finds out by itself
            bounded(timeout, "leaving the group", lambda: self._consumer.close(False, timeout * 800))

    def _seek(self, one: TopicPartition, offset: int) -> None:
        with _unless_taken():
            self._consumer.seek(one, offset)

    def _is_ours(self, partition: Partition) -> bool:
        return TopicPartition(*partition) in self._ours

    def _look_for(self, topic: str) -> None:
        """invariant: the topic is known before the group is joined: its leader would give out nothing."""
        patience = self._settings.request_timeout / 1_000
        known = False
        try:
            with stream_errors(f"looking for the topic {topic}"):
                known = bool(
                    bounded(patience, f"looking for {topic}", self._consumer.partitions_for_topic, topic)
                )
        finally:
            if not known:
                self.close(1)
        if not known:
            raise StreamError(f"there is no topic `{topic}`; make it, or name another")

    def _settle(self) -> None:
        """Tell the caller what has happened to partitions, in order."""
        happened = self._listener.happened
        while happened:
            kind, one = happened.popleft()
            if kind is _Kind.ASSIGNED:
                self._waiting[one] = None
                continue
            self._waiting.pop(one, None)
            partition = self._ours.pop(one, None)
            if partition is None:
                continue
            self._paused.discard(partition)
            self._gone.discard(partition)
            tell = self._assignments.revoked if kind is _Kind.REVOKED else self._assignments.lost
            tell(partition)
        for one in list(self._waiting):
            self._take(one)

    def _take(self, one: TopicPartition) -> None:
        partition = Partition(one.topic, one.partition)
        place = self._assignments.assigned(partition)
        with stream_errors(f"taking up {partition.shard}"):
            if place is None:
                milliseconds = self._settings.request_timeout
                place = self._consumer.beginning_offsets([one], timeout_ms=milliseconds)[one]
            with _unless_taken():
                self._consumer.seek(one, place)
                self._consumer.resume(one)
        del self._waiting[one]
        self._ours[one] = partition
        log.info("partition taken up", shard=partition.shard, offset=place)

    def _fetch(self, timeout: float) -> dict[TopicPartition, list[Any]]:
        with stream_errors("reading"), self._own_name():
            try:
                self._join()
                found: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=int(timeout * 1_000))
            except NoOffsetForPartitionError:
                return {}  # of a partition that was assigned in this moment
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                self._set_aside(error)
                return {}
        return found

    @contextmanager
    def _own_name(self) -> Iterator[None]:
        """The group tells only who commits that another has its name now, and its partitions."""
        try:
            yield
        except FencedInstanceIdError as error:
            raise StreamError(
                f"another process has joined the group {self._settings.group} under the name "
                f"{self._settings.instance_id}, which was this one's: this one has nothing to do any more. "
                "Give every worker a POLICYENGINE_KAFKA_INSTANCE_ID of its own",
                code="PE724",
            ) from error

    def _join(self) -> None:
        """Wait for a rebalance to end, for some seconds: nothing can be read before.

        The client forgets that it has joined when it learns so between two polls, and joins again: with
        short polls alone, two workers may rebalance for ever.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001 - it has no other way to wait for this
        if coordinator.need_rejoin():
            coordinator.poll(timeout_ms=_REBALANCE_MS)

    def _set_aside(self, error: KafkaError) -> None:
        """One partition that cannot be read on must not hold up the others."""
        places: Mapping[TopicPartition, Any] = error.args[0]
        for one, place in places.items():
            partition = self._ours.get(one)
            if partition is None:
                continue
            with _unless_taken():
                self._consumer.pause(one)
            self._gone.add(partition)
            reason = (
                f"partition {partition.shard} does not hold offset {place}, where the ledger reads on: "
                "messages were deleted before they were read, or the topic was made anew"
            )
            self._assignments.gone(partition, StreamError(reason, code="PE723"))

    def _bounded(self, found: Mapping[TopicPartition, list[Any]]) -> dict[Partition, list[Message]]:
        """What fits; from the first message on that does not, the partition is read again later."""
        taken: dict[Partition, list[Message]] = {}
        room, full = self._settings.max_poll_bytes, False
        for one, records in found.items():
            partition = self._ours.get(one)
            if partition is None:
                continue
            messages: list[Message] = []
            for record in records:
                message = message_of(record)
                full = full or (message.size > room and bool(taken or messages))
                if full:
                    self._seek(one, message.offset)
                    break
                room -= message.size
                messages.append(message)
            if messages:
                taken[partition] = messages
        return taken


@contextmanager
def _unless_taken() -> Iterator[None]:
    """The client's thread may take a partition away at any moment: that is told at the next poll."""
    with suppress(KeyError, ValueError, IllegalStateError):
        yield


def message_of(record: Any) -> Message:
    """The client's record as ours."""
    return Message(record.offset, record.key, record.value, tuple(record.headers), record.timestamp)


def _noted(offsets: Mapping[TopicPartition, OffsetAndMetadata], answer: object) -> None:
    if isinstance(answer, Exception):
        log.debug("offsets not noted by the group", partitions=len(offsets), error=type(answer).__name__)
