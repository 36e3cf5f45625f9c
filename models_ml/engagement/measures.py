"""How good foreseen like rates are. A post's later like rate is the truth; every post weighs the same."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models_ml.engagement.priors import Numbers

LEAST = 1e-6


def later_rate(posts: pd.DataFrame) -> Numbers:
    """Later likes over later views, shape (n,)."""
    return (posts.later_likes / posts.later_views).to_numpy(np.float64)


def log_losses(posts: pd.DataFrame, rates: Numbers) -> Numbers:
    """Each post's mean log loss over its later views, in nats; the lower the better."""
    foreseen, truth = np.clip(rates, LEAST, 1 - LEAST), later_rate(posts)
    return -(truth * np.log(foreseen) + (1 - truth) * np.log1p(-foreseen))


def ndcg(gains: Numbers, scores: Numbers) -> float:
    """Normalised discounted cumulative gain over all of a ranking (Järvelin and Kekäläinen, 2002); equal scores share
    the discounts of their places evenly, so an answer that does not tell posts apart gains nothing by their order."""
    discounts = 1 / np.log2(np.arange(len(gains)) + 2)
    best = float(np.sort(gains)[::-1] @ discounts)
    _, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    shared = np.add.reduceat(discounts, ends - sizes) / sizes
    return float(gains @ shared[group]) / best if best else 0.0


def mean_ndcg(posts: pd.DataFrame, scores: Numbers) -> float:
    """NDCG of the posts ranked at each `moment` of their life, averaged over the moments."""
    truth, at = later_rate(posts), posts.moment.to_numpy()
    return float(np.mean([ndcg(truth[at == moment], scores[at == moment]) for moment in np.unique(at)]))
