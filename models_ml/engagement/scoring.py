"""From posts to scores with their reasons."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from models_ml import registry
from models_ml.engagement import columns, learning
from models_ml.engagement.features import FEATURES, evidence, features, offset
from models_ml.engagement.priors import Numbers, Scale

THIN, MUCH = 1 / 3, 0.8
"""Evidence is thin when what is usual weighs more than twice as much as the post's own likes, and much when these weigh
more than four times as much as what is usual."""
REASONS = (2, 3)
"""The least and the most of them."""
WORTH_NAMING = 0.5
"""Points: a third reason that moved less is not given."""
INPUTS = {
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
    "watched": "watch time",
    "evidence": "views",
    "length": "length",
    "reputation": "creator reputation",
    "age": "age",
}
"""What people call each feature."""


def score(frame: pd.DataFrame, model: registry.Model | None = None) -> pd.DataFrame:
    """Each post's score with its reasons; the frame's index. `model`: the shipped one when none is given.

    Columns: `score` 0..100: 100 times the share of posts of this age and audience that are liked at a lower rate than
    is to be expected of this post from now on; `reasons`: two or three of {"input": name, "points": by how much the
    score would be lower without what it tells, "text": sentence}, the strongest first; `evidence`: thin, some or much.
    Raises Unusable (see `columns.checked`), and Refused when there is no model that passes its checks.
    """
    model = model or _shipped()
    posts, scale = columns.checked(frame), learning.scale_of(model)
    if posts.empty:
        return pd.DataFrame({"score": [], "reasons": [], "evidence": []}, index=frame.index)
    rows = features(posts, scale)
    margin = learning.margins(model, posts, scale)
    scores = _points(margin, posts, scale)
    moved = _moved(margin, scores, model.contributions(rows, learning.PLATFORM), posts, scale)
    weight = evidence(posts, scale)
    said = np.where(weight < THIN, "thin", np.where(weight < MUCH, "some", "much"))
    reasons = [_reasons(post, points, scale) for post, points in zip(posts.to_dict("records"), moved, strict=True)]
    return pd.DataFrame({"score": scores, "reasons": reasons, "evidence": said}, index=frame.index)


@lru_cache(maxsize=1)
def _shipped() -> registry.Model:
    return registry.load("engagement", needs=learning.NEEDS)


def _points(margin: Numbers, posts: pd.DataFrame, scale: Scale) -> Numbers:
    views, age = posts.views.to_numpy(), posts.age_hours.to_numpy()
    return np.clip(100.0 * scale.percentile(special.expit(margin), age, views), 0.0, 100.0)


def _moved(margin: Numbers, scores: Numbers, trees: Numbers, posts: pd.DataFrame, scale: Scale) -> Numbers:
    """Points that each feature moved the score: what it loses when the feature's part of the log odds (its SHAP value,
    and for likes what they moved the shrunk rate) is taken away; shape (n, features)."""
    parts = trees.copy()
    parts[:, FEATURES.index("likes")] += offset(posts, scale) - special.logit(scale.likes.mean)
    without = [_points(margin - parts[:, at], posts, scale) for at in range(len(FEATURES))]
    return scores[:, None] - np.stack(without, axis=1)


def _reasons(post: dict[Any, Any], points: Numbers, scale: Scale) -> list[dict[str, Any]]:
    order = np.argsort(-np.abs(points), kind="stable")[: REASONS[1]]
    kept = [at for rank, at in enumerate(order) if rank < REASONS[0] or abs(points[at]) >= WORTH_NAMING]
    return [
        {
            "input": INPUTS[FEATURES[at]],
            "points": round(float(points[at]), 1),
            "text": f"{_text(FEATURES[at], post, scale)}: {points[at]:+.1f} points.",
        }
        for at in kept
    ]


def _text(name: str, post: dict[Any, Any], scale: Scale) -> str:
    """What was counted, and what is usual."""
    views = _many(post["views"], "views")
    if name in ("likes", "comments", "shares"):
        return f"{_many(post[name], name)} in {views} (usual: {getattr(scale, name).mean:.1%})"
    if name == "watched":
        if np.isnan(post["length_ms"]) or not post["views"]:
            return "How much of it is watched is not known"
        part = post["watch_ms"] / post["length_ms"] / post["views"]
        return f"{part:.0%} of its length is watched on average (usual: {scale.watched.mean:.0%})"
    if name == "reputation":
        if np.isnan(post["reputation"]):
            return "How many people engaged with its creator is not known"
        return f"{post['reputation']:.0f} people engaged with its creator (usual: {scale.reputation:.0f})"
    if name == "length":
        known = not np.isnan(post["length_ms"])
        return f"It lasts {post['length_ms'] / 1000:.0f} s" if known else "Its length is not known"
    if name == "age":
        known = not np.isnan(post["age_hours"])
        return f"It is {post['age_hours']:.0f} hours old" if known else "Its age is not known"
    return f"It has {views}"


def _many(count: float, things: str) -> str:
    return f"{count:.0f} {things.removesuffix('s') if count == 1 else things}"
