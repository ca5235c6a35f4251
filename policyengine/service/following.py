"""A run of a file takes up what is published for its shard: at once, or where the stream reaches its time.

Workers do so by their clock: service.newest.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from policyengine.domain.events import Event, Record
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.errors import PublishingError
from policyengine.ledger.entries import event_key
from policyengine.ledger.publications import Proposal
from policyengine.service.board import Board
from policyengine.service.door import Door, impostor
from policyengine.service.pipeline import Pipeline, Tally
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import LedgerStore
from policyengine.service.work import Fingerprint

log = structlog.get_logger()


class Following:
    """Drives a shard's writer under what the board says; where the board says nothing, it stays as it is.

    What is published for an instant is taken up before the first event of that instant or later, after every
    timer that is due before it. What comes with that event is decided under it: the stream's time counts, and
    the clock's only where the run is live.
    """

    def __init__(
        self,
        board: Board,
        store: LedgerStore,
        writer: Pipeline,
        policy_set: PolicySet,
        *,
        shard: str,
        door: Door,
    ) -> None:
        """``policy_set`` is the one that the writer decides under."""
        self._board, self._store, self._writer, self._policy_set = board, store, writer, policy_set
        self._shard, self._door = shard, door
        self._refused = ""  # a digest that could not be loaded

    def between(self, clock: int | None = None) -> Tally:
        """Take up what holds by now, between two batches; ``clock``: what time it is, where that counts."""
        tally = Tally()
        self._writer.forget(self._policy_set)
        self._board.look()
        if not self._board.follows(self._shard):
            return tally
        now = max(self._reached(), clock or 0)
        for one in self._board.upcoming(self._shard, self._reached()):
            if one.at_micros is not None and one.at_micros <= now and one.digest != self._refused:
                tally.add(self._writer.tick(one.at_micros - 1))
        target = self._board.target(self._shard, now)
        if target is not None and target != self._writer.head.policy_set:
            policy_set = self._loaded(target)
            if policy_set is not None:
                self._writer.adopt(policy_set)
                self._policy_set = policy_set
        return tally

    def process(self, records: Sequence[Record], fingerprint: Fingerprint | None) -> Tally:
        """Decide a batch, in parts where something takes effect in it.

        invariant: a set comes into force in one transaction with the event that brought its time, so that
        whoever goes on after a stop knows by the stream's time what was taken up.
        """
        self._writer.forget(self._policy_set)
        tally, adopt, now = Tally(), None, self._reached()
        while records:
            at, coming = self._coming(now)
            cut = len(records) if coming is None else self._first_from(records, at)
            if coming is not None and cut == 0:
                tally.add(self._writer.tick(at - 1))
                adopt, now = self._loaded(coming.digest) or adopt, at
                continue
            tally.add(self._writer.process(records[:cut], fingerprint, adopt=adopt))
            self._policy_set, adopt = adopt or self._policy_set, None
            records, now = records[cut:], max(now, self._reached())
        return tally

    def _reached(self) -> int:
        """The time (µs) up to which everything was taken up.

        A live run takes up by the clock, ahead of the stream; whoever goes on does not go back.
        """
        now, holds = self._writer.memory.world.now or 0, self._writer.head.policy_set
        if self._board.follows(self._shard) and holds != self._board.target(self._shard, now):
            for one in self._board.upcoming(self._shard, now):
                if one.digest == holds:
                    return one.at_micros or now
        return now

    def _coming(self, now: int) -> tuple[int, Proposal | None]:
        """The next to take effect, and when."""
        if self._board.follows(self._shard):
            for one in self._board.upcoming(self._shard, now):
                if one.digest != self._refused:
                    return one.at_micros or 0, one
        return 0, None

    def _first_from(self, records: Sequence[Record], at: int) -> int:
        """The number of the first record that brings the stream to that time; all, where none does.

        invariant: what the door or the validator refuses, and what came before, leaves the time alone.
        """
        catalogue = self._policy_set.catalogue
        validator = Validator(catalogue)
        now = self._writer.memory.world.now
        for number, record in enumerate(records):
            event = record.refused or validator.validate(record.raw)
            if not isinstance(event, Event) or impostor(event, record.raw, catalogue):
                continue
            if self._door.too_early(event, record.raw, now) is not None:
                continue
            time = to_micros(event.time)
            key = event_key(event.source, event.id)
            if time >= at and not self._store.seen(self._shard, [key]):
                return number
            now = time if now is None else max(now, time)
        return len(records)

    def _loaded(self, digest: str) -> PolicySet | None:
        """The set, or None where this release cannot use it: then the one in force stays."""
        if digest == self._refused:
            return None
        try:
            return self._board.load(digest)
        except PublishingError as error:
            self._refused, because = digest, str(error)
            log.error("policy set refused, the one in force stays", policy_set=digest, because=because)  # noqa: TRY400
            return None
