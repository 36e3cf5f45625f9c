"""The ranker of the feed, learnt anew from what people did here: in use only when surely better on the last day.

Run again, it learns from what is there then; a candidate that is in use already is not compared with itself.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from models_ml import registry
from models_ml.ranking import contest, shadow
from models_ml.ranking.contest import Contest
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import FEWEST, NEEDS, Ranker
from models_ml.ranking.shadow import MODEL, RULE
from models_ml.registry import Refused
from models_ml.retrain import Verdict
from popoff.feed import evaluation, experiments
from popoff.feed.evaluation import Days, TooLittle
from popoff.kernel import clock
from workers import models, retrain
from workers.base import transaction

log = structlog.get_logger()

ROOM = "feed"


def run() -> None:
    """Learn from all but the last day, compare on that day with what is in use, and decide.

    Not during an experiment: what its challenger is compared with must stay the same.
    """
    retrain.note_in_use(MODEL, NEEDS, ROOM)
    with transaction():
        trial = experiments.running()
    if trial is not None:
        log.info("model_not_retrained", model=MODEL, reason=f"The experiment {trial.name} is running.")
        return
    try:
        learn(clock.now())
    except TooLittle as reason:
        log.info("model_not_retrained", model=MODEL, reason=str(reason))


def learn(now: datetime) -> None:
    """The same, of the time before `now`. Raises TooLittle."""
    told = evaluation.days(now, transaction)
    feed = FeedModel().fit(told.past, told.items)
    if feed.ranker.booster is None:
        raise TooLittle(f"Fewer than {FEWEST} posts that somebody liked were among what the feed would have offered.")
    version = shadow.version_of(feed.ranker, now)
    with transaction():
        orders, current, _ = evaluation.orders_in_use()
    if version == current:
        return
    found = evaluation.compare(feed, told, {**orders, version: feed.ranker.score})
    verdict = contest.decide(found, MODEL, version, current or RULE)
    retrain.settle(keep(feed.ranker, found, told, verdict, now), NEEDS, ROOM)


def keep(ranker: Ranker, found: Contest, told: Days, verdict: Verdict, made_at: datetime) -> Verdict:
    """Write the candidate into the store, and the verdict as it is when that does not pass its own checks."""
    own, _ = models.stores()
    data = {"events": len(told.past), "people": int(told.past["user_id"].nunique()), "posts": len(told.items)}
    shadow.write(ranker, verdict.candidate, found, data, own, made_at)
    try:
        registry.load_version(MODEL, verdict.candidate, own, NEEDS)
    except Refused as refusal:
        return replace(verdict, promoted=False, outcome="refused", reason=f"Refused: {refusal}")
    return verdict
