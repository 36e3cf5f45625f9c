"""Posts nearest, by learned embedding, to each of several interests of a person.

One average of everything a person likes lies between their interests and stands for none of them, so likes are grouped
and each group is asked for by its latest member (after PinnerSage: Pal and others, KDD 2020).
"""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints, products

SAME = 0.5
"""Cosine from which two posts are of one interest."""
INTERESTS = 5


def alike(memory: Memory, visit: Visit, limit: int) -> Ints:
    leaders, weights = interests(memory, visit)
    return memory.alike.strongest(leaders, weights, limit, memory.slots)


def interests(memory: Memory, visit: Visit) -> tuple[Ints, np.ndarray]:
    """The latest post of each of the strongest interests, and how strong they are."""
    cosines = products(memory.taste[visit.liked], memory.taste[visit.liked])
    strength = visit.importance.copy()
    led = np.zeros(len(visit.liked), dtype=bool)
    leaders: list[int] = []
    for place in range(len(visit.liked)):
        if led[place]:
            continue
        members = ~led & (cosines[place] >= SAME)
        members[place] = True
        strength[place] = strength[members].sum()
        led |= members
        leaders.append(place)
    best = sorted(leaders, key=lambda place: -strength[place])[:INTERESTS]
    return visit.liked[best], strength[best]
