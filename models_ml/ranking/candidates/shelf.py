"""Posts that nobody need have liked yet, from a part of the catalogue that is another one with each page.

All other sources go by what was liked, or is new: without this one a post that missed its first audience would never be
seen again, and who watches much would run out of posts that others like.
"""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import NOBODY, Ints, products

CONSIDERED = 2000
"""Posts in a row that each visit looks at."""
LONG = -1
"""Of what a person leans to: in the long run."""


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
    fit = np.zeros(len(posts), dtype=np.float32)
    for space in (memory.taste, memory.topic):
        fit += products(leanings[LONG:] @ space[met], space[posts])[0]
    posts, fit = posts[fit > 0], fit[fit > 0]
    return posts[np.argpartition(-fit, limit)[:limit]] if len(posts) > limit else posts
