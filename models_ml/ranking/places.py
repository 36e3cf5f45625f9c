"""Where posts stand to one another: what is liked after what, vectors learnt from that, and the nearest by vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models_ml.ranking.content import leading, unit
from models_ml.ranking.tables import NOBODY, Ints, Neighbours

REACH = 10
"""Two posts go together when one person liked them with at most this many liked ones between them."""
DIMENSIONS = 64
CELL, CELLS = 1000, 8
"""Posts to a cell on average, and cells that are searched."""


def following(people: Ints, posts: Ints, number: int) -> sparse.csr_matrix:
    """How much post j is liked after post i: the sum of 1 / gap over people, for gaps up to REACH, shape (n, n)."""
    rows, columns, weights = [], [], []
    for gap in range(1, REACH + 1):
        same = people[gap:] == people[:-gap]
        same &= posts[gap:] != posts[:-gap]
        rows.append(posts[:-gap][same])
        columns.append(posts[gap:][same])
        weights.append(np.full(int(same.sum()), 1 / gap, dtype=np.float32))
    pairs = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return sparse.coo_matrix(pairs, shape=(number, number)).tocsr()


def embedding(around: sparse.csr_matrix) -> npt.NDArray[np.float32]:
    """Unit vectors of posts from what goes with what: leading directions of D^-1/2 A D^-1/2, shape (n, DIMENSIONS)."""
    number = around.shape[0]
    vectors = np.zeros((number, DIMENSIONS), dtype=np.float32)
    if around.nnz == 0 or number < 3:
        return vectors
    degree = np.sqrt(np.maximum(np.asarray(around.sum(axis=1)).ravel(), 1e-9))
    scale = sparse.diags_array((1 / degree).astype(np.float32))
    left, values, _ = leading((scale @ around @ scale).tocsr(), DIMENSIONS)
    vectors[:, : left.shape[1]] = left * np.sqrt(values)
    vectors[np.asarray(around.sum(axis=1)).ravel() == 0] = 0.0
    return unit(vectors)


def nearest(table: Neighbours, vectors: npt.NDArray[np.float32]) -> None:
    """Fill a table with the posts whose vectors make the smallest angles.

    Posts are put into cells around some of them, and looked for in the cells near their own: with many posts a few
    neighbours are missed, and the cost grows with the number of posts and not with its square.
    """
    number, width = len(vectors), table.ids.shape[1]
    present = np.flatnonzero(np.any(vectors != 0, axis=1)).astype(np.int32)
    table.grow(number)
    table.ids[:], table.weights[:] = NOBODY, 0.0
    table.total[:number] = 1.0
    if len(present) < 2:
        return
    centres = vectors[np.random.default_rng(0).permutation(present)[: -(-len(present) // CELL)]]
    cell = np.concatenate(
        [(vectors[rows] @ centres.T).argmax(axis=1) for rows in np.split(present, range(4096, len(present), 4096))]
    )
    members = [present[cell == number] for number in range(len(centres))]
    for rows, centre in zip(members, centres, strict=True):
        pool = np.concatenate([members[near] for near in np.argsort(-(centres @ centre))[:CELLS]])
        for some in np.split(rows, range(512, len(rows), 512)):
            cosines = vectors[some] @ vectors[pool].T
            cosines[some[:, None] == pool] = -2.0
            count = min(width, len(pool) - 1)
            best = np.argpartition(-cosines, count - 1, axis=1)[:, :count] if count else np.zeros((len(some), 0), int)
            table.ids[some, :count] = pool[best]
            table.weights[some, :count] = np.maximum(np.take_along_axis(cosines, best, axis=1), 0.0)
