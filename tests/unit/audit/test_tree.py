"""The Merkle tree of RFC 9162 against published vectors, and against its definition."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Sequence

import pytest

from popoff.audit import tree
from popoff.audit.verify import (
    fold,
    leaf_hash,
    levels,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves and the roots over the first n of them that implementations of Certificate Transparency share.
LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Proofs of transparency-dev/merkle (testdata): (index, size) or (old, new), and the hashes in base64.
INCLUSION = {
    (0, 1): [],
    (0, 8): ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
             "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="],
    (5, 8): ["vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
             "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="],
    (2, 3): ["+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="],
    (1, 5): ["bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
             "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="],
}  # fmt: skip
CONSISTENCY = {
    (1, 1): [],
    (1, 8): ["lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=", "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
             "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ="],
    (6, 8): ["DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=", "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
             "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="],
    (2, 5): ["Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=", "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms="],
    (6, 7): ["DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=", "sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=",
             "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc="],
}  # fmt: skip
MANY = [hashlib.sha256(b"%d" % number).digest() for number in range(70)]


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162 (2.1.1) defines it, over hashes of leaves."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def hashes(ranges: Sequence[tree.Range], leaves: Sequence[bytes]) -> list[bytes]:
    """What a proof of these ranges holds, from complete subtrees as the database has them."""
    grown = levels(leaves)
    known = {node: grown[node[0]][node[1]] for leaves_of in ranges for node in tree.subtrees(leaves_of)}
    return [tree.root(leaves_of, known) for leaves_of in ranges]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert root_of(levels(LEAVES), size).hex() == defined_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("place", "proof"), INCLUSION.items(), ids=str)
def test_published_inclusion_proofs(place: tuple[int, int], proof: list[str]) -> None:
    index, size = place
    ours = hashes(tree.inclusion(index, size), LEAVES)
    assert ours == [b64decode(word) for word in proof]
    assert verify_inclusion(LEAVES[index], index, size, ours, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("place", "proof"), CONSISTENCY.items(), ids=str)
def test_published_consistency_proofs(place: tuple[int, int], proof: list[str]) -> None:
    old, new = place
    ours = hashes(tree.consistency(old, new), LEAVES)
    assert ours == [b64decode(word) for word in proof]
    assert verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), ours)


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 70])
def test_every_leaf_of_a_tree_can_be_proved_and_nowhere_else(size: int) -> None:
    root = defined_root(MANY[:size])
    assert root_of(levels(MANY), size) == root
    for index in range(size):
        proof = hashes(tree.inclusion(index, size), MANY)
        assert verify_inclusion(MANY[index], index, size, proof, root)
        assert not verify_inclusion(MANY[index], index + 1, size, proof, root)
        assert not verify_inclusion(MANY[index], index, size, proof, defined_root([*MANY[:size], b"x" * 32]))
        assert not verify_inclusion(MANY[index], index, size, [*proof, bytes(32)], root)
        assert not verify_inclusion(b"x" * 32, index, size, proof, root)
        for at in range(len(proof)):
            assert not verify_inclusion(MANY[index], index, size, proof[:at] + proof[at + 1 :], root)
            changed = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
            assert not verify_inclusion(MANY[index], index, size, changed, root)


@pytest.mark.parametrize("new", [*range(1, 34), 64, 70])
def test_every_beginning_of_a_tree_can_be_proved_and_no_other(new: int) -> None:
    new_root = defined_root(MANY[:new])
    for old in range(1, new + 1):
        old_root = defined_root(MANY[:old])
        proof = hashes(tree.consistency(old, new), MANY)
        assert verify_consistency(old, new, old_root, new_root, proof)
        assert not verify_consistency(old, new, b"x" * 32, new_root, proof)
        assert not verify_consistency(old, new, old_root, b"x" * 32, proof)
        assert not verify_consistency(old, new, old_root, new_root, [*proof, bytes(32)])
        for at in range(len(proof)):
            changed = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
            assert not verify_consistency(old, new, old_root, new_root, changed)
            assert not verify_consistency(old, new, old_root, new_root, proof[:at] + proof[at + 1 :])


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (5, 3)])
def test_a_leaf_that_a_tree_has_not_cannot_be_proved(index: int, size: int) -> None:
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 1), (2, 1), (-1, 1)])
def test_a_tree_that_is_no_beginning_cannot_be_proved(old: int, new: int) -> None:
    assert not verify_consistency(old, new, fold([]), fold([]), [])


def test_a_subtree_is_made_of_the_stored_hashes_under_it() -> None:
    assert tree.stored_under((0, 5)) == (0, (5, 6))
    assert tree.stored_under((7, 3)) == (0, (384, 512))
    assert tree.stored_under((8, 2)) == (1, (2, 3))
    assert tree.stored_under((17, 1)) == (2, (2, 4))
