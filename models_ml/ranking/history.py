"""Events as arrays: who met which post when, and what it was worth to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.frames import COMMENT, DURATION, HATE, LIKE, SHARE, WATCHED

FULL, SKIPPED = 0.9, 0.1
"""Shares of a post that count as watched to the end, and as passed over."""
WATCH, SKIP = 0.8, -0.1
"""What watching to the end is worth beside a like, and passing over beside a hate."""


@dataclass(frozen=True)
class History:
    """n events by person and in order of time; `times` in seconds, all one where there is no clock (not `timed`).

    `places`: where on a page posts were shown, from 0; nan where unknown.
    """

    people: npt.NDArray[np.int32]
    posts: npt.NDArray[np.int32]
    times: npt.NDArray[np.float64]
    gains: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    timed: bool

    def part(self, chosen: npt.NDArray) -> History:
        people, posts, times = self.people[chosen], self.posts[chosen], self.times[chosen]
        return History(people, posts, times, self.gains[chosen], self.places[chosen], self.timed)

    def __len__(self) -> int:
        return len(self.posts)


def gains(told: Mapping[str, npt.NDArray[np.float64]], number: int) -> npt.NDArray[np.float32]:
    """What each of n events was worth, -1..1, shape (n,): hate -1, like, comment or share 1, else the share watched.

    `told`: columns of events by name, nan where unknown. Of an event of which nothing at all is told it is taken that
    the person chose the post: 1.
    """
    columns = [told[name] for name in (LIKE, COMMENT, SHARE, HATE, WATCHED) if name in told]
    if not columns:
        return np.ones(number, dtype=np.float32)
    gain = np.where(np.all(np.isnan(columns), axis=0), 1.0, 0.0)
    if WATCHED in told and DURATION in told:
        length = np.where(told[DURATION] > 0, told[DURATION], np.nan)
        share = np.clip(told[WATCHED] / length, 0, 1)
        worth = np.where(share < SKIPPED, SKIP, np.minimum(share / FULL, 1) * WATCH)
        gain = np.where(np.isnan(share), gain, worth)
    for name in (LIKE, COMMENT, SHARE):
        if name in told:
            gain = np.where(told[name] > 0, 1.0, gain)
    if HATE in told:
        gain = np.where(told[HATE] > 0, -1.0, gain)
    return gain.astype(np.float32)
