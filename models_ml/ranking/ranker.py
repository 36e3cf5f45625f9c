"""The order of candidates: boosted trees that learnt, from rehearsals, which of them a person liked next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from models_ml.boosting import FIXED
from models_ml.ranking.features import NAMES, Matrix
from models_ml.registry import Needs

PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 4,
    "eta": 0.09,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.4,
    "lambda": 20.0,
    "seed": 7,
}
"""Chosen on the earlier rehearsals for the later ones: shallow and slow beat deep, and pairs or lists of choices."""
ROUNDS = 140
GLANCE, CLOSER = 25, 120
"""All candidates are judged by the first trees, and by all trees only so many that these put first."""
FEWEST = 50
"""With fewer rehearsed choices than this there is nothing to learn from, and the rule below orders candidates."""
RULE = {
    "next_faded": 1.0,
    "near_faded": 0.5,
    "taste_faded": 0.02,
    "topic_faded": 0.02,
    "trend_24h": 0.01,
    "likes": 0.005,
}


NEEDS = Needs(features=NAMES)
"""What a trained ranker must be, see `registry`."""


@dataclass(frozen=True)
class Choice:
    """One rehearsed moment: features of the posts on offer, shape (n, features), which of them were
    liked next, if any, and what the moment counts for."""

    features: Matrix
    labels: npt.NDArray[np.float32]
    weight: float = 1.0


class Ranker:
    def __init__(self, booster: xgb.Booster | None = None) -> None:
        self.booster = booster

    @classmethod
    def learn(cls, choices: Sequence[Choice]) -> Ranker:
        if sum(bool(choice.labels.any()) for choice in choices) < FEWEST:
            return cls()
        matrix = xgb.DMatrix(
            np.concatenate([choice.features for choice in choices]),
            np.concatenate([choice.labels for choice in choices]),
            weight=np.repeat([choice.weight for choice in choices], [len(choice.labels) for choice in choices]),
            feature_names=list(NAMES),
        )
        return cls(xgb.train({**FIXED, **PARAMETERS}, matrix, ROUNDS))

    @classmethod
    def of(cls, trees: bytes) -> Ranker:
        """As `dump` gave them. Raises ValueError when they are no trees, or trees of other features."""
        if not trees:
            return cls()
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(trees))
        if booster.feature_names != list(NAMES):
            raise ValueError("The ranker was made for other features.")
        return cls(booster)

    def dump(self) -> bytes:
        """The trees as XGBoost writes them (UBJSON); nothing when there are none."""
        return b"" if self.booster is None else bytes(self.booster.save_raw("ubj"))

    def best(self, features: Matrix, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Rows of the at most `number` best candidates in no order, and their scores: larger is better."""
        rows = np.arange(len(features))
        if len(features) > number:
            rows = np.argpartition(-self.score(features, GLANCE), number)[:number]
        return rows, self.score(features[rows])

    def score(self, features: Matrix, rounds: int = 0) -> npt.NDArray[np.float32]:
        """Larger is better, shape (n,); by the first rounds of trees, or by all (0)."""
        if self.booster is None:
            return rule(features)
        found = self.booster.inplace_predict(
            features, iteration_range=(0, rounds), predict_type="margin", validate_features=False
        )
        return np.asarray(found, dtype=np.float32)


def rule(features: Matrix) -> npt.NDArray[np.float32]:
    """An order without learning: what is liked after the person's likes, then what is alike, then what is popular."""
    columns = [NAMES.index(name) for name in RULE]
    return np.asarray(np.nan_to_num(features[:, columns]) @ np.array(list(RULE.values()), dtype=np.float32))
