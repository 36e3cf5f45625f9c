"""What all baselines share: numbers in place of ids, who met what, batches, ties, and people nobody knows.

Posts are numbered in an order drawn by chance, so that equal scores are not ranked by how a catalogue happens to be
sorted (many are sorted by age or by popularity, which would be a gift). What a baseline says nothing about comes after
everything it does score, the more popular first: a list of ten is always full.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from models_ml.ranking.frames import (
    COMMENT,
    DURATION,
    HATE,
    ITEM,
    LIKE,
    SHARE,
    TIME,
    USER,
    WATCHED,
    events_of,
    items_of,
)

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
NOBODY = -1
UNSCORED = np.float32(-1e4)
"""Below any score; what is not scored lies between this and this plus one."""
BATCH = 512
WHOLE = 0.5
"""Watching half of a post says that it was liked, where nobody could say so otherwise."""


class Baseline(ABC):
    """Learns from events, offers lists. `relearn_after`: so many observed events later everything is learnt anew."""

    relearn_after = 500

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> Self:
        """Learn from events (see `frames`); only what is in `items` will be offered. Raises ValueError."""
        events, items = events_of(events), items_of(items)
        self.items = items.sample(frac=1, random_state=0, ignore_index=True)
        self.popularity = np.zeros(len(self.items))
        self.ids: list[Hashable] = self.items[ITEM].tolist()
        self.post_of = {item: number for number, item in enumerate(self.ids)}
        people, names = pd.factorize(events[USER])
        self.person_of: dict[Hashable, int] = {name: number for number, name in enumerate(names.tolist())}
        posts = pd.Index(self.items[ITEM]).get_indexer(events[ITEM])
        times = events[TIME].to_numpy() if TIME in events else np.full(len(events), np.nan)
        self.people, self.posts = people.tolist(), posts.tolist()
        self.times, self.likings = times.tolist(), liked(events).tolist()
        self.liked: list[list[int]] = [[] for _ in names]
        self.seen: list[set[int]] = [set() for _ in names]
        for person, post, liking in zip(self.people, self.posts, self.likings, strict=True):
            self._note(person, post, liking)
        self.relearn()
        return self

    def recommend(
        self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: float | None = None
    ) -> npt.NDArray[np.object_]:
        """Ids of posts, best first, shape (n, k); None where a person has seen all there is. `now` in seconds."""
        people = [self.person_of.get(user, NOBODY) for user in user_ids]
        offered = np.full((len(people), k), None, dtype=object)
        ids = np.array(self.ids, dtype=object)
        for start in range(0, len(people), BATCH):
            some = people[start : start + BATCH]
            scores = self.scores(some, now)
            if exclude_seen:
                known = [list(self.seen[person]) if person != NOBODY else [] for person in some]
                rows = np.repeat(np.arange(len(some)), [len(posts) for posts in known])
                scores[rows, np.concatenate([np.array(posts, dtype=np.int64) for posts in known])] = -np.inf
            best = leading(scores, k)
            found = ids[best]
            found[np.take_along_axis(scores, best, axis=1) == -np.inf] = None
            offered[start : start + BATCH, : best.shape[1]] = found
        return offered

    def score(self, user_id: Hashable, item_ids: Sequence[Hashable], now: float | None = None) -> Numbers:
        """How much a person should like these posts, shape (n,); a post that is not in the catalogue the least."""
        row = self.scores([self.person_of.get(user_id, NOBODY)], now)[0]
        posts = [self.post_of.get(item) for item in item_ids]
        return np.array([UNSCORED if post is None else row[post] for post in posts], dtype=np.float64)

    def observe(self, event: Mapping[Any, Any]) -> None:
        """Learn from one event more. A post that was not in the catalogue enters it with its first like."""
        row = events_of(pd.DataFrame([dict(event)]))
        time = float(row[TIME].iloc[0]) if TIME in row else np.nan
        self.hear(row[USER].iloc[0], row[ITEM].iloc[0], time, bool(liked(row)[0]))

    def hear(self, user: Hashable, item: Hashable, time: float, liking: bool) -> None:
        """Learn from one event more, of which all is known already; `time` in seconds or nan."""
        if liking and item not in self.post_of:
            self._enter(item)
        person = self.person_of.setdefault(user, len(self.liked))
        if person == len(self.liked):
            self.liked.append([])
            self.seen.append(set())
        post = self.post_of.get(item, NOBODY)
        self.people.append(person)
        self.posts.append(post)
        self.times.append(time)
        self.likings.append(liking)
        self._note(person, post, liking)
        self.popularity[post] += liking and post != NOBODY
        self._fresh += 1
        if self._fresh >= self.relearn_after:
            self.relearn()

    def add(self, items: pd.DataFrame) -> None:
        """Take more posts into the catalogue (see `frames`); what they say counts from the next `relearn` on."""
        known = items_of(self.items, also=pd.Series(self.ids))
        items = items_of(items)
        items = items[~items[ITEM].isin(known[ITEM])]
        self.items = items_of(pd.concat([known, items], ignore_index=True))
        for item in items[ITEM].tolist():
            self._enter(item)

    def scores(self, people: Sequence[int], now: float | None) -> Floats:
        """Scores of all posts for people by number, shape (people, posts)."""
        scores = np.full((len(people), len(self.ids)), np.nan, dtype=np.float32)
        learnt = self._scores(people, now)
        scores[:, : learnt.shape[1]] = learnt
        rest = UNSCORED + (self.popularity / (self.popularity.max(initial=0) + 1)).astype(np.float32)
        return np.where(np.isnan(scores), rest, scores)

    def histories(self, people: Sequence[int]) -> sparse.csr_matrix:
        """Who liked what, shape (people, posts), each pair 1."""
        found = self.lately(people, None, 0.0)
        found.sum_duplicates()
        found.data[:] = 1
        return found

    def lately(self, people: Sequence[int], memory: int | None, recency: float) -> sparse.csr_matrix:
        """Who liked what how lately, shape (people, posts): 1 / d^`recency` for the d-th like from the end, for so many
        of them as `memory` says (None: for all); a post liked twice counts for both."""
        lists = [self.liked[person][::-1][:memory] if person != NOBODY else [] for person in people]
        columns = np.array([post for posts in lists for post in posts], dtype=np.int64)
        places = np.array([place for posts in lists for place in range(1, len(posts) + 1)], dtype=np.float32)
        ends = np.cumsum([0, *(len(posts) for posts in lists)])
        return sparse.csr_matrix((places**-recency, columns, ends), shape=(len(lists), len(self.ids)))

    @abstractmethod
    def _learn(self) -> None:
        """Learn all there is to learn from the events."""

    @abstractmethod
    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        """Scores (people, posts that were there when it learnt); nan where nothing can be said."""

    def relearn(self) -> None:
        """Learn all anew from what was heard so far."""
        self._fresh = 0
        posts = np.array(self.posts, dtype=np.int64)
        told = np.array(self.likings, dtype=bool) & (posts != NOBODY)
        self.popularity = np.bincount(posts[told], minlength=len(self.ids)).astype(np.float64)
        self._learn()

    def _enter(self, item: Hashable) -> None:
        self.post_of[item] = len(self.ids)
        self.ids.append(item)
        self.popularity = np.append(self.popularity, 0.0)

    def _note(self, person: int, post: int, liking: bool) -> None:
        if post == NOBODY:
            return
        self.seen[person].add(post)
        if liking:
            self.liked[person].append(post)


def liked(events: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which events of `frames.events_of` say that a post was liked, shape (n,): a like, comment or share; where no
    acts are known at least half watched; where that is not known either, that there was one. A hate never does."""
    told = [name for name in (LIKE, COMMENT, SHARE) if name in events]
    pleased: npt.NDArray[np.bool_] = np.ones(len(events), dtype=bool)
    if told:
        pleased = np.asarray(events[told].to_numpy(dtype=bool).any(axis=1))
    elif WATCHED in events and DURATION in events:
        pleased = ~(events[WATCHED] < WHOLE * events[DURATION]).to_numpy(dtype=bool)
    return pleased & ~events[HATE].to_numpy(dtype=bool) if HATE in events else pleased


def leading(scores: Floats, k: int) -> Ints:
    """Columns of the k largest of each row, largest first, shape (n, min(k, columns)); equals in order of column."""
    k = min(k, scores.shape[1])
    best = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
