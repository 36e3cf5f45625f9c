"""Young posts that are owed a first audience, to the people whom they fit best."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints, products

CONSIDERED = 500
"""Of many waiting posts each visit looks at so many in a row, and at others the next time."""
LESS = 0.02
"""How much of a cosine an impression costs: those that were shown least are next."""


def owed(memory: Memory, visit: Visit, limit: int) -> Ints:
    posts = memory.owing()
    if len(posts) > CONSIDERED:
        start = CONSIDERED * (visit.person.number + visit.person.turn()) % len(posts)
        posts = np.take(posts, np.arange(start, start + CONSIDERED), mode="wrap")
    if len(posts) <= limit:
        return posts
    wanted = (visit.importance @ memory.topic[visit.liked])[None]
    fit = (
        products(wanted, memory.topic[posts])[0] / max(1e-9, float(np.linalg.norm(wanted))) - LESS * memory.shown[posts]
    )
    return posts[np.argpartition(-fit, limit)[:limit]]
