"""The visible loop: records in, one transaction per batch out.

Validation, duplicates, folding, deciding and sealing of one shard. Reading input and publishing
output are others' business; the store is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from time import perf_counter

import structlog

from policyengine.domain.catalogue import Scope
from policyengine.domain.decision import Decision
from policyengine.domain.events import Event, Record, Rejection
from policyengine.domain.state import to_micros
from policyengine.domain.validation import Validator
from policyengine.errors import FindingsError, UsageError
from policyengine.ledger.canonical import canonical_typed
from policyengine.ledger.entries import (
    SALT_BYTES,
    Body,
    Place,
    decision_body,
    event_body,
    event_key,
    rejected_body,
    seal,
)
from policyengine.ledger.merkle import Tree
from policyengine.service.door import SET_ASIDE, Door, conflict, impostor, misplaced
from policyengine.service.machine import Happened, Machine, Refused
from policyengine.service.memory_rows import remembered
from policyengine.service.poison import REACHED, Aside, Poison, at, passed_over
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import Batch, Checkpoint, Head, LedgerStore, Seen
from policyengine.service.stored import StoredMemory
from policyengine.service.work import Fingerprint, Reading, Tally, Work

MOST = 5_000  # entries of a transaction, unless a single record leaves more
_OPEN = Door()
__all__ = ["MOST", "Pipeline", "Tally"]
log = structlog.get_logger()


class Pipeline:
    """One shard's writer: claims it, then commits batch after batch.

    ``salts(n)`` gives n random bytes; it is the only randomness, and it never touches a body. ``door``
    holds the only clock; what it refuses is recorded. How long commits take is measured, and decides
    nothing.
    """

    def __init__(
        self,
        store: LedgerStore,
        policy_set: PolicySet,
        *,
        place: Place,
        salts: Callable[[int], bytes],
        state_cache: int = 64_000_000,
        channels: Sequence[str] = (),
        door: Door = _OPEN,
    ) -> None:
        self._store = store
        self._place = place
        self._salts = salts
        self._policy_set = policy_set
        self._channels = tuple(channels)
        self._door = door
        self.head: Head = store.claim(place.shard)
        self._tree = Tree.from_bytes(self.head.frontier)
        self.memory = StoredMemory(store, place.shard, state_cache)
        self._failed = False  # what is remembered may be ahead of what was committed
        self._aside: Aside = {}
        self._at: Poison | None = None  # what is being decided, where it is not the machine's to say
        self._use(policy_set)
        self._readings: dict[str, Reading] = {}
        if self.head.size and self.memory.world.now is None:
            self._remember()

    def _remember(self) -> None:
        """Fold a ledger again that an older version wrote, which remembered less."""
        batch = remembered(self._store, self._place.shard, self.head)
        if batch is None:
            return
        self.head = self._store.commit(self._place.shard, batch, self.head)
        self.memory.reset()
        self._log.info("ledger of an older version remembered", size=self.head.size)

    @property
    def offset(self) -> int:
        """Where the place's input stands."""
        return self.position(self._place.input) or 0

    def position(self, input_name: str) -> int | None:
        """Where an input stands, None: nothing of it was read yet."""
        return self._reading(input_name).since

    def _reading(self, input_name: str) -> Reading:
        if input_name not in self._readings:
            found = self._store.checkpoint(self._place.shard, input_name)
            self._readings[input_name] = Reading.of(self._place._replace(input=input_name), found)
        return self._readings[input_name]

    def _use(self, policy_set: PolicySet) -> None:
        catalogue = policy_set.catalogue
        self._policy_set = policy_set
        self._validator = Validator(catalogue)
        self._of_world = frozenset(
            name for name, kind in catalogue.events.items() if kind.scope is Scope.WORLD
        )
        self._machine = Machine(policy_set.ruleset, self.memory)
        self._machine.aside = self._aside
        self.memory.use(policy_set.digest, self._validator)
        self._log = log.bind(shard=self._place.shard, policy_set=policy_set.digest)

    def publish(self) -> bool:
        """Record the policy set, unless it is the one in force; open the channels that are new."""
        new = self.head.policy_set != self._policy_set.digest
        shard = self._place.shard
        if new or any(self._store.outbox(shard, channel) is None for channel in self._channels):
            with self._work() as work:
                if new:
                    self._seal(work, self._policy_set.body)
                    self._machine.adopt(self._policy_set.ruleset)
                self._commit(work, read=False)
            self._log.info("policy set in force", policies=len(self._policy_set.policies), new=new)
        return new

    def adopt(self, policy_set: PolicySet, *, shared: bool = False) -> bool:
        """Decide under another policy set from here on, and free the one before unless it is ``shared``.

        The set is ready when it comes in, so nothing is decided under half of it; that it is faulty
        shows before, and the one in force stays.
        """
        before = self._policy_set
        self._use(policy_set)
        new = self.publish()
        if before is not policy_set and not shared:
            before.ruleset.close()
        return new

    def reload(self, load: Callable[[], PolicySet]) -> bool:
        """Adopt what ``load`` gives; where it is faulty, say so and keep the last good one."""
        try:
            policy_set = load()
        except (FindingsError, UsageError) as error:
            self._log.error("policy set refused, the one in force stays", because=str(error))
            return False
        self.adopt(policy_set)
        return True

    # --- what the engine itself fails at ----------------------------------------------------------

    @property
    def at_fault(self) -> Poison | None:
        """What the engine failed at when the last call raised; None: nothing that could be passed over."""
        return self._at or self._machine.busy

    def pass_over(self, aside: Aside) -> None:
        """Decide nothing on these from here on: they are recorded as set aside, and why."""
        self._aside = self._machine.aside = aside

    def forget(self, policy_set: PolicySet) -> None:
        """After a call that raised: go on from what was committed; ``policy_set`` was in force before."""
        if self._failed:
            self.memory.reset()
            if self.head.policy_set == policy_set.digest:
                self._use(policy_set)

    # --- what comes in ----------------------------------------------------------------------------

    def process(
        self,
        records: Sequence[Record],
        fingerprint: Fingerprint | None = None,
        *,
        input_name: str | None = None,
        scope: Scope | None = None,
        adopt: PolicySet | None = None,
    ) -> Tally:
        """Decide a batch and commit it with its position: one transaction, where it is not too large.

        ``fingerprint`` tells by what the input is known again at a position. ``input_name``: another input
        than that of the place, with a position of its own; ``scope``: what alone may come by it. ``adopt``:
        the policy set to decide under from here on; it comes into force with the first of the records.
        """
        before = self._policy_set
        if adopt is not None:
            self._use(adopt)
        with self._work(fingerprint, input_name, scope) as work:
            if adopt is not None:
                self._seal(work, adopt.body)
                self._machine.adopt(adopt.ruleset)
            inputs = [(record, record.refused or self._validator.validate(record.raw)) for record in records]
            events = [event for _, event in inputs if isinstance(event, Event)]
            keys = {id(event): event_key(event.source, event.id) for event in events}
            work.known = self._store.seen(self._place.shard, keys.values()) if keys else {}
            self.memory.load(event.subject for event in events)
            for record, event in inputs:
                if isinstance(event, Event):
                    self._accept(work, record, event, keys[id(event)])
                else:
                    work.offset = record.offset
                    self._reject(work, record.refuse(event))
            self._commit(work)
        if adopt is not None:
            before.ruleset.close()
        self._log.info("batch committed", size=self.head.size, root=self.head.root.hex(), offset=work.offset)
        return work.tally

    def work_off(self) -> Iterator[Tally]:
        """Reach the customers whom jobs still have to reach, piece by piece, each committed."""
        while not self._machine.idle():
            with self._work() as work:
                self._settle(work)
                self._all(work, self._machine.piece())
                self._commit(work)
            yield work.tally

    def tick(self, now: int) -> Tally:
        """Let a live clock (µs) fire what is due by now."""
        with self._work() as work:
            self._settle(work)
            self._all(work, self._machine.tick(now))
            if work.entries:
                self._commit(work)
        return work.tally

    def jobs(self) -> tuple[int, int]:
        """How many jobs are under way, and how many customers they have yet to reach."""
        jobs = self.memory.world.jobs
        return len(jobs), sum(job.total - job.done for job in jobs)

    def _accept(self, work: Work, record: Record, event: Event, key: bytes) -> None:
        """What becomes of an event.

        invariant: what happens before the record is taken in stands at the position before it; whoever
        goes on from there reads the record again, and finds that this has happened.
        """
        poison = Poison.event(record.offset, event)
        if poison in self._aside:
            work.offset = record.offset
            failed = Rejection(SET_ASIDE, self._aside[poison], record.raw, event.source, event.id)
            self._reject(work, record.refuse(failed))
            return
        raw = canonical_typed(event.document)
        digest = sha256(raw).digest()  # ledger.entries.content_digest
        catalogue = self._policy_set.catalogue
        refused = impostor(event, record.raw, catalogue)
        if work.scope is not None:
            refused = refused or misplaced(event, record.raw, catalogue, work.scope)
        known = work.known.get(key) if refused is None else None
        if known is not None and known.digest == digest:
            work.offset = record.offset
            work.duplicates += 1
            work.tally.counts["duplicates"] += 1
            return
        if known is not None:
            refused = conflict(event, record.raw)
        refused = refused or self._door.too_early(event, record.raw, self.memory.world.now)
        time = to_micros(event.time)
        if refused is None and (self.memory.next_timer(time) is not None or not self._machine.idle()):
            self._all(work, self._machine.advance(time))
        work.offset = record.offset
        if refused is not None:
            self._reject(work, record.refuse(refused))
            return
        self._at = poison
        received = self._machine.receive(event)
        if isinstance(received, Refused):
            self._at = None
            refused = Rejection(received.code, received.reason, record.raw, event.source, event.id)
            self._reject(work, record.refuse(refused))
            return
        work.known[key] = work.seen[key] = Seen(digest, work.seq)
        self._seal(work, event_body(raw, self._customer(event), key))
        work.tally.counts["events"] += 1
        self._decided(work, received.decisions)
        self._at = None
        for happened in self._machine.follow():
            self._happened(work, happened)

    # --- what happens -----------------------------------------------------------------------------

    def _all(self, work: Work, happenings: Iterable[Happened]) -> None:
        """Record what the machine makes, in several transactions where it is much."""
        for happened in happenings:
            self._happened(work, happened)
            if len(work.entries) >= MOST:
                self._commit(work)

    def _settle(self, work: Work) -> None:
        """Fire what was due already when whoever wrote before was stopped."""
        if self.memory.world.now is not None:
            self._all(work, self._machine.advance(self.memory.world.now))

    def _happened(self, work: Work, happened: Happened) -> None:
        """Record an event of the engine's own, and what was decided."""
        event = happened.event
        raw, key = canonical_typed(event.document), event_key(event.source, event.id)
        self._seal(work, event_body(raw, self._customer(event), key, internal=True))
        work.tally.counts["internal"] += 1
        if event.type == REACHED:
            work.tally.counts["reached"] += int(str(event.data["customers"]))
        for decision in happened.decisions:
            self._at = at(event, decision.customer)
            self._decided(work, (decision,))
        self._at = None
        for rejection in passed_over(event, self._aside):
            self._reject(work, rejection)

    def _customer(self, event: Event) -> str | None:
        return None if event.type in self._of_world else event.subject

    def _decided(self, work: Work, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            self._seal(work, decision_body(decision.to_json()))
            work.tally.decision(decision)
            about = {"event_id": decision.event_id, "decision_id": decision.decision_id}
            self._log.debug("decided", **about, outcome=decision.outcome.value)
            for error in decision.errors:
                where = {"policy": error.policy, "version": error.version, "rule": error.rule}
                self._log.warning("rule could not be decided", **about, **where, because=error.because)

    def _reject(self, work: Work, rejection: Rejection) -> None:
        self._seal(work, rejected_body(rejection))
        work.tally.counts["rejected"] += 1
        work.tally.rejections[rejection.code] += 1
        about = {"event_id": rejection.id, "code": rejection.code, "reason": rejection.reason}
        self._log.warning("event rejected", **about, offset=work.offset)

    # --- writing ----------------------------------------------------------------------------------

    def _seal(self, work: Work, body: Body) -> None:
        salt = self._salts(SALT_BYTES)
        entry = seal(
            work.reading.place,
            body,
            salt,
            seq=work.seq,
            offset=work.offset,
            policy_set=self._policy_set.digest,
        )
        work.entries.append(entry)
        work.tree.append(entry.leaf)
        work.seq += 1

    @contextmanager
    def _work(
        self,
        fingerprint: Fingerprint | None = None,
        input_name: str | None = None,
        scope: Scope | None = None,
    ) -> Iterator[Work]:
        """A transaction's worth, or several; what was not committed is forgotten when it fails."""
        if self._failed:
            self.memory.reset()
        self._failed, self._at, self._machine.busy = True, None, None
        reading = self._reading(input_name or self._place.input)
        work = Work(self._tree.copy(), self.head.size, reading, reading.since or 0, fingerprint, scope)
        self.memory.entries = work.entries
        yield work
        self._failed = False

    def _commit(self, work: Work, *, read: bool = True) -> None:
        """Write what there is; ``read``: with the position in the input, if anything of it was read."""
        checkpoint, reading = None, work.reading
        if read and (work.offset or reading.since is not None):
            fingerprint = work.fingerprint(work.offset) if work.fingerprint else reading.fingerprint
            checkpoint = Checkpoint(reading.place.input, work.offset, self.head.epoch, fingerprint)
        changes = self.memory.changes()
        batch = Batch(
            root=work.tree.root(),
            frontier=work.tree.to_bytes(),
            policy_set=self._policy_set.digest,
            entries=work.entries,
            seen=work.seen,
            checkpoint=checkpoint,
            since=reading.since,
            counters={"duplicates": work.duplicates} if work.duplicates else {},
            channels=dict.fromkeys(self._channels, 0),
            **changes._asdict(),
        )
        began = perf_counter()
        self.head = self._store.commit(self._place.shard, batch, self.head)
        work.tally.committing += perf_counter() - began
        self._tree = work.tree.copy()
        if checkpoint is not None:
            reading.since, reading.fingerprint = work.offset, checkpoint.fingerprint
        work.entries, work.seen, work.duplicates = [], {}, 0
        self.memory.committed(work.entries)
