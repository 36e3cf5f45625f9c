"""For each post the others that go with it most, in tables of a fixed width that grow and learn as events come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # who only makes pages does not wait for it
    from scipy import sparse

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
NOBODY = -1
SHARED_OUT = 262_144
NOTHING = {"ids": NOBODY, "weights": 0.0, "total": 0.0}
"""What stands in the rows of a table of which nothing is known."""


def grown(array: npt.NDArray, rows: int, fill: float) -> npt.NDArray:
    """The array with room for `rows`, doubled when it must grow so that growing costs little on average."""
    if rows <= len(array):
        return array
    larger = np.full((max(rows, 2 * len(array), 64), *array.shape[1:]), fill, dtype=array.dtype)
    larger[: len(array)] = array
    return larger


class Neighbours:
    """Row i: up to `width` posts that go with post i, and how much; `total[i]`: what row i was ever given.

    Where a row is full a newcomer takes the place of the weakest and inherits nothing, so that a row can err about
    posts that hardly matter in it and about no others.
    """

    def __init__(self, width: int) -> None:
        self.ids: Ints = np.full((0, width), NOBODY, dtype=np.int32)
        self.weights: Floats = np.zeros((0, width), dtype=np.float32)
        self.total: Floats = np.zeros(0, dtype=np.float32)

    def grow(self, posts: int) -> None:
        self.ids = grown(self.ids, posts, NOBODY)
        self.weights = grown(self.weights, posts, 0.0)
        self.total = grown(self.total, posts, 0.0)

    def fill(self, pairs: sparse.csr_matrix) -> None:
        """Take the strongest of each row of a square matrix of weights in place of what was known."""
        posts, width = pairs.shape[0], self.ids.shape[1]
        self.grow(posts)
        self.ids[:], self.weights[:] = NOBODY, 0.0
        self.total[:posts] = np.asarray(pairs.sum(axis=1)).ravel()
        rows = np.repeat(np.arange(posts), np.diff(pairs.indptr))
        order = np.lexsort((pairs.indices, -pairs.data, rows))
        place = np.arange(len(rows)) - pairs.indptr[rows]
        kept = order[place < width]
        rows, place = rows[place < width], place[place < width]
        self.ids[rows, place] = pairs.indices[kept]
        self.weights[rows, place] = pairs.data[kept]

    def add(self, row: int, column: int, weight: float) -> None:
        """Let post `column` go with post `row` by so much more."""
        ids = self.ids[row]
        found = np.flatnonzero(ids == column)
        self.total[row] += weight
        if len(found):
            self.weights[row, found[0]] += weight
            return
        place = int(self.weights[row].argmin())
        if weight >= self.weights[row, place]:
            ids[place], self.weights[row, place] = column, weight

    def among(self, rows: Ints, columns: Ints, slots: Ints) -> Floats:
        """The weights between these posts, shape (rows, columns).

        `slots`: one entry for each post, all NOBODY; used as scratch and given back as it was.
        """
        found = np.zeros((len(rows), len(columns)), dtype=np.float32)
        slots[columns] = np.arange(len(columns), dtype=np.int32)
        ids = self.ids[rows]
        column = slots[ids]
        row, place = np.nonzero((column != NOBODY) & (ids != NOBODY))
        found[row, column[row, place]] = self.weights[rows[row], place]
        slots[columns] = NOBODY
        return found

    def strongest(self, rows: Ints, importance: Floats, limit: int, slots: Ints) -> Ints:
        """The posts that go most with these, each counted by its importance: distinct, at most `limit`."""
        share = self.weights[rows] * (importance / np.maximum(self.total[rows], 1e-9))[:, None]
        return top(self.ids[rows].ravel(), share.ravel(), limit, slots)

    def arrays(self) -> dict[str, npt.NDArray]:
        return {"ids": self.ids, "weights": self.weights, "total": self.total}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray]) -> Neighbours:
        made = cls(arrays["ids"].shape[1])
        made.ids, made.weights, made.total = arrays["ids"], arrays["weights"], arrays["total"]
        return made


def distinct(ids: Ints, slots: Ints) -> tuple[Ints, Ints]:
    """Each id once, and for each entry of `ids` where it stands among these. Without sorting, which costs more.

    `slots`: scratch with an entry for every id, all NOBODY, given back as it was.
    """
    places = np.arange(len(ids), dtype=np.int32)
    slots[ids] = places
    found = ids[slots[ids] == places]
    slots[found] = places[: len(found)]
    place = slots[ids]
    slots[found] = NOBODY
    return found, place


def looked_up(keys: Ints, values: npt.NDArray, wanted: Ints, slots: Ints) -> npt.NDArray[np.float64]:
    """For each of `wanted` the value of the key that it is, 0 where it is none. `keys`: distinct; `slots`: scratch."""
    if not len(keys):
        return np.zeros(len(wanted))
    slots[keys] = np.arange(len(keys), dtype=np.int32)
    place = slots[wanted]
    slots[keys] = NOBODY
    return np.where((place != NOBODY) & (wanted != NOBODY), values[place], 0.0)


def top(ids: Ints, weights: npt.NDArray, limit: int, slots: Ints) -> Ints:
    """The `limit` ids with the largest summed weights, largest first; NOBODY is never among them. `slots`: scratch."""
    known = np.flatnonzero(ids != NOBODY)
    found, place = distinct(ids[known], slots)
    sums = np.bincount(place, weights[known], minlength=len(found))
    if len(found) > limit:
        part = np.argpartition(-sums, limit)[:limit]
        found, sums = found[part], sums[part]
    return found[np.argsort(-sums, kind="stable")]


def products(left: Floats, right: Floats) -> Floats:
    """left @ right.T, shape (rows of left, rows of right), on one thread.

    In parts so small that BLAS does not share them out: beside other work its threads wait for one another longer than
    the product takes (OpenBLAS shares out from 262,144 multiplications on).
    """
    step = max(1, SHARED_OUT // max(1, left.size))
    parts = [left @ right[start : start + step].T for start in range(0, len(right), step)]
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(left), 0), dtype=np.float32)
