"""The Merkle tree is RFC 6962's, kept incrementally, and its proofs convince only of what is so."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyengine.ledger.merkle import (
    EMPTY_ROOT,
    Tree,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_of,
    verify_inclusion,
)

# The vectors of Certificate Transparency's reference implementation (merkletree tests).
VECTOR_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = naive_root(leaves[:split]), naive_root(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree


def test_the_empty_tree_hashes_nothing() -> None:
    expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Tree().root() == EMPTY_ROOT == bytes.fromhex(expected)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_vectors(size: int) -> None:
    assert grown(VECTOR_LEAVES[:size]).root().hex() == VECTOR_ROOTS[size - 1]


def test_two_leaves_are_one_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert root_of([left, right]) == node_hash(left, right)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_incremental_root_is_the_recursive_definition(leaves: list[bytes]) -> None:
    assert grown(leaves).root() == naive_root(leaves)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=4), max_size=40), st.lists(st.binary(max_size=4), max_size=40))
def test_a_tree_goes_on_from_its_frontier(first: list[bytes], then: list[bytes]) -> None:
    tree = Tree.from_bytes(grown(first).to_bytes())
    for leaf in then:
        tree.append(leaf_hash(leaf))
    assert (tree.size, tree.root()) == (len(first + then), naive_root(first + then))


def test_a_frontier_has_a_hash_for_every_bit_of_the_size() -> None:
    assert len(grown([b"x"] * 1000).to_bytes()) == 8 + 32 * 6  # 1000 = 0b1111101000


@pytest.mark.parametrize("frontier", [b"", b"\x00" * 7, (3).to_bytes(8, "big") + b"\x00" * 32])
def test_a_frontier_of_the_wrong_length_is_refused(frontier: bytes) -> None:
    if frontier == b"":
        frontier = (1).to_bytes(8, "big")
    with pytest.raises(ValueError, match="no frontier"):
        Tree.from_bytes(frontier)


def test_a_copy_grows_on_its_own() -> None:
    tree = grown([b"a", b"b", b"c"])
    root = tree.root()
    tree.copy().append(leaf_hash(b"d"))
    assert (tree.size, tree.root()) == (3, root)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_inclusion_path_leads_to_the_root_and_from_no_other_place(data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(data.draw(st.integers(1, 40)))]
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    root, path = root_of(leaves), inclusion_path(leaves, index)
    assert verify_inclusion(leaves[index], index, len(leaves), path, root)
    assert verify_inclusion(leaves[other], index, len(leaves), path, root) is (other == index)
    assert not verify_inclusion(leaves[index], index, len(leaves), [*path, root], root)
    assert not verify_inclusion(leaves[index], index, len(leaves), path, leaf_hash(root))
    assert not verify_inclusion(leaves[index], len(leaves), len(leaves), path, root)
    if path:
        assert not verify_inclusion(leaves[index], index, len(leaves), path[:-1], root)


def test_there_is_no_path_from_a_leaf_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no leaf 1"):
        inclusion_path([leaf_hash(b"a")], 1)
