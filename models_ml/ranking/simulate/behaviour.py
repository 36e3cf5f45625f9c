"""What people do with a page: how far down they come, what they watch of each post, and what they say about it.

They look at one post after the other. Each costs the time that they watch it, and attention ends; and the less a post
pleases, the likelier it is the last. So the further down a post stands, the likelier they have left before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.simulate.town import DAY, START, Floats, Ints, Town

PAGE = 5
"""Posts that the app asks for at a time."""
LONGEST = 60
"""Posts in one session at most."""
ATTENTION = 200.0
"""Seconds that the median session has."""
SWIPE = 1.0
LEAVES, BORED = 0.02, 0.1
"""How likely each post is the last, whatever it is, and how much likelier one that does not please at all."""
NOISE = 0.15
HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 4, 5, 4, 4, 5, 7, 6, 5, 5, 6, 8, 10, 12, 13, 12, 8, 3], dtype=float)
"""When in the day people come."""


@dataclass(frozen=True)
class Seen:
    """What was seen of a page, all arrays (n,): pleasure 0..1, share watched 0..1, acts, seconds it took; `stays`."""

    pleasure: Floats
    share: Floats
    like: npt.NDArray[np.bool_]
    comment: npt.NDArray[np.bool_]
    forward: npt.NDArray[np.bool_]
    hate: npt.NDArray[np.bool_]
    took: Floats
    stays: bool

    def __len__(self) -> int:
        return len(self.pleasure)


def look(town: Town, person: int, posts: npt.NDArray, day: int, attention: float, chance: np.random.Generator) -> Seen:
    """A person looks at posts from the first on, for so many seconds at most."""
    pleasure = town.pleasure(person, posts, day)
    number = len(posts)
    share = np.clip(0.03 + 1.1 * pleasure + NOISE * chance.standard_normal(number), 0.02, 1.0)
    says = chance.random((4, number))
    took = share * town.duration[posts] / 1000 + SWIPE
    leaves = chance.random(number) < LEAVES + BORED * (1 - pleasure)
    over = np.flatnonzero(leaves | (np.cumsum(took) >= attention))
    end = int(over[0]) + 1 if len(over) else number
    kept = slice(0, end)
    return Seen(
        pleasure[kept],
        share[kept],
        (says[0] < 0.5 * pleasure**2)[kept],
        (says[1] < 0.05 * pleasure**2)[kept],
        (says[2] < 0.05 * pleasure**2)[kept],
        (says[3] < 0.04 * (1 - pleasure) ** 4)[kept],
        took[kept],
        not len(over),
    )


def timetable(town: Town) -> tuple[Floats, Ints, Floats]:
    """When which person opens the feed, in order of time, and how much attention they bring in seconds."""
    plan, chance = town.plan, np.random.default_rng([town.seed, 1])
    times, people = [], []
    for day in range(plan.sessions):
        number = chance.poisson(town.rate)
        who = np.repeat(np.arange(plan.people), number)
        hour = chance.choice(24, len(who), p=HOURS / HOURS.sum()) + chance.random(len(who))
        times.append(START + day * DAY + 3600 * hour)
        people.append(who)
    time, person = np.concatenate(times), np.concatenate(people)
    attention = ATTENTION * np.exp(0.5 * chance.standard_normal(len(time)))
    order = np.argsort(time, kind="stable")
    order = order[time[order] >= town.joined[person[order]]]
    return time[order], person[order], attention[order]
