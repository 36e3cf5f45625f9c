"""Rankers for tests: trees that go by one feature, written to a store as a version with its card."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import xgboost as xgb

from models_ml import registry
from models_ml.ranking.features import NAMES
from models_ml.ranking.ranker import NEEDS


def put_ranker(
    store: Path, version: str, *, goes_by: str = "likes", upwards: bool = True, reach: float = 4.0, used: bool = False
) -> str:
    """A ranker that puts those posts first that have most (or least) of one feature, which goes from 0 to `reach`; its
    answers lie where log odds of one among a hundred do."""
    rows = np.random.default_rng(0).random((200, len(NAMES)), dtype=np.float32) * reach
    share = rows[:, NAMES.index(goes_by)] / reach
    matrix = xgb.DMatrix(rows, label=8 * (share if upwards else 1 - share) - 8, feature_names=list(NAMES))
    booster = xgb.train({"nthread": 1, "max_depth": 3, "eta": 1.0, "base_score": -4.6}, matrix, 10)
    card = registry.Card(
        model="ranking",
        version=version,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        code="test",
        seed=0,
        data={},
        features=NAMES,
        metrics={},
        floors={},
        limits=(),
    )
    registry.save(card, {"model": booster}, rows[:2], store)
    if used:
        registry.promote("ranking", version, store, NEEDS)
    return version
