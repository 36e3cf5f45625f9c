"""Choices to learn the ranker from, out of the history alone: memory is put back to an earlier day and asked again.

With a clock the last part of the history is lived through once more, event by event: before each like the candidates
are described as they stood then. Without one the last like of each person is hidden from memory. Posts that are known
to have been shown and were not liked are described beside them, and each counts by the attention that its place got.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather, marked
from models_ml.ranking.exposure import Exposure
from models_ml.ranking.features import describe
from models_ml.ranking.history import History
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import LIKED
from models_ml.ranking.ranker import Choice
from models_ml.ranking.tables import Ints

MOST = 40_000
"""Likes at most, and as many of what was passed by; more hardly help and take longer."""
OTHERS = 100
"""Posts kept of each choice beside the liked one."""
RELIVED = 0.4
"""The share of a history with a clock that is lived through again."""


def rehearse(memory: Memory, history: History, seed: int = 0) -> Iterator[Choice]:
    """`memory`: knows posts and people and no event yet; it is used up."""
    stage = Stage.of(memory, history, np.random.default_rng(seed))
    return _relive(stage) if history.timed else _hide_last(stage)


@dataclass(frozen=True, eq=False)
class Stage:
    """What is rehearsed with. Of each event, shape (n,): whether the post was `liked`, or `passed` by although it was
    shown, and what that counts for."""

    memory: Memory
    history: History
    liked: npt.NDArray[np.bool_]
    passed: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float32]
    chance: np.random.Generator

    @classmethod
    def of(cls, memory: Memory, history: History, chance: np.random.Generator) -> Stage:
        liked, shown = history.gains >= LIKED, ~np.isnan(history.places)
        exposure = Exposure.learn(history.places, history.posts, liked)
        return cls(memory, history, liked, ~liked & shown, exposure.weights(history.places, liked), chance)

    def drawn(self, events: npt.NDArray) -> npt.NDArray[np.float64]:
        """Of these events those to rehearse: shape (n,), what each stands for of its kind, 0 for those left out.

        There are at most about MOST of a kind. What was liked stands for itself, so that those passed by keep their
        proportion to it.
        """
        liked, passed = self.liked[events], self.passed[events]
        often, rarely = (min(1.0, MOST / max(1, int(kind.sum()))) for kind in (liked, passed))
        dice = self.chance.random(len(events))
        return np.where(liked, dice < often, (passed & (dice < rarely)) * often / rarely)

    def choice(self, event: int, now: float, times: float) -> Choice | None:
        """What there was to choose from at an event, counted so many times; None where the post was no candidate."""
        person, post = self.memory.people[int(self.history.people[event])], int(self.history.posts[event])
        weight, visit = float(self.weights[event]) * times, Visit.of(person, now)
        if self.liked[event]:
            return choose(self.memory, visit, self.history.posts[[event]], self._later(event, now), self.chance, weight)
        posts = np.array([post], dtype=np.int32)
        features = describe(self.memory, visit, posts, marked(self.memory, visit, posts))
        return Choice(features, np.zeros(1, dtype=np.float32), weight)

    def _later(self, event: int, since: float) -> Ints:
        """What the person of an event liked after a moment."""
        people, times = self.history.people, self.history.times
        first, end = (int(np.searchsorted(people, people[event], side)) for side in ("left", "right"))
        rows = slice(first, end)
        chosen = self.liked[rows] & (times[rows] > since)
        return self.history.posts[rows][chosen]


def _hide_last(stage: Stage) -> Iterator[Choice]:
    """Of each person the last like, and what they passed by since the one before it."""
    history = stage.history
    to_come = np.append(np.cumsum(stage.liked[::-1])[::-1], 0)
    left = to_come[:-1] - to_come[np.searchsorted(history.people, history.people, side="right")]
    hidden = np.flatnonzero((stage.liked | stage.passed) & (left <= 1))
    kept = np.ones(len(history), dtype=bool)
    kept[hidden] = False
    stage.memory.learn(history.part(kept))
    hidden = stage.chance.permutation(hidden)
    for event, times in zip(hidden.tolist(), stage.drawn(hidden).tolist(), strict=True):
        if times and (choice := stage.choice(event, stage.memory.clock, times)):
            yield choice


def _relive(stage: Stage) -> Iterator[Choice]:
    memory, history = stage.memory, stage.history
    order = np.argsort(history.times, kind="stable")
    cut = int(len(order) * (1 - RELIVED))
    before = np.zeros(len(order), dtype=bool)
    before[order[:cut]] = True
    memory.learn(history.part(before))
    relived = order[cut:]
    for event, times in zip(relived.tolist(), stage.drawn(relived).tolist(), strict=True):
        time = float(history.times[event])
        if times and (choice := stage.choice(event, time, times)):
            yield choice
        memory.meet(int(history.people[event]), int(history.posts[event]), time, float(history.gains[event]))


def choose(
    memory: Memory, visit: Visit, wanted: Ints, spared: Ints, chance: np.random.Generator, weight: float = 1.0
) -> Choice | None:
    """The candidates as a person's feed had them, those wanted first; None where none of them was among these.

    `spared`: what the person liked later on: it is neither what was wanted then nor a worse choice.
    """
    posts, marks = gather(memory, visit, visit.person.seen())
    liked = np.isin(posts, wanted)
    if not liked.any():
        return None
    others = np.flatnonzero(~liked & ~np.isin(posts, spared))
    kept = np.append(np.flatnonzero(liked), chance.permutation(others)[:OTHERS])
    labels = liked[kept].astype(np.float32)
    return Choice(describe(memory, visit, posts[kept], marks[kept]), labels, weight)
