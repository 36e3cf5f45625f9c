"""Young posts that are owed a first audience, to the people whom they fit best."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints

LESS = 0.02
"""How much of a cosine an impression costs: those that were shown least are next."""


def owed(memory: Memory, visit: Visit, limit: int) -> Ints:
    posts = np.fromiter(memory.owed, dtype=np.int32, count=len(memory.owed))
    if len(posts) <= limit:
        return posts
    wanted = visit.importance @ memory.topic[visit.liked]
    fit = memory.topic[posts] @ wanted / max(1e-9, float(np.linalg.norm(wanted))) - LESS * memory.shown[posts]
    return posts[np.argpartition(-fit, limit)[:limit]]
