"""What people of like taste liked of late: those who are among the last that liked what this person likes.

They are looked up for each page, so that a like counts at once, and somebody who was never met before has peers, too.
"""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import LIKES, Memory
from models_ml.ranking.people import WINDOW
from models_ml.ranking.tables import NOBODY, Floats, Ints, distinct, top

ASKED = 25
FADING = 0.9
"""What a shared like counts for against the one after it, where those of late are to count for more."""


def common(memory: Memory, visit: Visit) -> tuple[Ints, Floats]:
    """People, and the likes each shares with this one, rare ones counting more; and the same, fading: shape (n, 2)."""
    liked = visit.person.recent(WINDOW)[0]
    fans = memory.fans[liked]
    weight = 1 / np.sqrt(np.maximum(memory.liked[liked], 1))
    known = (fans != NOBODY) & (fans != visit.person.number)
    people, place = distinct(fans[known], memory.slots)
    shared = [
        np.bincount(place, np.broadcast_to(worth[:, None], fans.shape)[known], minlength=len(people))
        for worth in (weight, weight * FADING ** np.arange(len(liked)))
    ]
    return people, np.stack(shared, axis=1).astype(np.float32)


def liked_by_peers(memory: Memory, visit: Visit, limit: int) -> Ints:
    people, shared = common(memory, visit)
    if len(people) > ASKED:
        closest = np.argpartition(-shared[:, 0], ASKED)[:ASKED]
        people, shared = people[closest], shared[closest]
    return top(memory.likes[people].ravel(), np.repeat(shared[:, 0], LIKES), limit, memory.slots)
