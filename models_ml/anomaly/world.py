"""The stage of a simulated economy: people with habits, creators with posts, and what they have done so far.

Times are seconds from the economy's first midnight (UTC), amounts minor units, people and posts whole numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOUR, DAY = 3600.0, 86400.0
HONEST = "honest"
LEAST = 1
"""The least amount of a gift."""

Floats = npt.NDArray[np.float64]


class Gift(NamedTuple):
    """A gift, and what it truly is: `honest` or a kind of fraud."""

    time: float
    giver: int
    creator: int
    amount: int
    post: int
    kind: str


class Inflow(NamedTuple):
    """A grant or a top-up of a wallet."""

    time: float
    wallet: int
    amount: int


@dataclass
class Person:
    """Somebody's habits.

    `joined`: s; `level`: mean of the logarithm of their amounts, `spread`: its standard deviation; `peak`: the hour
    (UTC) around which they give, `width`: by how many hours they miss it; `rate`: sessions in a day; `favourites` with
    `weights`: whom they give to.
    """

    joined: float
    level: float
    spread: float
    peak: float
    width: float
    rate: float
    favourites: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    posts: list[float] = field(default_factory=list)


@dataclass
class World:
    """Everything so far, and the dice."""

    rng: np.random.Generator
    days: int
    limit: int
    people: list[Person] = field(default_factory=list)
    creators: list[int] = field(default_factory=list)
    popularity: list[float] = field(default_factory=list)
    gifts: list[Gift] = field(default_factory=list)
    inflows: list[Inflow] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.days * DAY

    def join(self, joined: float, *, creator: bool = False, active: bool = True) -> int:
        """A new person, with habits of their own; a creator posts every few days from then on."""
        rng = self.rng
        person = Person(
            joined=joined,
            level=float(rng.normal(5.5, 0.9)),
            spread=float(rng.uniform(0.25, 0.8)),
            peak=float(
                rng.choice([rng.normal(19.5, 2.5), rng.normal(12.5, 3), rng.uniform(0, 24)], p=[0.6, 0.25, 0.15])
            ),
            width=float(rng.uniform(1, 3.5)),
            rate=float(rng.gamma(0.9, 0.13)) if active else 0.0,
        )
        self.people.append(person)
        who = len(self.people) - 1
        if creator:
            gaps = rng.exponential(rng.uniform(1, 8) * DAY, size=200) + 600
            times = max(joined, -30 * DAY) + np.cumsum(gaps)
            person.posts = [joined, *times[times < self.end].tolist()]
            self.creators.append(who)
            self.popularity.append(float(rng.pareto(1.1) + 0.05))
        return who

    def post(self, creator: int, time: float, back: int | None = None) -> int:
        """A post of the creator that is there at `time`: the newest, or `back` posts before it (None: by chance)."""
        posts = self.people[creator].posts
        last = max(bisect_right(posts, time) - 1, 0)
        behind = int(self.rng.geometric(0.6)) - 1 if back is None else back
        return creator * 1000 + max(last - behind, 0)

    def creators_by_fame(self, size: int, power: float = 0.9) -> list[int]:
        """Different creators, the famous ones more often; a negative power turns that round."""
        weights = np.array(self.popularity) ** power
        found = self.rng.choice(
            len(self.creators), size=min(size, len(weights)), replace=False, p=weights / weights.sum()
        )
        return [self.creators[index] for index in found]

    def amounts(self, level: float, spread: float, size: int) -> list[int]:
        """Log-normal amounts, as people choose them: mostly round."""
        raw = np.exp(self.rng.normal(level, spread, size))
        steps = np.where(self.rng.random(size) < 0.8, 10.0 ** np.floor(np.log10(np.maximum(raw, 10)) - 1) * 5, 1.0)
        return [int(value) for value in np.clip(np.round(raw / steps) * steps, LEAST, self.limit)]

    def hours(self, person: Person, days: Sequence[float] | Floats) -> Floats:
        """Moments on these days (number of the day) at the hours this person keeps; s."""
        whole = np.asarray(days, dtype=np.float64)
        hour = self.rng.normal(person.peak, person.width, whole.size) % 24
        return whole * DAY + hour * HOUR

    def give(
        self, time: float, giver: int, creator: int, amount: float, kind: str = HONEST, post: int | None = None
    ) -> None:
        """Record a gift that can be: within the economy's time, after both joined, and to somebody else."""
        begun = max(self.people[giver].joined, self.people[creator].joined, 0.0)
        if giver != creator and begun < time < self.end:
            chosen = self.post(creator, time) if post is None else post
            self.gifts.append(Gift(time, giver, creator, max(int(amount), LEAST), chosen, kind))

    def fund(self, time: float, wallet: int, amount: float) -> None:
        self.inflows.append(Inflow(time, wallet, max(int(amount), LEAST)))
