"""Which subtrees a Merkle proof (RFC 9162, 2.1) is made of. Pure arithmetic; hashing is in `verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from popoff.audit.verify import fold

Node = tuple[int, int]
"""A complete subtree (level, position): the 2^level leaves from position * 2^level on."""
Range = tuple[int, int]
"""Leaves from the first number up to, and without, the second."""


def inclusion(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove that leaf `index` is in the tree of `size` leaves, in the order of the proof."""
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency(old: int, new: int) -> list[Range]:
    """The ranges that prove that the tree of `old` leaves (at least 1) is a beginning of the one of `new`."""
    path: list[Range] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start > 0:
        path.append((start, end))
    return path[::-1]


def subtrees(leaves: Range) -> Iterator[Node]:
    """The complete subtrees of a range of a proof, the largest first."""
    start, end = leaves
    for level in reversed(range((end - start).bit_length())):
        if (end - start) >> level & 1:
            yield level, start >> level
            start += 1 << level


def root(leaves: Range, known: Mapping[Node, bytes]) -> bytes:
    """The hash over a range from those of its subtrees."""
    return fold([known[node] for node in subtrees(leaves)])


def stored_under(node: Node) -> tuple[int, Range]:
    """Where the hashes are stored that `node` is made of: the level of tiles (0: the leaves), and which of them."""
    level, position = node
    tile_level, height = divmod(level, 8)
    return tile_level, (position << height, (position + 1) << height)


def needed(ranges: Sequence[Range]) -> dict[int, list[tuple[Node, Range]]]:
    """All subtrees of these ranges with the stored hashes they are made of, by level of tiles."""
    wanted: dict[int, list[tuple[Node, Range]]] = {}
    for node in {node for leaves in ranges for node in subtrees(leaves)}:
        tile_level, positions = stored_under(node)
        wanted.setdefault(tile_level, []).append((node, positions))
    return wanted


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1
