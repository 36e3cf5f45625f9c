"""What everybody likes now, over windows from the last hour to always."""

import numpy as np

from models_ml.ranking.candidates import Visit
from models_ml.ranking.memory import Memory
from models_ml.ranking.tables import Ints
from models_ml.ranking.trends import HALF_LIVES


def popular(memory: Memory, visit: Visit, limit: int) -> Ints:
    each = -(-limit // len(HALF_LIVES))
    return np.concatenate([memory.trends.leading(window, each) for window in range(len(HALF_LIVES))])
