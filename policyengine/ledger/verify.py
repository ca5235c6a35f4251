"""Recompute a ledger: every hash, root and row that follows from the entries; say exactly what is wrong.

Pure: the rows are handed in by an ``Evidence``. Single entries are examined in ledger.examine; that the
stored states are what the entries fold to is the service's to recompute, and ledger.remembered's to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from policyengine.ledger.approved import Adopted, check_approvals
from policyengine.ledger.bookkeeping import (
    Recomputed,
    bookkeeping,
    check_checkpoints,
    check_head,
    check_outboxes,
    missing,
)
from policyengine.ledger.entries import Entry, Kind
from policyengine.ledger.examine import Examined, Thread, examine
from policyengine.ledger.faults import ADDED, CHANGED, NOTED, Fault, entry_fault, show
from policyengine.ledger.merkle import Tree
from policyengine.ledger.publications import POLICIES, Signed
from policyengine.ledger.records import Checkpoint, Head, Outbox, Root, Seen
from policyengine.ledger.roots import Roots

PAGE = 500


class Evidence(Protocol):
    """What verification reads; service.ports.LedgerStore has all of it, and should be read-only here."""

    def shards(self) -> list[str]:
        """All shards that have a head."""

    def strays(self) -> dict[str, list[str]]:
        """Shard names without a head, with the tables they stand in."""

    def head_row(self, shard: str) -> tuple[Head, bytes]:
        """The head and its stored digest."""

    def entries(self, shard: str) -> Iterator[Entry]:
        """Every entry, by sequence."""

    def entry(self, shard: str, seq: int) -> Entry | None:
        """One entry."""

    def root_rows(self, shard: str) -> Iterator[Root]:
        """Every root, by batch."""

    def checkpoint_rows(self, shard: str) -> list[tuple[Checkpoint, bytes]]:
        """Every checkpoint with its stored digest."""

    def outbox_rows(self, shard: str) -> list[tuple[Outbox, bytes]]:
        """Every outbox with its stored digest."""

    def seen(self, shard: str, keys: Iterable[bytes]) -> dict[bytes, Seen]:
        """Those of the keys that are remembered."""

    def seen_count(self, shard: str) -> int:
        """How many keys are remembered."""

    def seen_rows(self, shard: str) -> Iterator[tuple[bytes, Seen]]:
        """Every key that is remembered."""


Noted = tuple[int, bytes]  # a size and the root that was noted for it


def nothing_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Where nobody can check signatures, none is sound."""
    del key, message, signature
    return False


def verify(
    evidence: Evidence,
    expect: Mapping[str, Noted] | None = None,
    progress: Callable[[int], None] | None = None,
    signed: Signed = nothing_signed,
) -> Iterator[Fault]:
    """Verify every shard. ``expect``: what was noted earlier, by shard; ``signed`` checks a signature."""
    noted = dict(expect or {})
    adopted: dict[str, list[Adopted]] = {}
    shards = evidence.shards()
    for shard, places in sorted(evidence.strays().items()):
        for table in places:
            message = "rows of a shard that has no head: the name was changed, or the head removed"
            yield Fault(ADDED, shard, table, "shard", "some rows", message)
    for shard in shards:
        if not _is_text(shard):
            yield Fault(CHANGED, shard, "shard", "shard", "its head", "the name is no text any more")
            continue
        yield from verify_shard(
            evidence, shard, noted.pop(shard, None), progress, adopted.setdefault(shard, [])
        )
    if POLICIES in shards:
        yield from check_approvals(evidence.entries(POLICIES), adopted, signed)
    for shard, (size, _) in sorted(noted.items()):
        message = f"was noted with {size} entries and is not there"
        yield Fault(NOTED, shard, "shard", "", "its head", message)


def verify_shard(
    evidence: Evidence,
    shard: str,
    expect: Noted | None = None,
    progress: Callable[[int], None] | None = None,
    adopted: list[Adopted] | None = None,
) -> Iterator[Fault]:
    """Verify one shard, in one pass over its entries and with a page of them in memory.

    ``adopted`` takes the policy sets that were in force in it, with where they stand.
    """
    walk = _Walk(evidence, shard, expect, [] if adopted is None else adopted)
    entries = evidence.entries(shard)
    while page := list(islice(entries, PAGE)):
        yield from walk.page(page)
        if progress is not None:
            progress(len(page))
    yield from walk.end()


class _Walk:
    """One pass over a shard.

    ``tree`` grows from the headers. At the first header that its leaf column contradicts, ``other`` begins
    to grow from the leaf columns: the next stored root tells which of the two was changed.
    """

    def __init__(self, evidence: Evidence, shard: str, expect: Noted | None, adopted: list[Adopted]) -> None:
        self._evidence, self._shard, self._expect = evidence, shard, expect
        self._thread = Thread(adopted=adopted)
        self._tree = Tree()
        self._other: Tree | None = None
        self._unsure: list[Examined] = []
        self._broken = False  # entries are missing, so the tree says nothing until the next root
        self._explained = False  # why the next root cannot fit has been said
        self._next = 0
        self._settled = 0
        self._events = 0
        self._seen_faults = False
        self._roots = Roots(shard, evidence.root_rows(shard))
        self._started = False

    # --- entries ---------------------------------------------------------------------------------

    def page(self, page: list[Entry]) -> Iterator[Fault]:
        keys: dict[bytes, Seen] = {}
        for entry in page:
            if entry.seq != self._next:
                yield from self._gap(entry.seq)
            yield from self._settle()
            examined = examine(entry, self._thread)
            if examined.sound:
                yield from examined.faults
            else:
                self._unsure.append(examined)
                self._other = self._other or self._tree.copy()
            self._explained = self._explained or examined.moved
            if self._other is not None:
                self._other.append(examined.leaf)
            self._tree.append(examined.hashed)
            self._events += examined.kind == Kind.EVENT
            if examined.seen is not None:
                keys[examined.seen[0]] = examined.seen[1]
            self._next = entry.seq + 1
        yield from self._check_seen(keys)

    def _gap(self, seq: int) -> Iterator[Fault]:
        if seq < self._next:
            yield entry_fault(ADDED, self._shard, seq, "seq", "stands before the first sequence, which is 0")
        else:
            yield missing(self._shard, self._next, seq)
            self._next = seq
        self._broken = True

    def _check_seen(self, keys: dict[bytes, Seen]) -> Iterator[Fault]:
        found = self._evidence.seen(self._shard, keys)
        for key, seen in keys.items():
            other = found.get(key)
            if other == seen:
                continue
            self._seen_faults = True
            row = f"event of sequence {seen.seq}"
            if other is None:
                yield bookkeeping(self._shard, "seen", "", row, "the row is missing, or its key was changed")
                continue
            if other.digest != seen.digest:
                yield bookkeeping(self._shard, "seen", "digest", row, "is not the digest of that event")
            if other.seq != seen.seq:
                yield bookkeeping(self._shard, "seen", "seq", row, f"is {other.seq}")

    # --- roots -----------------------------------------------------------------------------------

    def _settle(self) -> Iterator[Fault]:
        """Compare the tree with every stored root that is due."""
        if not self._started:
            self._started = True
            yield from self._roots.advance()
        while self._roots.row is not None and self._roots.size <= self._next:
            yield from self._compare(self._roots.row)
            yield from self._roots.advance()
        if self._next == (self._expect or (-1, b""))[0] and not self._broken:
            yield from self._check_noted()

    def _compare(self, row: Root) -> Iterator[Fault]:
        size, own = self._roots.size, self._roots.own
        if size < self._settled or (size < self._next and not self._broken):
            yield self._roots.fault("size", f"is {size}, the batch before ends at {self._settled}")
            return
        self._settled = size
        if self._broken:
            if own is not None and own.size == self._next:
                self._resume(own)
            return
        yield from self._settle_unsure(row)
        fits = self._tree.root() == row.root, self._tree.to_bytes() == row.frontier
        if fits == (False, False):
            yield from self._unexplained(own)
            return
        if not fits[0]:
            yield self._roots.fault("root", f"is {show(row.root)}, recomputed {self._tree.root().hex()}")
        if not fits[1]:
            yield self._roots.fault("frontier", "is not that of the entries")
        self._resume(self._tree)

    def _settle_unsure(self, row: Root) -> Iterator[Fault]:
        """Headers that their leaf column contradicts: the tree that fits the root tells which is right."""
        if self._other is None:
            return
        if self._other.root() == row.root or self._fits_frontier(row):
            for examined in self._unsure:
                message = "was changed: its hash is not the leaf that the root was made of"
                yield entry_fault(CHANGED, self._shard, examined.seq, "header", message)
            self._tree, self._unsure = self._other, []
        elif self._tree.root() == row.root:
            for examined in self._unsure:
                message = "was changed: it is not the hash of the header, which fits the root"
                yield entry_fault(CHANGED, self._shard, examined.seq, "leaf", message)
                yield from examined.faults
            self._unsure = []

    def _fits_frontier(self, row: Root) -> bool:
        other = self._other
        return other is not None and other.to_bytes() == row.frontier != self._tree.to_bytes()

    def _unexplained(self, own: Tree | None) -> Iterator[Fault]:
        for examined in self._unsure:
            message = "one of the two was changed"
            yield entry_fault(CHANGED, self._shard, examined.seq, "header or leaf", message)
        if not self._explained and not self._unsure:
            message = (
                f"the entries before {self._next} do not hash to it (recomputed {self._tree.root().hex()}): "
                "a header was changed together with its leaf, or the root is forged"
            )
            yield self._roots.fault("root", message)
        self._resume(own if own is not None and own.size == self._next else self._tree)

    def _resume(self, tree: Tree) -> None:
        self._tree, self._other, self._unsure = tree, None, []
        self._broken = self._explained = False

    # --- the end ---------------------------------------------------------------------------------

    def end(self) -> Iterator[Fault]:
        yield from self._settle()
        for examined in self._unsure:
            message = "they contradict each other, and no root tells which was changed"
            yield entry_fault(CHANGED, self._shard, examined.seq, "header or leaf", message)
        while self._roots.row is not None:
            message = f"is a root of {self._roots.size} entries, the shard has {self._next}"
            yield self._roots.fault("size", message)
            yield from self._roots.advance()
        recomputed = Recomputed(
            self._next, self._roots.batches, self._thread, None if self._broken else self._tree
        )
        yield from check_head(*self._evidence.head_row(self._shard), recomputed)
        yield from check_checkpoints(self._shard, self._evidence.checkpoint_rows(self._shard), recomputed)
        yield from check_outboxes(self._shard, self._evidence.outbox_rows(self._shard), recomputed)
        if self._seen_faults or self._evidence.seen_count(self._shard) != self._events:
            yield from self._extra_seen()
        if self._expect is not None and self._next < self._expect[0]:
            size = self._expect[0]
            message = f"{size} entries were noted, {self._next} are there: the tail was cut off"
            yield Fault(NOTED, self._shard, "entry", "", f"sequences {self._next} to {size - 1}", message)

    def _check_noted(self) -> Iterator[Fault]:
        size, root = self._expect or (0, b"")
        if self._tree.root() != root:
            message = f"has root {self._tree.root().hex()}, noted was {show(root)}: history was rewritten"
            yield Fault(NOTED, self._shard, "entry", "", f"the tree of {size} entries", message)

    def _extra_seen(self) -> Iterator[Fault]:
        for key, seen in self._evidence.seen_rows(self._shard):
            entry = self._evidence.entry(self._shard, seen.seq)
            if entry is None or entry.kind != Kind.EVENT or entry.ref != key.hex():
                message = f"no event with this key stands at sequence {seen.seq}"
                yield bookkeeping(self._shard, "seen", "key", f"key {key.hex()}", message)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
