"""Jobs that score posts. Each may run twice: it works out the present score again, and stores the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from popoff.scoring import queries, service
from workers import engagement, quality
from workers.base import transaction

BATCH = 200
"""Posts scored in one transaction."""


def run(post_id: int) -> None:
    """Score one post: it has become ready, or its words have changed."""
    scorer = engagement.scorer()
    with transaction():
        service.rescore_engagement([post_id], scorer)
        service.rescore_quality([post_id])
        quality.ask(post_id)


def rescore_moved() -> None:
    """Score the posts whose counts have moved on, and those that were never scored or by another model."""
    scorer = engagement.scorer()
    _in_batches(partial(queries.moved, model=scorer.model), partial(service.rescore_engagement, scorer=scorer))
    _in_batches(queries.unjudged, service.rescore_quality)


def _in_batches(due: Callable[[int, int], Sequence[int]], score: Callable[[Sequence[int]], None]) -> None:
    last = 0
    while True:
        with transaction():
            post_ids = due(last, BATCH)
            score(post_ids)
        if len(post_ids) < BATCH:
            return
        last = post_ids[-1]
