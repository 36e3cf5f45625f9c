"""Engagement scores by the trained model: from what the platform counted to the model's frame, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
import xgboost  # noqa: F401 - takes a second: once where the worker starts, and not in each of its forks

from models_ml import engagement
from popoff.scoring import rules
from popoff.scoring.rules import EngagementInputs, Scored, Scorer
from workers import models

MODEL = "engagement"


def scorer() -> Scorer:
    """Scores by the model in use, or by the rules when there is none that can be used, which is logged."""
    model = models.in_use(MODEL, engagement.NEEDS)
    if model is None:
        return rules.RULES

    def score(posts: Mapping[int, EngagementInputs]) -> dict[int, Scored]:
        if not posts:
            return {}
        frame = pd.DataFrame([asdict(inputs) for inputs in posts.values()], index=list(posts))
        found = engagement.score(frame, model)
        return {
            post_id: Scored(float(points), reasons)
            for post_id, points, reasons in zip(posts, found.score, found.reasons, strict=True)
        }

    return Scorer(model.version, score)
