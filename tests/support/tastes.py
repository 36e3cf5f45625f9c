"""A drawn platform: people who are fond of one or two kinds of posts each, and what they did for some days."""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = ("guitar", "pasta", "climbing", "football", "pottery")
DAY = 86400.0


def drawn(
    end: float, *, people: int = 80, posts: int = 150, days: int = 8, each: int = 5, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events and items in the frames of `models_ml.ranking.frames`, until `end` (seconds); ids count from 0.

    A day each person meets so many posts, half of them of a kind that they are fond of, and likes nearly all of those.
    """
    chance = np.random.default_rng(seed)
    kinds = np.arange(posts) % len(KINDS)
    items = pd.DataFrame(
        {
            "item_id": np.arange(posts),
            "title": [f"{KINDS[kind]} number {post}" for post, kind in enumerate(kinds)],
            "tags": [(KINDS[kind],) for kind in kinds],
            "duration_ms": 10_000.0,
            "author_id": kinds,
            "created": end - (days + 1) * DAY,
        }
    )
    rows = []
    fond = chance.integers(len(KINDS), size=people)
    for person in range(people):
        unseen = chance.permutation(posts)
        wanted = [post for post in unseen if kinds[post] == fond[person]]
        others = [post for post in unseen if kinds[post] != fond[person]]
        for day in range(days):
            times = np.sort(chance.uniform(0, DAY, each)) + end - (days - day) * DAY
            for time in times:
                pleased = bool(chance.random() < 0.5 and wanted)
                post = (wanted if pleased else others).pop()
                like = pleased and chance.random() < 0.9
                rows.append((person, post, time, 9000.0 if pleased else 500.0, 10_000.0, like))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "watch_ms", "duration_ms", "like"])
    events = events.sort_values("ts", ignore_index=True)
    return events.assign(comment=False, share=False, hate=False, position=np.nan), items
