"""One small economy, made and measured once."""

from __future__ import annotations

import pandas as pd
import pytest

from models_ml.anomaly.features import features
from models_ml.anomaly.simulate import Economy, simulate


@pytest.fixture(scope="session")
def economy() -> Economy:
    return simulate(5, people=400, days=60, prevalence=0.08)


@pytest.fixture(scope="session")
def measured(economy: Economy) -> pd.DataFrame:
    return features(economy.gifts, economy.people, economy.grants)
