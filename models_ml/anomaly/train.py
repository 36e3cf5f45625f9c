"""`python -m models_ml.anomaly.train [--seed N] [--store DIR]`: learn from simulated economies, write card and model.

Learnt on some economies with more fraud than there is in truth, so that there are enough examples of each kind;
calibrated, and the threshold chosen, on another with as much as is usual; measured on a third.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb
from scipy.optimize import minimize

from models_ml import registry
from models_ml.anomaly import score
from models_ml.anomaly.features import FEATURES, NAMES, features
from models_ml.anomaly.simulate import KINDS, PREVALENCE, simulate
from models_ml.anomaly.world import HONEST
from models_ml.registry import Card, Matrix

Say = Callable[[str], None]
Strings = npt.NDArray[np.str_]
Bools = npt.NDArray[np.bool_]

ECONOMIES = 3
LEARNT_PREVALENCE = 0.05
PRECISION = 0.95
"""Of the flagged gifts of the calibration economy, the part that is fraud."""
TAIL_WEIGHT = 0.3
"""Of the view without kinds; chosen on economies that are used nowhere else."""
HONEST_PART = 0.4
"""Of the honest gifts that are learnt from."""
ROUNDS = 120
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
LIMITS = (
    "Learnt and measured on simulated economies only: its figures on real gifts are not known.",
    "The first gifts of a fraud look like any other: most that is missed is missed there.",
    "A probability holds where about one gift in a hundred is fraud, and for amounts around those simulated.",
    "A flag is a reason to look, never a proof.",
)


class Material(NamedTuple):
    """Features of gifts, shape (n, features), and what each gift truly is, shape (n,)."""

    rows: Matrix
    kinds: Strings

    @property
    def fraud(self) -> Bools:
        return np.asarray(self.kinds != HONEST)


@dataclass(frozen=True)
class Trained:
    """A booster, and the card's parameters: tails, tail_weight, calibration, threshold."""

    booster: xgb.Booster
    parameters: dict[str, Any]

    def probability(self, rows: Matrix) -> npt.NDArray[np.float64]:
        return score.probability(score.suspicion(self.booster, rows, self.parameters), self.parameters)


def material(
    seed: int, *, kinds: Sequence[str] = KINDS, prevalence: float = PREVALENCE, people: int = 2500
) -> Material:
    """A simulated economy, measured."""
    economy = simulate(seed, kinds=kinds, prevalence=prevalence, people=people)
    frame = features(economy.gifts, economy.people, economy.grants)
    return Material(frame.to_numpy(np.float32), economy.gifts["kind"].to_numpy(dtype=str))


def without(one: Material, kinds: Sequence[str]) -> Material:
    """The material without gifts of these kinds."""
    kept = ~np.isin(one.kinds, list(kinds))
    return Material(one.rows[kept], one.kinds[kept])


def fit(learnt: Material, calibration: Material, seed: int) -> Trained:
    """Learn from the one, then calibrate and choose the threshold on the other. Raises ValueError without any fraud."""
    if not learnt.fraud.any() or not calibration.fraud.any():
        raise ValueError("There is no fraud to learn from.")
    booster = xgb.train({**SETTINGS, "seed": seed}, _matrix(learnt, seed), ROUNDS)
    parameters: dict[str, Any] = {"tails": score.learn_tails(learnt.rows), "tail_weight": TAIL_WEIGHT}
    suspicions = score.suspicion(booster, calibration.rows, parameters)
    parameters["calibration"] = _calibrate(suspicions, calibration.fraud)
    chances = score.probability(suspicions, parameters)
    parameters |= {"precision": PRECISION, "threshold": cut_at(chances, calibration.fraud, PRECISION)}
    return Trained(booster, parameters)


def _matrix(learnt: Material, seed: int) -> xgb.DMatrix:
    """All fraud, each kind weighing the same, and a part of the honest gifts that weighs as much as all of them."""
    dice = np.random.default_rng(seed).random(len(learnt.kinds))
    used = learnt.fraud | (dice < HONEST_PART)
    kinds, fraud = learnt.kinds[used], learnt.fraud[used]
    weights = np.full(len(kinds), 1 / HONEST_PART)
    names, counts = np.unique(kinds[fraud], return_counts=True)
    for name, count in zip(names, counts, strict=True):
        weights[kinds == name] = fraud.sum() / len(names) / count
    return xgb.DMatrix(learnt.rows[used], label=fraud, weight=weights, feature_names=NAMES)


def _calibrate(suspicions: npt.NDArray[np.float64], fraud: Bools) -> dict[str, float]:
    """Platt's curve: slope and offset of a logistic regression on one number, its targets smoothed as Platt (1999)."""
    targets = np.where(fraud, (fraud.sum() + 1) / (fraud.sum() + 2), 1 / ((~fraud).sum() + 2))

    def loss(curve: npt.NDArray[np.float64]) -> float:
        margin = curve[0] * suspicions + curve[1]
        return float(np.mean(np.logaddexp(0, margin) - targets * margin))

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"maxiter": 2000}).x
    return {"slope": float(slope), "offset": float(offset)}


def cut_at(chances: npt.NDArray[np.float64], fraud: Bools, precision: float) -> float:
    """The least chance from which on at least this part of the gifts is fraud; 1 when there is none."""
    order = np.argsort(-chances, kind="stable")
    right = np.cumsum(fraud[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(chances[order]) != 0, True)
    good = np.flatnonzero((right >= precision) & last)
    return float(chances[order][good[-1]]) if len(good) else 1.0


def average_precision(chances: npt.NDArray[np.float64], fraud: Bools) -> float:
    """Mean over the frauds of the precision at each, ties taken together: the area under precision and recall."""
    order = np.argsort(-chances, kind="stable")
    last = np.append(np.diff(chances[order]) != 0, True)
    hits = np.cumsum(fraud[order])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(np.append(0, hits)) * precision) / max(fraud.sum(), 1))


def measure(trained: Trained, test: Material) -> dict[str, float]:
    """Figures on material that was not learnt from."""
    chances, fraud = trained.probability(test.rows), test.fraud
    flagged = chances >= trained.parameters["threshold"]
    return {
        "average_precision": average_precision(chances, fraud),
        "precision": float(fraud[flagged].mean()) if flagged.any() else 0.0,
        "recall": float(flagged[fraud].mean()),
        "honest_spared": 1 - float(flagged[~fraud].mean()),
        "brier": float(np.mean((chances - fraud) ** 2)),
        **{f"recall_{kind}": float(flagged[test.kinds == kind].mean()) for kind in np.unique(test.kinds[fraud])},
    }


def economies(seed: int, say: Say, *, people: int = 2500, number: int = ECONOMIES) -> tuple[Material, Material]:
    """What is learnt from, and what is calibrated on; `say` hears how far that is."""
    parts = []
    for index in range(number):
        parts.append(material(1000 * seed + index, prevalence=LEARNT_PREVALENCE, people=people))
        say(f"economy {index + 1} of {number}: {len(parts[-1].kinds)} gifts")
    calibration = material(1000 * seed + 500, people=people)
    rows, kinds = zip(*parts, strict=True)
    return Material(np.concatenate(rows), np.concatenate(kinds)), calibration


def main(arguments: Sequence[str]) -> int:
    """Train, write, put in use; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.train anomaly", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=2500, help="in each simulated economy")
    parser.add_argument("--store", type=Path, default=registry.SHIPPED)
    options = parser.parse_args(arguments)
    learnt, calibration = economies(options.seed, print, people=options.people)
    print(f"learning from {len(learnt.kinds)} gifts")
    trained = fit(learnt, calibration, options.seed)
    test = material(1000 * options.seed + 600, people=options.people)
    metrics = measure(trained, test)
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    card = Card(
        model="anomaly",
        version=registry.version_of("anomaly", {"model": trained.booster}, made_at),
        made_at=made_at,
        code="models_ml.anomaly",
        seed=options.seed,
        data={"source": "models_ml.anomaly.simulate", "people": options.people, "gifts": len(learnt.kinds),
              "calibration": len(calibration.kinds), "test": len(test.kinds), "kinds": list(KINDS),
              "prevalence": PREVALENCE, "learnt_prevalence": LEARNT_PREVALENCE},
        features=NAMES,
        metrics=metrics,
        floors={"average_precision": 0.7, "precision": 0.8, "honest_spared": 0.999},
        limits=LIMITS,
        parameters={**trained.parameters, "units": {name: feature.unit for name, feature in FEATURES.items()}},
    )  # fmt: skip
    spread = np.argsort(trained.probability(test.rows), kind="stable")[:: -max(len(test.kinds) // 8, 1)]
    registry.save(card, {"model": trained.booster}, test.rows[spread[:8]], options.store)
    registry.promote("anomaly", card.version, options.store)
    print(pd.Series(metrics).round(4).to_string())
    print(f"{card.version} is in use in {options.store}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
