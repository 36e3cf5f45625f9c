"""Lessons for a ranker that is to serve platforms which have no events of their own yet.

In a town everybody can be asked how they would have liked what they were not shown. So nothing has to be concluded from
what somebody chose to show, and popular is not mistaken for good: now and then, when a page is asked for, some of the
candidates are described as the feed would see them, and each is labelled with how likely it would be the next that the
person likes, by the pleasure that it would have given: on the scale of `rehearsal`, as one choice among as many.

The pages themselves come in part from the feed and in part from a guide that is better, or worse, than the feed: what a
ranker is told depends on what was shown before, and it must know its way about in more than one past.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking import frames
from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather
from models_ml.ranking.features import describe
from models_ml.ranking.ranker import Choice, Ranker
from models_ml.ranking.rehearsal import OTHERS
from models_ml.ranking.simulate.life import live
from models_ml.ranking.simulate.rivals import Ours, Page
from models_ml.ranking.simulate.town import Plan, Town

DESCRIBED = 50
"""Candidates that are described at a time."""
WEIGHT = 20.0
"""What a lesson counts for beside a rehearsed choice, of which one like is known and nothing else."""
USUAL = 0.2
"""What a candidate pleases on average."""


@dataclass(frozen=True)
class Told:
    """What a platform can tell of posts and events: many lack something. `silence`: also what drew no act is told."""

    text: bool = True
    creators: bool = True
    watch: bool = True
    silence: bool = True

    def items(self, items: pd.DataFrame) -> pd.DataFrame:
        hidden = ([] if self.text else [frames.TITLE, frames.TAGS]) + ([] if self.creators else [frames.AUTHOR])
        return items.drop(columns=hidden)

    def event(self, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What is told of an event; None: nothing at all."""
        if not self.silence and not any(event[act] for act in frames.ACTS):
            return None
        return event if self.watch else {name: event[name] for name in event if name != frames.WATCHED}


class Mixed:
    """A guide whose pages are drawn by chance, by likes, or by a guess at what pleases, `noise` beside 0..1."""

    def __init__(self, town: Town, noise: float = 0.2) -> None:
        self.town, self.noise = town, noise
        self.chance = np.random.default_rng([town.seed, 3])
        self.known = 0
        self.likes = np.zeros(len(town.born))
        self.seen: dict[Hashable, list[int]] = {}

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        self.known = len(items)

    def add(self, items: pd.DataFrame) -> None:
        self.known += len(items)

    def recommend(self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None) -> Page:
        pages = np.full((len(user_ids), k), None, dtype=object)
        posts = np.arange(self.known)
        for row, user in enumerate(user_ids):
            way, scores = self.chance.random(), self.chance.random(self.known)
            if way < 0.5:
                scores = self.town.pleasure(int(user), posts, self.town.day(now))  # type: ignore[call-overload]
                scores += self.noise * self.chance.standard_normal(self.known)
            elif way < 0.75:
                scores = scores + self.likes[: self.known]
            scores[self.seen.get(user, [])] = -np.inf
            best = np.argsort(-scores)[:k]
            best = best[scores[best] > -np.inf]
            pages[row, : len(best)] = best
        return pages

    def observe(self, event: Mapping[str, Any]) -> None:
        self.seen.setdefault(event[frames.USER], []).append(event[frames.ITEM])
        self.likes *= 1 - 1e-4
        self.likes[event[frames.ITEM]] += event[frames.LIKE]


class Taught:
    """A feed and a guide who take turns by session; keeps lessons (`choices`) at about `rate` of all pages."""

    def __init__(self, town: Town, ranker: Ranker, told: Told, own: float, rate: float) -> None:
        self.town, self.told, self.own, self.rate = town, told, own, rate
        self.feed, self.guide = Ours(ranker), Mixed(town, 0.2 + 0.4 * (town.seed % 2))
        self.chance = np.random.default_rng([town.seed, 4])
        self.choices: list[Choice] = []

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> None:
        self.feed.fit(events, self.told.items(items))
        self.guide.fit(events, items)

    def add(self, items: pd.DataFrame) -> None:
        self.feed.add(self.told.items(items))
        self.guide.add(items)

    def welcome(self, user_id: Hashable, topics: Sequence[str]) -> None:
        self.feed.welcome(user_id, topics)

    def recommend(self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None) -> Page:
        if self.chance.random() < self.rate and (lesson := self._lesson(user_ids[0], now)):
            self.choices.append(lesson)
        by_feed = hash((user_ids[0], self.town.day(now), self.town.seed)) % 1000 < 1000 * self.own
        return (self.feed if by_feed else self.guide).recommend(user_ids, k, exclude_seen, now)

    def observe(self, event: Mapping[str, Any]) -> None:
        self.guide.observe(event)
        if (told := self.told.event(event)) is not None:
            self.feed.observe(told)

    def _lesson(self, user: Hashable, now: float) -> Choice | None:
        memory = self.feed.model.memory
        visit = Visit.of(memory.person(user), now)
        posts, marks = gather(memory, visit, visit.person.seen())
        if not len(posts):
            return None
        some = self.chance.permutation(len(posts))[:DESCRIBED]
        ids = np.array([memory.post_ids[post] for post in posts[some].tolist()], dtype=np.int64)
        pleasure: npt.NDArray = self.town.pleasure(int(user), ids, self.town.day(now))  # type: ignore[call-overload]
        chances = pleasure / (USUAL * (OTHERS + 1))
        return Choice(describe(memory, visit, posts[some], marks[some]), chances.astype(np.float32), WEIGHT)


def taught(seed: int, plan: Plan, told: Told, ranker: Ranker, own: float, rate: float) -> list[Choice]:
    """The lessons of one town; `own`: the part of people and days that the feed serves itself."""
    town = Town(seed, plan)
    made = Taught(town, ranker, told, own, rate)
    live(town, made)
    return made.choices
