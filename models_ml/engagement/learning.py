"""How the model is learnt from posts with their later counts, and how it answers.

    log odds of the later like rate = log odds of the shrunk like rate + trees(features)

The first term is the beta-binomial mean, the trees correct it by what else is known. Both are monotone, so the sum is.
What is usual, and the trees, belong to where posts come from: a model has one booster and one scale for each source,
under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from models_ml import boosting, registry
from models_ml.engagement.features import CONSTRAINTS, FEATURES, features, offset
from models_ml.engagement.priors import Numbers, Scale

if TYPE_CHECKING:
    import xgboost as xgb
    from distributed import Client

PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "base_score": 0.5,
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 1,
    "lambda": 1.0,
    "subsample": 0.7,
    "colsample_bynode": 0.7,
    "max_bin": 1024,
    "monotone_constraints": boosting.monotone(CONSTRAINTS.values()),
}
ROUNDS = 200
PLATFORM = "platform"
"""The source of the posts that are scored; others are there to be measured on."""


def _check(parameters: Mapping[str, Any]) -> None:
    Scale.from_json(parameters["scales"][PLATFORM])


NEEDS = registry.Needs(FEATURES, (PLATFORM,), _check)
"""What scoring posts takes for granted of a model."""


def learn(
    posts: pd.DataFrame, scale: Scale, seed: int, client: Client | None = None, progress: int = 0, rounds: int = ROUNDS
) -> xgb.Booster:
    """The trees, from checked posts with later counts; every post weighs the same."""
    rows = boosting.Rows(
        features=features(posts, scale),
        names=FEATURES,
        labels=(posts.later_likes / posts.later_views).to_numpy(np.float64),
        weights=np.ones(len(posts)),
        margins=offset(posts, scale),
    )
    return boosting.fit(rows, {**PARAMETERS, "seed": seed}, rounds, client, progress)


def scale_of(model: registry.Model, source: str = PLATFORM) -> Scale:
    """A source's scale out of the model's card. Raises Refused when it has none."""
    try:
        return Scale.from_json(model.card.parameters["scales"][source])
    except (KeyError, TypeError, ValueError) as error:
        raise registry.Refused(f"{model.version} has no scale {source!r} in its card.") from error


def rates(model: registry.Model, posts: pd.DataFrame, source: str = PLATFORM) -> Numbers:
    """The like rate to expect of checked posts of a source from now on, 0..1, shape (n,)."""
    return np.asarray(special.expit(margins(model, posts, scale_of(model, source), source)), dtype=np.float64)


def margins(model: registry.Model, posts: pd.DataFrame, scale: Scale, source: str = PLATFORM) -> Numbers:
    """The log odds of these rates. The booster alone answers a probability without the margin that it began at."""
    trees = special.logit(model.predict(features(posts, scale), source))
    return np.asarray(trees + offset(posts, scale), dtype=np.float64)
