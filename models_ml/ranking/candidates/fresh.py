"""Young posts that are owed a first audience, to the people whom they fit best."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints


def owed(memory: Memory, visit: Visit, limit: int) -> Ints:
    posts = np.fromiter(memory.owed, dtype=np.int32, count=len(memory.owed))
    if len(posts) <= limit:
        return posts
    wanted = visit.importance @ memory.topic[visit.liked]
    fit = memory.topic[posts] @ wanted - 1e-3 * memory.shown[posts]
    return posts[np.argpartition(-fit, limit)[:limit]]
