"""One shard in the hands of a worker: its events in, its decisions out, and what is done where that fails.

Which shards a worker has and what comes when is service.worker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from policyengine.domain.catalogue import Scope
from policyengine.domain.events import Record
from policyengine.errors import LedgerError, StreamError
from policyengine.service.announcements import ANNOUNCED
from policyengine.service.metrics import Meters
from policyengine.service.pipeline import Pipeline, Tally
from policyengine.service.poison import persist
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import DEAD_LETTERS, DECISIONS, Head, LedgerStore
from policyengine.service.stream_ports import Clock, Published, Publisher, Stream

FENCED = "PE701"  # another writer has the shard
OLDER = "PE714"  # more of it was published than the ledger holds
_LETTERS = 100  # dead letters that are published at once, at most: any may be as large as a message
T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done at a time, and how often; seconds."""

    batch: int = 500  # records of a transaction
    published: int = 2_000  # entries of a channel that are published at once
    publish_every: float = 0.1  # at least, and twice as long as the last one took, but
    publish_soon: float = 1.0  # at most: one that waited for a broker says nothing of the next
    tick_every: float = 1.0  # 0: the clock fires nothing, time passes with the events alone
    look_every: float = 1.0  # for policy sets, and for what is told to meters and to the group
    poll: float = 0.1  # how long new events are waited for
    first_wait: float = 0.2  # after a failure, doubled each time
    longest_wait: float = 30.0
    rejoin: float = 3.0  # before a shard is claimed again that another writer took


class Shard:
    """A shard that was assigned to this worker; open while it can be written.

    ``make`` claims it and gives its writer. ``world`` names the input of the world's events.

    invariant: the ledger says what was decided, the stream what was published; whatever fails, the shard is
    closed, and opened again at what these two say. Nothing else is remembered.
    """

    def __init__(
        self,
        name: str,
        *,
        world: str,
        store: LedgerStore,
        stream: Stream,
        make: Callable[[str], Pipeline],
        meters: Meters,
        clock: Clock,
        pace: Pace,
    ) -> None:
        self.name = name
        self._world = world
        self._store, self._stream, self._make = store, stream, make
        self._meters, self._clock, self._pace = meters, clock, pace
        self.pipeline: Pipeline | None = None
        self._publisher: Publisher | None = None
        self._positions: dict[str, int] = {}
        self.first: int | None = None  # the first record that came since it was assigned
        self.failures = 0
        self.again_at = 0.0  # when it is opened again
        self._publish_at = self._tick_at = 0.0
        self._stream_failures = 0
        self.unpublished = 0  # about how many entries

    # --- opening and closing ------------------------------------------------------------------------

    @property
    def place(self) -> int | None:
        """From where on to read the customers' events."""
        position = None if self.pipeline is None else self.pipeline.position(self.name)
        return self.first if position is None else position

    def open(self) -> None:
        """Claim it, which shuts out every writer before; go on where the ledger stands.

        invariant: nothing is decided before all others are shut out of the stream, too, and it is known that
        all that was published is in this ledger. So nobody publishes what another has decided since.
        """
        self.close()
        pipeline = self._make(self.name)
        positions = self._open_publisher(pipeline.head)
        pipeline.publish()
        self._mark(positions, pipeline.head)
        self._stream.open_world(self.name, pipeline.position(self._world))
        self.pipeline = pipeline
        self.unpublished = 1  # perhaps

    def close(self) -> None:
        """Write no more; what was not committed is forgotten."""
        self._stream.leave_world(self.name)
        self.pipeline = None
        self._close_publisher()

    def failed(self, *, fenced: bool) -> float:
        """Close it for a while; how long."""
        self.close()
        self.failures += 1
        wait = min(self._pace.longest_wait, self._pace.first_wait * 2.0 ** min(self.failures, 20))
        wait = max(wait, self._pace.rejoin) if fenced else wait
        self.again_at = self._clock.seconds() + wait
        return wait

    # --- in -------------------------------------------------------------------------------------------

    def customers(self, records: Sequence[Record]) -> Iterator[None]:
        """Decide customers' events, a batch a step."""
        for start in range(0, len(records), self._pace.batch):
            self._decide(self.name, Scope.CUSTOMER, records[start : start + self._pace.batch])
            yield

    def world(self) -> bool:
        """Decide the next of the world's events; whether there were any."""
        records = self._stream.world(self.name, self._pace.batch)
        if records:
            self._decide(self._world, Scope.WORLD, records)
        return bool(records)

    def piece(self) -> bool:
        """Reach the next customers whom the world has yet to reach; whether there were any."""
        began = self._clock.seconds()
        tally = self._persist(lambda: next(self._writer.work_off(), None))
        if tally is not None:
            self._done(tally, 0, began)
        return tally is not None

    def tick(self) -> None:
        """Let the clock fire what is due, if it is time to look."""
        began = self._clock.seconds()
        if not self._pace.tick_every or began < self._tick_at:
            return
        self._tick_at = began + self._pace.tick_every
        now = self._clock.now()
        tally = self._persist(lambda: self._writer.tick(now))
        if tally.counts:
            self._done(tally, 0, began)

    def adopt(self, policy_set: PolicySet) -> None:
        """Decide under another policy set from here on."""
        self._writer.adopt(policy_set, shared=True)

    def jobs(self) -> tuple[int, int]:
        """Jobs under way and customers they have yet to reach."""
        return self._writer.jobs()

    @property
    def _writer(self) -> Pipeline:
        if self.pipeline is None:
            raise LedgerError(f"the shard {self.name} is not open")
        return self.pipeline

    def _decide(self, input_name: str, scope: Scope, records: Sequence[Record]) -> None:
        """Commit a batch. One that failed may have been committed in part: the rest is decided again."""
        began = self._clock.seconds()

        def process() -> tuple[Tally, int]:
            place = self._writer.position(input_name) or 0
            left = [one for one in records if one.offset > place]
            return self._writer.process(left, input_name=input_name, scope=scope), len(left)

        tally, events = self._persist(process)
        self._done(tally, events, began)

    def _persist(self, do: Callable[[], T]) -> T:
        """Do it, without what the engine itself fails at again and again; what else fails is raised."""
        done, aside = persist(self._writer, do, self.name)
        for _ in range(aside):
            self._meters.poisoned()
        return done

    def _done(self, tally: Tally, events: int, began: float) -> None:
        self.failures = 0
        self.unpublished += tally.counts["decisions"] + tally.counts["rejected"]
        self._meters.batch(
            self.name,
            events=events,
            seconds=self._clock.seconds() - began,
            committing=tally.committing,
            decided=tally.decided,
            rejected=tally.rejections,
        )

    # --- out ------------------------------------------------------------------------------------------

    def publish_due(self) -> float | None:
        """In how many seconds something is to be published; None: nothing is."""
        return max(0.0, self._publish_at - self._clock.seconds()) if self.unpublished else None

    def publish(self) -> bool:
        """Publish the next decisions and dead letters; whether all are out.

        A stream that is away holds up nothing else: the ledger keeps what waits.
        """
        began = self._clock.seconds()
        try:
            rest = self._publish()
        except StreamError as error:
            if error.code == "PE722":
                raise
            self._close_publisher()
            self._stream_failures += 1
            wait = min(self._pace.longest_wait, self._pace.first_wait * 2.0 ** min(self._stream_failures, 20))
            self._publish_at = self._clock.seconds() + wait
            log.warning("not published, the ledger keeps it", shard=self.name, because=str(error), wait=wait)
            return False
        self._stream_failures = 0
        now = self._clock.seconds()
        pause = min(self._pace.publish_soon, 2 * (now - began))
        self._publish_at = now + max(self._pace.publish_every, pause)
        self.unpublished = int(rest)
        return not rest

    @property
    def publish_failed(self) -> bool:
        """Whether the stream was away the last time."""
        return self._stream_failures > 0

    def depths(self) -> dict[str, int]:
        """Entries that have yet to be published, or passed over, by channel."""
        size = self._writer.head.size
        return {channel: size - at for channel, at in self._positions.items()}

    def _publish(self) -> bool:
        """One transaction; whether more is waiting."""
        if self._publisher is None:
            self._mark(self._open_publisher(self._writer.head), self._writer.head)
        size, more = self._writer.head.size, False
        messages: dict[str, list[Published]] = {}
        positions: dict[str, int] = {}
        for channel, (kind, announced) in ANNOUNCED.items():
            limit = self._pace.published if channel == DECISIONS else min(self._pace.published, _LETTERS)
            entries = self._store.unpublished(self.name, channel, kind, limit)
            more |= len(entries) == limit
            told = map(announced, entries)
            messages[channel] = [(one.event, one.key, one.headers) for one in told]
            # beyond the last of its kind nothing waits, so nobody looks through it again
            positions[channel] = entries[-1].seq + 1 if len(entries) == limit else size
        if not any(messages.values()):
            return False
        assert self._publisher is not None  # noqa: S101 - narrows the type, never false
        self._publisher.publish(messages, positions)
        self._mark(positions, self._writer.head)
        if messages[DEAD_LETTERS]:
            self._meters.dead_letters(len(messages[DEAD_LETTERS]))
        return more

    def _open_publisher(self, head: Head) -> dict[str, int]:
        """Become the one who may publish; what the stream knows to be published, by channel.

        invariant: whoever publishes held the shard after all others were shut out of the stream. Who takes it
        over later shuts this one out, and reads what this one has published; who was first to open, and
        has lost the shard before, stops here.
        """
        publisher = self._stream.publisher(self.name)
        try:
            self._stay(head)  # else its present writer would be shut out for nothing
            positions = publisher.open()
            self._stay(head)
            self._refuse_older(positions, head.size)
        except BaseException:
            publisher.close()
            raise
        self._publisher, self._positions = publisher, {}
        return positions

    def _stay(self, head: Head) -> None:
        if self._store.head(self.name).epoch != head.epoch:
            raise LedgerError(f"another writer has claimed the shard {self.name}", code=FENCED)

    def _refuse_older(self, positions: Mapping[str, int], size: int) -> None:
        published = max(positions.values(), default=0)
        if published > size:
            raise LedgerError(
                f"this ledger is older than what was published: its shard {self.name} has {size} entries, "
                f"and this group has published it up to entry {published}. An earlier copy was restored, or "
                "--ledger names another one; nothing was decided. Stop all workers and bring the newest "
                "ledger back; where it is lost, start them with another POLICYENGINE_KAFKA_GROUP: see "
                "`To an earlier commit` in docs/operations.md",
                code=OLDER,
            )

    def _mark(self, positions: dict[str, int], head: Head) -> None:
        """Bring the ledger's own record up to what is published."""
        for channel, position in positions.items():
            before = self._positions.get(channel)
            if before is None:
                box = self._store.outbox(self.name, channel)
                before = 0 if box is None else box.next_seq
            if position > before:
                try:
                    self._store.mark_published(self.name, channel, position, b"")
                except LedgerError:
                    self._stay(head)  # another has the shard by now, and has gone further
                    raise
            elif position < before:
                log.warning("the stream knows of less than was published", shard=self.name, channel=channel)
            self._positions[channel] = max(before, position)

    def _close_publisher(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()
