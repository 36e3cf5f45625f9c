"""`python -m models_ml.train ranking [--seed N] [--store DIR] [--data DIR] [--quick]`

Learns the trees that order posts on platforms which have no events of their own yet, from lessons in simulated towns of
many sizes (`simulate.lessons`), writes the version with its card and puts it in use. Some towns tell no words, no
creators, no watching, or only likes and hates, as many platforms do. It is learnt twice: first where a guide makes all
pages, then, beside that, where the trees of the first time make most of them.

What the card compares, on towns that were not learnt from: the rule that there is without trees, these trees, and trees
that a town learns from its own events. With `--data` the same on real likes (KuaiRand), from which nothing is learnt.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml import boosting, registry
from models_ml.ranking import data, metrics
from models_ml.ranking.features import NAMES
from models_ml.ranking.frames import CREATED, ITEM, LIKE, TIME, USER
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import NEEDS, PARAMETERS, ROUNDS, Choice, Ranker
from models_ml.ranking.simulate.lessons import Mixed, Told, taught
from models_ml.ranking.simulate.life import live
from models_ml.ranking.simulate.town import DAY, Plan, Town

MODEL = "ranking"


def _restless(people: int, posts: int, sessions: int) -> Plan:
    """A town where more people than in life change their tastes, and oftener, so that it can be learnt."""
    return Plan(people, posts, sessions, changed=0.4, changes=3)


TOWNS: Sequence[tuple[Plan, Told]] = (
    (_restless(100, 3000, 8), Told()),
    (_restless(30, 300, 12), Told()),
    (_restless(160, 5000, 5), Told()),
    (_restless(70, 1500, 12), Told()),
    (_restless(70, 2000, 7), Told(text=False)),
    (_restless(70, 2000, 7), Told(creators=False)),
    (_restless(70, 1500, 7), Told(watch=False)),
    (_restless(90, 1500, 8), Told(text=False, creators=False, watch=False, silence=False)),
    (_restless(60, 1000, 8), Told(silence=False)),
)
HELD_OUT = (Plan(150, 3000, 8), Plan(60, 600, 10), Plan(200, 1500, 6))
QUICK_TOWNS, QUICK_HELD_OUT = ((_restless(20, 200, 4), Told()),), (Plan(20, 200, 4),)
RATE, OWN = 0.3, 0.7
"""The part of pages that lessons are taken from, and the part that is served by the trees of the first time."""
AFTER = 0.8
"""Held-out towns are asked when this part of their life is over, for what is liked in the rest of it."""
PLACES = 10
FLOORS = {"gain_pleasure_over_rule": 0.0, "gain_ndcg_over_rule": 0.0, "gain_hr_over_rule": 0.0}
FLOORS_ON_REAL = {"gain_real_ndcg_high": 0.0}
"""Not surely worse than the rule: the 95 % interval of the gain must not lie below nothing."""
LIMITS = (
    "Learnt in simulated towns, where everybody can be asked about everything: how people there behave is assumed and "
    "written down in `simulate`.",
    "It orders posts until a platform has learnt trees from its own events, which take over when they are surely "
    "better (see `retrain`).",
    "Where only likes and refusals are told, and no words and creators, as in the real likes that it was measured on, "
    "it is no better than the rule: what is liked of late counts for more there than in towns.",
    "It knows what goes well with whom, not whether a post is true, good or allowed.",
)
Figures = dict[str, float]


def learn(seed: int, towns: Sequence[tuple[Plan, Told]]) -> tuple[Ranker, list[Choice]]:
    """The trees, and the lessons that they learnt from; says how far it is."""
    ranker, choices = Ranker(), list[Choice]()
    for turn, (own, by) in enumerate(((0.0, "a guide"), (OWN, "the trees"))):
        for number, (plan, told) in enumerate(towns):
            choices += taught(10_000 * seed + 100 * turn + number, plan, told, ranker, own, RATE)
            print(f"served by {by}, town {number + 1} of {len(towns)}: {len(choices)} lessons", flush=True)
        ranker = Ranker.learn(choices)
    return ranker, choices


def compare(seed: int, plans: Sequence[Plan], shipped: Ranker) -> Figures:
    """Rule, shipped trees, and trees of the town's own, on towns whose histories a guide made."""
    found: dict[str, list[npt.NDArray]] = {}
    for number, plan in enumerate(plans):
        town = Town(10_000 * seed + 900 + number, plan)
        events = pd.DataFrame(live(town, Mixed(town)).events)
        now = events[TIME].min() + AFTER * plan.sessions * DAY
        before, after = events[events[TIME] < now], events[events[TIME] >= now]
        items = town.items[town.items[CREATED] < now]
        wanted = after[after[LIKE] & after[ITEM].isin(items[ITEM])].groupby(USER)[ITEM].agg(set)
        for name, ranker in (("rule", Ranker()), ("shipped", shipped), ("own", None)):
            pages = FeedModel().fit(before, items, ranker).recommend(wanted.index.tolist(), PLACES, True, now)
            hits = metrics.found(pages, wanted.tolist())
            pleasure = [
                town.pleasure(
                    user, np.array([post for post in page if post is not None], np.int64), town.day(now)
                ).mean()
                for user, page in zip(wanted.index, pages, strict=True)
            ]
            number_wanted = np.array([len(each) for each in wanted])
            for measure, values in (
                ("ndcg", metrics.ndcg(hits, number_wanted, PLACES)),
                ("hr", metrics.hit_rate(hits, PLACES)),
                ("pleasure", np.array(pleasure)),
            ):
                found.setdefault(f"{measure}_{name}", []).append(values)
        print(f"compared on held-out town {number + 1} of {len(plans)}", flush=True)
    return _with_gains({name: float(np.concatenate(values).mean()) for name, values in found.items()})


def on_real(folder: Path, shipped: Ranker) -> Figures:
    """The same on the likes of KuaiRand that came later, asked once for everybody. Raises OSError without them."""
    split = data.kuairand(folder)[0]
    wishes = split.wanted.groupby(USER)[ITEM].agg(set)
    wanted = np.array([len(each) for each in wishes])
    found, per_person = {}, {}
    for name, ranker in (("rule", Ranker()), ("shipped", shipped), ("own", None)):
        model = FeedModel().fit(split.events, split.items, ranker)
        hits = metrics.found(model.recommend(wishes.index.tolist(), PLACES, True, split.now), wishes.tolist())
        per_person[name] = metrics.ndcg(hits, wanted, PLACES)
        found[f"real_ndcg_{name}"] = float(per_person[name].mean())
        found[f"real_hr_{name}"] = float(metrics.hit_rate(hits, PLACES).mean())
        print(f"real likes, {name}: NDCG@10 {found[f'real_ndcg_{name}']:.4f}", flush=True)
    gain, low, high = metrics.mean_of(per_person["shipped"] - per_person["rule"])
    return found | {"gain_real_ndcg_over_rule": gain, "gain_real_ndcg_low": low, "gain_real_ndcg_high": high}


def _with_gains(found: Figures) -> Figures:
    gains = {
        f"gain_{name}_over_rule": found[f"{name}_shipped"] - found[f"{name}_rule"]
        for name in ("ndcg", "hr", "pleasure")
    }
    return found | gains


def train(seed: int, store: Path, made_at: datetime, real: Path | None = None, quick: bool = False) -> registry.Card:
    """Learn, compare, and write the version, not yet in use."""
    towns, held_out = (QUICK_TOWNS, QUICK_HELD_OUT) if quick else (TOWNS, HELD_OUT)
    ranker, choices = learn(seed, towns)
    assert ranker.booster is not None
    found = compare(seed, held_out, ranker)
    if real is not None:
        found |= on_real(real, ranker)
    boosters = {"model": ranker.booster}
    card = registry.Card(
        model=MODEL,
        version=registry.version_of(MODEL, boosters, made_at.isoformat()),
        made_at=made_at.isoformat(timespec="seconds"),
        code=code(),
        seed=seed,
        data=_told(towns, held_out, choices),
        features=list(NAMES),
        metrics=found,
        floors=FLOORS if real is None else FLOORS | FLOORS_ON_REAL,
        limits=LIMITS,
        parameters={"trees": {**PARAMETERS, "rounds": ROUNDS}},
    )
    probes = np.concatenate([choice.features[:1] for choice in choices[:: max(1, len(choices) // 6)]])[:6]
    return registry.save(card, boosters, probes, store)


def code() -> str:
    """The version of what was run: a part of the hash of the sources of ranking."""
    sources = [Path(boosting.__file__), *sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _told(towns: Sequence[tuple[Plan, Told]], held_out: Sequence[Plan], choices: Sequence[Choice]) -> Mapping[str, Any]:
    return {
        "source": "models_ml.ranking.simulate",
        "towns": [f"{plan.people} people, {plan.posts} posts, {plan.sessions} days, {told}" for plan, told in towns],
        "held_out": [f"{plan.people} people, {plan.posts} posts, {plan.sessions} days" for plan in held_out],
        "lessons": len(choices),
        "rows": sum(len(choice.labels) for choice in choices),
        "real": "KuaiRand-27K extract of likes and refusals (Gao et al., CIKM 2022; CC BY-SA 4.0): measured on only",
    }


def main(arguments: Sequence[str]) -> int:
    """Train, write, put in use; exit code 1 when the trees are not better than the rule."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.train ranking", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", type=Path, default=registry.SHIPPED)
    parser.add_argument(
        "--data", type=Path, help="folder of the KuaiRand extract, to be measured on real likes as well"
    )
    parser.add_argument("--quick", action="store_true", help="one small town: to try the command")
    options = parser.parse_args(arguments)
    card = train(options.seed, options.store, datetime.now(UTC), options.data, options.quick)
    for name, value in card.metrics.items():
        print(f"{name:<32} {value:.5f}")
    try:
        registry.promote(MODEL, card.version, options.store, NEEDS)
    except registry.Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    print(f"{card.version} is in use in {options.store}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
