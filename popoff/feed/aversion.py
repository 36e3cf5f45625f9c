"""What a person turned down lately, and how much less of its kind they get. Pure.

A rejection tells in two ways: posts like it lose score, and their topic loses places on a page. Both wear off with the
posts that the person meets since. The page after a rejection has none of the topic as long as there are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from popoff.feed.categories import OTHER
from popoff.feed.rules import Candidates, Floats, Ranked, Vectors

HALF_LIFE = 20
"""Posts met since, at which a rejection tells half as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Rejection:
    """A post that was turned down: its unit vector (d,), its category, and how many posts were met since."""

    vector: Vectors
    category: str
    since: int

    @property
    def weight(self) -> float:
        """1 at first, halving every HALF_LIFE posts."""
        return 0.5 ** (self.since / HALF_LIFE)


def lowered(ranked: Ranked, candidates: Candidates, rejections: Sequence[Rejection]) -> Ranked:
    """The same with less rank_score for what is like a rejection: times 1 - weight x likeness for each.

    Likeness (0..1) is the cosine, and for the same topic half of it and a half more.
    """
    kept = np.ones(len(candidates))
    for rejection in rejections:
        cosine = np.clip(candidates.vectors @ rejection.vector, 0.0, 1.0).astype(np.float64)
        same = _is_of(candidates, rejection.category)
        kept *= 1.0 - rejection.weight * np.where(same, (1.0 + cosine) / 2, cosine)
    return replace(ranked, rank_score=ranked.rank_score * kept)


def spared(candidates: Candidates, rejections: Sequence[Rejection]) -> Floats:
    """The part of its places (n,) that the topic of each candidate loses: 1 just after a rejection, 0 without one."""
    kept = np.ones(len(candidates))
    for rejection in rejections:
        kept *= 1.0 - rejection.weight * _is_of(candidates, rejection.category)
    return 1.0 - kept


def _is_of(candidates: Candidates, category: str) -> npt.NDArray[np.bool_]:
    if category == OTHER:
        return np.zeros(len(candidates), dtype=np.bool_)
    return np.array([label == category for label in candidates.categories], dtype=np.bool_)
