"""`python -m models_ml.engagement.evaluate [--data DIR] [--quick]`: what it shows on posts that are new to it.

Real: KuaiRand's test videos, at moments of their life: the like rate in the rest is foreseen, and videos are ranked by
it. Drawn: a population with another seed, whose true rates are known.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

from models_ml import registry
from models_ml.engagement import baselines, columns, kuairand, learning, measures, priors
from models_ml.engagement.features import FEATURES, features, offset
from models_ml.engagement.population import population
from models_ml.engagement.priors import Numbers
from models_ml.engagement.scoring import score
from models_ml.evaluate import Figure

UNSEEN = 7_001
"""Seed of the population to measure on; training draws with others."""
BASELINES = ("raw", "shrunk", "rules", "constant")
NAMES = {
    "raw": "raw rate",
    "shrunk": "shrunk mean",
    "rules": "former formula, calibrated",
    "constant": "former service, calibrated",
}
RESAMPLES = 1000
FOLDS = 5


def on_real(model: registry.Model, test: pd.DataFrame, learnt: pd.DataFrame) -> dict[str, float]:
    """Log loss and NDCG of the model and of all baselines on KuaiRand's test moments; `learnt`: the training moments.

    `gain_<figure>_over_<baseline>` is positive when the model is better; `certainty_...` is the share of resamples of
    the videos (paired bootstrap) in which it is.
    """
    posts = columns.checked(test, later=True)
    posts["moment"], posts["post"] = test.moment, test.post
    answers = {"model": learning.rates(model, posts, kuairand.NAME)} | _baselines(model, posts, learnt)
    losses = {name: measures.log_losses(posts, rates) for name, rates in answers.items()}
    found = {f"log_loss_{name}": float(each.mean()) for name, each in losses.items()}
    found |= {f"ndcg_{name}": measures.mean_ndcg(posts, rates) for name, rates in answers.items()}
    for name in BASELINES:
        found[f"gain_log_loss_over_{name}"] = found[f"log_loss_{name}"] - found["log_loss_model"]
        found[f"gain_ndcg_over_{name}"] = found["ndcg_model"] - found[f"ndcg_{name}"]
    return found | _certainty(posts, answers, losses)


def on_drawn(model: registry.Model, seed: int, size: int = 4000) -> dict[str, float]:
    """How well scores rank drawn posts by their true rate (Spearman), next to the raw rate, and what must never be."""
    drawn = population(size, seed)
    scores = score(drawn, model).score.to_numpy()
    found = {
        "spearman_score": float(stats.spearmanr(scores, drawn.true_rate).statistic),
        "spearman_raw": float(stats.spearmanr(baselines.raw(drawn), drawn.true_rate).statistic),
        "share_lower_for_more": 0.0,
    }
    for name, more in {"likes": 3, "shares": 2, "comments": 2, "watch_ms": 20_000}.items():
        fitting = drawn[name] + more <= (drawn.views if name != "watch_ms" else np.inf)
        raised = score(drawn.assign(**{name: drawn[name] + more}), model).score.to_numpy()
        worse = float(np.mean((raised < scores - 1e-9) & fitting))
        found["share_lower_for_more"] = max(found["share_lower_for_more"], worse)
    bought = score(drawn.assign(views=drawn.views * 5 + 100), model).score.to_numpy()
    found["share_higher_for_bought_views"] = float(np.mean(bought > scores + 1e-9))
    few = pd.DataFrame({"likes": [3, 500], "shares": [0, 30], "comments": [0, 30], "views": [3, 2500]})
    few = few.assign(watch_ms=few.views * 10_000, length_ms=15_000, reputation=100, age_hours=48)
    few_score, many_score = score(few, model).score
    return found | {"points_3_of_3_behind_500_of_2500": float(many_score - few_score)}


def on_folds(learnt: pd.DataFrame, moments: pd.DataFrame, seed: int = 1) -> list[float]:
    """By how much NDCG of the model is above that of the raw rate on each of FOLDS parts of the training videos, learnt
    from the others. `learnt`: their checked moments; `moments`: the same rows with `moment` and `post`."""
    posts = learnt.assign(moment=moments.moment, post=moments.post)
    videos = pd.factorize(posts.post)[0]
    fold = np.random.default_rng(seed).integers(0, FOLDS, videos.max() + 1)[videos]
    gains = []
    for at in range(FOLDS):
        rest, held_out = learnt[fold != at], posts[fold == at]
        scale = priors.learn(rest)
        trees = learning.learn(rest, scale, seed)
        margin = special.logit(registry.predict(trees, features(held_out, scale), FEATURES)) + offset(held_out, scale)
        ours = measures.mean_ndcg(held_out, np.asarray(special.expit(margin)))
        gains.append(ours - measures.mean_ndcg(held_out, baselines.raw(held_out)))
    return gains


def evaluate(*, quick: bool, data: Path = kuairand.DATA) -> list[Figure]:
    """The table's lines. Without the real data its figures are those of the card, and say so."""
    model = registry.load("engagement", needs=learning.NEEDS)
    found, source, folds = dict(model.card.metrics), " (card)", list[Figure]()
    with contextlib.suppress(FileNotFoundError):
        rows = kuairand.load(data)
        moments = kuairand.moments(rows, "training", "tuning")
        learnt = columns.checked(moments, later=True)
        found, source = on_real(model, kuairand.moments(rows, "test"), learnt), ""
        folds = [] if quick else _folds(on_folds(learnt, moments))
    return _real(found, source) + folds + _drawn(on_drawn(model, UNSEEN + 1, 1000 if quick else 8000))


def _real(found: Mapping[str, float], source: str) -> list[Figure]:
    figures = []
    for what, key, sign in (("log loss", "log_loss", "<"), ("NDCG", "ndcg", ">")):
        value = found[f"{key}_model"]
        figures.append(Figure("engagement", f"{what} of the later like rate{source}", value, "", True))
        for name in BASELINES:
            sure = found[f"certainty_{key}_over_{name}"]
            text = f"model {sign} this; in {sure:.1%} of resamples"
            better = found[f"gain_{key}_over_{name}"] > 0
            figures.append(Figure("engagement", f"  {NAMES[name]}", found[f"{key}_{name}"], text, better))
    recalibrated = found["log_loss_recalibrated"]
    return [*figures, Figure("engagement", "log loss of the shrunk mean, calibrated", recalibrated, "", True)]


def _folds(gains: Sequence[float]) -> list[Figure]:
    text = f"in {sum(gain > 0 for gain in gains)} of {len(gains)} above 0"
    mean = float(np.mean(gains))
    return [Figure("engagement", "NDCG above the raw rate, folds of training videos", mean, text, mean > 0)]


def _drawn(found: Mapping[str, float]) -> list[Figure]:
    value, raw = found["spearman_score"], found["spearman_raw"]
    more, bought = found["share_lower_for_more"], found["share_higher_for_bought_views"]
    ahead = found["points_3_of_3_behind_500_of_2500"]
    return [
        Figure("engagement", "Spearman of score and true rate, drawn", value, f"> raw rate ({raw:.4f})", value > raw),
        Figure("engagement", "lower for more likes, shares, comments, watch", more, "= 0", more == 0),
        Figure("engagement", "higher for bought views", bought, "= 0", bought == 0),
        Figure("engagement", "points of 500/2500 likes ahead of 3/3", ahead, "> 0", ahead > 0),
    ]


def _baselines(model: registry.Model, posts: pd.DataFrame, learnt: pd.DataFrame) -> dict[str, Numbers]:
    """Like rates by the baselines, those on another scale calibrated on the training moments."""
    scale = learning.scale_of(model, kuairand.NAME)
    shrunk, before = (special.logit(baselines.shrunk(each, scale)) for each in (posts, learnt))
    return {
        "raw": baselines.raw(posts),
        "shrunk": special.expit(shrunk),
        "rules": baselines.Calibrated(baselines.rules(learnt), learnt)(baselines.rules(posts)),
        "constant": baselines.Calibrated(baselines.constant(learnt), learnt)(baselines.constant(posts)),
        "recalibrated": baselines.Calibrated(before, learnt)(shrunk),
    }


def _certainty(posts: pd.DataFrame, answers: Mapping[str, Numbers], losses: Mapping[str, Numbers]) -> dict[str, float]:
    """In which share of resamples of the videos the model is better, for each figure and baseline."""
    rows = list(posts.groupby("post", sort=True).indices.values())
    draw, wins = np.random.default_rng(UNSEEN), dict.fromkeys(BASELINES, 0)
    ranked = dict.fromkeys(BASELINES, 0)
    for _ in range(RESAMPLES):
        at = np.concatenate([rows[unit] for unit in draw.integers(len(rows), size=len(rows))])
        drawn = posts.iloc[at]
        ours = measures.mean_ndcg(drawn, answers["model"][at])
        for name in BASELINES:
            wins[name] += bool(losses["model"][at].mean() < losses[name][at].mean())
            ranked[name] += ours > measures.mean_ndcg(drawn, answers[name][at])
    found = {f"certainty_log_loss_over_{name}": won / RESAMPLES for name, won in wins.items()}
    return found | {f"certainty_ndcg_over_{name}": won / RESAMPLES for name, won in ranked.items()}


def main(arguments: Sequence[str]) -> int:
    """Print the figures; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.engagement.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, default=kuairand.DATA)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    figures = evaluate(quick=options.quick, data=options.data)
    for figure in figures:
        verdict = "" if not figure.target else "  reached" if figure.reached else "  MISSED"
        print(f"{figure.what:<50} {figure.value:>9.5f}  {figure.target}{verdict}")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
