"""How well fraud of known and of unseen kinds is found, on economies used for nothing else.

The unseen kinds are those of `heldout`. An isolation forest of scikit-learn learns from the same features of the same
gifts.
"""

from __future__ import annotations

import numpy as np

from models_ml import registry
from models_ml.anomaly import heldout, learn, score
from models_ml.anomaly.heldout import GROUPS
from models_ml.anomaly.learn import PRECISION, Material, Trained, material
from models_ml.anomaly.train import economies, measure
from models_ml.evaluate import Figure

SEED = 90
"""Economies from 1000 times this on are for evaluation alone."""
UNSEEN, TIMES_THE_FOREST, HONEST_FLAGGED = 0.8, 3.0, 0.001


def evaluate(*, quick: bool) -> list[Figure]:
    """All figures; `quick`: smaller economies and one for each two kinds."""
    people, tests = (800, 1) if quick else (2000, 2)
    learnt, calibration = economies(SEED, _quiet, people=people, number=2 if quick else 3)
    folds = []
    for group, kinds in enumerate(GROUPS):
        parts = [material(1000 * SEED + 700 + 10 * group + at, kinds=kinds, people=people) for at in range(tests)]
        folds.append(heldout.fold(group, learnt, calibration, parts, _forest))
        print(f"anomaly: without {' and '.join(kinds)}: {folds[-1].later:.3f}, at once {folds[-1].at_once:.3f}, "
              f"the forest {folds[-1].forest:.3f}", flush=True)  # fmt: skip
    ours, forest = (float(np.mean(part)) for part in ([f.later for f in folds], [f.forest for f in folds]))
    unseen = heldout.metrics(folds)
    honest = 1 - unseen["unseen_honest_spared"]
    return [
        _figure("average precision, kinds held out", ours, f">= {UNSEEN}", ours >= UNSEEN),
        _figure("  of kinds by which nothing was chosen", unseen["unseen_average_precision_untouched"]),
        _figure("  when the gift is made", unseen["unseen_average_precision_at_once"]),
        _figure("  an isolation forest's", forest),
        _figure("  times the isolation forest's", ours / forest, f">= {TIMES_THE_FOREST:g}",
                ours / forest >= TIMES_THE_FOREST),
        _figure("honest gifts flagged, kinds held out", honest, f"< {HONEST_FLAGGED}", honest < HONEST_FLAGGED),
        *(_figure(f"recall at 95 % precision, unseen: {kind}", part)
          for one in folds for kind, part in sorted(one.recalls.items())),
        *_shipped(people),
    ]  # fmt: skip


def _shipped(people: int) -> list[Figure]:
    """The model that is shipped, on all kinds, in both views."""
    model = registry.load("anomaly", needs=score.NEEDS)
    test = learn.joined([material(1000 * SEED + 900 + index, people=people) for index in range(2)])
    found = measure(Trained(model.boosters["model"], dict(model.card.parameters)), test)
    figures = []
    for name, prefix in (("shipped", ""), ("shipped, at once", "at_once_")):
        precision, wrong = found[f"{prefix}precision"], 1 - found[f"{prefix}honest_spared"]
        figures += [
            _figure(f"{name}: average precision, kinds known", found[f"{prefix}average_precision"]),
            _figure(f"{name}: precision of flags", precision, f">= {PRECISION}", precision >= PRECISION),
            _figure(f"{name}: recall of flags", found[f"{prefix}recall"]),
            _figure(f"{name}: honest gifts flagged", wrong, f"< {HONEST_FLAGGED}", wrong < HONEST_FLAGGED),
        ]
    known = [(kind, found[f"recall_{kind}"]) for group in GROUPS for kind in group if f"recall_{kind}" in found]
    return figures + [_figure(f"recall at 95 % precision, known: {kind}", part) for kind, part in known]


def _forest(learnt: Material, test: Material) -> float:
    """Average precision of an isolation forest; missing values are the median, as it cannot read them."""
    from sklearn.ensemble import IsolationForest

    middle = np.nanmedian(learnt.rows, axis=0)
    rows, asked = (np.where(np.isnan(part.rows), middle, part.rows) for part in (learnt, test))
    forest = IsolationForest(n_estimators=100, random_state=7).fit(rows)
    return learn.average_precision(-forest.score_samples(asked), test.fraud)


def _figure(what: str, value: float, target: str = "", reached: bool = True) -> Figure:
    return Figure("anomaly", what, value, target, reached)


def _quiet(_: str) -> None:
    """Nobody listens."""
