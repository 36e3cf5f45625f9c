"""Learning: a booster on simulated gifts, then how much each look at a gift weighs, rehearsed on unseen kinds.

How much to believe the booster, the tails and the company of a gift is not asked of kinds the booster knows, where the
booster would always seem right. Boosters that each lack some kinds answer for an economy with just these kinds in it,
and the weights are those that serve there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from scipy.optimize import minimize

from models_ml.anomaly import score
from models_ml.anomaly.features import NAMES, features
from models_ml.anomaly.score import LATER, VIEWS, Bonds, bonds
from models_ml.anomaly.simulate import KINDS, PREVALENCE, simulate
from models_ml.anomaly.world import HONEST
from models_ml.registry import Matrix

Strings = npt.NDArray[np.str_]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

PRECISION = 0.95
"""Of the flagged gifts of a month never seen, the part that is to be fraud."""
AIM = 0.97
"""The same on the economies on which the threshold is chosen: another month is never quite as kind."""
REHEARSALS = 4
"""Parts into which the kinds are parted, each left out in turn."""
HONEST_PART = 0.4
"""Of the honest gifts that are learnt from."""
ROUNDS = 120
RIDGE = 1e-3
SETTINGS: dict[str, Any] = {
    "objective": "binary:logistic",
    "max_depth": 4,
    "eta": 0.1,
    "subsample": 0.7,
    "colsample_bynode": 0.15,
    "reg_lambda": 5.0,
    "min_child_weight": 5.0,
    "max_bin": 64,
    "tree_method": "hist",
    "nthread": 1,
}


class Material(NamedTuple):
    """Gifts of one economy or several: features (n, features), what each truly is (n,), and their bonds."""

    rows: Matrix
    kinds: Strings
    bonds: Bonds

    @property
    def fraud(self) -> Bools:
        return np.asarray(self.kinds != HONEST)

    def only(self, kept: Bools) -> Material:
        return Material(self.rows[kept], self.kinds[kept], Bonds(*(part[kept] for part in self.bonds)))

    def without(self, kinds: Sequence[str]) -> Material:
        """The material without gifts of these kinds."""
        return self.only(~np.isin(self.kinds, list(kinds)))


@dataclass(frozen=True)
class Trained:
    """A booster, and the card's parameters: tails, and of each view weights, offset and threshold."""

    booster: xgb.Booster
    parameters: dict[str, Any]

    def probability(self, asked: Material, view: str = LATER) -> Floats:
        own = score.looks(self.booster, asked.rows, self.parameters["tails"])
        return score.probability(score.with_company(own, asked.bonds, view), self.parameters["views"][view])


def material(
    seed: int, *, kinds: Sequence[str] = KINDS, prevalence: float = PREVALENCE, people: int = 2000
) -> Material:
    """A simulated economy, measured."""
    economy = simulate(seed, kinds=kinds, prevalence=prevalence, people=people)
    frame = features(economy.gifts, economy.people, economy.grants)
    return Material(frame.to_numpy(np.float32), economy.gifts["kind"].to_numpy(dtype=str), bonds(economy.gifts))


def joined(parts: Sequence[Material]) -> Material:
    """Several economies side by side: nobody of one knows anybody of another."""
    moved, pairs, creators = [], 0, 0
    for part in parts:
        moved.append(Bonds(part.bonds.pair + pairs, part.bonds.creator + creators, part.bonds.time))
        pairs, creators = (int(codes.max(initial=0)) + 1 for codes in moved[-1][:2])
    together = Bonds(*(np.concatenate(column) for column in zip(*moved, strict=True)))
    return Material(np.concatenate([p.rows for p in parts]), np.concatenate([p.kinds for p in parts]), together)


def fit(learnt: Sequence[Material], calibration: Material, seed: int) -> Trained:
    """Learn from at least two economies, then calibrate and choose the thresholds on another.

    The last of the economies is the stage of the rehearsals. Raises ValueError without any fraud.
    """
    whole = joined(learnt)
    if not whole.fraud.any() or not calibration.fraud.any():
        raise ValueError("There is no fraud to learn from.")
    booster, knots = _boost(whole, seed), score.learn_tails(whole.rows)
    own = score.looks(booster, calibration.rows, knots)
    views: dict[str, dict[str, Any]] = {}
    for view, weights in _rehearse(learnt, knots, seed).items():
        evidence = score.with_company(own, calibration.bonds, view)
        suspicion = evidence @ np.asarray(weights)
        slope, offset = _curve(suspicion[:, None], calibration.fraud, ridge=0).tolist()
        views[view] = {"weights": [slope * weight for weight in weights], "offset": offset}
        views[view]["threshold"] = cut_at(score.probability(evidence, views[view]), calibration.fraud, AIM)
    return Trained(booster, {"tails": knots, "views": views, "precision": PRECISION})


def _boost(learnt: Material, seed: int) -> xgb.Booster:
    """All fraud, each kind weighing the same, and a part of the honest gifts that weighs as much as all of them."""
    dice = np.random.default_rng(seed).random(len(learnt.kinds))
    used = learnt.fraud | (dice < HONEST_PART)
    kinds, fraud = learnt.kinds[used], learnt.fraud[used]
    weights = np.full(len(kinds), 1 / HONEST_PART)
    names, counts = np.unique(kinds[fraud], return_counts=True)
    for name, count in zip(names, counts, strict=True):
        weights[kinds == name] = fraud.sum() / len(names) / count
    matrix = xgb.DMatrix(learnt.rows[used], label=fraud, weight=weights, feature_names=NAMES)
    return xgb.train({**SETTINGS, "seed": seed}, matrix, ROUNDS)


def _rehearse(learnt: Sequence[Material], knots: Mapping[str, list[float]], seed: int) -> dict[str, list[float]]:
    """How much each of the four numbers weighs in each view, from economies whose kinds the booster does not know."""
    known, stage = joined(learnt[:-1] or learnt), learnt[-1]
    kinds = np.unique(stage.kinds[stage.fraud]).tolist()
    seen: dict[str, list[Floats]] = {view: [] for view in VIEWS}
    truth = []
    for start in range(min(REHEARSALS, len(kinds))):
        part = kinds[start::REHEARSALS]
        rehearsal = stage.without([kind for kind in kinds if kind not in part])
        own = score.looks(_boost(known.without(part), seed), rehearsal.rows, knots)
        for view in VIEWS:
            seen[view].append(score.with_company(own, rehearsal.bonds, view))
        truth.append(rehearsal.fraud)
    fraud = np.concatenate(truth)
    return {view: _curve(np.concatenate(parts), fraud, ridge=RIDGE)[:-1].tolist() for view, parts in seen.items()}


def _curve(evidence: Floats, fraud: Bools, *, ridge: float) -> Floats:
    """Logistic regression with weights of 0 or more: more of what is suspicious never speaks for a gift.

    `evidence`: shape (n, k); answers k weights and the offset. Targets are smoothed as by Platt (1999).
    """
    middle, spread = evidence.mean(axis=0), np.maximum(evidence.std(axis=0), 1e-9)
    scaled = (evidence - middle) / spread
    targets = np.where(fraud, (fraud.sum() + 1) / (fraud.sum() + 2), 1 / ((~fraud).sum() + 2))

    def loss(curve: Floats) -> tuple[float, Floats]:
        margin = scaled @ curve[:-1] + curve[-1]
        off = 1 / (1 + np.exp(-margin)) - targets
        value = np.mean(np.logaddexp(0, margin) - targets * margin) + ridge * np.sum(curve[:-1] ** 2)
        return float(value), np.append(scaled.T @ off / len(off) + 2 * ridge * curve[:-1], off.mean())

    bounds = [(0.0, None)] * evidence.shape[1] + [(None, None)]
    found = minimize(loss, np.zeros(evidence.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[:-1] / spread
    return np.append(weights, found[-1] - weights @ middle)


def cut_at(chances: Floats, fraud: Bools, precision: float) -> float:
    """The least chance from which on at least this part of the gifts is fraud; 1 when there is none."""
    order = np.argsort(-chances, kind="stable")
    right = np.cumsum(fraud[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(chances[order]) != 0, True)
    good = np.flatnonzero((right >= precision) & last)
    return float(chances[order][good[-1]]) if len(good) else 1.0


def average_precision(chances: Floats, fraud: Bools) -> float:
    """Mean over the frauds of the precision at each, ties taken together: the area under precision and recall."""
    order = np.argsort(-chances, kind="stable")
    last = np.append(np.diff(chances[order]) != 0, True)
    hits = np.cumsum(fraud[order])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(np.append(0, hits)) * precision) / max(fraud.sum(), 1))


def recalls(found: Bools, kinds: Strings) -> dict[str, float]:
    """The part of each kind that was found."""
    return {str(kind): float(found[kinds == kind].mean()) for kind in np.unique(kinds[kinds != HONEST])}
