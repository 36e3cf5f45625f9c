"""The feed: learns from a history, offers pages, and learns on from every event."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking import frames, store
from models_ml.ranking.asking import Asked
from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather, marked
from models_ml.ranking.content import Content, pieces
from models_ml.ranking.features import describe
from models_ml.ranking.history import History, gains
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import Person
from models_ml.ranking.ranker import CLOSER, Choice, Ranker
from models_ml.ranking.rehearsal import rehearse
from models_ml.ranking.selection import Offer, Rules, select
from models_ml.ranking.tables import NOBODY, Ints


class FeedModel:
    """Ids of people and posts are any numbers or texts; frames are as `frames` describes them."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.content = Content.learn([])
        self.ranker = Ranker()
        self.memory = Memory(self.content.dimensions)

    def fit(self, events: pd.DataFrame, items: pd.DataFrame, ranker: Ranker | None = None) -> FeedModel:
        """Learn everything anew, but for the ranker when it is given. Raises ValueError when a frame lacks its ids."""
        told = _Told.of(events, items)
        self.content = told.content
        self.ranker = ranker or Ranker.learn(told.choices())
        self.memory = told.blank()
        self.memory.learn(told.history)
        return self

    def add(self, items: pd.DataFrame) -> None:
        """Make new posts known: from now on they can be recommended, to begin with by what they say and who made them.

        Posts that are known already stay as they are.
        """
        items = frames.items_of(items)
        items = items[[item not in self.memory.post_of for item in items[frames.ITEM].tolist()]].reset_index(drop=True)
        posts = _list(self.memory, items, self.content.place(_texts(items)))
        self.memory.introduce(posts)

    def welcome(self, user_id: Hashable, topics: Sequence[str]) -> None:
        """Take a newcomer's chosen topics for a beginning; what they like afterwards takes their place."""
        person = self.memory.people[self.memory.number_of(_plain(user_id))]
        person.hints = self.memory.typical(self.content.place([pieces(" ".join(topics), topics)])[0])

    def recommend(
        self, user_ids: Sequence[Hashable], k: int, exclude_seen: bool = True, now: Any = None
    ) -> npt.NDArray[np.object_]:
        """A page of k posts for each person, best first, shape (n, k); None where there is nothing left to show.

        `now`: a time as `frames.second` reads it; the time of the latest event when it is not told.
        """
        time = self.memory.clock if now is None else frames.second(now)
        pages = np.full((len(user_ids), k), None, dtype=object)
        for row, user_id in enumerate(user_ids):
            page = self._page(self.memory.person(_plain(user_id)), k, exclude_seen, time)
            pages[row, : len(page)] = [self.memory.post_ids[post] for post in page.tolist()]
        return pages

    def score(self, user_id: Hashable, item_ids: Sequence[Hashable], now: Any = None) -> npt.NDArray[np.float32]:
        """How likely this person would like these posts, larger is better, shape (n,); nan for posts not known."""
        time = self.memory.clock if now is None else frames.second(now)
        numbers = np.array([self.memory.post_of.get(_plain(item), NOBODY) for item in item_ids], dtype=np.int32)
        found = np.full(len(numbers), np.nan, dtype=np.float32)
        posts, place = np.unique(numbers[numbers != NOBODY], return_inverse=True)
        visit = Visit.of(self.memory.person(_plain(user_id)), time)
        features = describe(self.memory, visit, posts, marked(self.memory, visit, posts))
        found[numbers != NOBODY] = self.ranker.score(features)[place]
        return found

    def recall(
        self, user_id: Hashable, item_ids: Sequence[Hashable], times: Sequence[float], gains: Sequence[float]
    ) -> Person:
        """A person as somebody else remembers them: what they met, the oldest first; posts not known are left out.

        `times`: seconds; `gains`: what each was worth, -1..1 (see `history.gains`). Nothing of it is kept here.
        """
        person = Person(self.memory.person_of.get(_plain(user_id), NOBODY))
        for item, time, gain in zip(item_ids, times, gains, strict=True):
            if (post := self.memory.post_of.get(item)) is not None:
                person.meet(post, time, gain)
        return person

    def ask(self, person: Person, now: float, banned: Sequence[Hashable] = (), ranker: Ranker | None = None) -> Asked:
        """For whoever serves: unlike `recommend` it makes no page. `ranker`: in place of the feed's own."""
        return Asked(self.memory, ranker or self.ranker, person, now, banned)

    def observe(self, event: Mapping[str, Any]) -> None:
        """Learn from one event, a mapping with the names of the columns of `events`; people and posts may be new."""
        memory, user_id, item_id = self.memory, _plain(event[frames.USER]), _plain(event[frames.ITEM])
        if item_id not in memory.post_of:
            self.add(pd.DataFrame({frames.ITEM: [item_id]}))
        number, post = memory.number_of(user_id), memory.post_of[item_id]
        told = {
            name: np.array([event[name]], dtype=np.float64)
            for name in (frames.WATCHED, frames.DURATION, *frames.ACTS)
            if event.get(name) is not None
        }
        told.setdefault(frames.DURATION, memory.duration[[post]])
        time = event.get(frames.TIME)
        memory.meet(number, post, memory.clock if time is None else frames.second(time), float(gains(told, 1)[0]))

    def save(self, folder: Path | str) -> None:
        """Write all that is known to a folder, which is made when it is not there."""
        store.save(Path(folder), self.content, self.ranker, self.memory)

    @classmethod
    def load(cls, folder: Path | str, rules: Rules | None = None, ranker: Ranker | None = None) -> FeedModel:
        """`ranker`: in place of the one that was saved. Raises OSError, ValueError or KeyError when the folder holds no
        feed, or a damaged one."""
        made = cls(rules)
        made.content, made.ranker, made.memory = store.load(Path(folder), ranker)
        return made

    def _page(self, person: Person, places: int, exclude_seen: bool, now: float) -> Ints:
        memory, visit = self.memory, Visit.of(person, now)
        banned = person.seen() if exclude_seen else np.zeros(0, dtype=np.int32)
        posts, marks = gather(memory, visit, banned)
        if len(posts) < places:
            posts, marks = memory.filled(posts, marks, banned, places, now)
        features = describe(memory, visit, posts, marks)
        owed = np.array([post in memory.owed for post in posts.tolist()], dtype=bool)
        best, scores = self.ranker.best(features, max(CLOSER, 4 * places))
        # What is owed an audience is looked at even where a glance leaves it out: else few would ever be asked.
        left_out = np.setdiff1d(np.flatnonzero(owed), best)
        scores = np.concatenate([scores, self.ranker.score(features[left_out])])
        best = np.concatenate([best, left_out])
        posts, owed = posts[best], owed[best]
        chance = np.random.default_rng((person.number + 1, len(person.posts)))
        offer = Offer(scores, memory.creator[posts], memory.tag[posts], owed)
        return posts[select(offer, places, self.rules, chance).rows]


@dataclass(frozen=True, eq=False)
class _Told:
    """Frames as the parts of a feed read them."""

    content: Content
    items: pd.DataFrame
    topics: npt.NDArray[np.float32]
    names: Sequence[Hashable]
    history: History

    @classmethod
    def of(cls, events: pd.DataFrame, items: pd.DataFrame) -> _Told:
        """Raises ValueError when a frame lacks its ids."""
        events = frames.events_of(events)
        items = frames.items_of(items, also=events[frames.ITEM])
        texts = _texts(items)
        content = Content.learn(texts)
        people, names = pd.factorize(events[frames.USER])
        history = _history(events, items, people.astype(np.int32))
        return cls(content, items, content.place(texts), names.tolist(), history)

    def blank(self) -> Memory:
        """A memory that knows posts and people and no event."""
        memory = Memory(self.topics.shape[1])
        _list(memory, self.items, self.topics)
        for name in self.names:
            memory.number_of(name)
        return memory

    def choices(self) -> list[Choice]:
        return list(rehearse(self.blank(), self.history))


def _plain(value: Any) -> Hashable:
    """An id as Python's own number or text: numpy's would not be written to a file."""
    return value.item() if isinstance(value, np.generic) else value


def _texts(items: pd.DataFrame) -> list[list[str]]:
    titles = items[frames.TITLE].tolist() if frames.TITLE in items else [""] * len(items)
    tags = items[frames.TAGS].tolist() if frames.TAGS in items else [()] * len(items)
    return [pieces(title, tag) for title, tag in zip(titles, tags, strict=True)]


def _history(events: pd.DataFrame, items: pd.DataFrame, people: Ints) -> History:
    posts = pd.Index(items[frames.ITEM]).get_indexer(events[frames.ITEM]).astype(np.int32)
    told = {
        name: events[name].to_numpy(np.float64)
        for name in (frames.WATCHED, frames.DURATION, *frames.ACTS)
        if name in events
    }
    if frames.DURATION in items:
        length = items[frames.DURATION].to_numpy(np.float64)[posts]
        told[frames.DURATION] = np.where(
            np.isnan(told.get(frames.DURATION, length)), length, told.get(frames.DURATION, length)
        )
    timed = frames.TIME in events
    newest = (
        np.nan_to_num(items[frames.CREATED].to_numpy(np.float64)).max(initial=0.0) if frames.CREATED in items else 0.0
    )
    times = events[frames.TIME].to_numpy(np.float64) if timed else np.full(len(events), newest)
    places = events[frames.POSITION].to_numpy(np.float32) if frames.POSITION in events else np.full(len(events), np.nan)
    order = np.lexsort((times, people))
    gain = gains(told, len(events))
    return History(people[order], posts[order], times[order], gain[order], places[order].astype(np.float32), timed)


def _list(memory: Memory, items: pd.DataFrame, topics: npt.NDArray[np.float32]) -> npt.NDArray:
    number = len(items)
    unknown = np.full(number, np.nan)
    authors = items[frames.AUTHOR].tolist() if frames.AUTHOR in items else [None] * number
    tags = items[frames.TAGS].tolist() if frames.TAGS in items else [()] * number
    return memory.add_posts(
        items[frames.ITEM].tolist(),
        topics,
        [None if pd.isna(author) else author for author in authors],
        [tag[0] if tag else None for tag in tags],
        items[frames.DURATION].to_numpy(np.float64) if frames.DURATION in items else unknown,
        items[frames.CREATED].to_numpy(np.float64) if frames.CREATED in items else unknown,
    )
