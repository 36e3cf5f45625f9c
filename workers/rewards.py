"""The job that settles a period. Killed at any point and run again it goes on where it was: see `rewards.periods`."""

from __future__ import annotations

import structlog

from popoff.rewards import periods
from workers.base import transaction

log = structlog.get_logger()


def close(period_id: int) -> None:
    """Step by step, each in a transaction of its own, until the period is closed. Twice is once."""
    steps = 0
    while True:
        with transaction():
            more = periods.advance(period_id)
        if not more:
            break
        steps += 1
    if steps:
        log.info("period_closed", period_id=period_id, steps=steps)
