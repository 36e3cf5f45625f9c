"""How much each post is liked of late, over windows of several lengths, always up to date.

A count with half-life h at time t is the sum of 2^(-(t - t_e) / h) over events e. Kept as sums of 2^((t_e - t_0) / h),
which only ever grow, the order of posts does not depend on t, and adding one event costs the same however many there
are (forward decay: Cormode and others, ICDE 2009).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models_ml.ranking.tables import NOBODY, grown

HOUR = 3600.0
HALF_LIVES = np.array([0.25, 1.0, 6.0, 24.0, 96.0, 1e6]) * HOUR
"""In seconds; the last is as good as never to forget."""
FURTHEST = 400.0
"""Half-lives after which all sums are brought back to small numbers."""


class Trends:
    """Decayed counts of likes for posts, and the posts that lead by each of them."""

    def __init__(self, leaders: int = 200) -> None:
        self.sums = np.zeros((0, len(HALF_LIVES)))
        self.origin = 0.0
        self.leaders = np.full((len(HALF_LIVES), leaders), NOBODY, dtype=np.int32)

    def grow(self, posts: int) -> None:
        self.sums = grown(self.sums, posts, 0.0)

    def fill(self, posts: npt.NDArray, times: npt.NDArray, gains: npt.NDArray, number: int) -> None:
        """Count events anew: `number` posts in all."""
        self.grow(number)
        self.sums[:] = 0.0
        self.origin = float(times.max()) if len(times) else 0.0
        for window, life in enumerate(HALF_LIVES):
            decay = np.exp2((times - self.origin) / life)
            self.sums[:number, window] = np.bincount(posts, decay * gains, minlength=number)
            order = np.argsort(-self.sums[:number, window], kind="stable")[: self.leaders.shape[1]]
            order = order[self.sums[order, window] > 0]
            self.leaders[window] = NOBODY
            self.leaders[window, : len(order)] = order

    def add(self, post: int, time: float, gain: float) -> None:
        if (time - self.origin) / HALF_LIVES[0] > FURTHEST:
            self.sums *= np.exp2((self.origin - time) / HALF_LIVES)
            self.origin = time
        self.sums[post] += gain * np.exp2(np.minimum((time - self.origin) / HALF_LIVES, FURTHEST))
        for window, leaders in enumerate(self.leaders):
            if (leaders == post).any():
                continue
            counts = np.where(leaders == NOBODY, 0.0, self.sums[leaders, window])
            weakest = int(counts.argmin())
            if self.sums[post, window] > counts[weakest]:
                leaders[weakest] = post

    def at(self, posts: npt.NDArray, time: float) -> npt.NDArray[np.float64]:
        """Counts of likes at a time, shape (posts, windows)."""
        return (
            self.sums[posts] * np.exp2(np.minimum(self.origin - time, 0) / HALF_LIVES + 0.0)
            if len(posts)
            else (np.zeros((0, len(HALF_LIVES))))
        )

    def leading(self, window: int, limit: int) -> npt.NDArray[np.int32]:
        """The posts that lead by a window, strongest first."""
        leaders = self.leaders[window]
        leaders = leaders[leaders != NOBODY]
        return leaders[np.argsort(-self.sums[leaders, window], kind="stable")[:limit]]

    def arrays(self) -> dict[str, npt.NDArray]:
        return {"sums": self.sums, "origin": np.array(self.origin), "leaders": self.leaders}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray]) -> Trends:
        made = cls(arrays["leaders"].shape[1])
        made.sums, made.origin, made.leaders = arrays["sums"], float(arrays["origin"]), arrays["leaders"]
        return made
