"""How much attention the places of a page get: what is liked less because it stood further down is no worse for it.

A post at place p is liked with probability q_post × a_p, its quality times the attention for the place (the
position-based model: Craswell and others, WSDM 2008). Good posts are put first, so the bare rate of liking falls faster
than attention does: what tells of attention is one post's likes at several places, and both factors are estimated
together. As counts of Poisson this is maximum likelihood with an effect of each post, which leaves the estimate of
places consistent however few times each post was shown (Hausman, Hall and Griliches, Econometrica 1984).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from models_ml.ranking.tables import Floats, Ints

PLACES = 30
"""Places told apart; further down they are taken for one."""
LEAST = 0.1
"""The least attention that is believed in, so that no single like outweighs more than ten at the top."""
TURNS = 100


@dataclass(frozen=True)
class Exposure:
    """`attention`: for each place against the first, shape (PLACES,); `rate`: likes of a post shown at the first."""

    attention: npt.NDArray[np.float64]
    rate: float

    @classmethod
    def learn(cls, places: Floats, posts: Ints, liked: npt.NDArray[np.bool_]) -> Exposure:
        """Of n posts shown: places from 0 (nan where unknown, which tells nothing), numbers, and whether liked."""
        known = ~np.isnan(places)
        place, post, like = _row(places[known]), posts[known], liked[known]
        attention = np.ones(PLACES)
        shown, pleased = np.bincount(place, minlength=PLACES), np.bincount(place, like, minlength=PLACES)
        likes = np.bincount(post, like)
        if not likes.any():
            return cls(attention, 0.0)
        for _ in range(TURNS):
            quality = likes / np.maximum(np.bincount(post, attention[place]), 1e-9)
            expected = np.bincount(place, quality[post], minlength=PLACES)
            attention = np.where(expected > 0, pleased / np.maximum(expected, 1e-9), attention)
            attention /= attention[expected > 0].max()
        falling = isotonic_regression(attention, weights=np.maximum(expected, 1e-9), increasing=False).x
        attention = np.clip(falling / falling[0], LEAST, 1.0)
        return cls(attention, float(pleased.sum() / (shown @ attention)))

    def weights(self, places: Floats, liked: npt.NDArray[np.bool_]) -> Floats:
        """What each of n posts shown counts for, shape (n,), 1 where the place is unknown.

        A like counts 1 / a_p, which makes up for those that were not looked at (inverse propensity: Joachims,
        Swaminathan and Schnabel, WSDM 2017); what was not liked counts as much as it was looked at, given that it was
        not liked. The share of likes by weight is then the same at each place. Likes count 1 on average.
        """
        known = ~np.isnan(places)
        attention = self.attention[_row(np.where(known, places, 0.0))]
        weights = np.where(liked, 1 / attention, (1 - self.rate) / np.maximum(1 - attention * self.rate, 1e-9))
        told = weights[known & liked]
        return np.where(known, weights / (told.mean() if len(told) else 1.0), 1.0).astype(np.float32)


def _row(places: npt.NDArray) -> npt.NDArray[np.int64]:
    return np.clip(places, 0, PLACES - 1).astype(np.int64)
