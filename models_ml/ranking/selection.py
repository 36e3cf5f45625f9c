"""A page out of scored candidates: the best, in turns of creators and topics, and a share of places for new posts.

Places that explore are drawn with equal chances from a small pool of posts that fit, and the page says which pool:
whoever keeps that can work out later what another order would have brought (see `offpolicy`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.ranking.tables import NOBODY

Integers = npt.NDArray[np.integer]

LOOK_AHEAD = 3
"""How far a post may be brought forward so that topics alternate."""


@dataclass(frozen=True)
class Rules:
    """What a page keeps to; an operator may set each.

    `explore`: the share of places for posts that are owed an audience, where there are some; `pool`: how many of those
    that fit best one such place is drawn from; `temperature`: by how much of a score chance may change the order (0: by
    nothing), among the best `reach` times as many as there are places; `per_creator`: posts of one creator on a page;
    `topic_share`: the part of a page that one topic may take.
    """

    explore: float = 0.1
    pool: int = 8
    temperature: float = 0.0
    reach: int = 6
    per_creator: int = 2
    topic_share: float = 0.6


@dataclass(frozen=True, eq=False)
class Offer:
    """Candidates, all arrays (n,): score, creator and topic (NOBODY where unknown), and if owed an audience.

    `spared`: the part of its places that the topic of each loses for this person, 0..1; nothing where it is None.
    """

    scores: npt.NDArray[np.floating]
    creators: Integers
    topics: Integers
    owed: npt.NDArray[np.bool_]
    spared: npt.NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, eq=False)
class Page:
    """Rows of the offer in the order to show them, shape (b,); `pools`: for each place that explores the rows that it
    was drawn from, each with the same chance, and None for the others."""

    rows: npt.NDArray[np.int64]
    pools: Sequence[npt.NDArray[np.int64] | None]

    @property
    def explored(self) -> npt.NDArray[np.bool_]:
        """Which places explore, shape (b,)."""
        return np.array([pool is not None for pool in self.pools], dtype=np.bool_)


def select(offer: Offer, places: int, rules: Rules, chance: np.random.Generator, after: int = NOBODY) -> Page:
    """A page of min(places, n) different candidates.

    The share `explore` of the places (rounded by chance, so that it holds on average for small pages) goes to owed
    posts that do not come by their own score, each drawn evenly from the `pool` of these that score best, and shown
    in the second half of the page, unless all explore. The others are drawn without replacement by adding Gumbel
    noise to score / temperature (Kool and others, ICML 2019; the same as weights of exp(score / temperature)). A
    page keeps to `per_creator` and `topic_share` as long as others are left; two neighbours have different creators
    where any order allows it, also beside `after`, who made the last post shown before, and different topics where
    that costs little.
    """
    size = max(0, min(places, len(offer)))
    if size == 0:
        return Page(np.zeros(0, dtype=np.int64), ())
    page = _Choice(offer, rules.per_creator, _topic_places(offer, rules.topic_share * size))
    order = np.argsort(-offer.scores, kind="stable")
    turns = min(int(rules.explore * size + chance.random()), size)
    pools = _explore(page, order[size - turns :][offer.owed[order[size - turns :]]], turns, rules.pool, chance)
    if rules.temperature > 0:
        head, rest = np.split(order, [rules.reach * size])
        noisy = offer.scores[head] / rules.temperature + chance.gumbel(size=len(head))
        order = np.concatenate([head[np.argsort(-noisy, kind="stable")], rest])
    page.fill(order.tolist(), size)
    best = [row for row in page.chosen if row not in pools]
    for row in pools:
        best.insert(int(chance.integers(-(-len(best) // 2), len(best) + 1)), row)
    rows = _spread(best, offer, after)
    return Page(np.array(rows, dtype=np.int64), [pools.get(row) for row in rows])


def _topic_places(offer: Offer, places: float) -> list[int]:
    """For each row the places that its topic may have: `places`, rounded up, and rounded down where it loses some."""
    if offer.spared is None:
        return [math.ceil(places)] * len(offer)
    return np.where(offer.spared > 0, places * (1.0 - offer.spared), math.ceil(places)).astype(int).tolist()


class _Choice:
    """Rows chosen so far, within what one creator and one topic may have."""

    def __init__(self, offer: Offer, per_creator: int, per_topic: Sequence[int]) -> None:
        self.chosen: list[int] = []
        self._creator, self._topic = offer.creators.tolist(), offer.topics.tolist()
        self._per_creator, self._per_topic = per_creator, per_topic
        self._creators: Counter[int] = Counter()
        self._topics: Counter[int] = Counter()

    def fill(self, order: Sequence[int], size: int) -> None:
        """Choose in this order until there are `size`; the limits give way when nothing else is left."""
        taken = set(self.chosen)
        limits: list[Callable[[int], bool]] = [self.admits, self._creator_has_room, lambda _: True]
        for allows in limits:
            for row in order:
                if len(self.chosen) >= size:
                    return
                if row not in taken and allows(row):
                    taken.add(row)
                    self.choose(row)

    def choose(self, row: int) -> None:
        self.chosen.append(row)
        self._creators[self._creator[row]] += 1
        self._topics[self._topic[row]] += 1

    def admits(self, row: int) -> bool:
        topic = self._topic[row]
        return self._creator_has_room(row) and (topic == NOBODY or self._topics[topic] < self._per_topic[row])

    def _creator_has_room(self, row: int) -> bool:
        creator = self._creator[row]
        return bool(creator == NOBODY or self._creators[creator] < self._per_creator)


def _explore(
    page: _Choice, line: npt.NDArray[np.int64], turns: int, size: int, chance: np.random.Generator
) -> dict[int, npt.NDArray[np.int64]]:
    """Choose for so many places out of a line, as long as it is: the row of each, and the pool that it came from."""
    pools: dict[int, npt.NDArray[np.int64]] = {}
    for _ in range(turns):
        pool = []
        for row in line.tolist():
            if row not in pools and page.admits(row):
                pool.append(row)
                if len(pool) == size:
                    break
        if not pool:
            break
        row = pool[int(chance.integers(len(pool)))]
        page.choose(row)
        pools[row] = np.array(pool, dtype=np.int64)
    return pools


def _spread(chosen: Sequence[int], offer: Offer, after: int) -> list[int]:
    """The same rows in about the same order, with neighbours of different creators and topics."""
    left = list(chosen)
    # A creator that is not known is somebody else each time.
    creators = {
        row: int(offer.creators[row]) if offer.creators[row] != NOBODY else -2 - place for place, row in enumerate(left)
    }
    topics = offer.topics.tolist()
    counts = Counter(creators.values())
    rows: list[int] = []
    creator, topic = after, NOBODY
    while left:
        # With m posts to come after this one nobody may have more than half of them, rounded up; whoever is shown now,
        # rounded down: else two neighbours will be of one creator.
        to_come = len(left) - 1
        pressing = {other for other, count in counts.items() if count > (to_come + 1) // 2}
        fitting = [
            row
            for row in left
            if creators[row] != creator and pressing <= {creators[row]} and counts[creators[row]] - 1 <= to_come // 2
        ]
        if not fitting:
            others = [row for row in left if creators[row] != creator] or left
            fitting = [max(others, key=lambda row: counts[creators[row]])]
        turn = next((row for row in fitting[:LOOK_AHEAD] if topics[row] != topic), fitting[0])
        left.remove(turn)
        rows.append(turn)
        creator, topic = creators[turn], topics[turn]
        counts[creator] -= 1
    return rows
