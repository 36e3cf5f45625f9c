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

SETTINGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "microlens50k": {
        "item-kNN": {"neighbours": 1000, "damping": 60.0, "levelling": 0.3, "recency": 1.0},
        "rules": {"backwards": 0.2, "nearness": 0.5, "recency": 1.25, "levelling": 0.15},
    },
    "kuairand_likes": {
        # A levelling near 1 favours posts with few likes so far: in two weeks these are the ones that came lately.
        "item-kNN": {"neighbours": 20, "damping": 0.0, "levelling": 0.9},
        "rules": {"reach": 30, "memory": 50, "nearness": 0.5, "levelling": 0.9},
        "ALS": {"factors": 32, "confidence": 3.0},
    },
    "tiktok_mmssl": {
        "item-kNN": {"neighbours": 1000, "damping": 5.0, "levelling": 0.0},
        "rules": {"levelling": 0.0},
        "EASE": {"ridge": 30.0},
    },
}
"""What serves them best on each data set, where that is not how they come. Chosen within what is learnt from (its last
part was held out of it); for TikTok by the validation part, as its papers do."""


def baseline(name: str, data: str = "") -> Baseline:
    """One of BASELINES, set as it does best on a data set. Raises KeyError."""
    return BASELINES[name](**SETTINGS.get(data, {}).get(name, {}))


__all__ = ["BASELINES", "SETTINGS", "Baseline", "baseline"]
