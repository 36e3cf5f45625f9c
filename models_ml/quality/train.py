"""`python -m models_ml.train quality [--media DIR]`: make the models of the faults from material spoilt in known ways.

One booster for each fault predicts its severity, 0 to 1, from the measurements that may speak of it; where more of a
measurement is always worse, the booster is held to that. It learns from each copy alone, and from pairs of copies of
one film: the one that was spoilt more must come out worse, whatever the film is like.
"""

from __future__ import annotations

import argparse
import datetime
import math
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from models_ml import registry
from models_ml.quality import degrade, material, measure, sound
from models_ml.quality.causes import FEATURES, LEARNT, Cause
from models_ml.quality.score import NAME, NEEDS

Numbers = npt.NDArray[np.float64]

LEVELS = tuple(float(level) for level in np.linspace(0.02, 0.82, 5))
LEVEL_WIDTH = 0.18
"""Each fault is made once at a strength from each of these to so much above it."""
CLEAN, MIXED, TONES = 3, 4, 20
PAIRS, PAIR_SCALE = 0.6, 4.0
"""The weight of a pair against a copy, and how much a difference of margins counts in it."""
TONE_SECONDS = 4.0
ROUNDS = 160
PARAMETERS = {"objective": "reg:logistic", "max_depth": 4, "eta": 0.08, "subsample": 0.8, "colsample_bynode": 0.7,
              "min_child_weight": 1.0, "lambda": 2.0, "max_bin": 128, "nthread": 1}  # fmt: skip
LIMITS = (
    "It knows faults of making, not what a film is worth: art that is dark, grainy, still or silent on purpose loses.",
    "It was taught by faults made by a program at known strengths, not by people's opinions.",
    "Trained without the real films it gives other figures.",
    "A film in which nothing moves for seconds looks frozen to it, and a hum that is music looks like mains.",
    "Pictures above 1920 x 1088 are looked at in their middle, and films above 60 s in twelve windows.",
)


@dataclass(frozen=True)
class Row:
    """A spoilt film or sound: where it comes from, its faults (kind to strength), and what was measured of it."""

    source: str
    faults: dict[str, float]
    measured: dict[str, float]
    moves: bool = True


@dataclass(frozen=True)
class Task:
    """A film to be spoilt and measured, several times."""

    clip: material.Clip
    faults: tuple[dict[str, float], ...]
    seed: int


def film_faults(source: material.Source, seed: int) -> tuple[dict[str, float], ...]:
    """What is done to a film in training, from a seed."""
    rng = np.random.default_rng(material.seed_of(seed, source.name))
    kinds = [kind for kind in degrade.PICTURE if source.moves or kind != "freeze"]
    plan: list[dict[str, float]] = [{} for _ in range(CLEAN)]
    plan += [{kind: float(rng.uniform(low, low + LEVEL_WIDTH))} for kind in kinds for low in LEVELS]
    for _ in range(MIXED):
        one, other = rng.choice(kinds, 2, replace=False)
        plan.append({str(one): float(rng.uniform(0.1, 0.9)), str(other): float(rng.uniform(0.1, 0.9))})
    return tuple(plan)


def sound_faults(name: str, seed: int) -> list[dict[str, float]]:
    """What is done to a sound in training, from a seed."""
    rng = np.random.default_rng(material.seed_of(seed, name))
    plan: list[dict[str, float]] = [{}, {}]
    plan += [{kind: float(rng.uniform(low, low + LEVEL_WIDTH))} for kind in degrade.SOUND for low in LEVELS]
    return [*plan, {"hum": float(rng.uniform(0.1, 0.9)), "clipping": float(rng.uniform(0.1, 0.9))}]


def spoil_and_measure(task: Task) -> list[Row]:
    """The rows of one film."""
    clip, rows = task.clip, []
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        for number, faults in enumerate(task.faults):
            rng = np.random.default_rng(material.seed_of(task.seed, clip.source.name, number))
            path = Path(folder) / f"{number}.mp4"
            degrade.spoil_picture(clip.path, path, faults, (clip.width, clip.height), clip.rate, clip.seconds, rng)
            rows.append(Row(clip.source.name, faults, measure.measure(path), clip.source.moves))
            path.unlink()
    return rows


def hear(name: str, samples: sound.Samples, plan: Iterable[dict[str, float]], seed: int) -> list[Row]:
    """The rows of one sound."""
    rows = []
    limit = float(np.random.default_rng(material.seed_of(seed, name)).choice([1.0, 1.0, 0.9, 0.7]))
    for number, faults in enumerate(plan):
        rng = np.random.default_rng(material.seed_of(seed, name, number))
        made = degrade.spoil_sound(samples, faults, rng, limit)
        coded = material.through_codec(made, int(rng.choice([64_000, 96_000, 128_000, 192_000])))
        rows.append(Row(name, faults, sound.sound(coded.astype(np.float32))))
    return rows


def films(found: Sequence[material.Source], seed: int, processes: int, plan: Any = film_faults) -> list[Row]:
    """Spoil and measure all of these films, in the given order, with progress."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        clips = [material.make(source, Path(folder)) for source in found]
        tasks = [Task(clip, plan(clip.source, seed), seed) for clip in clips]
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for number, made in enumerate(pool.imap(spoil_and_measure, tasks), 1):
                rows += made
                print(f"  film {number} of {len(tasks)}: {found[number - 1].name}, {len(made)} copies", flush=True)
    return rows


def sounds(media: Path | None, seed: int) -> list[Row]:
    """Spoil and measure sounds that are like speech and music, and real ones from the first half of a film."""
    rows: list[Row] = []
    for number in range(TONES):
        rows += hear(f"tone-{number}", material.tone(number, TONE_SECONDS), sound_faults(f"tone-{number}", seed), seed)
    for start in (0.5, 5.5, 10.0):
        samples = material.real_sound(media, start, TONE_SECONDS)
        if samples is not None:
            rows += hear(f"real-{start:g}", samples, sound_faults(f"real-{start:g}", seed), seed)
    return rows


def fit(cause: Cause, rows: Sequence[Row], seed: int) -> xgb.Booster:
    """A booster of the strength of one fault; measurements it may not look at are unknown to it."""
    own = [row for row in rows if cause.name != "freeze" or row.moves]
    table = matrix(own)
    for place, name in enumerate(FEATURES):
        if name not in cause.measures:
            table[:, place] = math.nan
    truth = np.array([severity(row.faults.get(cause.name)) for row in own], dtype=np.float64)
    parameters = {
        **PARAMETERS,
        "seed": seed,
        "base_score": float(truth.mean()),
        "monotone_constraints": tuple(cause.measures.get(name, 0) for name in FEATURES),
    }
    data = xgb.DMatrix(table, label=truth, feature_names=list(FEATURES))
    return xgb.train(parameters, data, num_boost_round=ROUNDS, obj=_objective(truth, *pairs(cause.name, own)))


def pairs(kind: str, rows: Sequence[Row]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Places of rows of one source, spoilt in no other way: the first was spoilt more than the second."""
    by_source: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if set(row.faults) <= {kind}:
            by_source.setdefault(row.source, []).append(place)
    found = [
        (one, other)
        for places in by_source.values()
        for one in places
        for other in places
        if severity(rows[one].faults.get(kind)) - severity(rows[other].faults.get(kind)) > 0.02
    ]
    worse, better = np.array(found, dtype=np.intp).reshape(-1, 2).T
    return worse, better


def _objective(truth: Numbers, worse: npt.NDArray[np.intp], better: npt.NDArray[np.intp]) -> Any:
    """The logistic loss of each copy, and that of the difference in each pair (Burges et al. 2005, RankNet)."""

    def gradients(margin: Numbers, _: xgb.DMatrix) -> tuple[Numbers, Numbers]:
        found = 1 / (1 + np.exp(-margin))
        first, second = found - truth, np.maximum(found * (1 - found), 1e-6)
        wrong = 1 / (1 + np.exp(PAIR_SCALE * (margin[worse] - margin[better])))
        for places, sign in ((worse, -1.0), (better, 1.0)):
            np.add.at(first, places, sign * PAIRS * wrong)
            np.add.at(second, places, PAIRS * PAIR_SCALE * wrong * (1 - wrong))
        return first, second

    return gradients


def severity(strength: float | None) -> float:
    """The truth about a fault, 0 to 1: none at all is told from the weakest that was made."""
    return 0.0 if strength is None else 0.1 + 0.9 * strength


def matrix(rows: Sequence[Row]) -> registry.Matrix:
    """Measurements of rows in the order of FEATURES, shape (n, features); NaN for unknown ones."""
    return np.array([[row.measured.get(name, math.nan) for name in FEATURES] for row in rows], dtype=np.float32)


def fit_all(pictures: Sequence[Row], heard: Sequence[Row], seed: int) -> dict[str, xgb.Booster]:
    """The boosters of all faults, by name."""
    return {cause.name: fit(cause, heard if cause.name in degrade.SOUND else pictures, seed) for cause in LEARNT}


def clean_contributions(
    boosters: dict[str, xgb.Booster], pictures: Sequence[Row], heard: Sequence[Row]
) -> dict[str, list[float]]:
    """For each fault the mean SHAP values of clean material: what reasons are held against."""
    found = {}
    for name, booster in boosters.items():
        clean = [row for row in (heard if name in degrade.SOUND else pictures) if not row.faults]
        data = xgb.DMatrix(matrix(clean), feature_names=list(FEATURES))
        values = booster.predict(data, pred_contribs=True)[:, :-1].mean(axis=0)
        found[name] = [round(float(value), 5) for value in values]
    return found


def main(arguments: Sequence[str]) -> int:
    """Train, evaluate on other material, write the model and put it in use."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.train quality", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", type=Path, default=registry.SHIPPED, metavar="DIR")
    parser.add_argument("--media", type=Path, metavar="DIR", help="real films to train with, and to evaluate on")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    found = material.sources(material.TRAIN, material.REAL_TRAIN, options.media)
    print(f"Spoiling {len(found)} films and {TONES} sounds in known ways", flush=True)
    pictures = films(found, options.seed, options.processes)
    heard = sounds(options.media, options.seed)
    print(f"{len(pictures)} films and {len(heard)} sounds measured in {time.monotonic() - began:.0f} s", flush=True)
    boosters = fit_all(pictures, heard, options.seed)
    card = write(boosters, pictures, heard, found, options)
    print(f"{card.version} is in use; {time.monotonic() - began:.0f} s in all")
    return 0


def write(
    boosters: dict[str, xgb.Booster],
    pictures: Sequence[Row],
    heard: Sequence[Row],
    found: Sequence[material.Source],
    options: argparse.Namespace,
) -> registry.Card:
    """Evaluate on held-out material, save with a card, and promote. Raises registry.Refused."""
    from models_ml.quality import evaluate

    made_at = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parameters = {**PARAMETERS, "rounds": ROUNDS, "clean_contributions": clean_contributions(boosters, pictures, heard)}
    card = registry.Card(
        model=NAME, version=registry.version_of(NAME, boosters, made_at), made_at=made_at, code="models_ml.quality 2",
        seed=options.seed, features=list(FEATURES), metrics={}, floors={}, limits=list(LIMITS), parameters=parameters,
        data={
            "films": [source.name for source in found], "copies": len(pictures),
            "sounds": len({row.source for row in heard}), "sound_copies": len(heard),
            "real_material": options.media is not None,
            "credit": "Big Buck Bunny (c) 2008 Blender Foundation, CC BY 3.0; Intel IoT Devkit sample videos, CC BY 4.0"
            if options.media else "",
        },
    )  # fmt: skip
    print("Looking at material that was not trained on", flush=True)
    metrics = evaluate.figures(registry.Model(card, boosters), options.media, options.processes)
    floors = {name: evaluate.FLOORS[name] for name in metrics if name in evaluate.FLOORS}
    card = registry.Card(**{**card.__dict__, "metrics": metrics, "floors": floors})
    probes = matrix([*pictures[:: max(1, len(pictures) // 4)][:4], *heard[:: max(1, len(heard) // 4)][:4]])
    saved = registry.save(card, boosters, probes, options.store)
    registry.promote(NAME, saved.version, options.store, NEEDS)
    return saved


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
