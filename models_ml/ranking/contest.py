"""Orders compared on a day that none of them learnt from: which puts first what people liked next.

The day is lived through once, event by event. Before each post that somebody liked the feed is asked what it would
offer at that moment, and each order says where it puts that post among the candidates; then the feed learns of the
event. All orders are asked about the same candidates out of the same memory, so the order is all that tells them apart.
On the way each is asked which post of a pool it would have shown where the feed explored (`offpolicy`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtr

from models_ml.ranking import frames, offpolicy
from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather, marked
from models_ml.ranking.features import NAMES, Matrix, describe
from models_ml.ranking.history import gains
from models_ml.ranking.memory import Memory
from models_ml.ranking.model import FeedModel
from models_ml.ranking.offpolicy import Explored, first_of
from models_ml.ranking.people import LIKED
from models_ml.ranking.ratios import Numbers, Ratio, ratio
from models_ml.retrain import Verdict

MOST = 5000
"""Choices, and places that explored, that are looked at; of more, so many are drawn."""
LEAST_PEOPLE = 50
"""With fewer people who liked anything that day a contest tells nothing."""
MARGIN = 0.02
"""A candidate must be better by this part of the figure of what is in use: less is not worth the change."""
SURE = 0.975
"""And so likely better at all: its 95 % interval lies above."""
MEASURE = "NDCG at 10"
PROBES = 6

Order = Callable[[Matrix], npt.NDArray[np.floating]]
"""Scores of candidates from their features, shape (n,), larger is better."""


@dataclass(frozen=True, eq=False)
class Contest:
    """n choices: whose each was, and by the name of an order where it put what was liked, from 0 (inf where that was no
    candidate at all). m places that explored, and by order the chance that it would have shown what was shown.
    `probes`: features of some candidates."""

    people: npt.NDArray
    places: Mapping[str, Numbers]
    explored: Explored
    chances: Mapping[str, Numbers]
    probes: Matrix

    @property
    def is_telling(self) -> bool:
        return len(np.unique(self.people)) >= LEAST_PEOPLE

    def ndcg(self, order: str) -> Ratio:
        """NDCG@10 of choices (one post is wanted: 1 / log2(place + 2), 0 beyond ten), with people drawn."""
        return self._mean(self._gains(order))

    def hits(self, order: str) -> Ratio:
        """HR@10: the share of choices that are among the first ten."""
        return self._mean((self.places[order] < 10).astype(np.float64))

    def ahead(self, order: str, other: str) -> Ratio:
        """By how much the NDCG@10 of one order exceeds that of another, choice by choice."""
        return self._mean(self._gains(order) - self._gains(other))

    def off_policy(self, order: str) -> offpolicy.Estimate:
        """What a place that explores would be worth with this order (-1 .. 1, see `history.gains`)."""
        return offpolicy.estimate(self.explored, self.chances[order])

    def _gains(self, order: str) -> Numbers:
        places = self.places[order]
        return np.where(places < 10, 1 / np.log2(np.minimum(places, 10) + 2), 0.0)

    def _mean(self, values: Numbers) -> Ratio:
        return ratio(values, np.ones(len(values)), self.people)


def popular(features: Matrix) -> npt.NDArray[np.float64]:
    """What was liked most of late, whoever asks; of equals what was liked most ever."""
    lately, ever = (features[:, NAMES.index(name)].astype(np.float64) for name in ("trend_24h", "likes"))
    return lately + 1e-6 * ever


def relive(
    model: FeedModel,
    events: pd.DataFrame,
    explored: pd.DataFrame,
    orders: Mapping[str, Order],
    most: int = MOST,
    seed: int = 0,
) -> Contest:
    """Live through `events` (see `frames`) with a model that learnt what came before; it learns them on the way.

    `explored`: user_id, item_id, ts, pool (lists of ids) by rising time; what came of a place is read from `events`.
    Events of posts that the model does not know are left out.
    """
    events = frames.events_of(events)
    columns = [name for name in (*frames.ACTS, frames.WATCHED, frames.DURATION) if name in events]
    told = {name: events[name].to_numpy(np.float64) for name in columns}
    gain = gains(told, len(events))
    people, posts = events[frames.USER].tolist(), events[frames.ITEM].tolist()
    chance = np.random.default_rng(seed)
    asked = _some(gain >= LIKED, most, chance)
    told_of = [item in pool for item, pool in zip(explored[frames.ITEM], explored["pool"], strict=True)]
    looked_at = explored[_some(np.array(told_of, dtype=np.bool_), most, chance)].to_dict("records")
    day = _Day(model.memory, orders)
    times = events[frames.TIME].tolist()
    for row, (person, post, time) in enumerate(zip(people, posts, times, strict=True)):
        while day.looked < len(looked_at) and looked_at[day.looked][frames.TIME] <= time:
            day.look(looked_at[day.looked])
        day.live(person, post, time, float(gain[row]), bool(asked[row]))
    for place in looked_at[day.looked :]:
        day.look(place)
    worth = dict(zip(zip(people, posts, strict=True), gain.tolist(), strict=True))
    rewards = [worth.get((place[frames.USER], place[frames.ITEM]), 0.0) for place in looked_at]
    return day.contest(looked_at, rewards)


class _Day:
    """A memory that lives on, and what orders said on the way."""

    def __init__(self, memory: Memory, orders: Mapping[str, Order]) -> None:
        self.looked = 0
        self._memory, self._orders = memory, orders
        self._people: list = []
        self._places: dict[str, list[float]] = {name: [] for name in orders}
        self._chances: dict[str, list[float]] = {name: [] for name in orders}
        self._probes: list[Matrix] = []

    def live(self, person: Hashable, item: Hashable, time: float, gain: float, asked: bool) -> None:
        memory = self._memory
        post = memory.post_of.get(item)
        if post is None:
            return
        if asked and post not in memory.person(person).seen():
            self._choose(person, post, time)
        memory.meet(memory.number_of(person), post, time, gain)

    def _choose(self, person: Hashable, wanted: int, time: float) -> None:
        memory = self._memory
        visit = Visit.of(memory.person(person), time)
        posts, marks = gather(memory, visit, visit.person.seen())
        row = np.flatnonzero(posts == wanted)
        features = describe(memory, visit, posts, marks) if len(row) else None
        self._people.append(person)
        for name, order in self._orders.items():
            self._places[name].append(math.inf if features is None else _place(order(features), int(row[0])))
        if features is not None and len(self._probes) < PROBES:
            self._probes.append(features[row])

    def look(self, place: Mapping) -> None:
        """How likely each order would have shown what was shown at a place that explored."""
        self.looked += 1
        memory, pool = self._memory, np.array([self._memory.post_of.get(item, -1) for item in place["pool"]])
        visit = Visit.of(memory.person(place[frames.USER]), float(place[frames.TIME]))
        posts, where = np.unique(pool[pool >= 0].astype(np.int32), return_inverse=True)
        shown = place["pool"].index(place[frames.ITEM])
        features = describe(memory, visit, posts, marked(memory, visit, posts)) if len(posts) else None
        for name, order in self._orders.items():
            scores = np.full(len(pool), np.nan)
            if features is not None:
                scores[pool >= 0] = order(features)[where]
            self._chances[name].append(first_of(scores, shown))

    def contest(self, looked_at: list[dict], rewards: list[float]) -> Contest:
        return Contest(
            people=np.array(self._people),
            places={name: np.array(places, dtype=np.float64) for name, places in self._places.items()},
            explored=Explored(
                people=np.array([place[frames.USER] for place in looked_at]),
                rewards=np.array(rewards, dtype=np.float64),
                pools=np.array([len(place["pool"]) for place in looked_at], dtype=np.float64),
            ),
            chances={name: np.array(chances, dtype=np.float64) for name, chances in self._chances.items()},
            probes=np.concatenate([np.zeros((0, len(NAMES)), dtype=np.float32), *self._probes]),
        )


def decide(contest: Contest, model: str, candidate: str, current: str) -> Verdict:
    """Whether a candidate takes the place of what orders posts now; both are orders of the contest.

    It does when its NDCG@10 is higher by MARGIN of the other's, and surely higher at all.
    """
    ours, theirs = contest.ndcg(candidate), contest.ndcg(current)
    ahead = contest.ahead(candidate, current)
    sure = float(stdtr(ahead.people - 1, ahead.value / ahead.error)) if ahead.error > 0 else float(ahead.value > 0)
    better = sure >= SURE and ours.value >= (1 + MARGIN) * theirs.value
    compared = (
        f"{MEASURE} {ours.value:.4g} against {theirs.value:.4g} of {current} on {len(contest.people)} choices of "
        f"{ahead.people} people ({MARGIN:.0%} more are needed); more at all with a certainty of {sure:.1%} "
        f"({SURE:.1%} are needed)"
    )
    return Verdict(
        model=model,
        candidate=candidate,
        current=current,
        promoted=better,
        reason=f"{'Better' if better else 'Not surely better'}: {compared}.",
        measure=MEASURE,
        candidate_figure=ours.value,
        current_figure=theirs.value,
        certainty=sure,
        rows=len(contest.people),
        outcome="better" if better else "not_better",
    )


def _place(scores: npt.NDArray, row: int) -> float:
    """Where a post comes, from 0; among those that are held for equal in the middle."""
    return float((scores > scores[row]).sum() + ((scores == scores[row]).sum() - 1) // 2)


def _some(wanted: npt.NDArray[np.bool_], most: int, chance: np.random.Generator) -> npt.NDArray[np.bool_]:
    """At most so many of the wanted rows, drawn."""
    rows = np.flatnonzero(wanted)
    kept = np.zeros(len(wanted), dtype=np.bool_)
    kept[chance.permutation(rows)[:most]] = True
    return kept
