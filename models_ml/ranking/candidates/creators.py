"""The latest posts of creators that a person follows, or whose posts they like again and again."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints

CREATORS = 10
EACH = 10


def followed(memory: Memory, visit: Visit, limit: int) -> Ints:
    creators, gains = visit.person.warmth(memory.creator)
    warm = creators[gains > 0][np.argsort(-gains[gains > 0], kind="stable")[:CREATORS]]
    posts = [post for creator in warm.tolist() for post in memory.posts_by[creator][: -EACH - 1 : -1]]
    return np.array(posts[:limit], dtype=np.int32)
