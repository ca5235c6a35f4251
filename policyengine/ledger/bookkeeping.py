"""The rows that follow from a shard's entries: head, checkpoints and outboxes against what these give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from policyengine.errors import LedgerError
from policyengine.ledger.examine import Thread
from policyengine.ledger.faults import ADDED, BOOKKEEPING, MISSING, Fault
from policyengine.ledger.merkle import Tree
from policyengine.ledger.records import Checkpoint, Head, Outbox

_NO_FIT = "was changed: the digest does not fit"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What a pass over the entries gives; ``tree`` is None where missing entries leave it unknown."""

    size: int
    batches: int
    thread: Thread
    tree: Tree | None


def bookkeeping(shard: str, table: str, column: str, row: str, message: str) -> Fault:
    """A fault of a row that is no entry."""
    return Fault(BOOKKEEPING, shard, table, column, row, message)


def missing(shard: str, start: int, stop: int) -> Fault:
    """A fault for the entries ``start <= seq < stop``."""
    row = f"sequence {start}" if stop - start == 1 else f"sequences {start} to {stop - 1}"
    message = f"{stop - start} removed, or renumbered"
    return Fault(MISSING, shard, "entry", "", row, message, start)


def check_head(head: Head, digest: bytes, found: Recomputed) -> Iterator[Fault]:
    """The head against the entries and roots; its size only counts where its digest fits."""
    shard, row = head.shard, "its head"
    wrong = _wrong_columns(head, found)
    if not _fits(digest, head.digest):
        column = " or ".join(wrong) or "batch or epoch or counters or digest"
        yield bookkeeping(shard, "shard", column, row, _NO_FIT)
        return
    if head.size > found.size:
        yield missing(shard, found.size, head.size)
    elif head.size < found.size:
        rows = f"sequences {head.size} to {found.size - 1}"
        message = f"the head counts {head.size} entries: these were added"
        yield Fault(ADDED, shard, "entry", "", rows, message, head.size)
    else:
        for column in wrong:
            yield bookkeeping(shard, "shard", column, row, "is not what the entries give")
    if head.batch > found.batches:
        rows = f"batches {found.batches + 1} to {head.batch}"
        yield Fault(MISSING, shard, "root", "", rows, "the roots were removed")
    elif head.batch < found.batches:
        rows = f"batches {head.batch + 1} to {found.batches}"
        yield Fault(ADDED, shard, "root", "", rows, f"the head counts {head.batch} batches")


def _wrong_columns(head: Head, found: Recomputed) -> list[str]:
    wrong = ["size"] if head.size != found.size else []
    if found.tree is not None and head.root != found.tree.root():
        wrong.append("root")
    if found.tree is not None and head.frontier != found.tree.to_bytes():
        wrong.append("frontier")
    if head.policy_set != found.thread.policy_set:
        wrong.append("policy_set")
    return wrong


def check_checkpoints(
    shard: str, rows: Sequence[tuple[Checkpoint, bytes]], found: Recomputed
) -> Iterator[Fault]:
    """Every input that entries come from has a checkpoint, and none stands before its entries.

    Before the first record there is none: what a clock brings about by then stands at 0.
    """
    offsets = dict(found.thread.offsets)
    for checkpoint, digest in rows:
        row = f"input `{checkpoint.input}`"
        last = offsets.pop(checkpoint.input, 0)
        if not _fits(digest, checkpoint.digest, shard):
            yield bookkeeping(shard, "checkpoint", "", row, _NO_FIT)
        elif checkpoint.offset < last:
            message = f"is {checkpoint.offset}, entries come from as far as {last}"
            yield bookkeeping(shard, "checkpoint", "offset", row, message)
    for name in sorted(name for name, last in offsets.items() if last):
        yield bookkeeping(shard, "checkpoint", "", f"input `{name}`", "the row is missing")


def check_outboxes(shard: str, rows: Sequence[tuple[Outbox, bytes]], found: Recomputed) -> Iterator[Fault]:
    """No channel stands beyond the entries."""
    for outbox, digest in rows:
        row = f"channel `{outbox.channel}`"
        if not _fits(digest, outbox.digest, shard):
            yield bookkeeping(shard, "outbox", "", row, _NO_FIT)
        elif not 0 <= outbox.next_seq <= found.size:
            message = f"is {outbox.next_seq}, the shard has {found.size} entries"
            yield bookkeeping(shard, "outbox", "next_seq", row, message)


def _fits(stored: bytes, digest: Callable[..., bytes], *arguments: str) -> bool:
    """Whether a row has its stored digest; what has no canonical form any more has none."""
    try:
        return digest(*arguments) == stored
    except LedgerError:
        return False
