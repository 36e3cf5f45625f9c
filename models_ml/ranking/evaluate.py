"""`python -m models_ml.ranking.evaluate --data DIR [--quick] [--set NAME ...] [--models NAME ...]`

Ours beside all baselines on real interactions (see `data`), each learning and answering in this command. All of the
catalogue is ranked, without what a person met before. Means over people, with 95 % intervals over people.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from models_ml.evaluate import Figure
from models_ml.ranking import data, metrics
from models_ml.ranking.baselines import BASELINES
from models_ml.ranking.protocols import OURS, Outcome, prequential, static

TIMES_BEST = {"microlens50k": 1.10, "kuairand_likes": 1.30}
"""By how much our NDCG@10 should exceed the best of the others."""
AT_LEAST = {
    ("microlens50k", "HR@10"): 0.085,
    ("microlens50k", "coverage@10"): 0.50,
    ("kuairand_likes, prequential", "NDCG@10"): 0.10,
}
PUBLISHED = {
    "tiktok_mmssl, test part": {
        "LightGCN": (0.0653, 0.0282),
        "MMGCN": (0.0730, 0.0307),
        "LATTICE": (0.0843, 0.0367),
        "MMSSL": (0.0921, 0.0392),
        "DiffMM": (0.1129, 0.0456),
    }
}
"""Recall@20 and NDCG@20 as given for the same split in the papers on MMSSL (WWW 2023) and DiffMM (MM 2024)."""
COLUMNS = ("NDCG@10", "HR@10", "HR@20", "Recall@20", "NDCG@20")
QUICK_PEOPLE, QUICK_EVENTS = 2000, 600


def evaluate(folder: Path, sets: Sequence[str], models: Sequence[str], quick: bool = False) -> list[Figure]:
    """Print a table for each data set that is there, and return what is held to a target."""
    figures = []
    for name, path in data.find(folder).items():
        if name not in sets:
            continue
        for split in data.SETS[name].load(path):
            outcomes = []
            _heading(split.name, len(split.events), len(split.items))
            for model in models:
                outcomes.append(static(split, model, name, people=QUICK_PEOPLE if quick else None))
                _print(outcomes[-1])
            _published(split.name)
            figures += judged(outcomes)
            if split.sequel is None:
                continue
            title, outcomes = f"{split.name}, prequential", []
            _heading(title, len(split.events), len(split.items))
            for model in models:
                outcomes.append(prequential(split, model, name, events=QUICK_EVENTS if quick else None))
                _print(outcomes[-1])
            figures += judged(outcomes)
    return figures


def judged(outcomes: Sequence[Outcome]) -> list[Figure]:
    """What ours is held to on a data set, of the outcomes of all models on it; nothing where ours did not run."""
    ours = next((outcome for outcome in outcomes if outcome.model == OURS), None)
    if ours is None:
        return []
    figures = []
    others = [outcome for outcome in outcomes if outcome is not ours]
    if others and not math.isnan(ours.mean("NDCG@10")):
        best = max(others, key=lambda outcome: outcome.mean("NDCG@10"))
        ratio, low, high = metrics.ratio_of(ours.values["NDCG@10"], best.values["NDCG@10"], ours.people)
        target = TIMES_BEST.get(ours.data)
        text = f">= {target:.2f}, " if target else ""
        what = f"{ours.data}: NDCG@10 over that of {best.model}"
        figures.append(Figure("ranking", what, ratio, f"{text}95 % in {low:.2f} .. {high:.2f}", ratio >= (target or 0)))
    for (name, measure), least in AT_LEAST.items():
        if name == ours.data:
            value = ours.coverage if measure == "coverage@10" else ours.mean(measure)
            figures.append(Figure("ranking", f"{name}: {measure}", value, f">= {least:.3f}", value >= least))
    return figures


def _heading(name: str, events: int, items: int) -> None:
    print(f"\n{name}: learns from {events:,} events, {items:,} posts in its catalogue")
    measures = "".join(f"{column:<25}" for column in COLUMNS)
    print(f"{'':<14}{measures}{'coverage@10':<13}{'GAUC':<25}{'fit s':>7}{'ms a list':>11}", flush=True)


def _print(outcome: Outcome) -> None:
    cells = "".join(f"{_sure(metrics.mean_of(outcome.values[column], outcome.people)):<25}" for column in COLUMNS)
    gauc = _sure(outcome.gauc) if outcome.gauc else "-"
    times = f"{outcome.fit_s:>7.1f}{outcome.list_ms:>11.2f}"
    print(f"{outcome.model:<14}{cells}{outcome.coverage:<13.3f}{gauc:<25}{times}", flush=True)


def _published(name: str) -> None:
    for model, (recall, ndcg) in PUBLISHED.get(name, {}).items():
        cells = {"Recall@20": f"{recall:.4f}", "NDCG@20": f"{ndcg:.4f}"}
        print(f"{model:<14}" + "".join(f"{cells.get(column, ''):<25}" for column in COLUMNS) + "as published")


def _sure(mean: tuple[float, float, float]) -> str:
    return f"{mean[0]:.4f} [{mean[1]:.4f}, {mean[2]:.4f}]"


def main(arguments: Sequence[str]) -> int:
    """Print tables and verdicts; exit code 1 when a target is missed, 2 when there is no data."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.ranking.evaluate", description=__doc__)
    known = [*BASELINES, OURS]
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets, or one of them")
    parser.add_argument("--quick", action="store_true", help="fewer people and events: a rough look")
    parser.add_argument("--set", nargs="+", choices=list(data.SETS), default=list(data.SETS), dest="sets")
    parser.add_argument("--models", nargs="+", choices=known, default=known)
    options = parser.parse_args(arguments)
    if not set(data.find(options.data)) & set(options.sets):
        parser.error(f"there is no data set in {options.data} that is known here")
    started = time.monotonic()
    figures = evaluate(options.data, options.sets, options.models, options.quick)
    print()
    for figure in figures:
        verdict = "" if not figure.target.startswith(">=") else "  reached" if figure.reached else "  MISSED"
        print(f"{figure.what:<58} {figure.value:>8.4f}  {figure.target}{verdict}")
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
