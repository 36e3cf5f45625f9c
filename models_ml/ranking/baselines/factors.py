"""People and posts as points: ALS for implicit feedback, and BPR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from models_ml.ranking.baselines.base import NOBODY, Baseline, Floats, Ints

PAIRS = 40_000
"""Of people and posts at once: what bounds the memory of a step."""


class Als(Baseline):
    """Weighted matrix factorisation by alternating least squares (Hu, Koren and Volinsky, ICDM 2008).

    A like has the confidence 1 + `confidence`, all else 1. A person's point is worked out of their likes when it is
    asked for, so that it is never older than these.
    """

    def __init__(self, factors: int = 64, confidence: float = 10.0, ridge: float = 5.0, rounds: int = 8) -> None:
        self.factors, self.confidence, self.ridge, self.rounds = factors, confidence, ridge, rounds

    def _learn(self) -> None:
        met = self.histories(range(len(self.liked)))
        audiences = met.T.tocsr()
        draw = np.random.default_rng(0)
        self.posts_at = draw.normal(0, 0.01, (met.shape[1], self.factors)).astype(np.float32)
        for _ in range(self.rounds):
            people_at = self._solve(met, self.posts_at)
            self.posts_at = self._solve(audiences, people_at)
        self._base = self._all(self.posts_at)

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        met = self.histories(people)[:, : len(self.posts_at)]
        scores = self._solve(met, self.posts_at, self._base) @ self.posts_at.T
        scores[np.diff(met.indptr) == 0] = np.nan
        return scores

    def _all(self, others: Floats) -> Floats:
        return others.T @ others + self.ridge * np.eye(self.factors, dtype=np.float32)

    def _solve(self, rows: sparse.csr_matrix, others: Floats, base: Floats | None = None) -> Floats:
        """The points (rows, factors) that fit best to what each row has of the others."""
        base = self._all(others) if base is None else base
        found = np.zeros((rows.shape[0], self.factors), dtype=np.float32)
        lengths = np.diff(rows.indptr)
        for length in np.unique(lengths[lengths > 0]):
            # Rows of one length are one block: no padding, and no outer product of each single pair.
            alike = np.flatnonzero(lengths == length)
            for part in np.array_split(alike, -(-len(alike) * int(length) // PAIRS)):
                near = others[rows.indices[rows.indptr[part][:, None] + np.arange(length)]]
                systems = base + self.confidence * (near.transpose(0, 2, 1) @ near)
                targets = (1 + self.confidence) * near.sum(axis=1)
                found[part] = np.linalg.solve(systems, targets[:, :, None])[:, :, 0]
        return found


class Bpr(Baseline):
    """Matrix factorisation that puts a liked post before one drawn by chance (Rendle and others, UAI 2009).

    Learnt in batches by AdaGrad; `rounds`: passes over all likes.
    """

    def __init__(
        self, factors: int = 64, rate: float = 0.1, ridge: float = 0.05, rounds: int = 40, batch: int = 4096
    ) -> None:
        self.factors, self.rate, self.ridge, self.rounds, self.batch = factors, rate, ridge, rounds, batch

    def _learn(self) -> None:
        met = self.histories(range(len(self.liked)))
        people, posts = met.nonzero()
        draw, count = np.random.default_rng(0), met.shape[1]
        self.people_at = draw.normal(0, 0.1, (met.shape[0], self.factors)).astype(np.float32)
        self.posts_at = draw.normal(0, 0.1, (count, self.factors + 1)).astype(np.float32)
        self.posts_at[:, -1] = 0
        moved = np.zeros(met.shape[0], np.float32), np.zeros(count, np.float32)
        pairs = np.sort(people.astype(np.int64) * count + posts)
        for _ in range(self.rounds):
            for chosen in np.array_split(draw.permutation(len(people)), -(-len(people) // self.batch)):
                drawn = draw.integers(count, size=len(chosen))
                codes = people[chosen].astype(np.int64) * count + drawn
                fair = pairs[np.minimum(np.searchsorted(pairs, codes), len(pairs) - 1)] != codes
                self._step(people[chosen][fair], posts[chosen][fair], drawn[fair], moved)

    def _step(self, people: Ints, liked: Ints, drawn: Ints, moved: tuple[Floats, Floats]) -> None:
        """One batch; the last column of a post's point is its bias, against which a person's is 1."""
        persons = np.column_stack([self.people_at[people], np.ones(len(people), np.float32)])
        apart = self.posts_at[liked] - self.posts_at[drawn]
        pull = (1 / (1 + np.exp((persons * apart).sum(axis=1, keepdims=True)))).astype(np.float32)
        persons_step = pull * apart[:, :-1] - self.ridge * self.people_at[people]
        liked_step = pull * persons - self.ridge * self.posts_at[liked]
        drawn_step = -pull * persons - self.ridge * self.posts_at[drawn]
        self._move(self.people_at, people, persons_step, moved[0])
        both = np.concatenate([liked, drawn])
        self._move(self.posts_at, both, np.concatenate([liked_step, drawn_step]), moved[1])

    def _move(self, points: Floats, rows: Ints, steps: Floats, moved: Floats) -> None:
        """Move points by the sum of their steps, the less the further they have come before."""
        distinct, place = np.unique(rows, return_inverse=True)
        gather = sparse.csr_matrix((np.ones(len(rows), np.float32), (place, np.arange(len(rows)))))
        total = gather @ steps
        moved[distinct] += (total**2).mean(axis=1)
        points[distinct] += self.rate * total / np.sqrt(moved[distinct] + 1e-8)[:, None]

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        known = np.array([person if person < len(self.people_at) else NOBODY for person in people])
        persons = np.where((known == NOBODY)[:, None], 0, self.people_at[known]) if len(self.people_at) else 0
        return persons @ self.posts_at[:, :-1].T + self.posts_at[:, -1]
