"""Publishing what a shard decided, once: messages and the position after them in one Kafka transaction.

Which entries of the ledger become which messages is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Self, TypeVar

import orjson
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidProducerEpochError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
)
from kafka.net.compat import KafkaNetClient
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from policyengine.adapters.kafka_binding import Outgoing
from policyengine.adapters.kafka_guard import bounded
from policyengine.adapters.kafka_settings import KafkaSettings, stream_errors
from policyengine.adapters.kafka_settle import settle
from policyengine.adapters.kafka_source import Partition
from policyengine.errors import FencedError, StreamError
from policyengine.ledger.canonical import canonical

_ATTEMPTS = 3
_PAUSE = 0.05  # seconds, until a coordinator that is away is looked for again
_FENCED = (ProducerFencedError, InvalidProducerEpochError)
T = TypeVar("T")
log = structlog.get_logger()


class ShardPublisher:
    """The one writer of a shard's channels to their topics. Not thread-safe.

    ``topics``: the topic of each channel. How far each channel is published is committed with the
    messages themselves: as the offset of the group `<group>-relay` for the shard's input partition, all
    positions as JSON in its metadata, the first channel's as the number. That, not the ledger, says what
    was published. Where the group never committed, or so long ago that the broker forgot it
    (`offsets.retention.minutes`, 7 days by default), the ledger's own record is the next best.
    """

    def __init__(self, settings: KafkaSettings, partition: Partition, topics: Mapping[str, str]) -> None:
        self._settings = settings
        self._partition = partition
        self._topics = dict(topics)
        self._group = f"{settings.group}-relay"
        self._producer: Any = None
        self._patience = (
            2 * settings.request_timeout / 1_000
        )  # seconds, for what the client bounds by nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def transactional_id(self) -> str:
        """Of all producers with it, the one that opened last may write."""
        return f"{self._settings.group}-{self._partition.shard}"

    def open(self) -> dict[str, int]:
        """Shut out every writer before this one, settle what it left undone; the positions, by channel.

        Empty where there are none. Also opens a publisher again whose ``publish`` failed: make sure
        before that the shard is still this worker's, for its present writer would be shut out.
        StreamError where Kafka refuses or is away.
        """
        self._discard()
        try:
            with stream_errors(f"opening {self._partition.shard}"):
                ends = (self._settings, self.transactional_id, self._topics.values())
                bounded(self._patience, "looking for transactions without an end", settle, *ends)
                writer = {**self._settings.writer(self.transactional_id), "kafka_client": Connections}
                self._producer = bounded(self._patience, "connecting", lambda: KafkaProducer(**writer))
                self._wait(self._producer.init_transactions)
                return self._committed()
        except BaseException:
            self._discard()
            raise

    def publish(self, messages: Mapping[str, Sequence[Outgoing]], positions: Mapping[str, int]) -> None:
        """Write the messages of each channel, in order, and where each channel stands then: all or nothing.

        ``positions`` names every channel, whether or not it has messages now. FencedError PE722 when another
        worker has opened the shard. After any other StreamError the publisher must be opened again, and
        what ``open`` returns says whether this was written.
        """
        if self._producer is None:
            raise StreamError(f"the publisher of {self._partition.shard} is not open")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with stream_errors(f"publishing {self._partition.shard}"):
                    self._transact(messages, positions)
            except KafkaRetryError as error:
                if attempt == _ATTEMPTS:
                    self._discard()
                    raise StreamError(str(error), code="PE721") from error
                log.info("published again", shard=self._partition.shard, attempt=attempt, error=str(error))
            except BaseException:
                self._discard()
                raise
            else:
                return

    def close(self) -> None:
        """Give the connection back; an open transaction is undone by whoever opens the shard next."""
        self._discard()

    def _transact(self, messages: Mapping[str, Sequence[Outgoing]], positions: Mapping[str, int]) -> None:
        producer = self._producer
        try:
            producer.begin_transaction()
            sent = [
                producer.send(self._topics[channel], one.value, one.key, headers=list(one.headers))
                for channel, several in messages.items()
                for one in several
            ]
            # invariant: every message is acknowledged before the end is asked for; else the client could
            # take a transaction for committed that the broker has undone
            producer.flush(self._patience)
            for future in sent:
                future.get(self._patience)
            self._wait(producer.send_offsets_to_transaction, *self._offsets(positions))
            self._wait(producer.commit_transaction)
        except KafkaError as error:
            self._explain(error)

    def _explain(self, error: KafkaError) -> NoReturn:
        """Fenced, worth another attempt with this producer, or as it is."""
        cause = getattr(getattr(self._producer, "_transaction_manager", None), "last_error", None)
        if isinstance(error, _FENCED) or isinstance(cause, _FENCED):
            raise FencedError(
                f"another worker publishes for {self._partition.shard}, or Kafka ended a transaction of "
                "this one that took too long; it writes nothing until the shard is claimed anew"
            ) from error
        if isinstance(error, MessageSizeTooLargeError):
            raise StreamError(
                f"a message of {self._partition.shard} is larger than its topic or POLICYENGINE_KAFKA_"
                f"MAX_MESSAGE_BYTES allows; raise the topic's max.message.bytes and that ({error})"
            ) from error
        try:
            self._wait(self._producer.abort_transaction)
        except (KafkaError, StreamError):
            raise error from None  # it cannot be undone from here: opening does it
        if getattr(error, "retriable", False) or getattr(cause, "retriable", False):
            raise KafkaRetryError(f"{type(error).__name__}: {error}") from error
        raise error

    def _offsets(
        self, positions: Mapping[str, int]
    ) -> tuple[dict[TopicPartition, OffsetAndMetadata], ConsumerGroupMetadata]:
        every = {channel: positions[channel] for channel in self._topics}
        told = OffsetAndMetadata(next(iter(every.values())), canonical(every).decode(), -1)
        return {TopicPartition(*self._partition): told}, ConsumerGroupMetadata(self._group, -1, "", None)

    def _committed(self) -> dict[str, int]:
        settings = {
            **self._settings.reader(),  # read_committed: an answer waits for transactions under way
            "group_id": self._group,
        }
        consumer = bounded(self._patience, "connecting", lambda: KafkaConsumer(**settings))
        try:
            told = consumer.committed(
                TopicPartition(*self._partition), metadata=True, timeout_ms=self._settings.request_timeout
            )
        finally:
            consumer.close(autocommit=False, timeout_ms=1_000)
        if told is None or told.offset is None or told.offset < 0:
            return {}
        try:
            found = {str(channel): int(at) for channel, at in orjson.loads(told.metadata).items()}
        except (ValueError, AttributeError, TypeError) as error:
            raise StreamError(
                f"the group {self._group} holds an offset for {self._partition.shard} that was not "
                "written by this program; use another POLICYENGINE_KAFKA_GROUP"
            ) from error
        return found

    def _wait(self, call: Callable[..., T], *arguments: Any) -> T:
        """The client waits for these without any bound."""
        return bounded(
            self._patience, getattr(call, "__name__", "waiting").replace("_", " "), call, *arguments
        )

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(KafkaError, StreamError, AttributeError):
            # a plain close waits for what was not sent, and leaves the threads running where it cannot be
            producer._sender.force_close()  # noqa: SLF001
            bounded(5.0, "closing", lambda: producer.close(timeout=2))


class Connections(KafkaNetClient):  # type: ignore[misc]  # kafka-python has no types
    """Connections of a producer that outlives the broker that coordinates its transactions.

    The producer looks for another coordinator, and then asks again, where it is told that one is not
    ready; where it meets an error instead, it forgets what it wanted to ask, and waits until its messages
    are too old (kafka-python 3.0.12).
    """

    def await_ready(self, node_id: Any, timeout_ms: float = 30_000) -> bool:
        """Whether the broker can be asked now."""
        try:
            return bool(super().await_ready(node_id, timeout_ms))
        except KafkaConnectionError:
            time.sleep(_PAUSE)
            return False


class KafkaRetryError(Exception):
    """A transaction that was undone in order, and may be tried again."""
