"""What is usual: empirical-Bayes priors of each rate, and how the rates of posts of one age and audience spread.

Rates of counts are beta-binomial: a post's own rate is drawn from Beta(mean x strength, (1 - mean) x strength), and
with k of n views observed it is expected to be (k + mean x strength) / (n + strength). `strength` is the number of
views at which a post's own figures weigh as much as what is usual. Mean and strength are learnt by maximum likelihood
(Gelman et al., Bayesian Data Analysis, 3rd ed., section 5.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special

Numbers = npt.NDArray[np.float64]

AGES = (24.0, 168.0)
"""Hours at which one bracket of age ends and the next begins."""
AUDIENCES = (10.0, 100.0, 1000.0)
"""Views likewise."""
AGE_CENTRES = (6.0, 64.0, 720.0)
AUDIENCE_CENTRES = (3.0, 32.0, 316.0, 3162.0)
BRACKET_DOUBT = 200
"""A bracket is taken to have this many posts more, which are like all posts."""
STRENGTHS = (0.02, 2000.0)
USUAL_LENGTH_MS = 15_000.0
"""Of videos whose length nobody knows."""


@dataclass(frozen=True)
class Prior:
    """A rate's mean over posts, and its strength in views."""

    mean: float
    strength: float

    def __post_init__(self) -> None:
        if not (0 < self.mean < math.inf and 0 < self.strength < math.inf):
            raise ValueError("a prior has a mean and a strength above 0")

    def shrunk(self, total: Numbers, views: Numbers) -> Numbers:
        """The rate that is to be expected of posts with `total` in `views`."""
        return (total + self.mean * self.strength) / (views + self.strength)


@dataclass(frozen=True)
class Scale:
    """What is usual where posts come from: a prior for each rate, usual reputation (people), and the spread of rates.

    `spread[age][audience]` is the Prior of later like rates of posts in that bracket.
    """

    likes: Prior
    comments: Prior
    shares: Prior
    watched: Prior
    reputation: float
    spread: tuple[tuple[Prior, ...], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scale:
        """Raises KeyError, TypeError or ValueError for anything but what `as_json` gives."""
        rates = {name: Prior(**values[name]) for name in ("likes", "comments", "shares", "watched")}
        spread = tuple(tuple(Prior(**prior) for prior in row) for row in values["spread"])
        if [len(row) for row in spread] != [len(AUDIENCE_CENTRES)] * len(AGE_CENTRES):
            raise ValueError("a scale has a prior for each age and audience")
        return cls(**rates, reputation=float(values["reputation"]), spread=spread)

    def percentile(self, rate: Numbers, age_hours: Numbers, views: Numbers) -> Numbers:
        """The share of posts of this age and audience whose rate is below, 0..1; shapes (n,).

        Brackets are joined by straight lines over the logarithms of age and views. At the same rate it never rises
        with views (a running minimum over audiences), nor falls when the rate rises.
        """
        shares = np.array([[_below(prior, rate) for prior in row] for row in self.spread])
        shares = np.minimum.accumulate(shares, axis=1)
        known = np.where(np.isnan(age_hours), AGE_CENTRES[1], age_hours)
        by_age = _weights(known, AGE_CENTRES)
        by_audience = _weights(views, AUDIENCE_CENTRES)
        return np.einsum("an,vn,avn->n", by_age, by_audience, shares)


def learn(posts: pd.DataFrame) -> Scale:
    """The scale of posts with their later counts (`columns.checked(..., later=True)`)."""
    lengths = posts.length_ms.fillna(posts.length_ms.median() if posts.length_ms.notna().any() else USUAL_LENGTH_MS)
    seen = posts.views > 0
    rates = {name: beta_binomial(posts[name][seen], posts.views[seen]) for name in ("likes", "comments", "shares")}
    reputation = posts.reputation.median()
    return Scale(
        **rates,
        watched=_watched((posts.watch_ms / lengths)[seen], posts.views[seen]),
        reputation=100.0 if np.isnan(reputation) else float(max(reputation, 1.0)),
        spread=_spread(posts),
    )


def beta_binomial(hits: pd.Series, tries: pd.Series) -> Prior:
    """The most likely prior of counts; hits beyond tries (many comments of one person) count as tries."""
    n = tries.to_numpy(np.float64)
    k = np.minimum(hits.to_numpy(np.float64), n)
    pairs, times = np.unique(np.stack([k, n]), axis=1, return_counts=True)
    k, n = pairs

    def unlikely(at: Numbers) -> float:
        mean, strength = special.expit(at[0]), np.exp(at[1])
        a, b = mean * strength, (1 - mean) * strength
        return -float(times @ (special.betaln(k + a, n - k + b) - special.betaln(a, b)))

    start = np.clip((times @ k + 0.5) / (times @ n + 1.0), 1e-5, 1 - 1e-5)
    bounds = [(-12.0, 12.0), tuple(np.log(STRENGTHS))]
    found = optimize.minimize(unlikely, [special.logit(start), np.log(5.0)], method="L-BFGS-B", bounds=bounds)
    return Prior(float(special.expit(found.x[0])), float(np.exp(found.x[1])))


def _watched(watched: pd.Series, views: pd.Series) -> Prior:
    """Prior of the watched part of the length. The variance of a post's mean over n views is between + within / n
    (least squares over posts); their ratio is the strength."""
    n = views.to_numpy(np.float64)
    rate = np.clip(watched.to_numpy(np.float64) / n, 0.0, 3.0)
    mean = float(np.average(rate, weights=np.minimum(n, 50.0)))
    parts, _ = optimize.nnls(np.stack([np.ones_like(n), 1 / n], axis=1), (rate - mean) ** 2)
    between, within = parts
    return Prior(max(mean, 0.01), float(np.clip(within / max(between, 1e-6), 0.5, 200.0)))


def _spread(posts: pd.DataFrame) -> tuple[tuple[Prior, ...], ...]:
    every = beta_binomial(posts.later_likes, posts.later_views)
    age = np.digitize(posts.age_hours.fillna(AGE_CENTRES[1]), AGES)
    audience = np.digitize(posts.views, AUDIENCES)
    return tuple(
        tuple(_bracket(posts[(age == i) & (audience == j)], every) for j in range(len(AUDIENCE_CENTRES)))
        for i in range(len(AGE_CENTRES))
    )


def _bracket(posts: pd.DataFrame, every: Prior) -> Prior:
    """The bracket's own prior, drawn towards that of all posts when it has few."""
    if len(posts) < 10:
        return every
    own, weight = beta_binomial(posts.later_likes, posts.later_views), len(posts) / (len(posts) + BRACKET_DOUBT)
    mean = special.expit(weight * special.logit(own.mean) + (1 - weight) * special.logit(every.mean))
    strength = np.exp(weight * np.log(own.strength) + (1 - weight) * np.log(every.strength))
    return Prior(float(mean), float(strength))


def _below(prior: Prior, rate: Numbers) -> Numbers:
    return special.betainc(prior.mean * prior.strength, (1 - prior.mean) * prior.strength, rate)


def _weights(values: Numbers, centres: Sequence[float]) -> Numbers:
    """How much each centre counts for each value: shape (centres, n), columns sum to 1."""
    at = np.interp(np.log(np.maximum(values, 1e-9)), np.log(centres), np.arange(len(centres)))
    return np.maximum(0.0, 1.0 - np.abs(at[None, :] - np.arange(len(centres))[:, None]))
