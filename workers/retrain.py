"""Models learnt anew from what happened here: in the shadow first, in use only when surely better on fresh data.

Run again, it learns from what is there then; a candidate that is in use already is not compared with itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import structlog

from models_ml import registry, retrain
from models_ml.engagement import NEEDS, Unusable, train
from models_ml.registry import Needs, Refused
from models_ml.retrain import Verdict
from popoff.audit import queries as log_of
from popoff.audit import service as audit
from popoff.kernel import clock
from popoff.scoring import history
from workers import engagement, models
from workers.base import transaction

log = structlog.get_logger()

ROOM = "scoring"
PROMOTED, REFUSED = "model_promoted", "model_refused"
"""What happened, in the room of the model (`scoring.model_promoted`)."""
FRESH = timedelta(days=7)
"""What happened in the last days is kept from the candidate: on it, it is compared with the model in use."""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
POSTS = 20_000
"""The newest so many posts are looked at: to learn, of those before the fresh days."""
BATCH = 500
SEED = 1
NOT_LEARNT_HERE = {
    "quality": "nobody tells how good a film's picture and sound are: likes would teach taste",
    "anomaly": "decisions are about what the model flagged itself: learning from them it would learn to repeat itself",
}
"""Models that are trained by their command only, and why."""


def run() -> None:
    """Learn every model that can be learnt here, and decide about it."""
    for name, reason in NOT_LEARNT_HERE.items():
        log.info("model_not_retrained", model=name, reason=reason)
    learn_engagement()


def learn_engagement() -> None:
    """Learn from moments whose outcome was known when the fresh days began, and compare on those within them."""
    note_in_use()
    now = clock.now()
    cut = now - FRESH
    posts = _frame(EPOCH, cut)
    own, _ = models.stores()
    try:
        card = train.shadow(posts, SEED, own, now)
    except Unusable as reason:
        log.info("model_not_retrained", model=engagement.MODEL, reason=str(reason))
        return
    verdict = retrain.consider(engagement.MODEL, card.version, _frame(cut, now), own, promote=False)
    if verdict.outcome != "in_use":
        settle(verdict)


def note_in_use(model: str = engagement.MODEL, needs: Needs = NEEDS, room: str = ROOM) -> None:
    """Write into the audit log what of our own is in use, where that is not what it tells: the last run was cut short
    between the change and its entry, or somebody changed it by hand."""
    own, _ = models.stores()
    try:
        version = registry.load_version(model, registry.in_use(model, (own,)), own, needs).version
    except Refused:
        return
    action = f"{room}.{PROMOTED}"
    with transaction():
        told, _ = log_of.page(action=action, limit=1)
        if [entry.subject for entry in told] != [version]:
            audit.record(action, actor=None, subject=version, data={"model": model, "outcome": "found_in_use"})


def settle(verdict: Verdict, needs: Needs = NEEDS, room: str = ROOM) -> None:
    """Write the verdict into the audit log, and put the candidate in use when it is for that.

    A change that fails leaves no entry. One whose entry fails to be committed stays, and the next run writes its entry
    (`note_in_use`). Raises Refused, with nothing written, when the candidate does not pass its checks after all.
    """
    own, _ = models.stores()
    with transaction():
        audit.record(
            f"{room}.{PROMOTED if verdict.promoted else REFUSED}",
            actor=None,
            subject=verdict.candidate,
            data={
                "model": verdict.model,
                "instead_of": verdict.current,
                "measure": verdict.measure.replace(" ", "_"),
                "candidate": f"{verdict.candidate_figure:.6g}",
                "current": f"{verdict.current_figure:.6g}",
                "certainty": f"{verdict.certainty:.4g}",
                "rows": verdict.rows,
                "outcome": verdict.outcome,
            },
        )
        if verdict.promoted:
            registry.promote(verdict.model, verdict.candidate, own, needs)
    log.info("model_considered", model=verdict.model, candidate=verdict.candidate, reason=verdict.reason)


def _frame(since: datetime, until: datetime) -> pd.DataFrame:
    """Posts at the moments between, a batch in each transaction."""
    rows, last = [], None
    for _ in range(POSTS // BATCH):
        with transaction():
            post_ids = history.newest(last, BATCH, until)
            rows += history.moments(post_ids, since, until)
        if len(post_ids) < BATCH:
            break
        last = post_ids[-1]
    return pd.DataFrame(rows, columns=history.COLUMNS)
