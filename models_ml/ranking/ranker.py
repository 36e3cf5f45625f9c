"""The order of candidates: boosted trees that learnt, from rehearsals, which of them a person liked next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from models_ml.boosting import FIXED
from models_ml.ranking.features import NAMES, Matrix

PARAMETERS = {
    "objective": "rank:ndcg",
    "lambdarank_pair_method": "topk",
    "lambdarank_num_pair_per_sample": 20,
    "ndcg_exp_gain": False,
    "max_depth": 6,
    "eta": 0.1,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "lambda": 5.0,
    "seed": 7,
}
ROUNDS = 150
FEWEST = 50
"""With fewer rehearsed choices than this there is nothing to learn from, and the rule below orders candidates."""


@dataclass(frozen=True)
class Choice:
    """One rehearsed moment: features of the posts on offer, shape (n, features), and which of them was liked next."""

    features: Matrix
    labels: npt.NDArray[np.float32]


class Ranker:
    def __init__(self, booster: xgb.Booster | None = None) -> None:
        self.booster = booster

    @classmethod
    def learn(cls, choices: Sequence[Choice]) -> Ranker:
        if len(choices) < FEWEST:
            return cls()
        matrix = xgb.DMatrix(
            np.concatenate([choice.features for choice in choices]),
            np.concatenate([choice.labels for choice in choices]),
            qid=np.repeat(np.arange(len(choices)), [len(choice.labels) for choice in choices]),
            feature_names=list(NAMES),
        )
        return cls(xgb.train({**FIXED, **PARAMETERS}, matrix, ROUNDS))

    def score(self, features: Matrix) -> npt.NDArray[np.float32]:
        """Larger is better, shape (n,)."""
        if self.booster is None:
            return rule(features)
        return np.asarray(self.booster.inplace_predict(features, validate_features=False), dtype=np.float32)


def rule(features: Matrix) -> npt.NDArray[np.float32]:
    """An order without learning: what is liked after the person's likes, then what is alike, then what is popular."""
    weights = {"next_faded": 1.0, "near_faded": 0.5, "taste_faded": 0.02, "topic_faded": 0.02, "trend_24h": 0.01, "likes": 0.005}
    columns = [NAMES.index(name) for name in weights]
    return np.nan_to_num(features[:, columns]) @ np.array(list(weights.values()), dtype=np.float32)
