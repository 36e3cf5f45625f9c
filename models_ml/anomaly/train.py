"""`python -m models_ml.anomaly.train [--seed N] [--store DIR]`: learn from simulated economies, write card and model.

Learnt on some economies, large and small, with more fraud than there is in truth, so that there are enough examples of
each kind; calibrated, and the thresholds chosen, on others with as much as is usual; measured on still others. What the
card says of kinds held out comes from models learnt in the same way without them (`heldout`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from models_ml import registry
from models_ml.anomaly import heldout, learn
from models_ml.anomaly.features import FEATURES, NAMES
from models_ml.anomaly.learn import PRECISION, Material, Trained, material
from models_ml.anomaly.score import AT_ONCE, LATER, NEEDS
from models_ml.anomaly.simulate import KINDS, PREVALENCE
from models_ml.registry import Card

Say = Callable[[str], None]

ECONOMIES, CALIBRATIONS, TESTS = 3, 2, 2
TOWNS, TOWN = 7, 0.15
"""So many small economies, of this part of the people, too: where people are few, what is usual is otherwise."""
LEARNT_PREVALENCE = 0.05
PEOPLE = 2000
TOLD_OF_TOWNS = ("average_precision", "precision", "honest_spared", "at_once_honest_spared")
LIMITS = (
    "Learnt and measured on simulated economies only: its figures on real gifts are not known.",
    "Whoever wrote the features knew the simulated kinds of fraud: a kind held out of training is new to the model, "
    "not to its authors, and fraud that nobody thought of will be found less often.",
    "The first gifts of a fraud look like any other when they are made: at once less is found than by a later scan.",
    "Kinds never shown are found unevenly: of card testing and rings next to nothing where 95 % of flags are to be "
    "right, because some honest gifts rank above them.",
    "With fewer than 1,000 gifts to go by it is not asked.",
    "Payouts and reversals are not simulated: cashing out is seen only in gifts.",
    "A probability holds where about one gift in a hundred is fraud, and for amounts around those simulated.",
    "A flag is a reason to look, never a proof.",
)


def economies(seed: int, say: Say, *, people: int = PEOPLE, number: int = ECONOMIES) -> tuple[list[Material], Material]:
    """What is learnt from, and what is calibrated on; `say` hears how far that is."""
    town = int(people * TOWN)
    towns = [material(1000 * seed + 100 + at, prevalence=LEARNT_PREVALENCE, people=town) for at in range(TOWNS)]
    parts = [learn.joined(towns)]
    say(f"{TOWNS} towns: {len(parts[0].kinds)} gifts")
    for index in range(number):
        parts.append(material(1000 * seed + index, prevalence=LEARNT_PREVALENCE, people=people))
        say(f"economy {index + 1} of {number}: {len(parts[-1].kinds)} gifts")
    calibrations = [material(1000 * seed + 500 + index, people=people) for index in range(CALIBRATIONS)]
    return parts, learn.joined([*calibrations, _towns(1000 * seed + 550, people)])


def _towns(seed: int, people: int) -> Material:
    """Small economies with as much fraud as is usual, and so each with some of the kinds only."""
    return learn.joined([material(seed + at, kinds=KINDS[at::TOWNS], people=int(people * TOWN)) for at in range(TOWNS)])


def measure(trained: Trained, test: Material) -> dict[str, float]:
    """Figures of both views on material that was not learnt from, with the thresholds as they are."""
    figures: dict[str, float] = {}
    for view, prefix in ((LATER, ""), (AT_ONCE, "at_once_")):
        chances, fraud = trained.probability(test, view), test.fraud
        flagged = chances >= trained.parameters["views"][view]["threshold"]
        figures |= {
            f"{prefix}average_precision": learn.average_precision(chances, fraud),
            f"{prefix}precision": float(fraud[flagged].mean()) if flagged.any() else 0.0,
            f"{prefix}recall": float(flagged[fraud].mean()),
            f"{prefix}honest_spared": 1 - float(flagged[~fraud].mean()),
            f"{prefix}brier": float(np.mean((chances - fraud) ** 2)),
        }
        found = chances >= learn.cut_at(chances, fraud, PRECISION)
        figures |= {f"{prefix}recall_{kind}": part for kind, part in learn.recalls(found, test.kinds).items()}
    return figures


def _unseen(seed: int, learnt: Sequence[Material], calibration: Material, people: int) -> dict[str, float]:
    folds = []
    for group, kinds in enumerate(heldout.GROUPS):
        test = material(1000 * seed + 700 + group, kinds=kinds, people=people)
        folds.append(heldout.fold(group, learnt, calibration, [test]))
        print(f"without {' and '.join(kinds)}: average precision {folds[-1].later:.3f}", flush=True)
    return heldout.metrics(folds)


def main(arguments: Sequence[str]) -> int:
    """Train, write, put in use; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.train anomaly", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=PEOPLE, help="in each simulated economy")
    parser.add_argument("--store", type=Path, default=registry.SHIPPED)
    options = parser.parse_args(arguments)
    seed, people = options.seed, options.people
    learnt, calibration = economies(seed, print, people=people)
    trained = learn.fit(learnt, calibration, seed)
    test = learn.joined([material(1000 * seed + 600 + index, people=people) for index in range(TESTS)])
    town = measure(trained, _towns(1000 * seed + 650, people))
    metrics = measure(trained, test) | {f"towns_{name}": town[name] for name in TOLD_OF_TOWNS}
    metrics |= _unseen(seed, learnt, calibration, people)
    made_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    card = Card(
        model="anomaly",
        version=registry.version_of("anomaly", {"model": trained.booster}, made_at),
        made_at=made_at,
        code="models_ml.anomaly 2",
        seed=seed,
        data={"source": "models_ml.anomaly.simulate", "people": people, "gifts": sum(len(e.kinds) for e in learnt),
              "calibration": len(calibration.kinds), "test": len(test.kinds), "kinds": list(KINDS),
              "prevalence": PREVALENCE, "learnt_prevalence": LEARNT_PREVALENCE},
        features=NAMES,
        metrics=metrics,
        floors={"average_precision": 0.8, "precision": 0.9, "honest_spared": 0.999, "at_once_honest_spared": 0.999},
        limits=LIMITS,
        parameters={**trained.parameters, "units": {name: feature.unit for name, feature in FEATURES.items()}},
    )  # fmt: skip
    registry.save(card, {"model": trained.booster}, _probes(trained, test), options.store)
    registry.promote("anomaly", card.version, options.store, NEEDS)
    print(pd.Series(metrics).round(4).to_string())
    print(f"{card.version} is in use in {options.store}")
    return 0


def _probes(trained: Trained, test: Material) -> registry.Matrix:
    """Eight gifts, from the most suspicious to the least."""
    order = np.argsort(trained.probability(test), kind="stable")[:: -max(len(test.kinds) // 8, 1)]
    return test.rows[order[:8]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
