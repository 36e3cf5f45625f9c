"""Engagement: what a post's audience did, as 0..100 against posts of its age and audience size.

from models_ml.engagement import score
score(frame)  # columns: see `columns`; out: score, reasons, evidence

python -m models_ml.train engagement --data DIR
"""

from models_ml.engagement.columns import Unusable
from models_ml.engagement.learning import NEEDS
from models_ml.engagement.scoring import score

__all__ = ["NEEDS", "Unusable", "score"]
