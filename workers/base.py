"""What every job shares: the transaction, the lease, retries, and the log line.

`perform` is the only function RQ calls. A job's own function opens transactions with `transaction()`; long
work between them (ffmpeg) holds no connection. A job that fails is tried again later; when its tries are
used up it is dead, and its module's `given_up(code, **args)`, where there is one, says so to the person.
A worker that is told to stop gives its job back: another goes on at once, and the try does not count.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
import sqlalchemy as sa
import structlog
from flask import Flask
from sqlalchemy.exc import InterfaceError, OperationalError

import config
from popoff import create_worker_app
from popoff.adapters import jobs
from popoff.adapters.jobs import JOBS, Job
from popoff.kernel.db import db
from popoff.kernel.errors import DomainError

log = structlog.get_logger()

HEARTBEAT_SECONDS = jobs.LEASE.total_seconds() / 4
ERROR_CHARACTERS = 500
SPEAKS_FOR_ITSELF = (DomainError, OperationalError, InterfaceError, redis.RedisError)
"""Trouble whose name says enough: no traceback until the tries are used up."""

_apps: list[Flask] = []


class Stopped(KeyboardInterrupt):
    """This process has to end. Libraries know how to leave their connections when a KeyboardInterrupt strikes."""


def stop(*_: object) -> None:
    """The handler of SIGTERM in a process that runs a job."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def application() -> Flask:
    """The application of this process; a forked work horse inherits its parent's."""
    if not _apps:
        app = create_worker_app()
        with app.app_context():
            sa.event.listen(db.engine, "do_connect", _without_statement_limit)
        _apps.append(app)
    return _apps[0]


def _without_statement_limit(_dialect: object, _record: object, _args: object, options: dict[str, Any]) -> None:
    """A job has a limit of time of its own; what protects requests would cut a recount short."""
    options["options"] += " -c statement_timeout=0"


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
        job = _taken(job_id)
        if job is None:
            return
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(job=job.name, job_id=job.id, request_id=job.request_id):
            with _lease(job):
                outcome = _run(job)
            seconds = round(time.monotonic() - started, 2)
            tell = log.debug if outcome == "done" and not job.args else log.info  # the clockwork's jobs are no news
            tell("job", outcome=outcome, attempt=job.attempts, seconds=seconds, **job.args)


def _taken(job_id: int) -> Job | None:
    """The job, if it is ours now. What cannot be taken at this moment is told of again by the sweep."""
    try:
        with transaction():
            job = jobs.claim(job_id)
    except (Stopped, *SPEAKS_FOR_ITSELF) as reason:
        log.warning("job_not_taken", job_id=job_id, reason=type(reason).__name__)
        return None
    if job is not None:
        db.session.expunge(job)
    return job


def _run(job: Job) -> str:
    try:
        if job.attempts > config.current().job_attempts:  # its worker died again and again without a word
            return _give_up(job, job.last_error or "")
        load(job.name)[1](**job.args)
        with transaction():
            jobs.finish(job)
        return "done"
    except Stopped:
        _clean_session()
        with transaction():
            jobs.give_back(job)
        return "given back"
    except Exception as error:  # noqa: BLE001 - whatever a job raises is noted on its row and tried again
        _clean_session()
        return _failed(job, error)


def _clean_session() -> None:
    db.session.rollback()
    jobs.forget_staged()


def _failed(job: Job, error: Exception) -> str:
    code = error.error_code if isinstance(error, DomainError) else type(error).__name__
    summary = f"{code}: {error}".splitlines()[0][:ERROR_CHARACTERS]
    if job.attempts >= config.current().job_attempts:
        log.error("job_dead", error=summary, exc_info=error)
        return _give_up(job, summary)
    wait = jobs.retry_delay(job.attempts)
    trace = None if isinstance(error, SPEAKS_FOR_ITSELF) else error
    log.warning("job_failed", error=summary, retry_in_seconds=wait.seconds, exc_info=trace)
    with transaction():
        jobs.retry_later(job, wait, summary)
    return "retry"


def _give_up(job: Job, error: str) -> str:
    """The job is dead, and the person concerned hears of it, in one transaction."""
    with transaction():
        jobs.give_up(job, error)
        if (hear := _hook(job.name)) is not None:
            hear(error.partition(":")[0], **job.args)
    return "dead"


def load(name: str) -> tuple[Any, Callable[..., None]]:
    """The module and function of a named job. Raises ImportError, AttributeError."""
    module_name, _, function_name = JOBS[name].path.partition(":")
    module = importlib.import_module(module_name)
    return module, getattr(module, function_name)


def _hook(name: str) -> Callable[..., None] | None:
    """What the module of a job wants to be called when it is given up."""
    try:
        return getattr(load(name)[0], "given_up", None)
    except (ImportError, AttributeError):
        return None


@contextlib.contextmanager
def _lease(job: Job) -> Iterator[None]:
    """Say every few seconds that the job is in good hands, as long as the block runs."""
    over = threading.Event()
    beat = contextvars.copy_context().run  # log lines of the other thread name the job, too
    thread = threading.Thread(target=beat, args=(_beat, job, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat(job: Job, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_SECONDS):
        try:
            with application().app_context(), transaction():
                ours = jobs.extend_lease(job)
        except Exception as error:  # noqa: BLE001 - a missed beat is made up for by the next one
            log.warning("heartbeat_missed", error=type(error).__name__)
        else:
            if not ours:
                log.warning("lease_lost")  # another runs it, too: both write the same, and its word counts
                return
