"""The clockwork: sends jobs that no worker has taken, and stages the recurring ones.

Any number of these processes may run; an advisory lock makes one of them the leader, and another takes over
when its connection ends.
"""

from __future__ import annotations

import signal
import threading
import time
from datetime import datetime, timedelta

import redis
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.db import db
from workers import audit
from workers.base import application, transaction

log = structlog.get_logger()

LEADER_LOCK = 7_061_101
TICK_SECONDS = 1.0
REST = 10
"""A round that took long, because very many jobs wait, is followed by this many times its length of rest."""

RECURRING: dict[str, timedelta] = {
    "feed.trending": timedelta(seconds=30),
    "feed.snapshot": timedelta(minutes=1),
    "feed.tally": timedelta(days=1),
    "feed.retrain": timedelta(days=7),
    "scoring.rescore_moved": timedelta(minutes=2),
    "scoring.watch_again": timedelta(minutes=10),
    "media.expire_uploads": timedelta(minutes=15),
    "accounts.purge_due": timedelta(minutes=15),
    "audit.checkpoint": timedelta(minutes=1),
    "integrity.check": timedelta(seconds=30),
    "integrity.scan": timedelta(minutes=5),
    "audit.inspect": timedelta(days=1),
    "jobs.tidy": timedelta(hours=1),
    "social.repair_counters": timedelta(days=1),
    "scoring.retrain": timedelta(days=7),
}


def run() -> None:
    """Tick until SIGTERM or SIGINT."""
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    with application().app_context(), audit.sequencing(stop):
        serve(stop)


def serve(stop: threading.Event) -> None:
    """Lead, or stand by for the leader, until `stop`. Waits for a database that is away."""
    while not stop.is_set():
        try:
            lead(stop)
        except SQLAlchemyError as error:
            log.warning("schedule_waits", error=type(error).__name__)
        stop.wait(TICK_SECONDS)


def lead(stop: threading.Event) -> None:
    """Tick until `stop`, if no other process leads.

    The leader's lock lives on a connection of its own, which is not of the pool: closing it ends it, and the lock.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(LEADER_LOCK))):
            return
        log.debug("schedule_leads")
        with transaction():
            due = next_times()
        wait = 0.0
        while not stop.wait(wait):
            started = time.monotonic()
            connection.execute(sa.text("SELECT 1"))
            tick(due)
            wait = max(TICK_SECONDS, REST * (time.monotonic() - started))


def next_times() -> dict[str, datetime]:
    """When each recurring job is due next, after what was staged before: a restart is no reason to recount all."""
    last = jobs.last_staged(RECURRING)
    now = clock.now()
    return {name: last[name] + every if name in last else now for name, every in RECURRING.items()}


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
            told = jobs.sweep()
        if told:
            log.info("jobs_told_again", count=told)
    except redis.RedisError as error:
        log.warning("queue_away", error=type(error).__name__)
