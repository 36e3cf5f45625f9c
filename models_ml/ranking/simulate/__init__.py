"""A town in which the truth about everybody's taste is known, to see where a feed leads people over many sessions.

    python -m models_ml.ranking.simulate [--people N] [--posts N] [--sessions N] [--seed N] [--seeds N] [--quick]

`town` says who lives there and what is posted, `behaviour` what people do with what they are shown, `life` lets a
recommender serve them session after session, `figures` measures what came of it, `rivals` are those who serve.
"""

from models_ml.ranking.simulate.behaviour import PAGE
from models_ml.ranking.simulate.figures import figures
from models_ml.ranking.simulate.life import Log, live
from models_ml.ranking.simulate.town import Plan, Town

__all__ = ["PAGE", "Log", "Plan", "Town", "figures", "live"]
