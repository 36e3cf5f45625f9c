"""What is remembered of each person: what they met, when, and how they took it."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

LIKED = 0.25
"""From this gain on an event speaks for a post; below zero it speaks against it."""


class Person:
    """The posts that a person met in order, with times in seconds and gains.

    `hints`: posts of the topics that a newcomer chose; they stand for likes until there are some.
    """

    __slots__ = ("creators", "gains", "hints", "number", "posts", "times")

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.posts, self.times, self.gains = array("i"), array("d"), array("f")
        self.hints: list[int] = []
        self.creators: dict[int, float] = {}

    def meet(self, post: int, time: float, gain: float, creator: int) -> None:
        self.posts.append(post)
        self.times.append(time)
        self.gains.append(gain)
        if creator >= 0:
            self.creators[creator] = self.creators.get(creator, 0.0) + gain

    def seen(self) -> npt.NDArray[np.int32]:
        return np.array(self.posts, dtype=np.int32)

    def recent(self, limit: int, liked: bool = True) -> tuple[npt.NDArray[np.int32], npt.NDArray, npt.NDArray]:
        """The last posts that were liked (or were not), latest first, with their times and gains."""
        reach = 4 * limit
        posts = np.array(self.posts[-reach:], dtype=np.int32)[::-1]
        times = np.array(self.times[-reach:])[::-1]
        gains = np.array(self.gains[-reach:], dtype=np.float32)[::-1]
        chosen = np.flatnonzero(gains >= LIKED if liked else gains < 0)[:limit]
        return posts[chosen], times[chosen], gains[chosen]
