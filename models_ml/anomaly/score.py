"""Judge gifts by their features: how likely fraud is, whether that is enough for a flag, and what speaks for it.

Two views are added up. The booster knows the kinds of fraud that it was shown. The other knows no kinds: it asks of
each feature how far out in the direction of fraud a gift lies, as -log10 of the part of gifts that lie further out (the
empirical tail probabilities of ECOD, Li et al. 2022, one-sided), and adds up the furthest. A logistic curve, fitted on
an economy that neither has seen, makes a probability of the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from models_ml import registry
from models_ml.anomaly.features import FEATURES, NAMES
from models_ml.anomaly.words import WORDS
from models_ml.registry import Matrix, Model

Floats = npt.NDArray[np.float64]
DEPTHS = np.concatenate([[0.0], np.linspace(0.3, 4.0, 24)])
"""-log10 of the tail probabilities at which a feature's quantiles are kept."""
FURTHEST = 8
"""Features that the view without kinds adds up."""
MOST_REASONS = 4
_DIRECTIONS = np.array([feature.direction for feature in FEATURES.values()], dtype=np.float64)


def learn_tails(rows: Matrix) -> dict[str, list[float]]:
    """Where the tails of each feature with a direction lie: its quantiles at DEPTHS. `rows`: shape (n, features)."""
    levels = 1 - 10**-DEPTHS
    return {
        name: [float(value) for value in np.nanquantile(rows[:, column].astype(np.float64) * direction, levels)]
        for column, (name, direction) in enumerate(zip(NAMES, _DIRECTIONS, strict=True))
        if direction
    }


def tails(rows: Matrix, knots: Mapping[str, list[float]]) -> Floats:
    """How far out each value lies: shape (n, features), 0..4, 0 where a feature is missing or has no direction."""
    result = np.zeros(rows.shape)
    for column, name in enumerate(NAMES):
        if name in knots:
            values = rows[:, column].astype(np.float64) * _DIRECTIONS[column]
            place = np.searchsorted(np.asarray(knots[name]), values, side="left") - 1
            result[:, column] = np.where(np.isnan(values), 0, DEPTHS[np.clip(place, 0, len(DEPTHS) - 1)])
    return result


def furthest(far: Floats) -> Floats:
    """Only the FURTHEST entries of each row, the others 0."""
    least = -np.partition(-far, FURTHEST - 1, axis=1)[:, FURTHEST - 1 : FURTHEST]
    return np.where(far >= np.maximum(least, 1e-9), far, 0)


def suspicion(booster: xgb.Booster, rows: Matrix, parameters: Mapping[str, Any]) -> Floats:
    """The two views added up, shape (n,): the booster's margin and the weighted tails."""
    margin = booster.predict(xgb.DMatrix(rows, feature_names=NAMES), output_margin=True)
    far = np.sort(tails(rows, parameters["tails"]), axis=1)[:, -FURTHEST:]
    return np.asarray(margin, dtype=np.float64) + parameters["tail_weight"] * far.sum(axis=1)


def probability(suspicions: Floats, parameters: Mapping[str, Any]) -> Floats:
    """Calibrated: the logistic curve of the card, shape (n,)."""
    curve = parameters["calibration"]
    return np.asarray(1 / (1 + np.exp(-np.clip(curve["slope"] * suspicions + curve["offset"], -30, 30))))


def judge(frame: pd.DataFrame, model: Model | None = None) -> pd.DataFrame:
    """For rows of `features`: probability (0..1), flagged, and reasons (a tuple of sentences, empty where not flagged).

    `model`: the shipped one when none is given. Raises registry.Refused when there is none that passes its card's
    checks, KeyError when a feature is missing.
    """
    used = model or registry.load("anomaly")
    rows = frame[NAMES].to_numpy(np.float32)
    parameters = used.card.parameters
    if len(rows):
        chance = probability(suspicion(used.boosters["model"], rows, parameters), parameters)
    else:
        chance = np.empty(0)
    flagged = chance >= parameters["threshold"]
    reasons: list[tuple[str, ...]] = [()] * len(rows)
    for place, why in zip(np.flatnonzero(flagged), _reasons(used, rows[flagged]), strict=True):
        reasons[place] = why
    return pd.DataFrame(
        {"probability": chance, "flagged": flagged, "reasons": pd.Series(reasons, dtype=object, index=frame.index)},
        index=frame.index,
    )


def _reasons(model: Model, rows: Matrix) -> list[tuple[str, ...]]:
    """For each row the features that moved it most towards fraud, in words."""
    if not len(rows):
        return []
    parts = model.contributions(rows)
    parts = parts + model.card.parameters["tail_weight"] * furthest(tails(rows, model.card.parameters["tails"]))
    result = []
    for row, moved in zip(rows, parts, strict=True):
        values = dict(zip(NAMES, row.astype(float).tolist(), strict=True))
        order = [NAMES[place] for place in np.argsort(-moved, kind="stable") if moved[place] > 0]
        told = [name for name in order if not np.isnan(values[name])][:MOST_REASONS]
        result.append(tuple(WORDS[name](values) for name in told))
    return result
