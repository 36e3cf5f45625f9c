"""The feed: learns from events, offers pages, learns on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml.ranking.candidates import Visit
from models_ml.ranking.candidates.pool import gather
from models_ml.ranking.content import Content, pieces
from models_ml.ranking.features import describe
from models_ml.ranking.history import History, gains
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import Person
from models_ml.ranking.ranker import Ranker
from models_ml.ranking.rehearsal import rehearse


class FeedModel:
    def fit(self, events: pd.DataFrame, items: pd.DataFrame) -> FeedModel:
        unlisted = pd.Index(events["item_id"].unique()).difference(items["item_id"])
        items = pd.concat([items, pd.DataFrame({"item_id": unlisted})], ignore_index=True)
        texts = [pieces(str(t)) for t in items["title"].fillna("")] if "title" in items else [[]] * len(items)
        self.content = Content.learn(texts)
        self.topics = self.content.place(texts)
        posts = pd.Index(items["item_id"]).get_indexer(events["item_id"]).astype(np.int32)
        people, names = pd.factorize(events["user_id"])
        timed = "ts" in events
        times = events["ts"].to_numpy(float) if timed else np.zeros(len(events))
        order = np.lexsort((times, people))
        history = History(people[order].astype(np.int32), posts[order], times[order], gains(events)[order], timed)
        self.ranker = Ranker.learn(list(rehearse(self._blank(items, names), history)))
        self.memory = self._blank(items, names)
        self.memory.learn(history)
        return self

    def _blank(self, items: pd.DataFrame, names: Sequence[Hashable]) -> Memory:
        memory = Memory(self.content.dimensions)
        n = len(items)
        creators = items["author_id"].tolist() if "author_id" in items else [None] * n
        durations = items["duration_ms"].to_numpy(float) if "duration_ms" in items else np.full(n, np.nan)
        memory.add_posts(items["item_id"].tolist(), self.topics, creators, durations, np.full(n, np.nan))
        memory.people = [Person() for _ in names]
        memory.person_of = {name: number for number, name in enumerate(names)}
        return memory

    def recommend(self, user_ids, k, exclude_seen=True, now=None):
        now = self.memory.clock if now is None else float(now)
        out = []
        for user in user_ids:
            person = self.memory.person(user)
            visit = Visit.of(person, now)
            posts, marks = gather(self.memory, visit, person.seen())
            scores = self.ranker.score(describe(self.memory, visit, posts, marks))
            best = posts[np.argsort(-scores, kind="stable")[:k]]
            out.append([self.memory.post_ids[p] for p in best])
        return out

    def observe(self, event: Mapping[str, Any]) -> None:
        memory = self.memory
        number = memory.person_of.setdefault(event["user_id"], len(memory.people))
        if number == len(memory.people):
            memory.people.append(Person())
        if event["item_id"] not in memory.post_of:
            memory.add_posts([event["item_id"]], np.zeros((1, self.content.dimensions), np.float32), [None], np.array([np.nan]), np.array([np.nan]))
        gain = float(gains(pd.DataFrame([event]))[0])
        memory.meet(number, memory.post_of[event["item_id"]], float(event.get("ts", memory.clock)), gain)
