"""What the model must beat: simpler answers to the same question, each as a like rate. Shapes (n,)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import optimize, special

from models_ml.engagement.priors import Numbers, Scale

SURE = 0.001
"""A raw rate is never taken for nearer to 0 or 1 than this: log loss would be endless."""


def raw(posts: pd.DataFrame) -> Numbers:
    """Likes over views."""
    return np.clip((posts.likes / posts.views.clip(lower=1)).to_numpy(np.float64), SURE, 1 - SURE)


def shrunk(posts: pd.DataFrame, scale: Scale) -> Numbers:
    """The beta-binomial mean, its prior learnt from the training posts."""
    return scale.likes.shrunk(posts.likes.to_numpy(np.float64), posts.views.to_numpy(np.float64))


def constant(posts: pd.DataFrame) -> Numbers:
    """0..100: the former service's trained model, which answered the same to every input."""
    return np.full(len(posts), 62.5)


def rules(posts: pd.DataFrame) -> Numbers:
    """0..100: the platform's former formula; a weighted mean of odds of each rate over the usual one."""
    views = posts.views + 25.0
    length = posts.length_ms.fillna(15_000.0).replace(0.0, 15_000.0)
    usual = {"likes": (0.08, 0.3), "comments": (0.01, 0.15), "shares": (0.01, 0.15)}
    parts = [(weight, (posts[name] + 12.5 * rate) / (views * rate)) for name, (rate, weight) in usual.items()]
    parts.append((0.3, (posts.watch_ms + 7.5 * length) / (views * 0.6 * length)))
    parts.append((0.1, np.log1p(posts.reputation.fillna(0.0)) / np.log1p(100)))
    return np.asarray(100 * sum(weight * part / (1 + part) for weight, part in parts), dtype=np.float64)


class Calibrated:
    """Turns scores of any scale into like rates: the logistic line that suits the training posts best (Platt, 1999)."""

    def __init__(self, scores: Numbers, posts: pd.DataFrame) -> None:
        self._middle, self._spread = float(scores.mean()), float(scores.std()) or 1.0
        wanted = (posts.later_likes / posts.later_views).to_numpy(np.float64)
        at = (scores - self._middle) / self._spread

        def loss(line: Numbers) -> float:
            margin = line[0] + line[1] * at
            return float(np.mean(np.logaddexp(0, margin) - wanted * margin))

        self._line = optimize.minimize(loss, [0.0, 1.0], method="L-BFGS-B").x

    def __call__(self, scores: Numbers) -> Numbers:
        margin = self._line[0] + self._line[1] * (scores - self._middle) / self._spread
        return np.asarray(special.expit(margin), dtype=np.float64)
