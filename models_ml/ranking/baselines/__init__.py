"""What the feed is measured against: well-known ways to recommend, in numpy and scipy, behind the feed's interface.

fit(events, items)   recommend(user_ids, k, exclude_seen, now) -> (n, k) ids   observe(event)   score(...)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_ml.ranking.baselines.base import Baseline
from models_ml.ranking.baselines.factors import Als, Bpr
from models_ml.ranking.baselines.first import FirstPopOff
from models_ml.ranking.baselines.linear import Ease
from models_ml.ranking.baselines.neighbours import ItemKNN, SequentialRules
from models_ml.ranking.baselines.simple import Chance, Popular

BASELINES: Mapping[str, type[Baseline]] = {
    "random": Chance,
    "popular": Popular,
    "item-kNN": ItemKNN,
    "ALS": Als,
    "BPR": Bpr,
    "EASE": Ease,
    "rules": SequentialRules,
    "first PopOff": FirstPopOff,
}

SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
"""What serves each of them best on each data set, chosen within what is learnt from: its last part was held out of it.
What is not named here did not do better with other settings than with its own."""


def baseline(name: str, data: str = "") -> Baseline:
    """One of BASELINES, set as it does best on a data set. Raises KeyError."""
    return BASELINES[name](**SETTINGS.get(data, {}).get(name, {}))


__all__ = ["BASELINES", "SETTINGS", "Baseline", "baseline"]
