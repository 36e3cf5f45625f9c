"""Events as arrays: who met which post when, and what it was worth to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

OUTCOMES = ("like", "comment", "share")
FULL, SKIPPED = 0.9, 0.1
"""Shares of a post that count as watched to the end, and as passed over."""
SKIP = -0.1


@dataclass(frozen=True)
class History:
    """n events in order of time (of rows where there is no clock); `times` in seconds, all zero without a clock."""

    people: npt.NDArray[np.int32]
    posts: npt.NDArray[np.int32]
    times: npt.NDArray[np.float64]
    gains: npt.NDArray[np.float32]
    timed: bool

    def part(self, chosen: npt.NDArray) -> History:
        return History(self.people[chosen], self.posts[chosen], self.times[chosen], self.gains[chosen], self.timed)

    def __len__(self) -> int:
        return len(self.posts)


def gains(events: pd.DataFrame) -> npt.NDArray[np.float32]:
    """What each event was worth, -1..1: a hate -1, a like, comment or share 1, else the share watched; unknown is 1."""
    number = len(events)
    told = [name for name in (*OUTCOMES, "hate", "watch_ms") if name in events and events[name].notna().any()]
    if not told:
        return np.ones(number, dtype=np.float32)
    gain = np.zeros(number)
    if "watch_ms" in told and "duration_ms" in events:
        length = pd.to_numeric(events["duration_ms"]).to_numpy(float)
        share = np.clip(pd.to_numeric(events["watch_ms"]).to_numpy(float) / np.where(length > 0, length, np.nan), 0, 1)
        gain = np.nan_to_num(np.where(share < SKIPPED, SKIP, np.minimum(share / FULL, 1) * 0.8))
    for name in OUTCOMES:
        if name in told:
            gain = np.where(events[name].fillna(0).to_numpy(float) > 0, 1.0, gain)
    if "hate" in told:
        gain = np.where(events["hate"].fillna(0).to_numpy(float) > 0, -1.0, gain)
    return gain.astype(np.float32)
