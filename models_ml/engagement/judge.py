"""By what a new engagement model is compared with the one in use: log loss of what came later."""

from __future__ import annotations

import pandas as pd

from models_ml.engagement import columns, learning, measures
from models_ml.engagement.priors import Numbers
from models_ml.registry import Model
from models_ml.retrain import Judge


def answers(model: Model, fresh: pd.DataFrame) -> Numbers:
    """The like rate that the model foresees for each post."""
    return learning.rates(model, columns.checked(fresh, later=True))


def figure(fresh: pd.DataFrame, rates: Numbers) -> float:
    """Mean log loss over posts."""
    return float(measures.log_losses(fresh, rates).mean())


JUDGE = Judge(
    measure="log loss of later likes",
    answers=answers,
    figure=figure,
    higher_is_better=False,
    unit="post",
    needs=learning.NEEDS,
)
