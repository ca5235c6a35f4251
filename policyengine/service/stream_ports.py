"""What a worker asks of its stream, as Protocols; adapters.kafka_worker keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from policyengine.domain.events import Record

# a message to be published: its event, its key, and headers beside those of the event
Published = tuple[Mapping[str, Any], str, Mapping[str, str]]


class Assignments(Protocol):
    """Who is told which shards are this worker's: always within ``poll`` or ``close``."""

    def assigned(self, shard: str) -> int | None:
        """It is ours: from where on to read; None: from the first message there is. Never raises."""

    def revoked(self, shard: str) -> None:
        """It goes to another worker in order; nobody else has it yet."""

    def lost(self, shard: str) -> None:
        """It was taken away, another worker may have it already."""

    def gone(self, shard: str, because: str) -> None:
        """Its place is no longer in the stream: it is ours, and nothing can be read of it."""


class Publisher(Protocol):
    """The one writer of a shard's channels. Raises StreamError, FencedError where another has opened it."""

    def open(self) -> dict[str, int]:
        """Shut out every writer before; how far each channel is published, as far as the stream knows."""

    def publish(self, messages: Mapping[str, Sequence[Published]], positions: Mapping[str, int]) -> None:
        """Write the messages of each channel, in order, and where each stands then: all or nothing.

        After a StreamError it must be opened again; what ``open`` returns says whether this was written.
        """

    def close(self) -> None:
        """Give the connection back; what is not complete is undone."""


class Stream(Protocol):
    """The customers' events, by shard, and the world's, which every shard reads for itself.

    The offset of a record is the position after it. StreamError PE721 where the stream is away.
    """

    def poll(self, seconds: float) -> Mapping[str, Sequence[Record]]:
        """The next customers' events of each shard; waits so long for some. Keeps the membership."""

    def seek(self, shard: str, offset: int) -> None:
        """Read a shard from another place on."""

    def pause(self, shard: str) -> None:
        """Take nothing of a shard until it is resumed; it stays ours."""

    def resume(self, shard: str) -> None:
        """Take from it again."""

    def commit(self, offsets: Mapping[str, int]) -> None:
        """Tell those who look at the group how far we are; nothing depends on it."""

    def lag(self) -> Mapping[str, int]:
        """How many events, customers' and the world's, each shard has yet to take."""

    def open_world(self, shard: str, offset: int | None) -> None:
        """Let a shard read the world's events from a place on, None: from the first."""

    def leave_world(self, shard: str) -> None:
        """The shard reads them no more."""

    def poll_world(self) -> None:
        """Read on, for all shards, without waiting."""

    def world(self, shard: str, limit: int) -> Sequence[Record]:
        """The next of the world's events for a shard, which it has taken then."""

    def publisher(self, shard: str) -> Publisher:
        """What publishes for a shard; not open yet."""

    def close(self, seconds: float) -> None:
        """Give all shards back and leave the group, within about so many seconds."""


class Clock(Protocol):
    """The only clock of a worker."""

    def now(self) -> int:
        """What time it is: µs since 1970, UTC."""

    def seconds(self) -> float:
        """Seconds that only go forward, from anywhere."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
