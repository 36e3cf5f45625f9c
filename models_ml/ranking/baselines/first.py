"""How the first PopOff chose posts, put in our own words, so that what came after it can be measured against it.

It ranked all posts for a person by 0.6 interest + 0.2 recency + 0.2 engagement rate. Interests were points among the
posts' embeddings that moved with what was watched. Its recency had the wrong sign: a post gains by growing old and
never fades. A post without words had no embedding and stood before all others. It drew its page by chance with these
ranks as weights; here the highest come first, which is kinder to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from models_ml.ranking.baselines.base import NOBODY, Baseline, Floats, Numbers
from models_ml.ranking.frames import CREATED, TAGS, TITLE

DIMENSIONS = 64
ALIKE = 0.55
"""Cosine from which a post belongs to an interest, and two interests are one."""
RATE = 0.1
DAY = 86400.0
WATCHED_S, LONGEST_S = 15.0, 120.0
"""What is taken for the watch time where it is unknown, and what counts of it at most."""
ENGAGED = 0.3 + 0.3 * (WATCHED_S / LONGEST_S) ** 0.5 + 0.4 * 2 / 6
"""What it made of a post that was watched to the end and liked."""
PEOPLE = 64


class FirstPopOff(Baseline):
    """See above. Interests follow from what a person liked, and are worked out when they are asked for."""

    def _learn(self) -> None:
        self.points = embeddings(self._texts())
        posts = np.array(self.posts, dtype=np.int64)
        views = np.bincount(posts[posts != NOBODY], minlength=len(self.ids))
        self.engaged = self.popularity / np.maximum(views, 1)
        self.since = self._created()

    def _texts(self) -> list[str]:
        titles = self.items[TITLE].tolist() if TITLE in self.items else [""] * len(self.items)
        tags = self.items[TAGS].tolist() if TAGS in self.items else [()] * len(self.items)
        told = [" ".join([title, *words]) for title, words in zip(titles, tags, strict=True)]
        return told + [""] * (len(self.ids) - len(told))

    def _created(self) -> Numbers:
        """When posts came: as told, else with their first event; nan where times are unknown."""
        since = np.full(len(self.ids), np.nan)
        posts, times = np.array(self.posts, dtype=np.int64), np.array(self.times, dtype=np.float64)
        there = posts != NOBODY
        np.fmin.at(since, posts[there], times[there])
        if CREATED in self.items:
            told = self.items[CREATED].to_numpy(dtype=np.float64)
            since[: len(told)] = np.where(np.isnan(told), since[: len(told)], told)
        return since

    def _interests(self, liked: Sequence[int]) -> tuple[Floats, Numbers]:
        """Points (interests, dimensions) and their weights after these posts, in their order."""
        points, weights = np.zeros((0, self.points.shape[1]), np.float32), np.zeros(0)
        for post in liked:
            point = self.points[post] if post < len(self.points) else None
            if point is None or not point.any():
                continue
            alike = points @ point
            nearest = int(alike.argmax()) if len(alike) else NOBODY
            if nearest == NOBODY or alike[nearest] < ALIKE:
                points, weights = np.vstack([points, point]), np.append(weights, ENGAGED)
                continue
            moved = unit(points[nearest] + (point - points[nearest]) * ENGAGED * RATE)
            weight = weights[nearest]
            weight = np.clip(weight + 5 * weight * (1 - weight) * RATE * (ENGAGED - 0.25), 0, 1)
            others = np.flatnonzero((points @ moved > ALIKE) & (np.arange(len(points)) != nearest))
            if len(others):
                moved, weight = unit((moved + points[others[0]]) / 2), (weight + weights[others[0]]) / 2
            points[nearest], weights[nearest] = moved, weight
            if len(others):
                points, weights = np.delete(points, others[0], axis=0), np.delete(weights, others[0])
        return points, weights

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        latest = self.times[-1] if now is None and self.times else now
        age = (np.nan if latest is None else latest) - self.since
        recency = np.nan_to_num(np.maximum(10 + np.ceil(age / DAY), 0) / 10)
        rest = (0.2 * recency + 0.2 * self.engaged).astype(np.float32)
        scores = np.zeros((len(people), len(self.points)), dtype=np.float32)
        for start in range(0, len(people), PEOPLE):
            part = slice(start, start + PEOPLE)
            scores[part] = 0.6 * self._interest(people[part]) + rest
        scores[:, ~self.points.any(axis=1)] = 1
        return scores

    def _interest(self, people: Sequence[int]) -> Floats:
        """How interesting each post should be to each of these people, 0..1, shape (people, posts)."""
        found = np.zeros((len(people), len(self.points)), dtype=np.float32)
        for row, person in enumerate(people):
            points, weights = self._interests(self.liked[person] if person != NOBODY else ())
            if not len(weights):
                continue
            alike = points @ self.points.T
            worth = alike * weights[:, None].astype(np.float32)
            matching = alike > ALIKE
            number = matching.sum(axis=0)
            summed = (worth * matching).sum(axis=0)
            several = np.minimum(summed / np.maximum(number / 2, 1), 1)
            found[row] = np.where(number > 1, several, np.where(number == 1, summed, np.maximum(worth.max(axis=0), 0)))
        return found


def embeddings(texts: Sequence[str]) -> Floats:
    """Unit points of texts by their words, weighted by rarity, in few dimensions; nothing for a text without words.

    Stands in for the language model that the first PopOff asked over the network.
    """
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    numbers: dict[str, int] = {}
    columns = np.array([numbers.setdefault(word, len(numbers)) for text in words for word in text], dtype=np.int64)
    ends = np.cumsum([0, *(len(text) for text in words)])
    counts = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, ends), shape=(len(texts), len(numbers)))
    counts.sum_duplicates()
    dimensions = min(DIMENSIONS, min(counts.shape) - 1)
    if dimensions < 1:
        return np.zeros((len(texts), 1), dtype=np.float32)
    rarity = np.log(len(texts) / np.bincount(counts.indices, minlength=len(numbers)))
    counts.data = np.log1p(counts.data) * rarity[counts.indices].astype(np.float32)
    left, values, _ = svds(counts, k=dimensions, rng=np.random.default_rng(0))
    return unit(left * values)


def unit(points: npt.NDArray) -> Floats:
    """Of length one, along the last axis; what has no length stays nothing."""
    length = np.linalg.norm(points, axis=-1, keepdims=True)
    return np.asarray(np.where(length > 1e-6, points / np.maximum(length, 1e-6), 0), dtype=np.float32)
