"""A feed asked by somebody who serves: candidates first, then scores of what may be shown, and why.

Between the two steps whoever serves looks up what may be shown to the person, which no model knows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather
from models_ml.ranking.features import describe
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import Person
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.tables import NOBODY, Ints


class Asked:
    """What a feed has to say to a person at a moment. `now`: seconds; `banned`: posts that are no candidates."""

    def __init__(
        self, memory: Memory, ranker: Ranker, person: Person, now: float, banned: Sequence[Hashable] = ()
    ) -> None:
        self._memory, self._ranker, self._visit = memory, ranker, Visit.of(person, now)
        unwanted = self._numbers(banned)
        self._posts, self._marks = gather(memory, self._visit, unwanted[unwanted != NOBODY])
        self._scores = np.full(len(self._posts), np.nan, dtype=np.float32)

    def best(self, number: int) -> list[Hashable]:
        """The candidates that the ranker puts first at a glance, at most so many, in no order."""
        features = describe(self._memory, self._visit, self._posts, self._marks)
        rows, self._scores[rows] = self._ranker.best(features, number)
        return [self._memory.post_ids[post] for post in self._posts[rows].tolist()]

    def scores(self, item_ids: Sequence[Hashable]) -> npt.NDArray[np.float32]:
        """Larger is better, shape (n,); nan for posts not known. Where the ranker has learnt: the logarithm of the odds
        that of `rehearsal.OTHERS` + 1 candidates this is the one that the person likes next."""
        posts, place = np.unique(self._numbers(item_ids), return_inverse=True)
        found, marks = self._told(posts)
        missing = np.flatnonzero(np.isnan(found) & (posts != NOBODY))
        if len(missing):
            features = describe(self._memory, self._visit, posts[missing], marks[missing])
            found[missing] = self._ranker.score(features)
        return found[place]

    def because(self, item_ids: Sequence[Hashable]) -> list[Hashable | None]:
        """For each post the one that the person liked which speaks most for it; None where none does."""
        memory, liked = self._memory, self._visit.liked
        posts, place = np.unique(self._numbers(item_ids), return_inverse=True)
        if not len(liked) or not len(posts):
            return [None] * len(place)
        together = memory.near.among(liked, np.maximum(posts, 0), memory.slots)
        share = together / np.maximum(memory.near.total[liked], 1.0)[:, None] * self._visit.importance[:, None]
        telling = (share.max(axis=0) > 0) & (posts != NOBODY)
        causes = np.where(telling, liked[share.argmax(axis=0)], NOBODY)[place]
        return [memory.post_ids[post] if post != NOBODY else None for post in causes.tolist()]

    def _numbers(self, item_ids: Sequence[Hashable]) -> Ints:
        return np.array([self._memory.post_of.get(item, NOBODY) for item in item_ids], dtype=np.int32)

    def _told(self, posts: Ints) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
        """What is known of these posts from before: scores, nan where none, and which sources offered them."""
        if not len(self._posts):
            return np.full(len(posts), np.nan, dtype=np.float32), np.zeros(len(posts), dtype=np.int32)
        row = np.minimum(np.searchsorted(self._posts, posts), len(self._posts) - 1)
        offered = self._posts[row] == posts
        return np.where(offered, self._scores[row], np.nan), np.where(offered, self._marks[row], 0)
