"""A town served by a recommender, session after session, each of whose pages follows from all that was seen before.

Pages of all people are asked for in order of time. What is posted meanwhile is told to the recommender as it is posted.
People who change their tastes look for something of the new ones themselves when they next come; from then on, after
each post that they see, it is noted whether what they would be shown next is of the new taste by half.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking import frames
from models_ml.ranking.simulate.behaviour import LONGEST, PAGE, Seen, look, timetable
from models_ml.ranking.simulate.town import Ints, Town

FOUND = 2
"""Posts that a person who changed finds by searching."""
NEXT = 10
"""Posts that are looked at to tell what somebody would be shown next."""
PATIENCE = 40
"""Posts after which nobody counts any more how long a change takes to be followed."""
EMPTY = pd.DataFrame(
    {name: pd.Series(dtype=np.float64) for name in (frames.USER, frames.ITEM, frames.TIME, frames.WATCHED)}
    | {name: pd.Series(dtype=bool) for name in frames.ACTS}
)
"""The events of a platform on its first day."""


class Recommender(Protocol):
    """What serves a town: see `FeedModel`. One that has `welcome` hears what newcomers choose."""

    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> Any: ...

    def add(self, items: pd.DataFrame) -> Any: ...

    def recommend(
        self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None
    ) -> npt.NDArray[np.object_]: ...

    def observe(self, event: Mapping[str, Any]) -> Any: ...


class Impression(NamedTuple):
    """One post that one person saw. `page`, `session`: numbers; `place`: on the page, -1 for what they found."""

    time: float
    day: int
    person: int
    post: int
    session: int
    page: int
    place: int
    pleasure: float
    share: float


@dataclass
class Log:
    """What happened: impressions and events in order of time; `followed`: for each change of tastes the posts that it
    took, PATIENCE + 1 where it took longer."""

    impressions: list[Impression] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    followed: list[int] = field(default_factory=list)
    pages: int = 0

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.impressions, columns=list(Impression._fields))


@dataclass
class Session:
    number: int
    person: int
    attention: float
    seen: int = 0


def live(town: Town, recommender: Recommender, seed: int = 0) -> Log:
    """Let the recommender, which begins knowing nobody, serve a town from its first day to its last."""
    return _Life(town, recommender, seed).lived()


class _Life:
    def __init__(self, town: Town, recommender: Recommender, seed: int) -> None:
        self.town, self.recommender, self.log = town, recommender, Log()
        self.chance = np.random.default_rng([town.seed, 2, seed])
        self.turned: dict[int, int] = {}
        self.since: dict[int, int] = {}

    def lived(self) -> Log:
        town = self.town
        times, people, attention = timetable(town)
        known = town.plan.posts
        self.recommender.fit(EMPTY, town.items[:known])
        came = np.zeros(town.plan.people, dtype=bool)
        turns = [(time, number) for number, time in enumerate(times.tolist())]
        sessions = [
            Session(n, int(who), float(has)) for n, (who, has) in enumerate(zip(people, attention, strict=True))
        ]
        while turns:
            now, number = heapq.heappop(turns)
            if known < len(town.born) and town.born[known] <= now:
                newest = int(np.searchsorted(town.born, now, side="right"))
                self.recommender.add(town.items[known:newest])
                known = newest
            session = sessions[number]
            if not came[session.person]:
                came[session.person] = True
                self._welcome(session.person, town.day(now))
            if not session.seen:
                now = self._search(session, now, known)
            if (then := self._page(session, now)) is not None:
                heapq.heappush(turns, (then, number))
        return self.log

    def _welcome(self, person: int, day: int) -> None:
        welcome = getattr(self.recommender, "welcome", None)
        if welcome is not None and self.town.tells[person]:
            welcome(person, [str(self.town.names[topic]) for topic in self.town.topics_of(person, day)])

    def _search(self, session: Session, now: float, known: int) -> float:
        """Who comes for the first time since they changed finds some posts of the new taste; the time afterwards."""
        town, person, day = self.town, session.person, self.town.day(now)
        change = max((turn for turn in town.plan.change_days if turn <= day), default=-1)
        if not town.changed[person] or change == self.turned.get(person, -1):
            return now
        self.turned[person], self.since[person] = change, 0
        fitting = np.flatnonzero(np.isin(town.topic[:known], town.topics_of(person, day)))
        posts = self.chance.permutation(fitting)[:FOUND]
        return self._told(session, posts, look(town, person, posts, day, np.inf, self.chance), now, -1)

    def _offered(self, person: int, places: int, now: float) -> Ints:
        offered = self.recommender.recommend([person], places, True, now)[0]
        return np.array([post for post in offered if post is not None], dtype=np.int64)

    def _page(self, session: Session, now: float) -> float | None:
        """Show one page; when the next is asked for, None when the session is over."""
        day = self.town.day(now)
        posts = self._offered(session.person, PAGE, now)
        if not len(posts):
            return None
        self.log.pages += 1
        seen = look(self.town, session.person, posts, day, session.attention, self.chance)
        now = self._told(session, posts, seen, now, 0)
        session.attention -= float(seen.took.sum())
        session.seen += len(seen)
        return now if seen.stays and session.seen < LONGEST else None

    def _told(self, session: Session, posts: npt.NDArray, seen: Seen, now: float, place: int) -> float:
        day = self.town.day(now)
        for row, post in enumerate(posts[: len(seen)].tolist()):
            now += float(seen.took[row])
            event = {
                frames.USER: session.person,
                frames.ITEM: post,
                frames.TIME: now,
                frames.WATCHED: float(seen.share[row] * self.town.duration[post]),
                frames.DURATION: float(self.town.duration[post]),
                frames.LIKE: bool(seen.like[row]),
                frames.COMMENT: bool(seen.comment[row]),
                frames.SHARE: bool(seen.forward[row]),
                frames.HATE: bool(seen.hate[row]),
            }
            self.recommender.observe(event)
            self.log.events.append(event)
            self.log.impressions.append(
                Impression(
                    now, day, session.person, post, session.number, self.log.pages,
                    row if place == 0 else place, float(seen.pleasure[row]), float(seen.share[row]),
                )
            )  # fmt: skip
            if session.person in self.since:
                self._follow(session.person, now, day)
        return now

    def _follow(self, person: int, now: float, day: int) -> None:
        """Look whether what this person would be shown now is of the new taste by half."""
        self.since[person] += 1
        page = self._offered(person, NEXT, now)
        fitting = np.isin(self.town.topic[page], self.town.topics_of(person, day)).sum()
        if 2 * fitting >= NEXT or self.since[person] > PATIENCE:
            self.log.followed.append(self.since.pop(person))
