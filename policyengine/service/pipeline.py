"""The visible loop: records in, one transaction per batch out.

Validation, duplicates, folding, deciding and sealing of one shard. Reading input and publishing
output are others' business; the store is handed in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import structlog

from policyengine.domain.decision import Decision
from policyengine.domain.events import Event, Record, Rejection
from policyengine.domain.state import CustomerState, settle, state_of_parts, weight
from policyengine.domain.validation import Validator
from policyengine.errors import FindingsError, UsageError
from policyengine.ledger.canonical import canonical_typed
from policyengine.ledger.entries import (
    SALT_BYTES,
    Body,
    Entry,
    Place,
    decision_body,
    event_body,
    event_key,
    rejected_body,
    seal,
)
from policyengine.ledger.merkle import Tree
from policyengine.service.policy_sets import PolicySet
from policyengine.service.ports import Batch, Checkpoint, Head, LedgerStore, Seen
from policyengine.service.step import step

CONFLICT = "EV090"
log = structlog.get_logger()


@dataclass(slots=True)
class Tally:
    """What became of the records so far, in this run."""

    counts: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count another batch in."""
        self.counts.update(other.counts)
        self.rejections.update(other.rejections)


class StateCache:
    """The most recently used customers' states, packed; the store has them all.

    ``capacity`` is in bytes, so the memory that it takes does not depend on how many customers there
    are or how long their histories.
    """

    def __init__(self, store: LedgerStore, shard: str, capacity: int) -> None:
        self._store = store
        self._shard = shard
        self._capacity = capacity
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._states: OrderedDict[str, CustomerState] = OrderedDict()

    def load(self, customers: Sequence[str]) -> None:
        """Bring in what a batch needs, in one query."""
        missing = [customer for customer in dict.fromkeys(customers) if customer not in self._states]
        if missing:
            stored = self._store.states(self._shard, missing)
            for customer in missing:
                self._put(customer, state_of_parts(customer, stored.get(customer, {})))

    def __getitem__(self, customer: str) -> CustomerState:
        return self._states[customer]

    def __setitem__(self, customer: str, state: CustomerState) -> None:
        self._states[customer] = state

    def _put(self, customer: str, state: CustomerState) -> None:
        heavy = weight(state)
        self._weight += heavy - self._weights.get(customer, 0)
        self._weights[customer] = heavy
        self._states[customer] = state
        self._states.move_to_end(customer)

    def settle(self, customers: Iterable[str]) -> dict[str, dict[str, bytes]]:
        """What these customers changed, to be written; kept packed from here on."""
        changed = {}
        for customer in customers:
            state, changed[customer] = settle(self._states[customer])
            self._put(customer, state)
        return changed

    def trim(self) -> None:
        """Forget the least recently used beyond the capacity."""
        while self._weight > self._capacity and self._states:
            customer, _ = self._states.popitem(last=False)
            self._weight -= self._weights.pop(customer)

    def clear(self) -> None:
        """Forget all: what is held may be ahead of a commit that failed."""
        self._states.clear()
        self._weights.clear()
        self._weight = 0


class Pipeline:
    """One shard's writer: claims it, then commits batch after batch.

    ``salts(n)`` gives n random bytes; it is the only randomness, and it never touches a body.
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
    ) -> None:
        self._store = store
        self._place = place
        self._salts = salts
        self._policy_set = policy_set
        self._validator = Validator(policy_set.catalogue)
        self._channels = tuple(channels)
        self.head: Head = store.claim(place.shard)
        self._tree = Tree.from_bytes(self.head.frontier)
        self._states = StateCache(store, place.shard, state_cache)
        checkpoint = store.checkpoint(place.shard, place.input)
        self.offset: int = 0 if checkpoint is None else checkpoint.offset
        self._since = None if checkpoint is None else checkpoint.offset
        self._log = log.bind(shard=place.shard, policy_set=policy_set.digest)

    def publish(self) -> bool:
        """Record the policy set, unless it is the one in force; open the channels that are new."""
        new = self.head.policy_set != self._policy_set.digest
        shard = self._place.shard
        if new or any(self._store.outbox(shard, channel) is None for channel in self._channels):
            work = _Work(self._tree.copy(), self.head.size, self.offset)
            if new:
                self._seal(work, self._policy_set.body)
            self._commit(work, fingerprint=None)
            self._log.info("policy set in force", policies=len(self._policy_set.policies), new=new)
        return new

    def adopt(self, policy_set: PolicySet) -> bool:
        """Decide under another policy set from here on, and free the one before.

        The set is ready when it comes in, so nothing is decided under half of it; that it is faulty
        shows before, and the one in force stays.
        """
        before, self._policy_set = self._policy_set, policy_set
        self._validator = Validator(policy_set.catalogue)
        self._log = log.bind(shard=self._place.shard, policy_set=policy_set.digest)
        new = self.publish()
        if before is not policy_set:
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

    def process(self, records: Sequence[Record], fingerprint: bytes = b"") -> Tally:
        """Decide a batch and commit it with its position: all of it, or nothing."""
        try:
            work = self._decide(records)
            self._commit(work, fingerprint)
        except BaseException:
            self._states.clear()
            raise
        self._log.info("batch committed", size=self.head.size, root=self.head.root.hex(), offset=self.offset)
        return work.tally

    def _decide(self, records: Sequence[Record]) -> _Work:
        work = _Work(self._tree.copy(), self.head.size, self.offset)
        inputs = [(record, self._validator.validate(record.raw)) for record in records]
        events = [event for _, event in inputs if isinstance(event, Event)]
        keys = {id(event): event_key(event.source, event.id) for event in events}
        work.known = self._store.seen(self._place.shard, keys.values()) if keys else {}
        self._states.load([event.subject for event in events])
        for record, event in inputs:
            work.offset = record.offset
            if isinstance(event, Event):
                self._accept(work, record, event, keys[id(event)])
            else:
                self._reject(work, event)
        return work

    def _accept(self, work: _Work, record: Record, event: Event, key: bytes) -> None:
        raw = canonical_typed(event.document)
        digest = sha256(raw).digest()  # ledger.entries.content_digest
        known = work.known.get(key)
        if known is not None:
            if known.digest == digest:
                work.tally.counts["duplicates"] += 1
                return
            self._reject(work, conflict(event, record.raw))
            return
        seen = Seen(digest, work.seq)
        work.known[key] = work.seen[key] = seen
        self._seal(work, event_body(raw, event.subject, key))
        work.tally.counts["events"] += 1
        state, decisions = step(self._policy_set.ruleset, self._states[event.subject], event)
        self._states[event.subject] = work.states[event.subject] = state
        for decision in decisions:
            self._decided(work, decision)

    def _decided(self, work: _Work, decision: Decision) -> None:
        document = decision.to_json()
        self._seal(work, decision_body(document))
        work.tally.counts["decisions"] += 1
        work.tally.counts[decision.outcome.value] += 1
        self._log.debug(
            "decided",
            event_id=decision.event_id,
            decision_id=decision.decision_id,
            outcome=decision.outcome.value,
        )
        errors = decision.errors
        if errors:
            work.tally.counts["errors"] += len(errors)
            for error in errors:
                self._log.warning(
                    "rule could not be decided",
                    event_id=decision.event_id,
                    decision_id=decision.decision_id,
                    policy=error.policy,
                    version=error.version,
                    rule=error.rule,
                    because=error.because,
                )

    def _reject(self, work: _Work, rejection: Rejection) -> None:
        self._seal(work, rejected_body(rejection))
        work.tally.counts["rejected"] += 1
        work.tally.rejections[rejection.code] += 1
        self._log.warning(
            "event rejected",
            event_id=rejection.id,
            code=rejection.code,
            reason=rejection.reason,
            offset=work.offset,
        )

    def _seal(self, work: _Work, body: Body) -> None:
        salt = self._salts(SALT_BYTES)
        entry = seal(
            self._place,
            body,
            salt,
            seq=work.seq,
            offset=work.offset,
            policy_set=self._policy_set.digest,
        )
        work.entries.append(entry)
        work.tree.append(entry.leaf)
        work.seq += 1

    def _commit(self, work: _Work, fingerprint: bytes | None) -> None:
        checkpoint = None
        if fingerprint is not None:
            checkpoint = Checkpoint(self._place.input, work.offset, self.head.epoch, fingerprint)
        duplicates = work.tally.counts["duplicates"]
        batch = Batch(
            root=work.tree.root(),
            frontier=work.tree.to_bytes(),
            policy_set=self._policy_set.digest,
            entries=work.entries,
            states=self._states.settle(work.states),
            seen=work.seen,
            checkpoint=checkpoint,
            since=self._since,
            counters={"duplicates": duplicates} if duplicates else {},
            channels=dict.fromkeys(self._channels, 0),
        )
        self.head = self._store.commit(self._place.shard, batch, self.head)
        self._states.trim()
        self._tree = work.tree
        if checkpoint is not None:
            self.offset = self._since = work.offset


@dataclass(slots=True)
class _Work:
    """What a batch has made so far."""

    tree: Tree
    seq: int
    offset: int
    entries: list[Entry] = field(default_factory=list)
    states: dict[str, CustomerState] = field(default_factory=dict)
    seen: dict[bytes, Seen] = field(default_factory=dict)
    known: dict[bytes, Seen] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


def conflict(event: Event, raw: bytes) -> Rejection:
    """The rejection of an event whose (source, id) was accepted before with other content."""
    reason = (
        f"an event with source `{event.source}` and id `{event.id}` was accepted before with "
        "other content; give a correction an id of its own"
    )
    return Rejection(CONFLICT, reason, raw, event.source, event.id)
