"""What came of serving a town: how pleased people were, how varied it was, and who was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking.memory import PROMISED, YOUNG
from models_ml.ranking.simulate.life import Log
from models_ml.ranking.simulate.town import Town

SETTLED = 20
"""Sessions of the mean person after which a town is measured; of a shorter life the second half."""
FEW = 0.01
"""The posts that are shown most: this part of the catalogue."""
WITHIN = 10
"""Videos within which a change of taste should be followed."""


def figures(town: Town, log: Log) -> Mapping[str, float]:
    """Measures by name; nan where there was nothing to measure. All but `followed`, `promise`, `debut_least` and
    `coverage` are of the settled days only.

    `pleasure`: of the mean video, 0..1; `session`: summed over the mean session; `videos`: in it; `topics`, `creators`:
    distinct ones for each video of a page; `distance`: mean 1 - cosine between the videos of a page; `debuts`: the part
    of impressions that went to creators who came after the beginning; `promise`: the part of debuts' posts that had
    their PROMISED impressions while young; `debut_least`: the fewest that one of them had; `coverage`: the part of the
    catalogue that was seen by anybody; `gini`: of impressions over the catalogue; `few`: the part of impressions that
    the most shown posts (FEW) took; `followed`: the mean number of videos until a change is followed; `within`: the
    part of changes that were within WITHIN.
    """
    seen = log.frame()
    first = SETTLED if town.plan.sessions > SETTLED else town.plan.sessions // 2
    late = seen[(seen.day >= first) & (seen.place >= 0)]
    counts = np.bincount(late.post, minlength=len(town.born))[town.born < town.end]
    sessions = late.groupby("session").pleasure
    topics, creators, distance = _variety(town, late)
    young = _promised(town, seen)
    taken = np.array(log.followed, dtype=float)
    return {
        "pleasure": float(late.pleasure.mean()),
        "session": float(sessions.sum().mean()),
        "videos": float(sessions.size().mean()),
        "topics": topics,
        "creators": creators,
        "distance": distance,
        "debuts": float(town.debut[late.post].mean()) if len(late) else np.nan,
        "promise": float((young >= PROMISED).mean()) if len(young) else np.nan,
        "debut_least": float(young.min()) if len(young) else np.nan,
        "coverage": float(np.isin(np.flatnonzero(town.born < town.end), seen.post).mean()),
        "gini": gini(counts),
        "few": float(np.sort(counts)[::-1][: max(1, round(FEW * len(counts)))].sum() / max(1, counts.sum())),
        "followed": float(taken.mean()) if len(taken) else np.nan,
        "within": float((taken <= WITHIN).mean()) if len(taken) else np.nan,
    }


def gini(counts: npt.NDArray) -> float:
    """How unequal counts are: 0 when all are equal, towards 1 when one has everything; nan without any.

    Half the mean absolute difference over the mean (Gini, 1912), from the counts in order.
    """
    ordered, number = np.sort(counts), len(counts)
    if not ordered.sum():
        return float("nan")
    return float(((2 * np.arange(1, number + 1) - number - 1) * ordered).sum() / (number * ordered.sum()))


def _variety(town: Town, seen: pd.DataFrame) -> tuple[float, float, float]:
    """Distinct topics and creators for each video of a page, and the mean distance between two videos of one page."""
    if not len(seen):
        return (np.nan,) * 3
    rows = seen.assign(topic=town.topic[seen.post], creator=town.creator[seen.post])
    pages = rows.groupby("page")
    sizes = pages.size().to_numpy()
    several = sizes > 1
    sums = np.add.reduceat(town.points[rows.sort_values("page", kind="stable").post], np.cumsum([0, *sizes[:-1]]))
    cosines = ((sums**2).sum(axis=1) - sizes)[several] / (sizes * (sizes - 1))[several]
    distinct = [float((pages[name].nunique().to_numpy() / sizes)[several].mean()) for name in ("topic", "creator")]
    return distinct[0], distinct[1], float(1 - cosines.mean())


def _promised(town: Town, seen: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Impressions while they were young of the posts of new creators that had the time to grow old."""
    young = seen[seen.time < town.born[seen.post] + YOUNG]
    counts = np.bincount(young.post, minlength=len(town.born))
    grown = town.debut & (town.born + YOUNG <= town.end)
    return np.asarray(counts[grown])
