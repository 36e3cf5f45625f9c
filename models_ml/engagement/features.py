"""What the trees see of a post: how far each shrunk rate is from what is usual where the post comes from.

None has a unit, so what was learnt on one platform says something on another. Every feature that views enter falls
(or, for `evidence`, is held to fall) with them: bought views cannot raise anything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from models_ml.engagement.priors import AGE_CENTRES, USUAL_LENGTH_MS, Numbers, Scale

CONSTRAINTS = {
    "likes": 1,
    "comments": 1,
    "shares": 1,
    "watched": 1,
    "evidence": -1,
    "length": 0,
    "reputation": 1,
    "age": 0,
}
"""Each feature, and whether the answer must never fall (1), never rise (-1) or may do either when it grows.

likes: log odds of the shrunk like rate over those of the usual one; comments, shares, watched: logarithm of the shrunk
rate over the usual one; evidence: 0..1, how much the post's own likes weigh against the prior; length: log seconds;
reputation: logarithm over the usual one; age: log(1 + hours).
"""
FEATURES = list(CONSTRAINTS)


def features(posts: pd.DataFrame, scale: Scale) -> npt.NDArray[np.float32]:
    """Rows of FEATURES for checked posts, shape (n, 8). A fact that is not known is taken for a usual one."""
    views = posts.views.to_numpy()
    watched = scale.watched.shrunk((posts.watch_ms / posts.length_ms).to_numpy(), views) / scale.watched.mean
    columns = {
        "likes": offset(posts, scale) - special.logit(scale.likes.mean),
        "comments": np.log(scale.comments.shrunk(posts.comments.to_numpy(), views) / scale.comments.mean),
        "shares": np.log(scale.shares.shrunk(posts.shares.to_numpy(), views) / scale.shares.mean),
        "watched": np.nan_to_num(np.log(watched)),
        "evidence": evidence(posts, scale),
        "length": np.log(posts.length_ms.fillna(USUAL_LENGTH_MS).to_numpy() / 1000),
        "reputation": np.nan_to_num(np.log1p(posts.reputation.to_numpy()) - np.log1p(scale.reputation)),
        "age": np.log1p(posts.age_hours.fillna(AGE_CENTRES[1]).to_numpy()),
    }
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def offset(posts: pd.DataFrame, scale: Scale) -> Numbers:
    """Log odds of the shrunk like rate, shape (n,): where the trees begin. Likes beyond views count as views."""
    views = posts.views.to_numpy()
    return special.logit(scale.likes.shrunk(np.minimum(posts.likes.to_numpy(), views), views))


def evidence(posts: pd.DataFrame, scale: Scale) -> Numbers:
    """0..1: the weight of the post's own likes against what is usual, shape (n,)."""
    views = posts.views.to_numpy()
    return views / (views + scale.likes.strength)
