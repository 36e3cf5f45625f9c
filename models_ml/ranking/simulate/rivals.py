"""Who serves a town: ours as a platform runs it, the baselines kept up to date, and one who knows what pleases."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking import frames
from models_ml.ranking.baselines import Baseline
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.simulate.town import DAY, START, Town

Page = npt.NDArray[np.object_]


class Ours:
    """The feed as a platform runs it: it learns from each event, and every few days a worker learns all anew.

    `ranker`: kept throughout; without it each learning makes its own, which takes long.
    """

    def __init__(self, ranker: Ranker | None = None, every: float = 3 * DAY) -> None:
        self.every, self.ranker = every, ranker
        self.events: list[Mapping[str, Any]] = []
        self.due = START + every
        self.items = pd.DataFrame()
        self.model = FeedModel()

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        self.items = items
        self.model = FeedModel().fit(events, items, self.ranker)

    def add(self, items: pd.DataFrame) -> None:
        self.items = pd.concat([self.items, items])
        self.model.add(items)

    def welcome(self, user_id: Hashable, topics: Sequence[str]) -> None:
        self.model.welcome(user_id, topics)

    def recommend(self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None) -> Page:
        return self.model.recommend(user_ids, k, exclude_seen, now)

    def observe(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)
        self.model.observe(event)
        if event[frames.TIME] >= self.due:
            self.due += self.every
            self.model = FeedModel().fit(pd.DataFrame(self.events), self.items, self.ranker)


class Kept:
    """A baseline as well as it can be kept: it hears each event at once, and learns what new posts say within hours."""

    def __init__(self, model: Baseline, every: float = DAY / 4) -> None:
        self.model, self.every = model, every
        self.model.relearn_after = sys.maxsize
        self.due = START + every

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        self.model.fit(events, items)

    def add(self, items: pd.DataFrame) -> None:
        self.model.add(items)

    def recommend(self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None) -> Page:
        if now >= self.due:
            self.due += self.every
            self.model.relearn()
        return self.model.recommend(user_ids, k, exclude_seen, now)

    def observe(self, event: Mapping[str, Any]) -> None:
        liking = (event[frames.LIKE] or event[frames.COMMENT] or event[frames.SHARE]) and not event[frames.HATE]
        self.model.hear(event[frames.USER], event[frames.ITEM], event[frames.TIME], liking)


class Oracle:
    """Knows what pleases whom, and shows that: no recommender can please more at once."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.known = 0
        self.seen: dict[Hashable, list[int]] = {}

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        self.known = len(items)

    def add(self, items: pd.DataFrame) -> None:
        self.known += len(items)

    def recommend(self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None) -> Page:
        pages = np.full((len(user_ids), k), None, dtype=object)
        posts = np.arange(self.known)
        for row, user in enumerate(user_ids):
            pleasure = self.town.pleasure(int(user), posts, self.town.day(now))  # type: ignore[call-overload]
            if exclude_seen:
                pleasure[self.seen.get(user, [])] = -1
            best = np.argsort(-pleasure, kind="stable")[:k]
            best = best[pleasure[best] >= 0]
            pages[row, : len(best)] = best
        return pages

    def observe(self, event: Mapping[str, Any]) -> None:
        self.seen.setdefault(event[frames.USER], []).append(event[frames.ITEM])
