"""What every job shares: the transaction, the lease, retries, and the log line.

`perform` is the only function RQ calls. A job's own function opens transactions with `transaction()`; long
work between them (ffmpeg) holds no connection. A job that fails is tried again later; when its tries are
used up it is dead, and its module's `given_up(error, **args)`, where there is one, says so to the person.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from flask import Flask

import config
from popoff import create_app
from popoff.adapters import jobs
from popoff.adapters.jobs import JOBS, Job
from popoff.kernel.db import db
from popoff.kernel.errors import DomainError

log = structlog.get_logger()

HEARTBEAT_SECONDS = jobs.LEASE.total_seconds() / 3

_apps: list[Flask] = []


def application() -> Flask:
    """The application of this process; a forked work horse inherits its parent's."""
    if not _apps:
        _apps.append(create_app())
    return _apps[0]


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """Commit what the block did and send the jobs it staged; roll back when it raises."""
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        jobs.forget_staged()
        raise
    jobs.send_staged()


def perform(job_id: int) -> None:
    """Run one job. Told twice, or by a queue that is behind, it does nothing the second time."""
    with application().app_context():
        with transaction():
            job = jobs.claim(job_id)
            if job is None:
                return
            db.session.expunge(job)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(job=job.name, job_id=job.id, request_id=job.request_id)
        started = time.monotonic()
        with _lease(job):
            outcome = _run(job)
        log.info("job", outcome=outcome, attempt=job.attempts, seconds=round(time.monotonic() - started, 2), **job.args)


def _run(job: Job) -> str:
    module, function = load(job.name)
    try:
        function(**job.args)
    except Exception as error:  # noqa: BLE001 - whatever a job raises is noted on its row and tried again
        db.session.rollback()
        jobs.forget_staged()
        return _failed(job, module, error)
    with transaction():
        jobs.finish(job)
    return "done"


def _failed(job: Job, module: Any, error: Exception) -> str:
    code = error.error_code if isinstance(error, DomainError) else type(error).__name__
    if job.attempts < config.current().job_attempts:
        log.warning("job_failed", error=code, exc_info=error)
        with transaction():
            jobs.retry_later(job, jobs.retry_delay(job.attempts), code)
        return "retry"
    log.error("job_dead", error=code, exc_info=error)
    with transaction():
        jobs.give_up(job, code)
        if hasattr(module, "given_up"):
            module.given_up(code, **job.args)
    return "dead"


def load(name: str) -> tuple[Any, Callable[..., None]]:
    """The module and function of a named job."""
    module_name, _, function_name = JOBS[name].path.partition(":")
    module = importlib.import_module(module_name)
    return module, getattr(module, function_name)


@contextlib.contextmanager
def _lease(job: Job) -> Iterator[None]:
    """Say every few seconds that the job is in good hands, as long as the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            with application().app_context():
                try:
                    with transaction():
                        jobs.extend_lease(job)
                except Exception as error:  # noqa: BLE001 - a missed beat is made up for by the next one
                    log.warning("heartbeat_missed", error=type(error).__name__)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
