"""All that the feed knows: posts, people, what goes with what, and what is liked of late. It only ever learns.

Posts and people are numbers here; ids from outside are translated at the door. `learn` reads a whole history at once,
`meet` one event; both leave the same kind of memory behind.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from models_ml.ranking.content import unit
from models_ml.ranking.history import History
from models_ml.ranking.people import LIKED, People, Person
from models_ml.ranking.places import DIMENSIONS, REACH, embedding, following, nearest
from models_ml.ranking.tables import NOBODY, NOTHING, Floats, Ints, Neighbours, grown
from models_ml.ranking.trends import Trends

WIDTH = 128
ALIKE = 48
FANS, LIKES = 16, 8
"""How many who liked a post last are kept of it, and how many likes of a person for those of like taste to look at."""
PROMISED, YOUNG = 30, 7 * 86400.0
"""Impressions that a new post is promised before it is judged, and the age in seconds at which the promise ends."""
TABLES = ("next", "near", "alike", "about")
COLUMNS = {
    "topic": 0.0,
    "taste": 0.0,
    "creator": NOBODY,
    "tag": NOBODY,
    "duration": np.nan,
    "born": np.nan,
    "shown": 0.0,
    "liked": 0.0,
    "latest": np.nan,
    "fans": NOBODY,
}
"""Arrays with a row for each post, and what stands in them for a post of which nothing is known."""
OF_POSTS = {**COLUMNS, "trends.sums": 0.0} | {f"{table}.{name}": NOTHING[name] for table in TABLES for name in NOTHING}
OF_PEOPLE = {"likes": NOBODY}
"""All arrays with a row for each post, and for each person, by the names they are saved by."""
EVERY = 50
"""How many likes of a post outweigh the place that it was first given among the others."""


class Scratch(threading.local):
    """Arrays that a thread writes to for a moment and then puts back as they were."""

    def __init__(self) -> None:
        self.slots: Ints = np.zeros(0, dtype=np.int32)
        self.closeness: Floats = np.zeros(0, dtype=np.float32)


class Memory:
    """Tables of neighbours: `next` (liked after), `near` (liked around), `alike` (embedding), `about` (title)."""

    def __init__(self, topics: int) -> None:
        self.post_ids: list[Hashable] = []
        self.post_of: dict[Hashable, int] = {}
        self.person_of: dict[Hashable, int] = {}
        self.people = People()
        self.creator_of: dict[Hashable, int] = {}
        self.posts_by: list[list[int]] = []
        self.output = np.zeros(0, dtype=np.float32)
        self.next, self.near = Neighbours(WIDTH), Neighbours(WIDTH)
        self.alike, self.about = Neighbours(ALIKE), Neighbours(ALIKE)
        self.likes: Ints = np.zeros((0, LIKES), dtype=np.int32)
        self.fans: Ints = np.zeros((0, FANS), dtype=np.int32)
        self.trends = Trends()
        self.topic = np.zeros((0, topics), dtype=np.float32)
        self.taste = np.zeros((0, DIMENSIONS), dtype=np.float32)
        self.creator = np.zeros(0, dtype=np.int32)
        self.tag = np.zeros(0, dtype=np.int32)
        self.tag_of: dict[Hashable, int] = {}
        self.duration = np.zeros(0)
        self.born = np.zeros(0)
        self.shown = np.zeros(0)
        self.liked = np.zeros(0)
        self.latest = np.zeros(0)
        self.scratch = Scratch()
        self.owed: set[int] = set()
        self.waiting: Ints = np.zeros(0, dtype=np.int32)
        self.clock = 0.0

    @property
    def posts(self) -> int:
        return len(self.post_ids)

    @property
    def slots(self) -> Ints:
        """Scratch: an entry for each post, and for each person, all NOBODY."""
        self.scratch.slots = grown(self.scratch.slots, max(len(self.creator), len(self.people)), NOBODY)
        return self.scratch.slots

    @property
    def closeness(self) -> Floats:
        """Scratch: a zero for each person, and for nobody at the end."""
        self.scratch.closeness = grown(self.scratch.closeness, len(self.people) + 1, 0.0)
        return self.scratch.closeness

    def person(self, user_id: Hashable) -> Person:
        """What is known of a person; of one never met: a blank, which is not kept."""
        found = self.person_of.get(user_id)
        return Person() if found is None else self.people[found]

    def number_of(self, user_id: Hashable) -> int:
        """The number of a person, who is made known when new."""
        number = self.person_of.setdefault(user_id, len(self.people))
        if number == len(self.people):
            self.people.add()
            self.likes = grown(self.likes, len(self.people), NOBODY)
        return number

    def add_posts(
        self,
        ids: Sequence[Hashable],
        topics: npt.NDArray[np.float32],
        creators: Sequence[Hashable | None],
        tags: Sequence[Hashable | None],
        durations: npt.NDArray,
        born: npt.NDArray,
    ) -> npt.NDArray:
        """Make room for posts that are not known yet; their numbers."""
        first, number = self.posts, self.posts + len(ids)
        self.post_ids.extend(ids)
        self.post_of.update((post_id, first + place) for place, post_id in enumerate(ids))
        for table in (self.next, self.near, self.alike, self.about, self.trends):
            table.grow(number)
        for name, nothing in COLUMNS.items():
            setattr(self, name, grown(getattr(self, name), number, nothing))
        self.topic[first:number] = topics
        self.duration[first:number], self.born[first:number] = durations, born
        for post, creator in enumerate(creators, start=first):
            if creator is not None:
                self.creator[post] = self.creator_of.setdefault(creator, len(self.creator_of))
        self.credit(first)
        for post, tag in enumerate(tags, start=first):
            if tag is not None:
                self.tag[post] = self.tag_of.setdefault(tag, len(self.tag_of))
        return np.arange(first, number)

    def credit(self, first: int = 0) -> None:
        """Note what creators made, of the posts from `first` on."""
        self.posts_by.extend([] for _ in range(len(self.creator_of) - len(self.posts_by)))
        made = self.creator[first : self.posts]
        for place in np.flatnonzero(made != NOBODY).tolist():
            self.posts_by[made[place]].append(first + place)
        self.output = grown(self.output, len(self.creator_of), 0.0)
        self.output[: len(self.creator_of)] += np.bincount(made[made != NOBODY], minlength=len(self.creator_of))

    def learn(self, history: History) -> None:
        """Read a whole history, rows by person and in order of time, and place posts among one another."""
        people, posts, times, gains = history.people, history.posts, history.times, history.gains
        number = self.posts
        for person, post, time, gain in zip(
            people.tolist(), posts.tolist(), times.tolist(), gains.tolist(), strict=True
        ):
            self.people[person].meet(post, time, gain)
        self.clock = float((times if len(times) else np.nan_to_num(self.born)).max(initial=0.0))
        self.shown[:number] = np.bincount(posts, minlength=number)
        good = gains >= LIKED
        people, posts, times, gains = people[good], posts[good], times[good], gains[good]
        self.liked[:number] = np.bincount(posts, minlength=number)
        np.fmax.at(self.latest, posts, times)
        young = self.clock - self.born[:number] < YOUNG
        first = np.full(number, np.inf)
        np.minimum.at(first, posts, times)
        known = np.isnan(self.born[:number])
        self.born[:number][known] = np.where(np.isinf(first), np.nan, first)[known]
        self.trends.fill(posts, times, gains, number)
        latest(self.fans, posts, people, times)
        latest(self.likes, people, posts, times)
        after = following(people, posts, number)
        around = after + after.T
        self.next.fill(after)
        self.near.fill(around.tocsr())
        self.taste[:number] = embedding(around.tocsr())
        nearest(self.alike, self.taste[:number])
        nearest(self.about, self.topic[:number])
        self.owed = set(np.flatnonzero(young & (self.shown[:number] < PROMISED)).tolist())

    def introduce(self, posts: npt.NDArray) -> None:
        """Place new posts among the others by what they say, and owe them an audience."""
        self.owed.update(posts.tolist())
        self.waiting = self.waiting[:0]
        known = self.topic[: self.posts]
        for post in posts.tolist():
            cosines = known @ self.topic[post]
            cosines[post] = 0.0
            width = min(ALIKE, self.posts)
            others = np.argpartition(-cosines, width - 1)[:width]
            others = others[cosines[others] > 0]
            self.about.total[post] = 1.0
            for other in others.tolist():
                self.about.add(other, post, float(cosines[other]))
                self.about.add(post, other, float(cosines[other]))
            self.about.total[others] = self.about.total[post] = 1.0
            if len(others):
                self.taste[post] = unit((cosines[others] @ self.taste[others])[None])[0]

    def typical(self, topic: npt.NDArray[np.float32], number: int = 5) -> list[int]:
        """Posts about a topic, given as a vector, that many like."""
        fit = np.maximum(self.topic[: self.posts] @ topic, 0) ** 2 * np.log1p(1 + self.liked[: self.posts])
        best = np.argsort(-fit, kind="stable")[:number]
        return [int(post) for post in best if fit[post] > 0]

    def filled(self, posts: Ints, marks: npt.NDArray, banned: Ints, least: int, now: float) -> tuple[Ints, npt.NDArray]:
        """Candidates with the most liked of all other posts added until there are `least`, if there are so many."""
        free = ~(self.born[: self.posts] > now)
        free[posts] = free[banned] = False
        more = np.flatnonzero(free)
        more = more[np.argsort(-self.liked[more], kind="stable")[: least - len(posts)]].astype(np.int32)
        return np.concatenate([posts, more]), np.concatenate([marks, np.zeros(len(more), dtype=marks.dtype)])

    def owing(self) -> Ints:
        """The posts that are owed an audience, as an array that is made anew only when one comes or goes."""
        if len(self.waiting) != len(self.owed):
            self.waiting = np.array(sorted(self.owed), dtype=np.int32)
        return self.waiting

    def meet(self, person: int, post: int, time: float, gain: float) -> None:
        """Learn from one event."""
        known = self.people[person]
        self.shown[post] += 1
        if self.shown[post] >= PROMISED:
            self.owed.discard(post)
            self.waiting = self.waiting[:0]
        self.clock = max(self.clock, time)
        if gain >= LIKED:
            self.liked[post] += 1
            self.latest[post] = time
            if np.isnan(self.born[post]):
                self.born[post] = time
            self.trends.add(post, time, gain)
            before = known.recent(REACH)[0]
            for gap, other in enumerate(before.tolist(), start=1):
                if other != post:
                    self.next.add(other, post, 1 / gap)
                    self.near.add(other, post, 1 / gap)
                    self.near.add(post, other, 1 / gap)
            self.fans[post, 1:], self.fans[post, 0] = self.fans[post, :-1].copy(), person
            self.likes[person, 1:], self.likes[person, 0] = self.likes[person, :-1].copy(), post
            self._move(post, before)
        known.meet(post, time, gain)

    def _move(self, post: int, others: Ints) -> None:
        """A post with few likes comes to stand where those stand who like it."""
        if len(others) and self.liked[post] < EVERY:
            pull = unit(self.taste[others[:5]].mean(axis=0, keepdims=True))[0]
            share = 1 / (1 + self.liked[post])
            self.taste[post] = unit(((1 - share) * self.taste[post] + share * pull)[None])[0]


def latest(kept: Ints, rows: Ints, values: Ints, times: npt.NDArray) -> None:
    """Put into each row of `kept` its latest values, the latest first; of one time the one that came last."""
    order = np.lexsort((-np.arange(len(rows)), -times, rows))
    row = rows[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    late = place < kept.shape[1]
    kept[:] = NOBODY
    kept[row[late], place[late]] = values[order][late]
