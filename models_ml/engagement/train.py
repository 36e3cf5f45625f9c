"""`python -m models_ml.train engagement [--data DIR] [--store DIR] [--seed N] [--cluster ADDRESS]`

Learns one booster from the KuaiRand extract (training and tuning videos) and one from a drawn population, measures
both on what they have not seen, writes the version with its card and puts it in use. `shadow` learns from a platform's
own posts instead.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models_ml import boosting, registry
from models_ml.engagement import columns, evaluate, kuairand, learning, measures, priors
from models_ml.engagement.features import FEATURES, features
from models_ml.engagement.population import population

if TYPE_CHECKING:
    import xgboost as xgb
    from distributed import Client

MODEL = "engagement"
POPULATION = 20_000
LEAST_POSTS = 500
"""A platform learns from its own posts when it has this many."""
HELD_OUT = 0.25
FLOORS = {"ndcg_model": 0.99, "spearman_score": 0.7}
LIMITS = (
    "What scores posts is the booster `platform`. Until a platform has learnt from its own posts (`shadow`), its usual "
    "rates, and what each input says, come from a drawn population: assumptions, written down in `population`.",
    "The booster `kuairand` is learnt, by the same code, from real likes and refusals, and measured on real videos. "
    "Those have no passive views and no creators, so it never scores a platform's posts; and nearly all of its videos "
    "are liked by nearly all, so their ranking (NDCG) hardly tells answers apart.",
    "It foresees how an audience goes on behaving; it does not know whether a post is true, good or allowed.",
)


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 when the data is not there, 1 when the model does not pass its own card's checks."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.train engagement", description=__doc__)
    parser.add_argument("--data", type=Path, default=kuairand.DATA, help="folder of the KuaiRand extract")
    parser.add_argument("--store", type=Path, default=registry.SHIPPED)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster", help="address of a Dask scheduler; without it this machine trains")
    options = parser.parse_args(arguments)
    try:
        rows = kuairand.load(options.data)
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with _cluster(options.cluster) as client:
        card = train(rows, options.seed, options.store, datetime.now(UTC), client)
    for name, value in card.metrics.items():
        print(f"{name:<40} {value:.5f}")
    try:
        registry.promote(MODEL, card.version, options.store, learning.NEEDS)
    except registry.Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    print(f"{card.version} is in use in {options.store}.")
    return 0


def train(rows: pd.DataFrame, seed: int, store: Path, made_at: datetime, client: Client | None = None) -> registry.Card:
    """Learn from KuaiRand's rows and a population drawn with `seed`; write the version, not yet in use."""
    real = columns.checked(kuairand.moments(rows, "training", "tuning"), later=True)
    drawn = columns.checked(population(POPULATION, seed), later=True)
    posts = {kuairand.NAME: real, learning.PLATFORM: drawn}
    print(f"{len(real)} moments of real videos, {len(drawn)} drawn posts; learning what is usual, then the trees")
    scales = {name: priors.learn(each) for name, each in posts.items()}
    boosters = {name: learning.learn(posts[name], scales[name], seed, client, progress=50) for name in posts}
    parameters = _parameters(scales)
    test = kuairand.moments(rows, "test")
    trained = _unsaved(boosters, parameters)
    found = evaluate.on_real(trained, test, real) | evaluate.on_drawn(trained, evaluate.UNSEEN)
    card = registry.Card(
        model=MODEL,
        version=registry.version_of(MODEL, boosters, made_at.isoformat()),
        made_at=made_at.isoformat(timespec="seconds"),
        code=code(),
        seed=seed,
        data={
            "real": "KuaiRand-27K extract of likes and refusals (Gao et al., CIKM 2022; CC BY-SA 4.0)",
            "real_moments": len(real),
            "test_moments": len(test),
            "test_videos": int(test.post.nunique()),
            "drawn_posts": len(drawn),
        },
        features=FEATURES,
        metrics=found,
        floors={name: 0.0 for name in found if name.startswith("gain_log_loss_")} | FLOORS,
        limits=LIMITS,
        parameters=parameters,
    )
    return registry.save(card, boosters, features(drawn.head(6), scales[learning.PLATFORM]), store)


def shadow(
    posts: pd.DataFrame, seed: int, store: Path, made_at: datetime, client: Client | None = None
) -> registry.Card:
    """Learn from a platform's own posts with their later counts; write a candidate, not in use: see `retrain.consider`.

    A quarter of the posts is kept for the card's figures; it is held to be no worse than the shrunk mean on them.
    Raises Unusable for fewer than LEAST_POSTS and for frames that `columns.checked` does not take.
    """
    known = columns.checked(posts, later=True)
    if len(known) < LEAST_POSTS:
        raise columns.Unusable(f"There are {len(known)} posts to learn from; at least {LEAST_POSTS} are needed.")
    held_out = _held_out(posts, seed)
    own, rest = known[~held_out], known[held_out]
    scale = priors.learn(own)
    boosters = {learning.PLATFORM: learning.learn(own, scale, seed, client)}
    parameters = _parameters({learning.PLATFORM: scale})
    rates = learning.rates(_unsaved(boosters, parameters), rest)
    usual = scale.likes.shrunk(rest.likes.to_numpy(), rest.views.to_numpy())
    loss, usual_loss = (float(measures.log_losses(rest, each).mean()) for each in (rates, usual))
    card = registry.Card(
        model=MODEL,
        version=registry.version_of(MODEL, boosters, made_at.isoformat()),
        made_at=made_at.isoformat(timespec="seconds"),
        code=code(),
        seed=seed,
        data={"real": "the platform's own posts", "posts": len(own), "test_posts": len(rest)},
        features=FEATURES,
        metrics={"log_loss": loss, "gain_log_loss_over_shrunk": usual_loss - loss},
        floors={"gain_log_loss_over_shrunk": 0.0},
        limits=LIMITS[2:],
        parameters=parameters,
    )
    return registry.save(card, boosters, features(rest.head(6), scale), store)


def code() -> str:
    """The version of what was run: a part of the hash of the sources that shape the model."""
    sources = [Path(boosting.__file__), *sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _parameters(scales: Mapping[str, priors.Scale]) -> dict[str, Any]:
    return {
        "scales": {name: scale.as_json() for name, scale in scales.items()},
        "trees": {**learning.PARAMETERS, "rounds": learning.ROUNDS},
    }


def _unsaved(boosters: Mapping[str, xgb.Booster], parameters: Mapping[str, Any]) -> registry.Model:
    """A model to be measured before it has its card."""
    card = registry.Card(MODEL, "unsaved", "", "", 0, {}, FEATURES, {}, {}, (), parameters=parameters)
    return registry.Model(card, boosters)


def _held_out(posts: pd.DataFrame, seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are kept for measuring: all of a post's, or none."""
    units = pd.factorize(posts["post"])[0] if "post" in posts.columns else np.arange(len(posts))
    return (np.random.default_rng(seed).random(units.max() + 1) < HELD_OUT)[units]


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[Client | None]:
    if address is None:
        yield None
        return
    from distributed import Client

    with Client(address) as client:
        yield client
