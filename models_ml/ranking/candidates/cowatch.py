"""Posts that others liked after, or around, what this person liked of late."""

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints


def after(memory: Memory, visit: Visit, limit: int) -> Ints:
    return memory.next.strongest(visit.liked, visit.importance, limit, memory.slots)


def around(memory: Memory, visit: Visit, limit: int) -> Ints:
    return memory.near.strongest(visit.liked, visit.importance, limit, memory.slots)
