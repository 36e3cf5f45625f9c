"""Posts that nobody need have liked yet, from a part of the catalogue that is another one with each page.

All other sources go by what was liked, or is new: without this one a post that missed its first audience would never be
seen again, and who watches much would run out of posts that others like. What a person leans to just now, of late and
in the long run are asked for in turn, so that a taste that has just changed finds its posts beside the old ones.
"""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import NOBODY, Ints, distinct, products

CONSIDERED = 1000
"""Posts in a row that each visit looks at."""


def fitting(memory: Memory, visit: Visit, limit: int) -> Ints:
    met, leanings = visit.leanings
    if not len(met):
        return np.zeros(0, dtype=np.int32)
    number = memory.posts
    start = CONSIDERED * visit.person.turn() % number
    posts = (np.arange(start, start + min(CONSIDERED, number)) % number).astype(np.int32)
    memory.slots[seen := visit.person.seen()] = 0
    posts = posts[memory.slots[posts] == NOBODY]
    memory.slots[seen] = NOBODY
    each = limit // len(leanings)
    by_taste, by_topic = (products(leanings @ space[met], space[posts]) for space in (memory.taste, memory.topic))
    fits = by_taste + by_topic
    best = [np.argpartition(-fit, each)[:each] if len(fit) > each else np.arange(len(fit)) for fit in fits]
    return distinct(
        np.concatenate([posts[rows][fit[rows] > 0] for fit, rows in zip(fits, best, strict=True)]), memory.slots
    )[0]
