"""How well fraud is found whose kind the model was never shown, on economies used for nothing else.

The kinds are taken out two by two in the order of their names. For each two, a model is learnt and calibrated without
them, and asked about economies where they are all the fraud there is. An isolation forest of scikit-learn learns from
the same features of the same gifts.
"""

from __future__ import annotations

import numpy as np

from models_ml import registry
from models_ml.anomaly.simulate import KINDS
from models_ml.anomaly.train import (
    PRECISION,
    Material,
    Trained,
    average_precision,
    cut_at,
    economies,
    fit,
    material,
    measure,
    without,
)
from models_ml.evaluate import Figure

SEED = 90_000
"""Economies from here on are for evaluation alone."""
GROUPS = tuple(KINDS[start : start + 2] for start in range(0, len(KINDS), 2))
AVERAGE_PRECISION, TIMES_THE_FOREST, HONEST_FLAGGED = 0.8, 3.0, 0.001


def evaluate(*, quick: bool) -> list[Figure]:
    """All figures; `quick`: one smaller economy for each two kinds, and less to learn from."""
    people, tests = (1500, 1) if quick else (2500, 2)
    learnt, calibration = economies(7, _quiet, people=people, number=2 if quick else 3)
    ours, forest, wrong, honest = [], [], 0, 0
    recalls: dict[str, float] = {}
    for index, group in enumerate(GROUPS):
        trained = fit(without(learnt, group), without(calibration, group), seed=7)
        parts = [material(SEED + 10 * index + test, kinds=group, people=people) for test in range(tests)]
        test = Material(np.concatenate([part.rows for part in parts]), np.concatenate([part.kinds for part in parts]))
        chances = trained.probability(test.rows)
        ours.append(average_precision(chances, test.fraud))
        forest.append(_forest(without(learnt, group), test))
        found = chances >= cut_at(chances, test.fraud, PRECISION)
        recalls |= {kind: float(found[test.kinds == kind].mean()) for kind in group}
        wrong += int((chances >= trained.parameters["threshold"])[~test.fraud].sum())
        honest += int((~test.fraud).sum())
        print(f"anomaly: without {' and '.join(group)}: {ours[-1]:.3f}, the forest {forest[-1]:.3f}", flush=True)
    mean, other = float(np.mean(ours)), float(np.mean(forest))
    return [
        _figure("average precision, kinds held out", mean, ">= 0.8", mean >= AVERAGE_PRECISION),
        _figure("  an isolation forest's", other),
        _figure("  times the isolation forest's", mean / other, ">= 3", mean / other >= TIMES_THE_FOREST),
        _figure("honest gifts flagged, kinds held out", wrong / honest, "< 0.001", wrong / honest < HONEST_FLAGGED),
        *(_figure(f"recall at 95 % precision, unseen: {kind}", value) for kind, value in sorted(recalls.items())),
        *_shipped(people),
    ]


def _shipped(people: int) -> list[Figure]:
    """The model that is shipped, on all kinds."""
    model = registry.load("anomaly")
    figures = measure(
        Trained(model.boosters["model"], dict(model.card.parameters)), material(SEED + 900, people=people)
    )
    spared = figures["honest_spared"]
    return [
        _figure("shipped: average precision, kinds known", figures["average_precision"]),
        _figure("shipped: precision of flags", figures["precision"]),
        _figure("shipped: recall of flags", figures["recall"]),
        _figure("shipped: honest gifts flagged", 1 - spared, "< 0.001", 1 - spared < HONEST_FLAGGED),
    ]


def _forest(learnt: Material, test: Material) -> float:
    """Average precision of an isolation forest; missing values are the median, as it cannot read them."""
    from sklearn.ensemble import IsolationForest

    middle = np.nanmedian(learnt.rows, axis=0)
    rows, asked = (np.where(np.isnan(part.rows), middle, part.rows) for part in (learnt, test))
    forest = IsolationForest(n_estimators=200, random_state=7).fit(rows)
    return average_precision(-forest.score_samples(asked), test.fraud)


def _figure(what: str, value: float, target: str = "", reached: bool = True) -> Figure:
    return Figure("anomaly", what, value, target, reached)


def _quiet(_: str) -> None:
    """Nobody listens."""
