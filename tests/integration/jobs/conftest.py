"""An outbox with real commits, the real Redis, and jobs that only tests have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import rq
import sqlalchemy as sa
from flask import Flask

import config
from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from tests.integration.jobs import tasks
from workers import base
from workers.base import transaction


class Outbox:
    """What tests ask of the outbox and of the queue."""

    def stage(self, name: str = "test.note", **options: Any) -> int:
        """Stage a job and commit; its id."""
        with transaction():
            jobs.stage(name, **options)
            return self._newest()

    def _newest(self) -> int:
        return db.session.scalars(sa.select(sa.func.max(Job.id))).one()

    def row(self, job_id: int) -> Job:
        with transaction():
            db.session.expire_all()
            return db.session.get_one(Job, job_id)

    def states(self) -> dict[str, int]:
        with transaction():
            return dict(db.session.execute(sa.select(Job.state, sa.func.count()).group_by(Job.state)).all())

    def change(self, job_id: int, **values: Any) -> None:
        with transaction():
            db.session.execute(sa.update(Job).where(Job.id == job_id).values(**values))

    def claim(self, job_id: int) -> Job | None:
        with transaction():
            job = jobs.claim(job_id)
            if job is not None:
                db.session.expunge(job)
            return job

    def sweep(self, later: float = 10) -> int:
        """Sweep as the leader does, `later` seconds from now."""
        with clock.shifted(timedelta(seconds=later)), transaction():
            return jobs.sweep()

    def in_queue(self, queue: str = "default") -> list[int]:
        """Ids of the jobs whose news waits, the next one first."""
        ids = rq.Queue(queue, connection=jobs.connection()).job_ids
        return [int(rq_id.split("-")[1]) for rq_id in ids]

    def take_news(self, queue: str = "default") -> int:
        """Do what a worker does first, and nothing after it: take the news out of the queue."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rq.Queue, "DEFAULT_TIMEOUT", 1)
            job, _ = rq.Queue.dequeue_any([rq.Queue(queue, connection=jobs.connection())], None, jobs.connection())
        return int(job.args[0])


@pytest.fixture
def outbox(platform_db: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    monkeypatch.setattr(base, "_apps", [platform_db])
    for name, spec in tasks.TEST_JOBS.items():
        monkeypatch.setitem(jobs.JOBS, name, spec)
    tasks.forget()
    with platform_db.app_context():
        yield Outbox()


@pytest.fixture
def redis_away() -> Iterator[None]:
    """Nobody answers at the address of Redis."""
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        yield


class Processes:
    """Worker processes of one test."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        settings = config.current()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.jobs.worker", *arguments],
            cwd=config.PROJECT,
            env={
                **os.environ,
                "DATABASE_URL": settings.database_url,
                "REDIS_URL": settings.redis_url,
                "POPOFF_HOME": str(settings.home),
                "SECRET_KEY": "test",
                "LOG_LEVEL": "WARNING",
                **environment,
            },
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def processes(outbox: Outbox) -> Iterator[Processes]:
    with transaction():
        db.session.execute(sa.text("CREATE TABLE runs (number int)"))
    running = Processes()
    yield running
    running.end()


def until(condition: Callable[[], Any], seconds: float = 20, what: str = "") -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what or condition}"
        time.sleep(0.05)


def runs() -> list[int]:
    """What `test.count` and `test.wait` left behind."""
    with transaction():
        return sorted(db.session.scalars(sa.text("SELECT number FROM runs")))


def redis_of_this_test() -> redis.Redis:
    return redis.Redis.from_url(config.current().redis_url)
