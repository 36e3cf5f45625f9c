"""EASE^R: the best linear way from what a person liked to what they like, in closed form (Steck, WWW 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from models_ml.ranking.baselines.base import Baseline


class Ease(Baseline):
    """`ridge`: λ of the paper, in people. Memory: 4 bytes for each pair of posts; time: the cube of the posts."""

    def __init__(self, ridge: float = 100.0) -> None:
        self.ridge = ridge

    def _learn(self) -> None:
        met = self.histories(range(len(self.liked)))
        gram = np.asfortranarray((met.T @ met).toarray(order="F"), dtype=np.float32)
        gram[np.diag_indices_from(gram)] += self.ridge
        # The inverse by Cholesky in place: for twenty thousand posts a second copy would be 1.5 GB.
        gram, failed = lapack.spotrf(gram, lower=1, clean=0, overwrite_a=1)
        if not failed:
            gram, failed = lapack.spotri(gram, lower=1, overwrite_c=1)
        if failed:
            raise ValueError(f"EASE: a ridge of {self.ridge:g} is too small for these events.")
        mirror(gram)
        # Symmetric so far, so the transpose is the same by rows: a person's scores are a sum of rows.
        self.weights = gram.T
        self.weights /= -np.diagonal(gram).copy()
        self.weights[np.diag_indices_from(gram)] = 0

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        known = self.weights.shape[0]
        met = self.histories(people)[:, :known]
        scores = met @ self.weights
        scores[np.diff(met.indptr) == 0] = np.nan
        return scores


def mirror(matrix: npt.NDArray, block: int = 1024) -> None:
    """Copy the lower triangle of a square matrix to the upper one, in place."""
    for start in range(0, len(matrix), block):
        end = start + block
        matrix[start:end, end:] = matrix[end:, start:end].T
        corner = matrix[start:end, start:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
