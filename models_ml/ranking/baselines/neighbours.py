"""Posts that go with posts: by whom they share (item-kNN), and by what follows on what (sequential rules)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models_ml.ranking.baselines.base import Baseline


class ItemKNN(Baseline):
    """Item to item by how much of their audience they share (Deshpande and Karypis, 2004).

    c people who like both of i and j make c / (n_i^(1 - `levelling`) n_j^`levelling` + `damping`), n being how many
    like each: the cosine with a levelling of 1/2, the share of those who like i with 0.
    `neighbours`: how many of each post count; `recency`: a person's d-th like from the end counts 1 / d^`recency`, so
    0 is the classic.
    """

    def __init__(
        self, neighbours: int = 200, damping: float = 20.0, recency: float = 0.0, levelling: float = 0.5
    ) -> None:
        self.neighbours, self.damping, self.recency, self.levelling = neighbours, damping, recency, levelling

    def _learn(self) -> None:
        met = self.histories(range(len(self.liked)))
        together = (met.T @ met).tocsr()
        sizes = together.diagonal()
        together.setdiag(0)
        together.eliminate_zeros()
        rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        norms = sizes[rows] ** (1 - self.levelling) * sizes[together.indices] ** self.levelling
        together.data /= norms + self.damping
        self.similar = strongest(together, self.neighbours)

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        known = self.similar.shape[0]
        scores = (self.lately(people, None, self.recency)[:, :known] @ self.similar).toarray()
        scores[scores == 0] = np.nan
        return scores


class SequentialRules(Baseline):
    """What is liked soon after what, both by how near they stood and by how lately (Ludewig and Jannach, 2018).

    Two likes g places apart count 1 / g^`nearness` from the earlier to the later, and `backwards` times that from the
    later to the earlier, up to `reach` places. A person's likes count 1 / d^`recency` when they are the d-th from the
    end, up to `memory` of them. Rules are divided by how often
    their first post is liked to the power of `spread`, and by how often the second is to the power of `levelling`.
    """

    relearn_after = 25

    def __init__(
        self,
        reach: int = 10,
        nearness: float = 1.0,
        backwards: float = 0.5,
        memory: int = 20,
        recency: float = 1.0,
        levelling: float = 0.3,
        spread: float = 0.5,
    ) -> None:
        self.reach, self.nearness, self.backwards = reach, nearness, backwards
        self.memory, self.recency, self.levelling, self.spread = memory, recency, levelling, spread

    def _learn(self) -> None:
        posts = np.fromiter((post for liked in self.liked for post in liked), dtype=np.int64)
        people = np.repeat(np.arange(len(self.liked)), [len(liked) for liked in self.liked])
        size = (len(self.ids), len(self.ids))
        rules = sparse.csr_matrix(size, dtype=np.float32)
        for gap in range(1, self.reach + 1):
            same = people[gap:] == people[:-gap]
            earlier, later = posts[:-gap][same], posts[gap:][same]
            weight = np.full(len(earlier), gap**-self.nearness, dtype=np.float32)
            there = sparse.csr_matrix((weight, (earlier, later)), shape=size)
            rules = rules + there + self.backwards * there.T
        counts = np.maximum(self.popularity, 1.0)
        rules = sparse.csr_matrix(rules, dtype=np.float32)
        rows = np.repeat(np.arange(size[0]), np.diff(rules.indptr))
        rules.data /= (counts[rows] ** self.spread * counts[rules.indices] ** self.levelling).astype(np.float32)
        self.rules = rules

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        known = self.rules.shape[0]
        scores = (self.lately(people, self.memory, self.recency)[:, :known] @ self.rules).toarray()
        scores[scores == 0] = np.nan
        return scores


def strongest(matrix: sparse.csr_matrix, limit: int) -> sparse.csr_matrix:
    """The matrix with the `limit` largest entries of each row only."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, rows))
    place = np.arange(len(rows)) - matrix.indptr[rows]
    kept = order[place < limit]
    return sparse.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), shape=matrix.shape)
