"""A worker: the shards that the group gives it, one after the other, for as long as it is not told to stop.

What is done to one shard is service.shards'; the stream and the clock are handed in (stream_ports).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from policyengine.domain.events import Record
from policyengine.errors import LedgerError, StreamError
from policyengine.service.health import Health
from policyengine.service.metrics import Meters
from policyengine.service.newest import Newest
from policyengine.service.pending import TimerCount
from policyengine.service.pipeline import Pipeline
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.shards import FENCED, Pace, Shard
from policyengine.service.stream_ports import Assignments, Clock, Stream

_LEAVE_SECONDS = 3.0
_TIMERS_EVERY = 15.0  # seconds until they are counted again: the database does so one by one
_STEADY = 2.0  # seconds without a failure, after which a shard that has nothing to write goes on again
_REPLACED = "PE724"  # another process has this worker's name in the group, and its shards
_NOT_THERE = "PE723"  # the topic no longer holds what is to be read next
log = structlog.get_logger()


class Worker:
    """Takes up what it is assigned, and runs until ``stop`` says so.

    ``connect`` joins the group; ``pipeline`` claims a shard and gives its writer. ``world``: the input of
    the world's events.

    invariant: whatever happens to one shard, the others go on; whatever fails, the process lives, unless
    another one has been put in its place.
    """

    def __init__(
        self,
        store: LedgerStore,
        *,
        connect: Callable[[Assignments], Stream],
        pipeline: Callable[[str, PolicySet], Pipeline],
        policies: Newest,
        world: str,
        meters: Meters,
        health: Health,
        clock: Clock,
        pace: Pace,
        stop: Callable[[], bool],
    ) -> None:
        self._store, self._connect, self._pipeline = store, connect, pipeline
        self._policies, self._world = policies, world
        self._meters, self._health, self._clock, self._pace = meters, health, clock, pace
        self._stop = stop
        self._shards: dict[str, Shard] = {}
        self._joined: Stream | None = None
        self._failures = 0
        self._look_at = self._tell_at = 0.0
        self._still: dict[str, str] = {}  # what cannot go on, and why: metrics.STILL
        self._timers: dict[str, tuple[float, TimerCount]] = {}  # when they were counted, and how many
        self._busy = self._anew = False

    def run(self, finish: float = 10.0) -> None:
        """Work until told to stop; then publish what is decided and leave, in about ``finish`` seconds.

        StreamError PE724 where another process has taken this one's name: it would only take shards away.
        """
        self._policies.begin()
        while not self._stop():
            self._health.turned()
            try:
                self._round()
            except (StreamError, LedgerError) as error:
                if error.code == _REPLACED:
                    self._leave(_LEAVE_SECONDS)
                    raise
                self._wait(error)
            else:
                self._failures = 0
        self._finish(finish)

    # --- a round --------------------------------------------------------------------------------------

    def _round(self) -> None:
        if self._anew:
            self._leave(_LEAVE_SECONDS)
        if self._joined is None:
            self._joined = self._connect(self)
        self._look()
        self._open_again()
        self._poll_world()  # before: what it raises would lose what was polled
        found = self._joined.poll(self._patience())
        self._busy = bool(found)
        for name, records in found.items():
            shard = self._shards.get(name)
            if shard is not None and shard.first is None:
                shard.first = records[0].offset - 1
        for shard in list(self._shards.values()):
            if self._stop():
                return  # what was not taken in is read again by whoever comes
            self._health.turned()
            if shard.pipeline is not None:
                self._guarded(shard, lambda one=shard: self._turn(one, found.get(one.name, ())))  # type: ignore[misc]
        self._tell()

    def _poll_world(self) -> None:
        """Read the world on; where its topic no longer holds what comes next, customers go on without."""
        try:
            self._stream.poll_world()
        except StreamError as error:
            if error.code != _NOT_THERE:
                raise
            if self._world not in self._still:
                log.warning("the world cannot be read", because=str(error))
            self._stands_still(self._world, "topic", str(error))

    def _turn(self, shard: Shard, records: Sequence[Record]) -> None:
        """A shard's turn: the world first, then its customers, and whom the world reaches."""
        if shard.world():
            self._busy = True
            self._goes_on(self._world)
        for _ in shard.customers(records):
            if self._stop():
                return
        if not records:
            self._busy |= shard.piece()
        shard.tick()
        if shard.publish_due() == 0.0:
            shard.publish()
        if shard.failures == 0 or self._clock.seconds() > shard.again_at + _STEADY:
            self._goes_on(shard.name, unless="topic")

    def _patience(self) -> float:
        """How long new events may be waited for."""
        due = [one for one in (shard.publish_due() for shard in self._open()) if one is not None]
        return 0.0 if self._busy else min([self._pace.poll, *due])

    def _guarded(self, shard: Shard, do: Callable[[], None]) -> None:
        """Whatever fails is the shard's own affair: it is closed, and opened again after a while."""
        try:
            do()
        except Exception as error:
            fenced = isinstance(error, LedgerError | StreamError) and error.code in {FENCED, "PE722"}
            wait = shard.failed(fenced=fenced)
            if fenced:
                self._meters.stands_still(shard.name, "fenced")
                self._still[shard.name] = "fenced"
                log.warning("another writer has the shard", shard=shard.name, because=str(error))
            elif isinstance(error, LedgerError):
                self._stands_still(shard.name, "ledger", f"the ledger fails: {error}")
                log.warning("the ledger fails", shard=shard.name, because=str(error), wait=wait)
            elif isinstance(error, StreamError):
                self._stands_still(shard.name, "stream", f"the stream fails: {error}")
                log.warning("the stream fails", shard=shard.name, because=str(error), wait=wait)
            else:
                self._stands_still(shard.name, "engine", f"the engine fails: {type(error).__name__}")
                log.exception("the shard cannot go on", shard=shard.name, wait=wait)
            if self._joined is not None:
                self._joined.pause(shard.name)

    def _open_again(self) -> None:
        now = self._clock.seconds()
        for shard in list(self._shards.values()):
            if shard.pipeline is None:
                self._stream.pause(shard.name)
                if now >= shard.again_at:
                    self._guarded(shard, lambda one=shard: self._resume(one))  # type: ignore[misc]

    def _resume(self, shard: Shard) -> None:
        shard.open()
        self._health.ledger_answers()
        if shard.place is not None:
            self._stream.seek(shard.name, shard.place)
        self._stream.resume(shard.name)
        log.info("shard opened again", shard=shard.name, offset=shard.place)

    def _look(self) -> None:
        """Take up a policy set that was published."""
        now = self._clock.seconds()
        if now < self._look_at:
            return
        self._look_at = now + self._pace.look_every
        before = self._policies.in_force
        policy_set = self._policies.look()
        if policy_set is None:
            return
        log.info("policy set taken up", policy_set=policy_set.digest)
        for shard in self._open():
            self._guarded(shard, lambda one=shard: one.adopt(policy_set))  # type: ignore[misc]
        before.ruleset.close()

    def _wait(self, error: StreamError | LedgerError) -> None:
        """The whole loop fails: the stream or the ledger is away."""
        self._failures += 1
        if isinstance(error, LedgerError):
            self._health.ledger_fails(str(error))
        wait = min(self._pace.longest_wait, self._pace.first_wait * 2.0 ** min(self._failures, 20))
        log.warning("waiting", because=str(error), wait=wait)
        until = self._clock.seconds() + wait
        while self._clock.seconds() < until and not self._stop():
            self._health.turned()
            self._clock.sleep(min(0.2, wait))

    # --- what the group says ----------------------------------------------------------------------------

    def assigned(self, shard: str) -> int | None:
        """Claim it; where that fails, it is tried again later, and what is read until then is dropped."""
        taken = self._shards[shard] = Shard(
            shard,
            world=self._world,
            store=self._store,
            stream=self._stream,
            make=lambda name: self._pipeline(name, self._policies.in_force),
            meters=self._meters,
            clock=self._clock,
            pace=self._pace,
        )
        self._guarded(taken, taken.open)
        self._told()
        return taken.place

    def revoked(self, shard: str) -> None:
        """Everything read was committed before the group was asked: nothing is in hand."""
        self._drop(shard)

    def lost(self, shard: str) -> None:
        """Another worker may have it already: nothing is written.

        Whoever slept for so long joins as if new: a client that was cut off in the middle of its requests
        has been seen to read nothing of what it is given then.
        """
        log.warning("shard lost", shard=shard)
        self._drop(shard)
        self._anew = True

    def gone(self, shard: str, because: str) -> None:
        """Nothing can be read of it; the world and its timers go on."""
        log.error("the shard cannot be read", shard=shard, because=because)
        self._stands_still(shard, "topic", because)

    def _drop(self, name: str) -> None:
        shard = self._shards.pop(name, None)
        if shard is not None:
            shard.close()
        self._timers.pop(name, None)
        self._goes_on(name)
        self._told()

    def _stands_still(self, name: str, why: str, because: str) -> None:
        """A shard, or the world's input, cannot go on; what was said of a topic stays said."""
        if self._still.get(name) != "topic":
            self._still[name] = why
            self._health.stands_still(name, because)
            self._meters.stands_still(name, why)

    def _goes_on(self, name: str, unless: str = "") -> None:
        if name in self._still and self._still[name] != unless:
            del self._still[name]
            self._health.goes_on(name)
            self._meters.stands_still(name, None)

    def _told(self) -> None:
        self._health.assigned(len(self._shards))
        self._meters.assigned(list(self._shards))

    @property
    def _stream(self) -> Stream:
        if self._joined is None:
            raise StreamError("the group was not joined yet", code="PE721")
        return self._joined

    def _open(self) -> Iterable[Shard]:
        return [shard for shard in self._shards.values() if shard.pipeline is not None]

    # --- telling, and the end ---------------------------------------------------------------------------

    def _tell(self) -> None:
        """Let meters and the group know where the shards stand."""
        now = self._clock.seconds()
        if now < self._tell_at:
            return
        self._tell_at = now + self._pace.look_every
        lag = self._stream.lag()
        places: dict[str, int] = {}
        for shard in self._open():
            self._guarded(shard, lambda one=shard: self._tell_of(one, lag))  # type: ignore[misc]
            if shard.pipeline is not None and shard.pipeline.position(shard.name) is not None:
                places[shard.name] = shard.pipeline.position(shard.name) or 0
        self._stream.commit(places)

    def _tell_of(self, shard: Shard, lag: Mapping[str, int]) -> None:
        jobs, customers = shard.jobs()
        self._meters.backlog(
            shard.name,
            lag=lag.get(shard.name, 0),
            outbox=shard.depths(),
            jobs=jobs,
            customers=customers,
            timers=self._timer_count(shard.name),
        )

    def _timer_count(self, name: str) -> int:
        """About how many timers are pending, counted a stretch at a time: a start waits for none of it."""
        now = self._clock.seconds()
        if name not in self._timers:
            count = TimerCount(lambda after, limit: self._store.timers_counted(name, after, limit))
            self._timers[name] = -_TIMERS_EVERY, count
        counted, count = self._timers[name]
        if count.under_way or now >= counted + _TIMERS_EVERY:
            count.go_on()
            self._timers[name] = now, count
        return count.number

    def _finish(self, seconds: float) -> None:
        """Publish what is decided as far as time allows, then leave the group: others take over."""
        self._health.stopping()
        until = self._clock.seconds() + seconds
        for shard in list(self._open()):
            self._guarded(shard, lambda one=shard: self._publish_all(one, until))  # type: ignore[misc]
        self._leave(max(1.0, until - self._clock.seconds()))
        log.info("stopped")

    def _leave(self, seconds: float) -> None:
        """Give everything back to the group."""
        joined, self._joined, self._anew = self._joined, None, False
        for name in list(self._shards):
            self._shards[name].close()
        if joined is not None:
            joined.close(seconds)
        for name in list(self._shards):
            self._drop(name)
        self._goes_on(self._world)
        self._health.unassigned()

    def _publish_all(self, shard: Shard, until: float) -> None:
        while shard.unpublished and self._clock.seconds() < until:
            if not shard.publish() and shard.publish_failed:
                return
