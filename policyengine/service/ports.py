"""What the service asks of a ledger store, as a Protocol; adapters.store is one that keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from policyengine.domain.timers import Timer, TimerOrder
from policyengine.ledger.entries import Entry
from policyengine.ledger.records import Batch, Checkpoint, Head, Outbox, Place, Root, Seen

DECISIONS = "decisions"
DEAD_LETTERS = "dead-letters"

__all__ = [
    "DEAD_LETTERS", "DECISIONS",
    "Batch", "Checkpoint", "Entry", "Head", "LedgerStore", "Outbox", "Place", "Root",
    "Seen",
]  # fmt: skip


class LedgerStore(Protocol):
    """A ledger of several shards.

    A writer first claims its shard, which fences every writer before it, and then commits batch after
    batch, each against the head that the one before returned. A store opened read-only reads ONE state
    of the ledger, however long it takes and whoever writes meanwhile.
    """

    def close(self) -> None:
        """Give the database back; using the store afterwards is an error."""

    # --- writing ---------------------------------------------------------------------------------

    def claim(self, shard: str) -> Head:
        """Take over a shard (made when new): its epoch goes up by one. LedgerError PE702 when busy."""

    def commit(self, shard: str, batch: Batch, expected: Head) -> Head:
        """Write a batch in one transaction, or nothing of it; the new head.

        LedgerError PE701 when another writer has claimed or written since ``expected``, or the input
        does not stand at ``batch.since``; PE706 when the batch does not continue the shard.
        """

    def mark_published(self, shard: str, channel: str, next_seq: int, position: bytes) -> None:
        """Advance a channel, with where its sink stands now. PE709 backwards or beyond the head."""

    # --- what a writer reads ---------------------------------------------------------------------

    def head(self, shard: str) -> Head:
        """Where a shard stands; an empty head for a shard that there is not."""

    def checkpoint(self, shard: str, input_name: str) -> Checkpoint | None:
        """Where to go on reading an input; None when it was never read."""

    def states(self, shard: str, customers: Iterable[str]) -> dict[str, dict[str, bytes]]:
        """The stored states, in parts, of those of the customers that have one."""

    def seen(self, shard: str, keys: Iterable[bytes]) -> dict[bytes, Seen]:
        """Those of the event keys that were accepted before."""

    def outbox(self, shard: str, channel: str) -> Outbox | None:
        """How far a channel has published; None when there is no such channel."""

    def unpublished(self, shard: str, channel: str, kind: str, limit: int) -> list[Entry]:
        """The next entries of a kind that a channel has not published, oldest first."""

    # --- what a shard remembers besides states ---------------------------------------------------

    def timers(self, shard: str, after: Timer | None, limit: int) -> list[Timer]:
        """The pending timers that follow one, in timers' order; from the first where there is none."""

    def timers_of(self, shard: str, customer: str) -> list[Timer]:
        """The pending timers of a customer, in no order."""

    def timer_count(self, shard: str) -> int:
        """How many timers are pending."""

    def timers_counted(
        self, shard: str, after: TimerOrder | None, limit: int
    ) -> tuple[int, TimerOrder | None]:
        """How many of the pending timers that follow one, up to ``limit``; where to go on, None: nowhere."""

    def found(self, shard: str, keys: Iterable[str]) -> dict[str, int | None]:
        """The customers that are found by any of the keys, with their rank."""

    def places_of(self, shard: str, key: str, customers: Iterable[str]) -> set[Place]:
        """By which parts these customers are found by a key."""

    def ranks(self, shard: str, customers: Iterable[str]) -> dict[str, int]:
        """The ranks of those of the customers that have one."""

    def queued(self, shard: str, job: int, start: int, count: int) -> list[str]:
        """Some of a job's customers, by their place in its list, from 0."""

    def customer_events(self, shard: str) -> Iterator[tuple[str, bytes]]:
        """Customer and body of every customer's event from outside, in order."""

    def of_customer(self, shard: str, customer: str) -> Iterator[Entry]:
        """Every event and decision of a customer in a shard, by sequence."""

    def internal_world_events(self, shard: str, ref: str) -> list[Entry]:
        """The engine's own events of the world with that key, oldest first."""

    def world_events(self, shard: str, stop: int) -> Iterator[Entry]:
        """Every event of the world with ``seq < stop``, from outside or not, in order."""

    # --- what an auditor reads -------------------------------------------------------------------

    def shards(self) -> list[str]:
        """All shards, by name."""

    def entries(self, shard: str, start: int = 0, stop: int | None = None) -> Iterator[Entry]:
        """The entries with ``start <= seq < stop``, in order, read piece by piece."""

    def entry(self, shard: str, seq: int) -> Entry | None:
        """One entry."""

    def find_decisions(self, decision_id: str) -> list[Entry]:
        """The decisions with that id, in every shard."""

    def history(self, customer: str) -> Iterator[Entry]:
        """Every event and decision of a customer, by shard and sequence."""

    def policy_set(self, digest: str) -> bytes | None:
        """The body of a published policy set."""

    def state_rows(self, shard: str) -> Iterator[tuple[str, str, bytes]]:
        """Every part of every stored state, by customer and part in the order of UTF-8 bytes."""

    def timer_rows(self, shard: str) -> Iterator[tuple[str, str, int, str, bytes]]:
        """Customer, id, due, event and data of every pending timer, by customer and id."""

    def place_rows(self, shard: str) -> Iterator[Place]:
        """Every place, by key, customer and part."""

    def rank_rows(self, shard: str) -> Iterator[tuple[str, int]]:
        """Every rank, by customer."""

    def queue_rows(self, shard: str) -> Iterator[tuple[int, int, str]]:
        """Every place in every job's list, by job and position."""

    # --- what only verification reads: see ledger.verify.Evidence -------------------------------

    def strays(self) -> dict[str, list[str]]:
        """Shard names that stand in some table but have no head, with those tables."""

    def mistyped(self) -> list[tuple[str, str, str]]:
        """Table, row and column of values of a wrong type, where the database lets them in."""

    def head_row(self, shard: str) -> tuple[Head, bytes]:
        """The head and its stored digest."""

    def root_rows(self, shard: str) -> Iterator[Root]:
        """Every root, by batch."""

    def checkpoint_rows(self, shard: str) -> list[tuple[Checkpoint, bytes]]:
        """Every checkpoint with its stored digest."""

    def outbox_rows(self, shard: str) -> list[tuple[Outbox, bytes]]:
        """Every outbox with its stored digest."""

    def seen_count(self, shard: str) -> int:
        """How many event keys are remembered."""

    def seen_rows(self, shard: str) -> Iterator[tuple[bytes, Seen]]:
        """Every event key that is remembered, in no order."""
