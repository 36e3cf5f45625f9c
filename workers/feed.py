"""Jobs of the feed. Each may run twice: it writes the same answer again."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

import config
from models_ml.ranking.model import FeedModel
from models_ml.ranking.ranker import Ranker
from popoff.feed import engine, history, service, sessions
from popoff.kernel import clock
from workers.base import transaction

log = structlog.get_logger()


def refresh_trending() -> None:
    """Work out anew which posts do well now, and which are owed an audience still."""
    with transaction():
        service.refresh_trending()
    with transaction():
        service.release_promises()


def snapshot() -> None:
    """Write anew what goes with what, for the processes that serve; a part of the time only, however long it takes.

    One is made at a time: who comes meanwhile leaves it at that.
    """
    models = config.current().models_folder
    with engine.turn(models) as ours:
        if ours and engine.is_due(models, clock.timestamp()):
            _snapshot(models)


def _snapshot(models: Path) -> None:
    started, now = time.monotonic(), clock.now()
    events, items = history.events(now, transaction), history.items(transaction)
    made = FeedModel().fit(events, items, ranker=Ranker())
    seconds = time.monotonic() - started
    engine.write(made, models, f"{now:%Y%m%dT%H%M%S%f}", seconds)
    log.info("feed_snapshot", events=len(events), posts=len(items), seconds=round(seconds, 1))


def tally() -> None:
    """Impressions that are too old to be kept one by one become numbers, a part in each transaction."""
    left = True
    while left:
        with transaction():
            left = sessions.tally() > 0
