"""The stored roots of a shard, in order, and what is wrong with the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from policyengine.ledger.faults import MISSING, ROOT, Fault
from policyengine.ledger.merkle import Tree
from policyengine.ledger.records import Root


class Roots:
    """The stored roots in order, each with the size that it stands for."""

    def __init__(self, shard: str, rows: Iterator[Root]) -> None:
        self._shard = shard
        self._rows = rows
        self.batches = 0
        self.row: Root | None = None
        self.size = 0
        self.own: Tree | None = None  # the row's frontier, if root and frontier agree

    def advance(self) -> Iterator[Fault]:
        """Go to the next row; ``row`` is None after the last."""
        self.row = next(self._rows, None)
        if self.row is None:
            return
        if self.row.batch != self.batches + 1:
            first = self.batches + 1
            row = (
                f"batch {first}"
                if self.row.batch - first == 1
                else f"batches {first} to {self.row.batch - 1}"
            )
            yield Fault(MISSING, self._shard, "root", "batch", row, "the root is missing, or was renumbered")
        self.batches = self.row.batch
        self.own = None
        with suppress(ValueError):
            tree = Tree.from_bytes(self.row.frontier)
            self.own = tree if tree.root() == self.row.root else None
        self.size = self.row.size
        if self.own is not None and self.own.size != self.row.size:
            self.size = self.own.size
            yield self.fault("size", f"is {self.row.size}, root and frontier are of {self.own.size} entries")

    def fault(self, column: str, message: str) -> Fault:
        """A fault of the row at hand."""
        return Fault(ROOT, self._shard, "root", column, f"batch {self.batches}", message)
