"""Named jobs: an outbox table is the truth, RQ only carries the news.

`stage` writes a row in the caller's transaction, so a rolled-back change leaves no job and a committed
one always has its own. After the commit the edge calls `send_staged`; when Redis is away nothing is
lost, because `sweep` (run every second by the scheduler) tells again whatever waits in no queue. A row is
finished only by the worker that did the work, so Redis may lose everything at any moment.

States: ready -> running -> done | ready again (a retry is due at `run_after`) | dead (tries used up).
A running job whose lease ran out is as good as a ready one: whoever hears of it takes it over.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
import rq
import sqlalchemy as sa
import structlog
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSONB, insert

import config
from popoff.adapters import redis_client
from popoff.kernel import clock
from popoff.kernel.db import Base, db

log = structlog.get_logger()


@dataclass(frozen=True)
class JobSpec:
    """Where a job's function is (`module:function`), which queue it takes, and its limit of time in seconds."""

    path: str
    queue: str = "default"
    timeout: int = 300


JOBS: dict[str, JobSpec] = {
    "media.transcode": JobSpec("workers.transcode:run", queue="media", timeout=3600),
    "media.insight": JobSpec("workers.insight:run"),
    "media.purge": JobSpec("workers.lifecycle:purge_post"),
    "media.expire_uploads": JobSpec("workers.lifecycle:expire_uploads"),
    "accounts.purge": JobSpec("workers.lifecycle:purge_account"),
    "accounts.purge_due": JobSpec("workers.lifecycle:purge_due_accounts"),
    "scoring.rescore": JobSpec("workers.rescore:run"),
    "scoring.film": JobSpec("workers.quality:run", queue="films", timeout=600),
    "scoring.watch_again": JobSpec("workers.quality:watch_again"),
    "scoring.rescore_moved": JobSpec("workers.rescore:rescore_moved", timeout=1800),
    "scoring.retrain": JobSpec("workers.retrain:run", timeout=7200),
    "social.repair_counters": JobSpec("workers.lifecycle:repair_counters", timeout=1800),
    "feed.trending": JobSpec("workers.feed:refresh_trending"),
    "feed.snapshot": JobSpec("workers.feed:snapshot", timeout=3600),
    "feed.tally": JobSpec("workers.feed:tally", timeout=3600),
    "feed.retrain": JobSpec("workers.ranking:run", timeout=7200),
    "audit.checkpoint": JobSpec("workers.audit:checkpoint"),
    "audit.inspect": JobSpec("workers.audit:inspect", timeout=7200),
    "integrity.scan": JobSpec("workers.integrity:scan", timeout=1800),
    "integrity.check": JobSpec("workers.integrity:check", timeout=1800),
    "rewards.close": JobSpec("workers.rewards:close", timeout=3600),
    "jobs.tidy": JobSpec("workers.lifecycle:tidy"),
}
QUEUES = ("media", "default", "films")
PROMPT = ("media", "default")
"""Somebody waits for these. What is in the others is done when there is time, however late that is."""

LEASE = timedelta(seconds=30)
"""How long a worker may stay silent before its job goes to another."""

SIGN_OF_LIFE = timedelta(seconds=5)
"""How often a worker says in Redis that it is there."""

_SEND_GRACE = timedelta(seconds=2)
_SEND_BATCH = 500
_NEWS = re.compile(rb"popoff-(\d+)-")


class Job(Base):
    __tablename__ = "jobs"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    name: orm.Mapped[str]
    args: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSONB)
    state: orm.Mapped[str] = orm.mapped_column(server_default="ready")
    unique_key: orm.Mapped[str | None]
    attempts: orm.Mapped[int] = orm.mapped_column(sa.Integer, server_default="0")
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    run_after: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    lease_until: orm.Mapped[datetime | None]
    finished_at: orm.Mapped[datetime | None]
    last_error: orm.Mapped[str | None]
    request_id: orm.Mapped[str | None]

    __table_args__ = (
        sa.CheckConstraint("state IN ('ready', 'running', 'done', 'dead')", name="state"),
        sa.Index("ix_jobs_due", "run_after", postgresql_where=sa.text("state IN ('ready', 'running')")),
        sa.Index(
            "uq_jobs_unique_key",
            "unique_key",
            unique=True,
            postgresql_where=sa.text("state = 'ready' AND unique_key IS NOT NULL"),
        ),
    )


def stage(name: str, *, unique_key: str | None = None, delay: timedelta = timedelta(), **args: int | str) -> None:
    """Add a job to this transaction; it can run once the transaction has committed.

    Arguments are ids, never objects. With `unique_key` a job that is already waiting under the same key serves
    this call too, by the sooner of the two times. No worker takes that job before this transaction has ended, so
    it sees what is written here.
    """
    if name not in JOBS:
        raise LookupError(f"no job is called {name!r}")
    now = clock.now()
    statement = insert(Job).values(
        name=name,
        args=args,
        unique_key=unique_key,
        created_at=now,
        run_after=now + delay,
        request_id=structlog.contextvars.get_contextvars().get("request_id"),
    )
    statement = statement.on_conflict_do_update(
        index_elements=[Job.unique_key],
        index_where=sa.text("state = 'ready' AND unique_key IS NOT NULL"),
        set_={"run_after": sa.func.least(Job.run_after, statement.excluded.run_after)},
    )
    # A row that this statement inserted, rather than updated, was never deleted or locked by anybody: xmax is 0.
    returning = statement.returning(Job.id, sa.literal_column("xmax = 0", sa.Boolean))
    job_id, is_new = db.session.execute(returning).one()
    if is_new and not delay:
        db.session.info.setdefault("staged_jobs", []).append((job_id, name))


def forget_staged() -> None:
    """The transaction was rolled back: its jobs never existed."""
    db.session.info.pop("staged_jobs", None)


def send_staged() -> None:
    """After the commit: tell RQ at once. A queue that is away costs a warning, not the request."""
    staged = db.session.info.pop("staged_jobs", [])
    try:
        _tell(staged)
    except redis.RedisError as error:
        log.warning("queue_away", jobs=len(staged), error=type(error).__name__)


def connection() -> redis.Redis:
    """A client of the queue's Redis that gives up soon: requests must not hang on it."""
    return redis_client.client(config.current().redis_url)


def served_queues() -> set[str]:
    """The queues for which some worker gave a sign of life lately. Raises redis.RedisError.

    RQ itself forgets a killed worker after minutes only.
    """
    # Read by hand: an rq.Worker would give the shared client timeouts of minutes, for requests too.
    redis = connection()
    with redis.pipeline(transaction=False) as pipeline:
        for key in redis.smembers(rq.Worker.redis_workers_keys):
            pipeline.hmget(key, "last_heartbeat", "queues")
        found = pipeline.execute()
    since = clock.now() - 4 * SIGN_OF_LIFE
    alive = [queues.decode() for beat, queues in found if beat and queues and rq.utils.utcparse(beat.decode()) > since]
    return {name for queues in alive for name in queues.split(",")}


def _tell(jobs: Sequence[tuple[int, str]]) -> None:
    """Put the news of these jobs (id, name) into their queues. Raises redis.RedisError."""
    for first in range(0, len(jobs), _SEND_BATCH):
        with connection().pipeline() as pipeline:
            for job_id, name in jobs[first : first + _SEND_BATCH]:
                spec = JOBS[name]
                rq.Queue(spec.queue, connection=connection()).enqueue_call(
                    "workers.base.perform",
                    args=(job_id,),
                    job_id=f"popoff-{job_id}-{secrets.token_hex(4)}",
                    timeout=spec.timeout,
                    result_ttl=0,
                    failure_ttl=3600,
                    description=f"{name} #{job_id}",
                    pipeline=pipeline,
                )
            pipeline.execute()


def sweep() -> int:
    """Tell again of every job that is due and waits in no queue; writes nothing to the database.

    What counts is whether the news lies in a queue, not what RQ believes of it: RQ's own records outlive
    a worker that was killed between taking the news and the job. News of a job that another worker is just taking
    is harmless. Returns how many were told. Raises redis.RedisError when the queue is away (nothing is lost by it).
    """
    now = clock.now()
    due = db.session.execute(
        sa.select(Job.id, Job.name)
        .where(_free(now), Job.state.in_(["ready", "running"]), Job.created_at < now - _SEND_GRACE)
        .order_by(Job.run_after)
    ).all()
    if not due:
        return 0
    told = _told()
    untold = [(job.id, job.name) for job in due if job.id not in told]
    _tell(untold)
    return len(untold)


def _told() -> set[int]:
    """The jobs whose news waits in a queue."""
    with connection().pipeline(transaction=False) as pipeline:
        for name in QUEUES:
            pipeline.lrange(rq.Queue(name, connection=connection()).key, 0, -1)
        waiting = [rq_id for queue in pipeline.execute() for rq_id in queue]
    return {int(found[1]) for found in map(_NEWS.match, waiting) if found}


def _free(now: datetime) -> sa.ColumnElement[bool]:
    """Due and in nobody's hands. A job that this release does not know waits for a worker that does."""
    return sa.and_(
        Job.name.in_(JOBS),
        sa.or_(
            sa.and_(Job.state == "ready", Job.run_after <= now),
            sa.and_(Job.state == "running", Job.lease_until < now),
        ),
    )


def unfinished(queues: Iterable[str] = QUEUES) -> int:
    """Jobs of these queues that are neither done nor dead."""
    left = sa.select(sa.func.count()).where(Job.state.in_(["ready", "running"]), _of(queues))
    return db.session.scalar(left) or 0


def _of(queues: Iterable[str]) -> sa.ColumnElement[bool]:
    """A job that takes one of these queues."""
    return Job.name.in_([name for name, spec in JOBS.items() if spec.queue in queues])


def dead() -> Sequence[Job]:
    """Jobs whose tries are used up, the oldest first, until somebody has looked at them."""
    return db.session.scalars(sa.select(Job).where(Job.state == "dead").order_by(Job.id)).all()


def overdue(by: timedelta) -> Sequence[Job]:
    """Jobs that should be done soon, have been due for so long and are in nobody's hands, the oldest first."""
    return db.session.scalars(sa.select(Job).where(_free(clock.now() - by), _of(PROMPT)).order_by(Job.id)).all()


def last_staged(names: Iterable[str]) -> dict[str, datetime]:
    """When a job of each of these names was staged last, as far as the outbox remembers."""
    last = sa.select(Job.name, sa.func.max(Job.created_at)).where(Job.name.in_(list(names))).group_by(Job.name)
    return dict(db.session.execute(last).all())


def last_done(name: str) -> datetime | None:
    """When the latest job of this name that is done was staged, as far as the outbox remembers."""
    done = sa.select(Job.created_at).where(Job.name == name, Job.state == "done")
    return db.session.scalar(done.order_by(Job.id.desc()).limit(1))


def claim(job_id: int) -> Job | None:
    """Take a job for this worker, or None when it is done, taken, or not due (news may come twice).

    `attempts` counts the takings and tells them apart: what a worker says later of its job holds only
    while nobody else has taken it.
    """
    now = clock.now()
    return db.session.execute(
        sa.update(Job)
        .where(Job.id == job_id, _free(now))
        .values(
            state="running",
            attempts=Job.attempts + 1,
            lease_until=now + LEASE,
            unique_key=None,
            last_error=sa.case((Job.state == "running", "worker_fell_silent"), else_=Job.last_error),
        )
        .returning(Job)
    ).scalar_one_or_none()


def extend_lease(job: Job) -> bool:
    """Still at work. False when the job was given to another meanwhile."""
    result = db.session.execute(
        sa.update(Job)
        .where(Job.id == job.id, Job.state == "running", Job.attempts == job.attempts)
        .values(lease_until=clock.now() + LEASE)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def end_leases() -> int:
    """No worker can be alive: whatever was in their hands is free at once. Returns how many jobs that were."""
    now = clock.now()
    held = sa.update(Job).where(Job.state == "running", Job.lease_until > now).values(lease_until=now)
    return int(db.session.execute(held).rowcount)  # type: ignore[attr-defined]


def finish(job: Job) -> None:
    _close(job, state="done", finished_at=clock.now(), last_error=None)


def give_back(job: Job) -> None:
    """The worker has to stop: another takes the job at once, and this try does not count."""
    _close(job, state="ready", run_after=clock.now(), attempts=Job.attempts - 1)


def retry_later(job: Job, delay: timedelta, error: str) -> None:
    _close(job, state="ready", run_after=clock.now() + delay, last_error=error)


def give_up(job: Job, error: str) -> None:
    _close(job, state="dead", finished_at=clock.now(), last_error=error)


def _close(job: Job, **values: object) -> None:
    """Only the try that holds the job may close it: a worker thought dead must not speak for its successor."""
    db.session.execute(
        sa.update(Job)
        .where(Job.id == job.id, Job.attempts == job.attempts, Job.state == "running")
        .values(lease_until=None, **values)
    )


def tidy(older_than: timedelta) -> int:
    """Forget jobs that were done long ago. Dead ones stay until somebody has looked at them."""
    result = db.session.execute(sa.delete(Job).where(Job.state == "done", Job.finished_at < clock.now() - older_than))
    return int(result.rowcount)  # type: ignore[attr-defined]


def retry_dead(names: Iterable[str] | None = None) -> int:
    """Put dead jobs (of these names, or all) back in line with fresh tries."""
    statement = sa.update(Job).where(Job.state == "dead")
    if names is not None:
        statement = statement.where(Job.name.in_(list(names)))
    now = clock.now()
    result = db.session.execute(
        statement.values(state="ready", attempts=0, run_after=now, finished_at=None, unique_key=None)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def retry_delay(attempt: int) -> timedelta:
    """Wait before try `attempt` + 1: 2, 8, 32, 128 ... seconds, at most 30 minutes."""
    return timedelta(seconds=min(2 * 4 ** (attempt - 1), 1800))
