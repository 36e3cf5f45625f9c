"""The baselines that know nobody: chance, and what is liked of late."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models_ml.ranking.baselines.base import NOBODY, Baseline

HOUR = 3600.0


class Chance(Baseline):
    """Any post as soon as another."""

    def _learn(self) -> None:
        self.draw = np.random.default_rng(0)

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        return self.draw.random((len(people), len(self.ids)), dtype=np.float32)


class Popular(Baseline):
    """Likes within a recent window (seconds before `now`); where times are unknown, or nothing was liked in it, all."""

    relearn_after = 10**9

    def __init__(self, window: float = 6 * HOUR) -> None:
        self.window = window

    def _learn(self) -> None:
        """Nothing: likes are counted when they are asked for."""

    def _scores(self, people: Sequence[int], now: float | None) -> npt.NDArray:
        counts = np.zeros(len(self.ids), dtype=np.float32)
        latest = self.times[-1] if now is None and self.times else now
        # From the end: the events of a window are few, and they stand there in order of time.
        for time, post, liking in zip(
            *(reversed(each) for each in (self.times, self.posts, self.likings)), strict=True
        ):
            if latest is None or math.isnan(time) or time < latest - self.window:
                break
            if liking and post != NOBODY:
                counts[post] += 1
        counts[counts == 0] = np.nan
        return np.tile(counts, (len(people), 1))
