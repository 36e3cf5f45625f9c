"""Posts as a platform has them, drawn from stated assumptions: for what no shipped data tells.

The real data has no passive views, no creators and no large audiences. Until a platform has learnt from its own posts,
this stands in: rates as the platform's former rules took for usual, one hidden appeal that all of them follow, each
with its own noise, and creators whom more people know when their posts appeal. Deterministic for a seed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

USUAL = {"likes": 0.08, "comments": 0.01, "shares": 0.01, "watched": 0.6}
"""Of each view; watched: of the length."""
FOLLOWS = {"likes": 0.5, "comments": 0.35, "shares": 0.45, "watched": 0.3}
"""By how much a rate's log odds (watched: logarithm) move with one standard deviation of appeal."""
OWN = {"likes": 0.35, "comments": 0.5, "shares": 0.5, "watched": 0.25}
"""Standard deviation of what moves a rate besides."""
LATER_VIEWS = 400


def population(size: int, seed: int) -> pd.DataFrame:
    """`size` posts with later counts: columns as in `columns`, and `true_rate`, the like rate they have for good."""
    draw = np.random.default_rng(seed)
    appeal = draw.standard_normal(size)
    rates = {
        name: special.expit(
            special.logit(USUAL[name]) + FOLLOWS[name] * appeal + OWN[name] * draw.standard_normal(size)
        )
        for name in ("likes", "comments", "shares")
    }
    views = np.floor(np.exp(draw.normal(4.0, 2.2, size))).astype(np.int64)
    length = np.exp(draw.normal(np.log(15), 0.7, size)) * 1000
    fraction = USUAL["watched"] * np.exp(FOLLOWS["watched"] * appeal + OWN["watched"] * draw.standard_normal(size))
    counts = {name: draw.binomial(views, rate) for name, rate in rates.items()}
    return pd.DataFrame(
        {
            **counts,
            "views": views,
            "watch_ms": draw.gamma(np.maximum(views, 1) * 1.5, fraction * length / 1.5) * (views > 0),
            "length_ms": length,
            "reputation": np.floor(np.exp(draw.normal(np.log(100) + 0.8 * appeal, 1.2, size))),
            "age_hours": np.exp(draw.uniform(0.0, np.log(2000), size)),
            "later_views": LATER_VIEWS,
            "later_likes": draw.binomial(LATER_VIEWS, rates["likes"]),
            "true_rate": rates["likes"],
            "post": np.arange(size),
        }
    )
