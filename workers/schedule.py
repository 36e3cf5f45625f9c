"""The clockwork: sends jobs that no worker has taken, and stages the recurring ones.

Any number of these processes may run; an advisory lock makes one of them the leader, and another takes over
when its connection ends.
"""

from __future__ import annotations

import signal
import threading
from datetime import datetime, timedelta

import redis
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.db import db
from workers.base import application, transaction

log = structlog.get_logger()

LEADER_LOCK = 7_061_101
TICK_SECONDS = 1.0

RECURRING: dict[str, timedelta] = {
    "feed.trending": timedelta(seconds=30),
    "media.expire_uploads": timedelta(minutes=15),
    "accounts.purge_due": timedelta(minutes=15),
    "jobs.tidy": timedelta(hours=1),
    "social.repair_counters": timedelta(days=1),
}


def run() -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    with application().app_context():
        while not stop.is_set():
            try:
                _lead(stop)
            except (SQLAlchemyError, redis.RedisError) as error:
                log.warning("schedule_waits", error=type(error).__name__)
            stop.wait(TICK_SECONDS)


def _lead(stop: threading.Event) -> None:
    """Tick as long as this process holds the leader's lock, which lives on a connection of its own."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LEADER_LOCK))):
            return
        log.info("schedule_leads")
        due = dict.fromkeys(RECURRING, clock.now())
        while not stop.wait(TICK_SECONDS):
            connection.execute(sa.text("SELECT 1"))
            tick(due)


def tick(due: dict[str, datetime]) -> None:
    """One round: stage the recurring jobs that are due (`due`: name to next time), then sweep the outbox."""
    now = clock.now()
    with transaction():
        for name, every in RECURRING.items():
            if due[name] <= now:
                jobs.stage(name, unique_key=f"recurring:{name}")
                due[name] = now + every
    try:
        with transaction():
            sent = jobs.sweep()
        if sent:
            log.info("jobs_sent_again", count=sent)
    except redis.RedisError as error:
        log.warning("queue_away", error=type(error).__name__)
