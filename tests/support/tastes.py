"""A drawn platform: people who are fond of one kind of posts each, as long as these are new, and what they did."""

from __future__ import annotations

import numpy as np
import pandas as pd

KINDS = ("guitar", "pasta", "climbing", "football", "pottery")
DAY = 86400.0
NEW = 1.2 * DAY


def drawn(
    end: float, *, people: int = 60, posts: int = 180, days: int = 5, each: int = 6, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events and items in the frames of `models_ml.ranking.frames`, until `end` (seconds); ids count from 0.

    Posts come all the time. A day each person meets so many, half of them new ones of the kind that they are fond of,
    and likes nearly all of those; the others are of other kinds or old. So what many liked is not what is liked next.
    """
    chance = np.random.default_rng(seed)
    kinds = np.arange(posts) % len(KINDS)
    born = end - (days + 1) * DAY + np.sort(chance.uniform(0, (days + 1) * DAY, posts))
    items = pd.DataFrame(
        {
            "item_id": np.arange(posts),
            "title": [f"{KINDS[kind]} number {post}" for post, kind in enumerate(kinds)],
            "tags": [(KINDS[kind],) for kind in kinds],
            "duration_ms": 10_000.0,
            "author_id": kinds,
            "created": born,
        }
    )
    rows = []
    fond = chance.integers(len(KINDS), size=people)
    for person in range(people):
        seen: set[int] = set()
        for time in end - days * DAY + np.sort(chance.uniform(0, days * DAY, days * each)):
            pleasing = (kinds == fond[person]) & (born > time - NEW)
            pleased = bool(chance.random() < 0.5)
            offered = np.flatnonzero((born < time) & (pleasing == pleased)).tolist()
            if open_ := [post for post in offered if post not in seen]:
                post = int(chance.choice(open_))
                seen.add(post)
                like = pleased and chance.random() < 0.9
                rows.append((person, post, time, 9000.0 if pleased else 500.0, 10_000.0, like))
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "ts", "watch_ms", "duration_ms", "like"])
    events = events.sort_values("ts", ignore_index=True)
    return events.assign(comment=False, share=False, hate=False, position=np.nan), items
