"""Judge gifts by their features: how likely fraud is, whether that is enough for a flag, and what speaks for it.

Two looks at a gift by itself: the booster knows the kinds of fraud that it was shown. The other knows no kinds: it asks
of each feature how far out in the direction of fraud a gift lies, as -log10 of the part of gifts that lie further out
(the empirical tail probabilities of ECOD, Li et al. 2022, one-sided), and adds up the furthest. Then its company: how
the booster saw the other gifts of these two, and all gifts to the creator. Of these four numbers a logistic regression
makes a probability. There are two views, with weights and a threshold of their own:

* `at_once`, when a gift is made: company is that of the two weeks before;
* `later`, when a scan looks at it again: company is that of the two weeks before and after, so that the first gifts of
  a fraud, which look like any other, are found by what followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml import registry
from models_ml.anomaly.features import FEATURES, NAMES
from models_ml.anomaly.windows import DAY, Ints, Series
from models_ml.anomaly.words import COMPANY, WORDS
from models_ml.registry import Matrix, Model

if TYPE_CHECKING:
    import xgboost as xgb

Floats = npt.NDArray[np.float64]
DEPTHS = np.concatenate([[0.0], np.linspace(0.3, 4.0, 24)])
"""-log10 of the tail probabilities at which a feature's quantiles are kept."""
FURTHEST = 4
"""Features that the look without kinds adds up."""
LEAST, MOST = -5.0, 6.0
"""Margins of the booster that are told from one another; what is below LEAST counts as nothing."""
SPAN = 14 * DAY
AT_ONCE, LATER = "at_once", "later"
VIEWS = (AT_ONCE, LATER)
MOST_REASONS = 4
ENOUGH = 1000
"""Gifts of a history below which nothing can be said: where everybody is new, new accounts are no sign."""
_DIRECTIONS = np.array([feature.direction for feature in FEATURES.values()], dtype=np.float64)


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError for parameters that `judge` cannot use."""
    for name, feature in FEATURES.items():
        if feature.direction and len(np.asarray(parameters["tails"][name], dtype=np.float64)) != len(DEPTHS):
            raise ValueError(f"the tail of {name} is not known at each depth")
    for view in VIEWS:
        curve = parameters["views"][view]
        registry.numbers(curve["weights"], 4)
        registry.numbers([curve["offset"], curve["threshold"]], 2)


NEEDS = registry.Needs(NAMES, check=_check)
"""What judging gifts takes for granted of a model."""


class Bonds(NamedTuple):
    """Who gave to whom, and when: codes of pairs and of creators, seconds; each of shape (n,)."""

    pair: Ints
    creator: Ints
    time: Ints


def bonds(gifts: pd.DataFrame) -> Bonds:
    """Of a frame with giver, creator and time (UTC)."""
    creator = pd.factorize(gifts["creator"])[0].astype(np.int64)
    pair = gifts.groupby(["giver", "creator"], sort=False).ngroup()
    moments = pd.to_datetime(gifts["time"], utc=True)
    time = np.asarray((moments - moments.min()) // pd.Timedelta(seconds=1), dtype=np.int64)
    return Bonds(np.asarray(pair, dtype=np.int64), creator, time)


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


def looks(booster: xgb.Booster, rows: Matrix, knots: Mapping[str, list[float]]) -> Floats:
    """The two looks at each gift by itself: the booster's margin above LEAST, and the furthest tails; shape (n, 2)."""
    import xgboost as xgb  # here, because it takes a second: a process may start without having to judge

    margin = booster.predict(xgb.DMatrix(rows, feature_names=NAMES), output_margin=True).astype(np.float64)
    far = np.sort(tails(rows, knots), axis=1)[:, -FURTHEST:].sum(axis=1)
    return np.column_stack([np.clip(margin, LEAST, MOST) - LEAST, far])


def with_company(own: Floats, bonds: Bonds, view: str) -> Floats:
    """The two looks, and the mean margin of the pair's and of the creator's gifts, one of 0 added; shape (n, 4)."""
    until = bonds.time + (SPAN if view == LATER else 0)

    def mean(group: Ints) -> Floats:
        series = Series(group, bonds.time, own[:, 0])
        since = bonds.time - SPAN
        return np.asarray(series.total(group, since, until) / (series.count(group, since, until) + 1))

    return np.column_stack([own, mean(bonds.pair), mean(bonds.creator)])


def probability(evidence: Floats, curve: Mapping[str, Any]) -> Floats:
    """By the view's curve in the card: a logistic regression on four numbers. `evidence`: shape (n, 4)."""
    margin = evidence @ np.asarray(curve["weights"], dtype=np.float64) + curve["offset"]
    return np.asarray(1 / (1 + np.exp(-np.clip(margin, -30, 30))))


def judge(frame: pd.DataFrame, gifts: pd.DataFrame, model: Model | None = None, *, view: str = AT_ONCE) -> pd.DataFrame:
    """For rows of `features`: probability (0..1), flagged, and reasons (a tuple of sentences, empty where not flagged).

    `gifts`: giver, creator and time (UTC) of the same rows; those who are asked about and the two weeks around them.
    `model`: the shipped one when none is given. Raises registry.Refused when there is none that passes its card's
    checks, KeyError when a column is missing.
    """
    used = model or registry.load("anomaly", needs=NEEDS)
    rows, curve = frame[NAMES].to_numpy(np.float32), _curve(used, view)
    evidence, chance = np.empty((0, 4)), np.empty(0)
    if len(rows):
        own = looks(used.boosters["model"], rows, used.card.parameters["tails"])
        evidence = with_company(own, bonds(gifts), view)
        chance = probability(evidence, curve)
    flagged = chance >= curve["threshold"]
    reasons: list[tuple[str, ...]] = [()] * len(rows)
    told = _reasons(used, rows[flagged], evidence[flagged], curve["weights"])
    for place, why in zip(np.flatnonzero(flagged), told, strict=True):
        reasons[place] = why
    return pd.DataFrame(
        {"probability": chance, "flagged": flagged, "reasons": pd.Series(reasons, dtype=object, index=frame.index)},
        index=frame.index,
    )


def threshold(model: Model, view: str) -> float:
    """The probability from which on a gift is flagged. Raises registry.Refused when the model knows no such view."""
    return float(_curve(model, view)["threshold"])


def _curve(model: Model, view: str) -> Mapping[str, Any]:
    try:
        curve: Mapping[str, Any] = model.card.parameters["views"][view]
    except KeyError as error:
        raise registry.Refused(f"{model.version} was made by other code: it has no view {view!r}.") from error
    return curve


def _reasons(model: Model, rows: Matrix, evidence: Floats, weights: list[float]) -> list[tuple[str, ...]]:
    """For each row what moved it most towards fraud, in words: features, and the company it is in.

    The booster's margin is told apart into features by its SHAP values. It counts by itself and within its company.
    """
    if not len(rows):
        return []
    parts = (weights[0] + weights[2]) * model.contributions(rows)
    parts = parts + weights[1] * furthest(tails(rows, model.card.parameters["tails"]))
    parts = np.column_stack([parts, weights[3] * evidence[:, 3]])
    result = []
    for row, moved in zip(rows, parts, strict=True):
        values = dict(zip(NAMES, row.astype(float).tolist(), strict=True))
        order = [place for place in np.argsort(-moved, kind="stable") if moved[place] > 0]
        told = [place for place in order if place == len(NAMES) or not np.isnan(values[NAMES[place]])][:MOST_REASONS]
        result.append(tuple(COMPANY if place == len(NAMES) else WORDS[NAMES[place]](values) for place in told))
    return result
