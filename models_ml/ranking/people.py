"""What is remembered of each person: what they met, when, and how they took it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

LIKED = 0.25
"""From this gain on an event speaks for a post; below zero it speaks against it."""
WINDOW = 100
"""The latest events of a person that anything is concluded from: who keeps so many outside gets the same pages."""
PARTS = {"posts": np.int32, "times": np.float64, "gains": np.float32}

Ints = npt.NDArray[np.int32]


class Person:
    """The posts that a person met in order, with times in seconds and gains.

    `number`: theirs in the memory of a feed, -1 of one it never met; `hints`: posts of the topics that a newcomer
    chose; they stand for likes until there are some.
    """

    __slots__ = ("gains", "hints", "number", "posts", "times")

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.posts, self.times, self.gains = array("i"), array("d"), array("f")
        self.hints: list[int] = []

    def meet(self, post: int, time: float, gain: float) -> None:
        self.posts.append(post)
        self.times.append(time)
        self.gains.append(gain)

    def seen(self) -> Ints:
        """All that they ever met."""
        return np.array(self.posts, dtype=np.int32)

    def recent(self, limit: int, liked: bool = True) -> tuple[Ints, npt.NDArray, npt.NDArray]:
        """Of the last WINDOW events the posts that were liked (or disliked), latest first, with times and gains."""
        gains = np.array(self.gains[-WINDOW:], dtype=np.float32)[::-1]
        chosen = np.flatnonzero(gains >= LIKED if liked else gains < 0)[:limit]
        posts = np.array(self.posts[-WINDOW:], dtype=np.int32)[::-1]
        return posts[chosen], np.array(self.times[-WINDOW:])[::-1][chosen], gains[chosen]

    def latest(self) -> tuple[Ints, npt.NDArray[np.float32]]:
        """The posts of the last WINDOW events, latest first, and what each was worth."""
        posts = np.array(self.posts[-WINDOW:], dtype=np.int32)[::-1]
        return posts, np.array(self.gains[-WINDOW:], dtype=np.float32)[::-1]

    def turn(self) -> int:
        """A number that is another one after each event, of the last WINDOW events alone."""
        return min(len(self.posts), WINDOW) + (self.posts[-1] if self.posts else 0)


class People:
    """All people by number. Those of a file are taken out of its arrays when they are first asked for."""

    def __init__(self) -> None:
        self.met: dict[int, Person] = {}
        self.number = 0
        self.ends: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.kept: dict[str, npt.NDArray] = {}

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, number: int) -> Person:
        """The person, who is remembered with all that becomes of them. Raises IndexError."""
        if (person := self.met.get(number)) is None:
            if not 0 <= number < len(self.ends):
                raise IndexError(number)
            person = self.met[number] = Person(number)
            part = slice(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))
            for name, values in self.kept.items():
                getattr(person, name).frombytes(values[part].tobytes())
        return person

    def __iter__(self) -> Iterator[Person]:
        return (self[number] for number in range(self.number))

    def add(self) -> Person:
        """One more, who met nothing yet."""
        person = self.met[self.number] = Person(self.number)
        self.number += 1
        return person

    def arrays(self) -> dict[str, npt.NDArray]:
        """`ends` (people,): where each person's events end in `posts`, `times`, `gains`, one after the other."""
        people = list(self)
        made: dict[str, npt.NDArray] = {
            "ends": np.cumsum(np.array([len(person.posts) for person in people], dtype=np.int64))
        }
        for name, kind in PARTS.items():
            values = [np.array(getattr(person, name), dtype=kind) for person in people]
            made[name] = np.concatenate([np.zeros(0, dtype=kind), *values])
        return made

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray]) -> People:
        """Raises ValueError when the arrays do not fit together, KeyError when one lacks."""
        made = cls()
        made.ends, made.kept = arrays["ends"], {name: arrays[name] for name in PARTS}
        made.number = len(made.ends)
        events = int(made.ends[-1]) if len(made.ends) else 0
        if any(len(values) != events for values in made.kept.values()) or (np.diff(made.ends, prepend=0) < 0).any():
            raise ValueError("The events of people do not fit together.")
        return made
