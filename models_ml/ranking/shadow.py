"""A ranker that a platform learnt from its own people, written to a store with its card, but not in use yet.

What it says of itself was found on a day that it did not learn from, see `contest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from models_ml import boosting, registry
from models_ml.ranking.contest import Contest
from models_ml.ranking.features import NAMES
from models_ml.ranking.ranker import NEEDS, PARAMETERS, ROUNDS, Ranker
from models_ml.ranking.train import MODEL, code

SEED: int = PARAMETERS["seed"]  # type: ignore[assignment]
RULE = "rule"
"""The order without any learning, `ranker.rule`: a ranker that does worse is never used."""
FLOORS = {"gain_ndcg_over_rule": 0.0}
LIMITS = (
    "It orders what a feed's sources offer for a person at a moment; it does not know whether a post is true, good or "
    "allowed, nor what people would say who were never shown the like of it.",
    "It learnt from the people of one platform, as they were. What else was on offer, and how pages were made, is in "
    "what it learnt.",
    "Liked means liked, commented on, shared, or watched for more than about a quarter: it is the next such post that "
    "it foresees, not what somebody would choose for themselves on reflection.",
)


def version_of(ranker: Ranker, made_at: datetime) -> str:
    """The name of a version that has trees. Raises ValueError where there are none."""
    if ranker.booster is None:
        raise ValueError("There are no trees to be named.")
    return registry.version_of(MODEL, {"model": ranker.booster}, made_at.isoformat())


def write(
    ranker: Ranker, version: str, contest: Contest, data: Mapping[str, Any], store: Path, made_at: datetime
) -> registry.Card:
    """Save a version, not in use. The contest has an order of that name and one called RULE."""
    ours, rule = contest.ndcg(version), contest.ndcg(RULE)
    card = registry.Card(
        model=MODEL,
        version=version,
        made_at=made_at.isoformat(timespec="seconds"),
        code=code(),
        seed=SEED,
        data={
            "real": "the platform's own events",
            **data,
            "test_choices": len(contest.people),
            "test_people": ours.people,
        },
        features=NAMES,
        metrics={
            "ndcg_10": ours.value,
            "hr_10": contest.hits(version).value,
            "ndcg_10_rule": rule.value,
            "gain_ndcg_over_rule": ours.value - rule.value,
        },
        floors=FLOORS,
        limits=LIMITS,
        parameters={"trees": {**boosting.FIXED, **PARAMETERS, "rounds": ROUNDS}},
    )
    assert ranker.booster is not None
    return registry.save(card, {NEEDS.boosters[0]: ranker.booster}, contest.probes, store)
