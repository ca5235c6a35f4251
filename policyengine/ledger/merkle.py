"""The Merkle tree of RFC 6962, section 2.1: kept incrementally, and proofs of inclusion.

Hashes only: what a leaf says is ledger.entries' business, where roots are kept is the store's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_SIZE_BYTES = 8


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256 of 0x00 and the leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of 0x01 and the two children; the prefix keeps a node from passing for a leaf."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree, of which only the frontier is held: one hash per 1 bit of the size."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []  # roots of the perfect subtrees, largest first

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add the *hash* of a leaf (see ``leaf_hash``)."""
        node, size = leaf, self._size
        while size & 1:
            node = sha256(b"\x01" + self._peaks.pop() + node).digest()
            size >>= 1
        self._peaks.append(node)
        self._size += 1

    def root(self) -> bytes:
        """The tree's root; of no leaves, SHA-256 of nothing."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Tree:
        """A tree that grows on its own."""
        other = Tree()
        other._size, other._peaks = self._size, self._peaks.copy()
        return other

    def to_bytes(self) -> bytes:
        """The frontier: the size in 8 bytes, big-endian, then the peaks, largest first."""
        return self._size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, frontier: bytes) -> Tree:
        """The inverse of ``to_bytes``; ValueError where the length does not fit the size."""
        size = int.from_bytes(frontier[:_SIZE_BYTES], "big")
        if len(frontier) != _SIZE_BYTES + HASH_BYTES * size.bit_count():
            message = f"{len(frontier)} bytes are no frontier of a tree of {size} leaves"
            raise ValueError(message)
        tree = cls()
        tree._size = size
        tree._peaks = [
            frontier[start : start + HASH_BYTES] for start in range(_SIZE_BYTES, len(frontier), HASH_BYTES)
        ]
        return tree


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf ``index`` (RFC 6962, section 2.1.1), from the leaf upwards."""
    if not 0 <= index < len(leaves):
        message = f"there is no leaf {index} in a tree of {len(leaves)}"
        raise ValueError(message)
    path: list[bytes] = []
    part = leaves
    while len(part) > 1:
        half = 1 << (len(part) - 1).bit_length() - 1  # the largest power of two below the size
        if index < half:
            path.append(root_of(part[half:]))
            part = part[:half]
        else:
            path.append(root_of(part[:half]))
            part = part[half:]
            index -= half
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from a leaf's hash to the root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and node == root
