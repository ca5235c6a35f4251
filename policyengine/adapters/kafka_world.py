"""Reading the world's topic: every worker reads all of it, each shard from a place of its own.

One consumer without a group, and a window of messages from the place of the slowest shard on.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from policyengine.adapters.kafka_binding import Message
from policyengine.adapters.kafka_guard import bounded
from policyengine.adapters.kafka_settings import KafkaSettings, stream_errors
from policyengine.adapters.kafka_source import message_of
from policyengine.errors import StreamError


class WorldReader:
    """Gives each shard the messages of the world that it has not taken yet. Not thread-safe.

    The window holds at most ``max_poll_bytes``, or one message. A shard that takes nothing holds the
    others up once the window is full of what it has not taken: close it while it takes nothing.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._partition = TopicPartition(settings.world_topic, 0)
        with stream_errors("connecting"):
            self._consumer: Any = KafkaConsumer(**settings.reader())
        self._consumer.assign([self._partition])
        self._places: dict[str, int] = {}  # of each shard, what it takes next
        self._window: deque[Message] = deque()
        self._bytes = 0
        self._next: int | None = None  # where the consumer reads on; None: nowhere yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, shard: str, offset: int | None) -> int:
        """Let a shard read from a place on, None: from the first message; also back to an earlier one.

        The place. StreamError PE721 where Kafka does not say what the first message is.
        """
        if offset is None:
            with stream_errors("looking for the world's first event"):
                milliseconds = self._settings.request_timeout
                firsts = self._consumer.beginning_offsets([self._partition], timeout_ms=milliseconds)
                offset = int(firsts[self._partition])
        start = self._start()
        if self._next is None or start is None or not start <= offset <= self._next:
            self._read_from(offset if start is None else min(start, offset))
        self._places[shard] = offset
        return offset

    def leave(self, shard: str) -> None:
        """The shard reads no more; others no longer wait for it."""
        self._places.pop(shard, None)
        self._trim()

    def poll(self, timeout: float = 0.0) -> bool:
        """Read on into the window; whether anything came. Waits up to ``timeout`` seconds for it.

        StreamError PE723 where the topic no longer holds what a shard must read next.
        """
        if not self._places or self._bytes >= self._settings.max_poll_bytes:
            return False
        with stream_errors("reading the world's events"):
            try:
                found = self._consumer.poll(timeout_ms=int(timeout * 1_000)).get(self._partition, ())
            except (OffsetOutOfRangeError, LogTruncationError) as error:
                raise StreamError(
                    f"the topic {self._settings.world_topic} does not hold offset {self._next}, where "
                    "a shard reads on: its first messages were deleted, or it was made anew",
                    code="PE723",
                ) from error
        for record in found:
            message = message_of(record)
            self._window.append(message)
            self._bytes += message.size
            self._next = message.offset + 1
        return bool(found)

    def peek(self, shard: str, limit: int) -> list[Message]:
        """The shard's next messages, as far as the window holds them; they stay."""
        place = self._places[shard]
        return list(islice((one for one in self._window if one.offset >= place), limit))

    def take(self, shard: str, limit: int) -> list[Message]:
        """The shard's next messages, which it has now."""
        taken = self.peek(shard, limit)
        if taken:
            self._places[shard] = taken[-1].offset + 1
            self._trim()
        return taken

    def lag(self) -> dict[str, int]:
        """How many messages each shard has not taken, as far as is known without asking."""
        held = {shard: len(self.peek(shard, len(self._window))) for shard in self._places}
        beyond = 0
        if self._next is not None:
            with stream_errors("asking how far the world is"):
                end = self._consumer.highwater(self._partition) or 0
                beyond = max(0, end - (self._consumer.position(self._partition, timeout_ms=0) or 0))
        return {shard: count + beyond for shard, count in held.items()}

    def close(self, timeout: float = 10.0) -> None:
        """Give the connection back, within about ``timeout`` seconds."""
        self._places.clear()
        try:
            bounded(timeout, "closing", lambda: self._consumer.close(False, timeout * 800))
        except StreamError:
            return  # nobody waits for it

    def _start(self) -> int | None:
        """The first place that the window still covers; None when it is of no use to anybody."""
        return min(self._places.values(), default=None)

    def _read_from(self, offset: int) -> None:
        """Begin the window anew."""
        self._consumer.seek(self._partition, offset)
        self._window.clear()
        self._bytes, self._next = 0, offset

    def _trim(self) -> None:
        """Forget what every shard has taken."""
        start = self._start()
        while self._window and (start is None or self._window[0].offset < start):
            self._bytes -= self._window.popleft().size
