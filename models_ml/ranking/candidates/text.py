"""Posts whose titles and tags are like those of what a person liked: the way to posts that nobody has seen yet."""

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints


def about(memory: Memory, visit: Visit, limit: int) -> Ints:
    return memory.about.strongest(visit.liked, visit.importance, limit, memory.slots)
