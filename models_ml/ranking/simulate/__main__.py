"""`python -m models_ml.ranking.simulate [--people N] [--posts N] [--sessions N] [--seed N] [--seeds N] [--quick]`

Towns served by ours, which begins knowing nobody, and beside it by chance, by what is popular, by the first PopOff's
algorithm, and by one who knows what pleases. Means over towns of different seeds, with 95 % intervals; then what ours
is held to.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import stats

from models_ml import registry
from models_ml.evaluate import Figure
from models_ml.ranking.baselines import BASELINES
from models_ml.ranking.protocols import OURS
from models_ml.ranking.ranker import NEEDS, Ranker
from models_ml.ranking.simulate.figures import WITHIN, figures
from models_ml.ranking.simulate.life import Recommender, live
from models_ml.ranking.simulate.rivals import Kept, Oracle, Ours
from models_ml.ranking.simulate.town import Plan, Town

RULE, OWN, UPPER = "PopOff, no trees", "PopOff, own trees", "who knows all"
RIVALS = ("random", "popular", "first PopOff")
QUICK = Plan(people=120, posts=1500, sessions=10)
BETTER, COVERED, KEPT, TAKEN = 1.2, 0.6, 0.95, 0.1
"""Pleasure over a rival's, coverage, promises kept: at least; what the most shown 1 % of
posts may take of all impressions: at most."""
SETTINGS: Mapping[str, Callable[[Town], Recommender]] = {
    **{name: lambda _, name=name: Kept(BASELINES[name]()) for name in RIVALS},  # type: ignore[misc]
    OURS: lambda _: Ours(shipped()),
    RULE: lambda _: Ours(Ranker()),
    OWN: lambda _: Ours(),
    UPPER: Oracle,
}
"""Ours with the trees that are shipped, as a platform is served from its first day on; with the rule that there is
without trees; and with trees that are learnt anew from its own events, which takes long."""
USUAL = (*RIVALS, OURS, RULE, UPPER)
Table = Mapping[str, Mapping[str, Sequence[float]]]


def shipped() -> Ranker:
    """The ranker that comes with the code. Raises Refused."""
    return Ranker(registry.load("ranking", needs=NEEDS).boosters["model"])


def run(plan: Plan, seeds: Sequence[int], models: Sequence[str]) -> Table:
    """Figures of each model by name, each a list over towns; says how far it is."""
    found: dict[str, dict[str, list[float]]] = {model: {} for model in models}
    for seed in seeds:
        town = Town(seed, plan)
        for model in models:
            started = time.monotonic()
            log = live(town, SETTINGS[model](town))
            for name, value in figures(town, log).items():
                found[model].setdefault(name, []).append(value)
            print(f"town {seed}, {model}: {len(log.events):,} videos, {time.monotonic() - started:.0f} s", flush=True)
    return found


def mean_of(values: Sequence[float]) -> tuple[float, float]:
    """The mean of a few towns and half its 95 % interval, by Student's t; towns where there is nothing are left out."""
    told = np.array(values)[~np.isnan(values)]
    if len(told) < 2:
        return (float(told.mean()) if len(told) else float("nan")), float("nan")
    half = stats.t.ppf(0.975, len(told) - 1) * told.std(ddof=1) / np.sqrt(len(told))
    return float(told.mean()), float(half)


def judged(table: Table) -> list[Figure]:
    """What ours is held to."""
    ours, made = table[OURS], []
    for rival in ("popular", "first PopOff"):
        if rival in table:
            ratio = np.array(ours["pleasure"]) / np.array(table[rival]["pleasure"])
            made.append(_least(f"pleasure over that of {rival}", ratio.tolist(), BETTER))
    taken, _ = mean_of(ours["followed"])
    made.append(Figure("simulate", "videos until a change is followed", taken, f"<= {WITHIN}", taken <= WITHIN))
    made.append(_least("new creators' posts that had the promised impressions", ours["promise"], KEPT))
    made.append(_least("coverage of the catalogue", ours["coverage"], COVERED))
    few, _ = mean_of(ours["few"])
    made.append(Figure("simulate", "impressions of the most shown 1 % of posts", few, f"<= {TAKEN}", few <= TAKEN))
    return made


def _least(what: str, values: Sequence[float], least: float) -> Figure:
    mean, half = mean_of(values)
    return Figure(
        "simulate", what, mean, f">= {least:g}, 95 % in {mean - half:.2f} .. {mean + half:.2f}", mean >= least
    )


def show(table: Table) -> None:
    measures = list(next(iter(table.values())))
    print(f"\n{'':<18}" + "".join(f"{measure:>16}" for measure in measures))
    for model, values in table.items():
        cells = (mean_of(values[measure]) for measure in measures)
        print(f"{model:<18}" + "".join(f"{f'{mean:.3f} ± {half:.3f}':>16}" for mean, half in cells))
    print()


def main(arguments: Sequence[str]) -> int:
    """Print the table and verdicts; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.ranking.simulate", description=__doc__)
    parser.add_argument("--people", type=int)
    parser.add_argument("--posts", type=int, help="in the catalogue on the first day")
    parser.add_argument("--sessions", type=int, help="of the mean person, one a day")
    parser.add_argument("--seed", type=int, default=1, help="of the first town")
    parser.add_argument("--seeds", type=int, default=3, help="how many towns")
    parser.add_argument("--models", nargs="+", choices=list(SETTINGS), default=list(USUAL))
    parser.add_argument("--quick", action="store_true", help="small towns and short lives: a rough look")
    options = parser.parse_args(arguments)
    usual = QUICK if options.quick else Plan()
    plan = Plan(options.people or usual.people, options.posts or usual.posts, options.sessions or usual.sessions)
    table = run(plan, range(options.seed, options.seed + options.seeds), options.models)
    show(table)
    if OURS not in table:
        return 0
    made = judged(table)
    for figure in made:
        print(f"{figure.what:<56}{figure.value:>8.3f}  {figure.target}  {'reached' if figure.reached else 'MISSED'}")
    return 0 if all(figure.reached for figure in made) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
