"""How good ranked lists are, for each person or request, and how sure that is.

`found`: shape (n, k), whether the post at each place is wanted; `wanted`: shape (n,), how many are wanted in all.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Found = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]
RESAMPLES = 1000
SURE = (2.5, 97.5)
"""Percentiles: 95 % of resamples lie between them."""


def found(offered: npt.NDArray, wanted: Sequence[Collection[Hashable]]) -> Found:
    """Which of the offered ids (n, k) are wanted by the person of their row."""
    rows = [[item in wishes for item in row] for row, wishes in zip(offered, wanted, strict=True)]
    return np.array(rows, dtype=bool).reshape(offered.shape)


def ndcg(found: Found, wanted: npt.NDArray, k: int) -> Numbers:
    """Normalised discounted cumulative gain of the first k, shape (n,); 1 / log2(place + 1) for each that is wanted,
    over what the best list would have (Järvelin and Kekäläinen, 2002); 0 where nothing is wanted."""
    discounts = 1 / np.log2(np.arange(k) + 2)
    ideal: Numbers = np.concatenate([[np.inf], np.cumsum(discounts)])[np.minimum(wanted, k)]
    gains: Numbers = found[:, :k].astype(np.float64) @ discounts[: found.shape[1]]
    return gains / ideal


def hit_rate(found: Found, k: int) -> Numbers:
    """Whether anything wanted is among the first k, shape (n,)."""
    return np.asarray(found[:, :k].any(axis=1), dtype=np.float64)


def recall(found: Found, wanted: npt.NDArray, k: int) -> Numbers:
    """The share of what is wanted that is among the first k, shape (n,); 0 where nothing is wanted."""
    return found[:, :k].sum(axis=1) / np.maximum(wanted, 1)


def coverage(offered: npt.NDArray, k: int, catalogue: Collection[Hashable]) -> float:
    """The share of the catalogue that is offered to somebody among the first k."""
    return len(set(offered[:, :k].ravel().tolist()) & set(catalogue)) / max(len(catalogue), 1)


def auc(liked: npt.NDArray, scores: npt.NDArray) -> float:
    """How often a liked one is scored above one that is not, equal scores counting half; nan without both kinds."""
    pleased, other = scores[liked], scores[~liked]
    if not len(pleased) or not len(other):
        return float("nan")
    ordered = np.sort(other)
    below = np.searchsorted(ordered, pleased, "left") + np.searchsorted(ordered, pleased, "right")
    return float(below.mean() / 2 / len(other))


def gauc(people: npt.NDArray, liked: npt.NDArray, scores: npt.NDArray) -> tuple[float, float, float]:
    """AUC within each person, averaged with each weighing as much as they have rows (Zhu and others, KDD 2017, there
    over impressions), with its interval over people; those who did only one of both tell nothing. nan without any."""
    areas, weights = [], []
    for rows in pd.Series(np.arange(len(people))).groupby(np.asarray(people)).indices.values():
        area = auc(liked[rows], scores[rows])
        if not np.isnan(area):
            areas.append(area)
            weights.append(len(rows))
    if not areas:
        return (float("nan"),) * 3
    return mean_of(np.repeat(areas, weights), np.repeat(np.arange(len(areas)), weights))


def mean_of(values: npt.NDArray, people: npt.NDArray | None = None) -> tuple[float, float, float]:
    """The mean with the ends of its 95 % interval, by the bootstrap (Efron, 1979).

    `people`: whose each value is. People are drawn with all their values: those of one person are no independent
    witnesses. Without it each value is a person.
    """
    totals, counts = _by_person(values, people)
    draws = _draws(len(totals))
    low, high = np.percentile([totals[d].sum() / counts[d].sum() for d in draws], SURE)
    return float(totals.sum() / counts.sum()), float(low), float(high)


def ratio_of(ours: npt.NDArray, theirs: npt.NDArray, people: npt.NDArray | None = None) -> tuple[float, float, float]:
    """Our mean over theirs with its 95 % interval; both for the same requests, so that people are drawn in pairs."""
    mine, _ = _by_person(ours, people)
    others, _ = _by_person(theirs, people)
    if not others.sum():
        return (float("nan"),) * 3
    low, high = np.percentile([mine[d].sum() / max(others[d].sum(), 1e-12) for d in _draws(len(mine))], SURE)
    return float(mine.sum() / others.sum()), float(low), float(high)


def _by_person(values: npt.NDArray, people: npt.NDArray | None) -> tuple[Numbers, Numbers]:
    values = np.asarray(values, dtype=np.float64)
    if people is None:
        return values, np.ones(len(values))
    _, whose = np.unique(people, return_inverse=True)
    return np.bincount(whose, values).astype(np.float64), np.bincount(whose).astype(np.float64)


def _draws(number: int) -> Iterator[npt.NDArray]:
    draw = np.random.default_rng(0)
    return (draw.integers(number, size=number) for _ in range(RESAMPLES))
