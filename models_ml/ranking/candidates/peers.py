"""What people of like taste liked of late."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import NOBODY, Ints, top

ASKED, EACH = 25, 8


def liked_by_peers(memory: Memory, visit: Visit, limit: int) -> Ints:
    number = visit.person.number
    if number == NOBODY:
        return np.zeros(0, dtype=np.int32)
    weights = memory.peers.weights[number]
    closest = np.argsort(-weights)[:ASKED]
    closest = closest[memory.peers.ids[number][closest] != NOBODY]
    found = [memory.people[peer].recent(EACH)[0] for peer in memory.peers.ids[number][closest].tolist()]
    if not found:
        return np.zeros(0, dtype=np.int32)
    shares = np.repeat(weights[closest], [len(posts) for posts in found])
    return top(np.concatenate(found), shares, limit)
