"""The latest posts of creators that a person follows, or whose posts they like again and again."""

import numpy as np
import numpy.typing as npt

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import NOBODY, Ints, distinct

CREATORS = 10
EACH = 10


def warmth(memory: Memory, visit: Visit) -> tuple[Ints, npt.NDArray]:
    """The creators that a person met among their latest events, and the sum of gains from each."""
    met, gains = visit.person.latest()
    creators = memory.creator[met]
    found, place = distinct(creators[creators != NOBODY], memory.slots)
    return found, np.bincount(place, gains[creators != NOBODY], minlength=len(found))


def followed(memory: Memory, visit: Visit, limit: int) -> Ints:
    creators, gains = warmth(memory, visit)
    warm = creators[gains > 0][np.argsort(-gains[gains > 0], kind="stable")[:CREATORS]]
    posts = [post for creator in warm.tolist() for post in memory.posts_by[creator][: -EACH - 1 : -1]]
    return np.array(posts[:limit], dtype=np.int32)
