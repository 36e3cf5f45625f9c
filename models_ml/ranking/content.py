"""What posts are about, from their titles and tags: hashed words weighted by rarity, projected to few dimensions.

The projection is learnt from the platform's own titles, needs no download, and places a post that nobody has seen yet.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

BUCKETS = 1 << 15
DIMENSIONS = 64
GRAM = 4
"""Characters of a piece of a word: what finds "cooking" near "cook" and serves languages without spaces."""
TAG = 6.0
"""What a tag counts for beside a word: its author says with it what the post is about, and it stands alone among the
dozens of pieces that a title makes."""
_WORD = re.compile(r"\w+", re.UNICODE)

Vectors = npt.NDArray[np.float32]


def pieces(title: str, tags: Sequence[str] = ()) -> list[str]:
    """Words, pairs of neighbouring words, pieces of long words, and the tags whole."""
    words = _WORD.findall(title.lower())
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(words)]
    parts = [word[i : i + GRAM] for word in words if len(word) > GRAM for i in range(len(word) - GRAM + 1)]
    return words + pairs + parts + [f"#{tag.lower()}" for tag in tags]


def hashed(texts: Iterable[Sequence[str]]) -> sparse.csr_matrix:
    """Hashed pieces and what they count for, less and less the more often one is there, shape (texts, BUCKETS)."""
    columns: list[int] = []
    worth: list[float] = []
    ends = [0]
    for text in texts:
        columns.extend(zlib.crc32(piece.encode()) % BUCKETS for piece in text)
        worth.extend(TAG if piece.startswith("#") else 1.0 for piece in text)
        ends.append(len(columns))
    counts = sparse.csr_matrix(
        (np.array(worth, dtype=np.float32), np.array(columns, dtype=np.int64), np.array(ends)),
        shape=(len(ends) - 1, BUCKETS),
    )
    counts.sum_duplicates()
    counts.data = np.where(counts.data < TAG, 1 + np.log(counts.data), counts.data)
    return counts


def unit(vectors: Vectors) -> Vectors:
    """Rows of length one; rows of nothing stay nothing."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), dtype=np.float32)


def leading(matrix: sparse.csr_matrix, dimensions: int, seed: int = 0) -> tuple[Vectors, npt.NDArray, Vectors]:
    """U, s, V of a truncated SVD by a randomised range finder (Halko, Martinsson and Tropp, 2011, algorithm 4.4)."""
    rank = max(1, min(dimensions, min(matrix.shape) - 1))
    noise = np.random.default_rng(seed).standard_normal((matrix.shape[1], rank + 10)).astype(np.float32)
    basis = np.linalg.qr(matrix @ noise)[0]
    for _ in range(3):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    small, values, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return (basis @ small)[:, :rank].astype(np.float32), values[:rank], right[:rank].T.astype(np.float32)


class Content:
    """The projection of titles and tags, learnt once from many of them."""

    def __init__(self, rarity: Vectors, projection: Vectors) -> None:
        self.rarity, self.projection = rarity, projection

    @classmethod
    def learn(cls, texts: Sequence[Sequence[str]]) -> Content:
        counts = hashed(texts)
        seen = np.bincount(counts.indices, minlength=BUCKETS)
        rarity = np.log((1 + len(texts)) / (1 + seen)).astype(np.float32)
        rarity[seen < 2] = 0.0
        telling = np.flatnonzero(rarity)
        if min(len(texts), len(telling)) < 3:
            return cls(rarity, np.zeros((BUCKETS, 1), dtype=np.float32))
        directions = leading(cls._weighed(counts, rarity)[:, telling], DIMENSIONS)[2]
        projection = np.zeros((BUCKETS, directions.shape[1]), dtype=np.float32)
        projection[telling] = directions
        return cls(rarity, projection)

    @staticmethod
    def _weighed(counts: sparse.csr_matrix, rarity: Vectors) -> sparse.csr_matrix:
        weighed = counts.copy()
        weighed.data = weighed.data * rarity[weighed.indices]
        length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        return sparse.diags_array(1 / np.maximum(length, 1e-9), dtype=np.float32).tocsr() @ weighed

    @property
    def dimensions(self) -> int:
        return self.projection.shape[1]

    def place(self, texts: Sequence[Sequence[str]]) -> Vectors:
        """Unit vectors, shape (texts, dimensions); of a text without known words: zeros."""
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return unit(np.asarray(self._weighed(hashed(texts), self.rarity) @ self.projection, dtype=np.float32))

    def arrays(self) -> dict[str, npt.NDArray]:
        return {"rarity": self.rarity, "projection": self.projection}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray]) -> Content:
        return cls(arrays["rarity"], arrays["projection"])
