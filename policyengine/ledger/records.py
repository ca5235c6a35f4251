"""The rows beside the entries: head, root, checkpoint, outbox, seen, and a batch of all.

Values only; the store keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from policyengine.domain.timers import Timer
from policyengine.errors import LedgerError
from policyengine.ledger.canonical import canonical
from policyengine.ledger.entries import Entry
from policyengine.ledger.merkle import EMPTY_ROOT, Tree

EMPTY_FRONTIER = Tree().to_bytes()


@dataclass(frozen=True, slots=True)
class Head:
    """Where a shard stands: what a writer continues from and compares itself with.

    ``batch`` counts commits and ``epoch`` claims; together they are the compare-and-set of a commit.
    ``counters`` hold what leaves no entry, such as duplicates.
    """

    shard: str
    batch: int = 0
    size: int = 0
    root: bytes = EMPTY_ROOT
    frontier: bytes = EMPTY_FRONTIER
    epoch: int = 0
    policy_set: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)

    def digest(self) -> bytes:
        """What the row's ``digest`` column must say: against a changed byte, not against a forger."""
        counters = dict(self.counters)
        return _digest(
            "shard", self.shard, self.batch, self.size, self.root.hex(), self.frontier.hex(),
            self.epoch, self.policy_set, counters,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The next position to read in one input of a shard, and by what the input is recognised.

    ``fingerprint`` is opaque here (a digest of a file's first bytes, a topic's id); ``epoch`` is the
    writer's that left it.
    """

    input: str
    offset: int
    epoch: int = 0
    fingerprint: bytes = b""

    def digest(self, shard: str) -> bytes:
        """What the row's ``digest`` column must say."""
        return _digest("checkpoint", shard, self.input, self.offset, self.epoch, self.fingerprint.hex())


@dataclass(frozen=True, slots=True)
class Outbox:
    """How far one channel has published: the next sequence, and where its sink stood then."""

    channel: str
    next_seq: int
    position: bytes = b""

    def digest(self, shard: str) -> bytes:
        """What the row's ``digest`` column must say."""
        return _digest("outbox", shard, self.channel, self.next_seq, self.position.hex())


class Root(NamedTuple):
    """The tree after one batch."""

    batch: int
    size: int
    root: bytes
    frontier: bytes


class Seen(NamedTuple):
    """What is remembered of an accepted event: its ``content_digest`` and where it stands."""

    digest: bytes
    seq: int


class Place(NamedTuple):
    """By which key a customer is found, and the part of their state that it comes from (`booking/b1`)."""

    key: str
    customer: str
    part: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one transaction writes.

    ``entries`` continue the shard's sequence without a gap; ``root`` and ``frontier`` are the tree's
    after them. ``since`` is the offset that the batch's input was read from (None: a new input);
    ``states`` are the parts that changed, by customer ("" is the world).
    ``timers`` are those that are set, by customer and id, and None for each that is dropped. ``places`` are
    (key, customer, part): True for one that is added, False for one that is removed; ``ranks`` by customer,
    None for one that is removed. ``queues`` are the lists of new jobs, None for one that is finished.
    ``counters`` are differences. ``channels`` names the outboxes that must exist, with the sequence that
    one starts from when it is new. ``policy_set`` is the digest in force after the batch.
    """

    root: bytes
    frontier: bytes
    policy_set: str
    entries: Sequence[Entry] = ()
    states: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    seen: Mapping[bytes, Seen] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    since: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    timers: Mapping[tuple[str, str], Timer | None] = field(default_factory=dict)
    places: Mapping[Place, bool] = field(default_factory=dict)
    ranks: Mapping[str, int | None] = field(default_factory=dict)
    queues: Mapping[int, Sequence[str] | None] = field(default_factory=dict)


def follow(head: Head, shard: str, batch: Batch) -> Head:
    """The head that a batch leaves behind; LedgerError PE706 where the batch does not continue it."""
    size = head.size + len(batch.entries)
    tree = Tree.from_bytes(batch.frontier)
    if (
        [entry.seq for entry in batch.entries] != list(range(head.size, size))
        or any(entry.shard != shard for entry in batch.entries)
        or head.shard != shard
        or tree.size != size
        or tree.root() != batch.root
    ):
        message = (
            f"the batch does not continue shard `{shard}` from sequence {head.size}: its sequences, frontier "
            "and root must follow the expected head"
        )
        raise LedgerError(message, code="PE706")
    counters = dict(head.counters)
    for counter, count in batch.counters.items():
        counters[counter] = counters.get(counter, 0) + count
    return Head(
        shard, head.batch + 1, size, batch.root, batch.frontier, head.epoch, batch.policy_set, counters
    )


def _digest(*parts: str | int | dict[str, int]) -> bytes:
    return sha256(canonical(parts)).digest()
