"""Leaves of a rule network, and how they are cut into networks that durable-rules can hold.

The limits are those of durable-rules 2.0.28, read in its source (rete.c, events.c, state.h). It
checks some of them too late (it writes past a full list, and loops for ever over a full hash
bucket), so no network may come near them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from policyengine.engine.conjuncts import Conjunct

MAX_KEYS = 230  # MAX_OBJECT_PROPERTIES 255: properties of one fact, with its id and sid
MAX_BRANCHES = 400  # NEXT_BUCKET_LENGTH 512: different tests that follow one test
MAX_PENDING = 56  # MAX_STACK_SIZE 64: tests that can be true at once and wait for their turn
MAX_LEAVES = 2000  # MAX_ACTIONS 4096: rules of one network
MAX_TESTS = 40  # tests in one leaf; ours, so that no policy makes a network deep
MAX_TWINS = 8  # leaves of one rule that compares several amounts of money


class Test(NamedTuple):
    """One comparison in a network: the fact's key, an operator, a whole number."""

    key: str
    operator: str
    value: int


class Entry(NamedTuple):
    """A rule under a leaf, and the conjuncts that are still to be compared in Python."""

    number: int
    residual: tuple[Conjunct, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A conjunction of tests, and the rules that share exactly this conjunction."""

    path: tuple[Test, ...]
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class _Node:
    """A test in a network, for counting: how many may follow it, and how many at once."""

    children: dict[Test, _Node] = field(default_factory=dict)
    equal: set[str] = field(default_factory=set)
    others: int = 0
    deepest: int = 0

    @property
    def pending(self) -> int:
        """Most tests that can wait while the facts go through this subtree."""
        width = len(self.equal) + self.others
        return max(width, width - 1 + self.deepest)

    def add(self, path: tuple[Test, ...]) -> bool:
        """Put a path under this node; False when a limit is passed."""
        if not path:
            return True
        test = path[0]
        if test not in self.children:
            self.children[test] = _Node()
            if test.operator == "==":
                self.equal.add(test.key)  # invariant: of several `==` on one key one is true
            else:
                self.others += 1
        child = self.children[test]
        fits = child.add(path[1:])
        self.deepest = max(self.deepest, child.pending)
        return fits and len(self.children) <= MAX_BRANCHES and self.pending <= MAX_PENDING


def cut(leaves: Iterable[Leaf]) -> Iterator[tuple[Leaf, ...]]:
    """Cut the leaves, sorted by path, into networks, so that each network stays within the limits."""
    shard: list[Leaf] = []
    root = _Node()
    for leaf in leaves:
        if not root.add(leaf.path) or len(shard) == MAX_LEAVES:
            yield tuple(shard)
            shard, root = [], _Node()
            root.add(leaf.path)
        shard.append(leaf)
    if shard:
        yield tuple(shard)
