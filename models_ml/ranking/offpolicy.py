"""What another ranker would have brought, from what was shown: no experiment is needed where the feed explored.

A place that explores was drawn from a pool of m posts, each with the same chance (`selection`). Where the ranker in
question would have put the very post that was drawn, its reward is known, and it stands for the m - 1 times that it was
not drawn: weights are m where the two agree and 0 elsewhere. Only exploration is told of, of those posts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.ratios import Numbers, Ratio, ratio

LEAST_AGREED = 20
"""With fewer people at whose places the two agree an interval means nothing."""


@dataclass(frozen=True, eq=False)
class Explored:
    """Places that explored, arrays (n,): whose each was, the reward of the post that was shown there, and from how many
    posts it was drawn. Raises ValueError when the lengths differ or a pool is empty."""

    people: npt.NDArray
    rewards: Numbers
    pools: Numbers

    def __post_init__(self) -> None:
        if not len(self.people) == len(self.rewards) == len(self.pools) or (self.pools < 1).any():
            raise ValueError("What is told of the places does not fit together.")

    def __len__(self) -> int:
        return len(self.people)


@dataclass(frozen=True)
class Estimate:
    """The reward that a place would bring: by inverse propensity, and the same normalised by its own weights.

    `agreed`: people at whose places the ranker would have shown what was shown.
    """

    plain: Ratio
    normalised: Ratio
    agreed: int

    @property
    def is_telling(self) -> bool:
        return self.agreed >= LEAST_AGREED


def estimate(explored: Explored, chances: Numbers) -> Estimate:
    """The reward of a ranker at each place. `chances` (n,): how likely it would have shown the post that was shown, out
    of the pool (1 or 0, or 1 / t for one of t posts that it holds for equal).

    Plain: Horvitz and Thompson, JASA 1952; without bias, and wide. Self-normalised: Swaminathan and Joachims, NeurIPS
    2015; its bias vanishes as places grow, it is narrower, and it never leaves the range of rewards. Intervals are over
    people, see `ratios`.
    """
    weights = explored.pools * chances
    return Estimate(
        plain=ratio(weights * explored.rewards, np.ones(len(explored)), explored.people),
        normalised=ratio(weights * explored.rewards, weights, explored.people),
        agreed=len(np.unique(explored.people[weights > 0])),
    )


def first_of(scores: npt.NDArray, shown: int) -> float:
    """The chance that a ranker with these scores (m,) of a pool shows the post at `shown`: those that it puts highest
    share it. A post without a score (nan) is never shown; 0 where none has one."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    highest = known == known.max(initial=-np.inf)
    return 0.0 if np.isneginf(known).all() else float(highest[shown] / highest.sum())
