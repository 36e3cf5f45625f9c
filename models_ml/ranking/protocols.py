"""Two ways to ask: once for everybody (static), or before each like as it comes, learning from it (prequential)."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking import metrics
from models_ml.ranking.baselines import baseline
from models_ml.ranking.data import Split, liked_so_far
from models_ml.ranking.frames import ITEM, LIKE, TIME, USER

OURS = "PopOff"
PLACES = 20
SPARE = 10
"""So many more are asked for, because what is not in the catalogue is taken out of a list before it is judged."""
AT_ONCE = 2048


class Recommender(Protocol):
    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> Any: ...

    def recommend(
        self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: float | None = None
    ) -> Any: ...

    def observe(self, event: Mapping[Any, Any]) -> Any: ...


@dataclass(frozen=True)
class Outcome:
    """How a model did: each measure for each request, and whose request it was; `gauc` with its interval."""

    data: str
    model: str
    people: npt.NDArray
    values: Mapping[str, npt.NDArray[np.float64]]
    coverage: float
    fit_s: float
    list_ms: float
    gauc: tuple[float, float, float] | None = None

    def mean(self, measure: str) -> float:
        return float(self.values[measure].mean())


def model_of(name: str, data: str) -> Recommender:
    """A new model by name: ours, or a baseline as it is set for a data set."""
    if name == OURS:
        from models_ml.ranking.model import FeedModel  # the baselines can be measured without it

        return FeedModel()
    return baseline(name, data)


def static(split: Split, name: str, data: str, people: int | None = None) -> Outcome:
    """Learn, then ask for everybody at once at the moment of the split. `people`: ask for so many only, drawn once."""
    wishes = split.wanted.groupby(USER)[ITEM].agg(set)
    if people is not None and people < len(wishes):
        wishes = wishes.sample(people, random_state=0)
    model, fit_s = _fitted(name, data, split.events, split.items)
    catalogue, users = set(split.items[ITEM]), wishes.index.tolist()
    started = time.perf_counter()
    lists = [
        np.asarray(model.recommend(users[i : i + AT_ONCE], PLACES + SPARE, True, split.now), dtype=object)
        for i in range(0, len(users), AT_ONCE)
    ]
    list_ms = 1000 * (time.perf_counter() - started) / len(users)
    offered = np.concatenate([among(rows, catalogue) for rows in lists])
    values = _measured(offered, wishes.tolist())
    covered = metrics.coverage(offered, 10, catalogue)
    return Outcome(split.name, name, np.arange(len(users)), values, covered, fit_s, list_ms)


def prequential(split: Split, name: str, data: str, events: int | None = None) -> Outcome:
    """Before each like all posts are ranked that anybody liked so far, then the model learns from it; from hates it
    learns only. A like of a post that nobody liked before cannot be found and counts as missed. `events`: the first so
    many only. GAUC: events are scored before they are learnt from, by models that can score (`score`), and only those
    of posts that somebody liked so far: of the hated most are not among these, and telling that apart would pass for
    knowing people (chance itself had 0.97)."""
    assert split.sequel is not None
    sequel = split.sequel if events is None else split.sequel.iloc[:events]
    listed = liked_so_far(split)
    model, fit_s = _fitted(name, data, split.events, listed)
    catalogue = set(listed[ITEM])
    score = getattr(model, "score", None)
    offered, told, scores, asking = [], [], [], 0.0
    for event in sequel.to_dict("records"):
        user, item, now = event[USER], event[ITEM], event[TIME]
        if score and item in catalogue:
            told.append((user, event[LIKE]))
            scores.append(float(np.asarray(score(user, [item], now)).ravel()[0]))
        if event[LIKE]:
            started = time.perf_counter()
            page = np.asarray(model.recommend([user], PLACES + SPARE, True, now), dtype=object)
            asking += time.perf_counter() - started
            offered.append(among(page, catalogue)[0])
            catalogue.add(item)
        model.observe(event)
    likes = sequel[sequel[LIKE]]
    values = _measured(np.array(offered, dtype=object), [{item} for item in likes[ITEM]])
    covered = metrics.coverage(np.array(offered, dtype=object), 10, catalogue)
    gauc = metrics.gauc(*(np.array(each) for each in (*zip(*told, strict=True), scores))) if told else None
    title, list_ms = f"{split.name}, prequential", 1000 * asking / max(len(likes), 1)
    return Outcome(title, name, likes[USER].to_numpy(), values, covered, fit_s, list_ms, gauc)


def among(offered: npt.NDArray, catalogue: Collection[Hashable]) -> npt.NDArray[np.object_]:
    """The first PLACES of each list that are in the catalogue, shape (n, PLACES), None where a list is too short.

    A post that is offered twice counts once.
    """
    kept = np.full((len(offered), PLACES), None, dtype=object)
    for row, posts in enumerate(offered):
        good = [post for post in dict.fromkeys(posts) if post in catalogue][:PLACES]
        kept[row, : len(good)] = good
    return kept


def _fitted(name: str, data: str, events: pd.DataFrame, items: pd.DataFrame) -> tuple[Recommender, float]:
    started = time.perf_counter()
    model = model_of(name, data)
    model.fit(events, items)
    return model, time.perf_counter() - started


def _measured(offered: npt.NDArray, wishes: Sequence[Collection[Hashable]]) -> dict[str, npt.NDArray[np.float64]]:
    found = metrics.found(offered, wishes)
    wanted = np.array([len(each) for each in wishes])
    return {
        "NDCG@10": metrics.ndcg(found, wanted, 10),
        "HR@10": metrics.hit_rate(found, 10),
        "HR@20": metrics.hit_rate(found, 20),
        "Recall@20": metrics.recall(found, wanted, 20),
        "NDCG@20": metrics.ndcg(found, wanted, 20),
    }
