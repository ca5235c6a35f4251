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
        self._board.look()
        if not self._board.follows(self._shard):
            return tally
        if clock is not None:
            for one in self._board.upcoming(self._shard, self._now):
                if one.at_micros is not None and one.at_micros <= clock:
                    tally.add(self._take_up_at(one, one.at_micros))
        target = self._board.target(self._shard, max(self._now, clock or 0))
        if target is not None and target not in (self._writer.head.policy_set, self._refused):
            self._take_up(target)
        return tally

    def process(self, records: Sequence[Record], fingerprint: Fingerprint | None) -> Tally:
        """Decide a batch, in parts where something takes effect in it."""
        tally = Tally()
        while records:
            coming = self._coming()
            cut = len(records) if coming is None else self._first_from(records, coming.at_micros or 0)
            if cut:
                tally.add(self._writer.process(records[:cut], fingerprint))
            if coming is not None and cut < len(records):
                tally.add(self._take_up_at(coming, coming.at_micros or 0))
            records = records[cut:]
        return tally

    @property
    def _now(self) -> int:
        return self._writer.memory.world.now or 0

    def _coming(self) -> Proposal | None:
        if not self._board.follows(self._shard):
            return None
        coming = self._board.upcoming(self._shard, self._now)
        return next((one for one in coming if one.digest != self._refused), None)

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

    def _take_up_at(self, one: Proposal, at: int) -> Tally:
        """Let happen what is due before that instant, and decide under the other set from there on."""
        tally = self._writer.tick(at - 1)
        self._take_up(one.digest)
        return tally

    def _take_up(self, digest: str) -> None:
        try:
            policy_set = self._board.load(digest)
        except PublishingError as error:
            self._refused = digest
            because = str(error)
            log.error("policy set refused, the one in force stays", policy_set=digest, because=because)  # noqa: TRY400
            return
        self._writer.adopt(policy_set)
        self._policy_set = policy_set
