"""How the model is learnt from posts with their later counts, and how it answers.

    log odds of the later like rate = log odds of the shrunk like rate + trees(features)

The first term is the beta-binomial mean, the trees correct it by what else is known. Both are monotone, so the sum is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xgboost as xgb
from scipy import special

from models_ml import boosting, registry
from models_ml.engagement.features import CONSTRAINTS, FEATURES, features, offset
from models_ml.engagement.priors import Numbers, Scale

if TYPE_CHECKING:
    from distributed import Client

PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "base_score": 0.5,
    "eta": 0.05,
    "max_depth": 4,
    "min_child_weight": 1,
    "lambda": 5.0,
    "subsample": 0.7,
    "colsample_bynode": 0.7,
    "max_bin": 128,
    "monotone_constraints": boosting.monotone(CONSTRAINTS.values()),
}
ROUNDS = 200


@dataclass(frozen=True)
class Material:
    """Checked posts with later counts, the scale they are seen on, and as how many posts they count together."""

    posts: pd.DataFrame
    scale: Scale
    weight: float


def learn(
    materials: Sequence[Material], seed: int, client: Client | None = None, progress: int = 0, rounds: int = ROUNDS
) -> xgb.Booster:
    """The trees, from one or more materials, each seen on its own scale; every post of a material weighs the same."""
    rows = boosting.Rows(
        features=np.concatenate([features(material.posts, material.scale) for material in materials]),
        names=FEATURES,
        labels=np.concatenate([(m.posts.later_likes / m.posts.later_views).to_numpy() for m in materials]),
        weights=np.concatenate([np.full(len(m.posts), m.weight / len(m.posts)) for m in materials]),
        margins=np.concatenate([offset(material.posts, material.scale) for material in materials]),
    )
    return boosting.fit(rows, {**PARAMETERS, "seed": seed}, rounds, client, progress)


def scale_of(model: registry.Model, name: str = "platform") -> Scale:
    """A scale out of the model's card. Raises Refused when it has none of this name."""
    try:
        return Scale.from_json(model.card.parameters["scales"][name])
    except (KeyError, TypeError) as error:
        raise registry.Refused(f"{model.version} has no scale {name!r} in its card.") from error


def rates(model: registry.Model, posts: pd.DataFrame, scale: Scale) -> Numbers:
    """The like rate to expect of checked posts from now on, 0..1, shape (n,)."""
    return from_trees(model.predict(features(posts, scale)), posts, scale)


def from_trees(answers: Numbers, posts: pd.DataFrame, scale: Scale) -> Numbers:
    """The rate out of what the trees answer alone (a probability without the margin that they began at)."""
    return np.asarray(special.expit(special.logit(answers) + offset(posts, scale)), dtype=np.float64)
