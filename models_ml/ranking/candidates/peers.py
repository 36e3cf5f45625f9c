"""What people of like taste liked of late."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import LIKES, Memory
from models_ml.ranking.tables import NOBODY, Ints, top

ASKED = 25


def liked_by_peers(memory: Memory, visit: Visit, limit: int) -> Ints:
    number = visit.person.number
    if number == NOBODY:
        return np.zeros(0, dtype=np.int32)
    weights = memory.peers.weights[number]
    closest = np.argsort(-weights)[:ASKED]
    closest = closest[weights[closest] > 0]
    liked = memory.likes[memory.peers.ids[number, closest]]
    return top(liked.ravel(), np.repeat(weights[closest], LIKES), limit, memory.slots)
