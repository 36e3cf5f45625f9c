"""Looks at what came into the audit log: by the rules, and by the model. Run twice, the second time finds it flagged.

What the model has looked at is known from the jobs that are done, so what a job did not come to is left to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import structlog

from popoff.adapters import jobs
from popoff.integrity import history, rules, service
from popoff.integrity.history import History, PastGift
from popoff.kernel import clock
from popoff.rewards import queries as rewards
from workers import suspicion
from workers.base import transaction

log = structlog.get_logger()

SCAN_JOB, CHECK_JOB = "integrity.scan", "integrity.check"
FORTNIGHT = 2 * rules.WEEK

Look = Callable[[History, list[PastGift]], suspicion.Findings]


def scan() -> None:
    """Flag what the rules find wrong among the gifts since the last scan, then what the model does knowing more.

    The model looks at the gifts of two weeks. Of a large platform it looks at those whose creators got others since.
    """
    with transaction():
        result = service.scan_new()
    _tell(result.raised, count=result.count)
    since = _last(SCAN_JOB, service.OVERLAP, FORTNIGHT)
    with transaction():
        known, new = history.count(history.WHOLE + 1), next(history.batches(since), None)
    if not new or not suspicion.possible(known) or (model := suspicion.model_in_use()) is None:
        return
    lately = clock.now() - FORTNIGHT
    if known > history.WHOLE:
        _look(since, partial(suspicion.later, model, lately))
        return
    with transaction():
        past = history.whole(rewards.accounts_opened)
    _flag(suspicion.of_whole(model, past, lately))


def check() -> None:
    """Flag what the model finds wrong with the gifts since the last check, each by what was known when it was made.

    Twice a minute, and not by a job of each gift: a row that all of them share would have them wait for one another.
    """
    since = _last(CHECK_JOB, history.LATE, rules.DAY)
    with transaction():
        known, new = history.count(suspicion.ENOUGH), next(history.batches(since), None)
    if new and suspicion.possible(known) and (model := suspicion.model_in_use()) is not None:
        _look(since, partial(suspicion.at_once, model))


def _last(job: str, overlap: timedelta, longest: timedelta) -> datetime:
    """From when on gifts were not looked at by this job: what is longer ago is left, what came late is seen again."""
    with transaction():
        done = jobs.last_done(job)
    longest_ago = clock.now() - longest
    return longest_ago if done is None else max(done - overlap, longest_ago)


def _look(since: datetime, look: Look) -> None:
    """Flag what `look` finds at the gifts since then, some at a time."""
    batches = history.batches(since)
    while (read := _next(batches)) is not None:
        _flag(look(*read))


def _next(batches: Iterator[list[PastGift]]) -> tuple[History, list[PastGift]] | None:
    with transaction():
        asked = next(batches, None)
        return None if asked is None else (history.around(asked, rewards.accounts_opened), asked)


def _flag(suspected: suspicion.Findings) -> None:
    if suspected:
        with transaction():
            raised = service.suspect(suspected)
        _tell(raised)


def _tell(raised: int, **more: int) -> None:
    if raised:
        log.warning("gifts_flagged", raised=raised, **more)
