"""How well fraud is found whose kind the model was never shown.

The kinds are taken out two by two in the order of their names. For each two, a model is learnt and calibrated without
them, and asked about economies where they are all the fraud there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from models_ml.anomaly import learn
from models_ml.anomaly.learn import PRECISION, Material
from models_ml.anomaly.score import AT_ONCE, LATER
from models_ml.anomaly.simulate import KINDS

GROUPS = tuple(KINDS[start : start + 2] for start in range(0, len(KINDS), 2))
TRIED = (0, 1, 4)
"""The groups by which the two looks, the company and its span were chosen. The others decided nothing."""


class Fold(NamedTuple):
    """What came out for the kinds of a group. Average precisions; recalls at PRECISION in the later view, by kind;
    honest gifts that the model's own threshold flags, of so many; `forest`: another's average precision, or NaN."""

    group: int
    later: float
    at_once: float
    forest: float
    recalls: dict[str, float]
    wrong: int
    honest: int


Other = Callable[[Material, Material], float]
"""The average precision on the second of a rival that has learnt from the first."""


def fold(
    group: int, learnt: Sequence[Material], calibration: Material, tests: Sequence[Material], rival: Other | None = None
) -> Fold:
    """Leave a group out of what is learnt from and calibrated on, and ask about the tests."""
    kinds, test = GROUPS[group], learn.joined(tests)
    known = [economy.without(kinds) for economy in learnt]
    trained = learn.fit(known, calibration.without(kinds), seed=group)
    chances, fraud = trained.probability(test), test.fraud
    found = chances >= learn.cut_at(chances, fraud, PRECISION)
    flagged = chances >= trained.parameters["views"][LATER]["threshold"]
    return Fold(
        group,
        learn.average_precision(chances, fraud),
        learn.average_precision(trained.probability(test, AT_ONCE), fraud),
        float("nan") if rival is None else rival(learn.joined(known), test),
        learn.recalls(found, test.kinds),
        int(flagged[~fraud].sum()),
        int((~fraud).sum()),
    )


def metrics(folds: Sequence[Fold]) -> dict[str, float]:
    """The card's figures about kinds held out."""
    untouched = [one for one in folds if one.group not in TRIED]
    return {
        "unseen_average_precision": float(np.mean([one.later for one in folds])),
        "unseen_average_precision_untouched": float(np.mean([one.later for one in untouched])),
        "unseen_average_precision_at_once": float(np.mean([one.at_once for one in folds])),
        "unseen_honest_spared": 1 - sum(one.wrong for one in folds) / sum(one.honest for one in folds),
        **{f"unseen_recall_{kind}": value for one in folds for kind, value in sorted(one.recalls.items())},
    }
