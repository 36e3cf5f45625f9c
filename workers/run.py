"""The processes behind the web: `python -m workers.run worker QUEUE...` `python -m workers.run schedule`,
and `python -m workers.run burst`, which does what is due and ends."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence

import redis
import rq
import structlog

import config
from popoff.adapters import jobs
from popoff.kernel.db import db
from workers import base, schedule, scratch
from workers.base import application, load, transaction

log = structlog.get_logger()

_BEAT_SECONDS = int(jobs.SIGN_OF_LIFE.total_seconds())
_RETRY_SECONDS = 1.0


class Worker(rq.Worker):
    """An RQ worker whose work horses share no connection with it, and give their job back when it has to stop.

    A Redis that is away costs neither the worker nor the job it runs.
    """

    max_connection_wait_time = 4.0

    def __init__(self, queues: Sequence[str]) -> None:
        # It waits in a blocking read for longer than a request may: it has a client of its own.
        super().__init__(
            list(queues),
            connection=redis.Redis.from_url(config.current().redis_url, socket_connect_timeout=5),
            worker_ttl=_BEAT_SECONDS + 15,  # RQ looks up from its blocking read 15 s before this
            job_monitoring_interval=_BEAT_SECONDS,
            maintenance_interval=600,
        )
        self.stopping = False

    def run(self, *, burst: bool = False) -> None:
        """Take jobs until told to stop; with `burst`, until the queues are empty."""
        self.work(burst=burst, logging_level="WARNING")

    def subscribe(self) -> None:
        """RQ's orders by message are not used: no thread, so that forks are plain."""

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        with application().app_context():
            db.engine.dispose()
        super().execute_job(job, queue)

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()
        signal.signal(signal.SIGTERM, base.stop)

    def handle_warm_shutdown_request(self) -> None:
        """SIGTERM or SIGINT: the job in hand goes back in line."""
        self.stopping = True
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: object = None) -> None:
        """RQ would write it to Redis, too, where nobody reads it and it may fail."""
        self.current_job_working_time = current_job_working_time

    def monitor_work_horse(self, job: rq.job.Job, queue: rq.Queue) -> None:
        """Look after the job until it ends, with or without Redis."""
        while True:
            try:
                return super().monitor_work_horse(job, queue)
            except redis.RedisError as error:
                if not self.horse_pid:  # it has ended, and the outbox knows how
                    return None
                log.warning("queue_away", error=type(error).__name__)


def work(queues: Sequence[str]) -> None:
    """Take jobs from these queues until told to stop, always from the first that has any.

    Waits for a Redis that is away.
    """
    _prepare(queues)
    while True:
        try:
            worker = Worker(queues)
            worker.run()
            if worker.stopping:
                return
        except redis.RedisError as error:
            log.warning("queue_away", error=type(error).__name__)
        for signum in (signal.SIGTERM, signal.SIGINT):  # no job is in hand: a signal may just end us
            signal.signal(signum, signal.SIG_DFL)
        time.sleep(_RETRY_SECONDS)


def burst() -> None:
    """Do what somebody waits for, wait for what fails and comes back, and end when nothing of it is left.

    Raises redis.RedisError when the queue is away.
    """
    _prepare(jobs.PROMPT)
    worker = Worker(jobs.PROMPT)
    with application().app_context():
        while not worker.stopping:
            with transaction():
                jobs.sweep()
                left = jobs.unfinished(jobs.PROMPT)
            if not left:
                return
            worker.run(burst=True)
            time.sleep(_RETRY_SECONDS / 4)


def _prepare(queues: Sequence[str]) -> None:
    """What every work horse is to inherit, so that it starts at once."""
    scratch.sweep()
    application()
    for name, job in jobs.JOBS.items():
        if job.queue in queues:
            load(name)
    logging.getLogger("rq.worker").addFilter(_shorten)
    logging.getLogger("rq.registry").setLevel(logging.ERROR)  # what RQ tidies up is only its own bookkeeping


def _shorten(record: logging.LogRecord) -> bool:
    """A Redis that is away is told in one line."""
    if record.exc_info and isinstance(record.exc_info[1], redis.RedisError):
        record.exc_info = None
    return True


def main(arguments: list[str]) -> int:
    match arguments:
        case ["worker", *queues] if queues and set(queues) <= set(jobs.QUEUES):
            work(queues)
        case ["burst"]:
            try:
                burst()
            except redis.RedisError as error:
                log.error("queue_away", error=type(error).__name__)
                return 1
        case ["schedule"]:
            schedule.run()
        case _:
            sys.stderr.write(f"usage: python -m workers.run worker {'|'.join(jobs.QUEUES)} ... | burst | schedule\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
