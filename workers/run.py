"""The processes behind the web: `python -m workers.run worker QUEUE...` `python -m workers.run schedule`,
and `python -m workers.run burst`, which does what is due and ends."""

from __future__ import annotations

import sys
import time

import redis
import rq
import structlog

import config
from popoff.adapters import jobs
from popoff.kernel.db import db
from workers import schedule
from workers.base import application, load, transaction
from workers.transcode import sweep_work

log = structlog.get_logger()


class Worker(rq.Worker):
    """An RQ worker that shares no database connection with the work horses it forks."""

    def execute_job(self, job: rq.job.Job, queue: rq.Queue) -> None:
        with application().app_context():
            db.engine.dispose()
        super().execute_job(job, queue)


def work(queues: list[str]) -> None:
    """Take jobs from these queues until told to stop; a job that is running is finished first."""
    sweep_work()
    application()
    for name in jobs.JOBS:
        load(name)
    # A worker waits in a blocking read for much longer than a request may: it gets a client of its own.
    connection = redis.Redis.from_url(config.current().redis_url, health_check_interval=15, socket_connect_timeout=5)
    worker = Worker(queues, connection=connection, worker_ttl=60, job_monitoring_interval=15, maintenance_interval=600)
    worker.work(with_scheduler=False, logging_level="WARNING")


def burst() -> None:
    """Do everything that is due, wait for what fails and comes back, and end when nothing is left."""
    queues = list(jobs.QUEUES)
    worker = Worker(queues, connection=jobs.connection(), worker_ttl=60)
    with application().app_context():
        while True:
            with transaction():
                jobs.sweep()
                left = jobs.unfinished()
            if not left:
                return
            worker.work(burst=True, logging_level="WARNING")
            time.sleep(0.5)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["worker", *queues] if queues and set(queues) <= set(jobs.QUEUES):
            work(queues)
        case ["burst"]:
            burst()
        case ["schedule"]:
            schedule.run()
        case _:
            sys.stderr.write(f"usage: python -m workers.run worker {'|'.join(jobs.QUEUES)} ... | burst | schedule\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
