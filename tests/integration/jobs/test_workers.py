"""Worker processes over the real PostgreSQL and Redis: killed, stopped, cut off, and many at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import rq

import config
from popoff import embedded
from popoff.adapters import jobs, redis_client
from popoff.kernel import clock
from tests.integration.jobs.conftest import Outbox, Processes, redis_of_this_test, runs, until
from workers import run as workers_run
from workers.base import transaction

pytestmark = pytest.mark.xdist_group("workers")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_two_workers_finish_a_hundred_jobs_once_each(outbox: Outbox, processes: Processes) -> None:
    with transaction():
        for number in range(100):
            jobs.stage("test.count", number=number)
    for job_id in outbox.in_queue()[::4]:  # some are told twice
        jobs._tell([(job_id, "test.count")])
    workers = [processes.start("worker", "default") for _ in range(2)]
    until(lambda: outbox.states() == {"done": 100}, 60, "100 jobs")
    assert runs() == list(range(100))
    for worker in workers:
        worker.terminate()
    assert [worker.wait(10) for worker in workers] == [0, 0]


def test_burst_does_all_that_is_due_and_ends(outbox: Outbox, processes: Processes) -> None:
    for number in range(3):
        outbox.stage("test.count", number=number)
    redis_of_this_test().flushdb()
    outbox.stage("test.count", number=3, delay=timedelta(seconds=1))
    assert processes.start("burst").wait(30) == 0
    assert (runs(), outbox.states()) == ([0, 1, 2, 3], {"done": 4})


def test_burst_leaves_the_films_to_be_watched_to_others(outbox: Outbox, in_this_process: None) -> None:
    watched, counted = outbox.stage("scoring.film", post_id=1), outbox.stage("test.count", number=1)
    assert workers_run.main(["burst"]) == 0
    assert (outbox.row(watched).state, outbox.row(counted).state) == ("ready", "done")


def test_what_can_wait_stands_behind_what_cannot(outbox: Outbox, in_this_process: None) -> None:
    waits, first = outbox.stage("test.later", number=2), outbox.stage("test.soon", number=1)
    workers_run.Worker(["media", "films"]).run(burst=True)
    assert outbox.row(first).finished_at < outbox.row(waits).finished_at


@pytest.mark.parametrize("command", [("worker", "media"), ("burst",)])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_ends_at_once_and_its_job_goes_on_elsewhere(
    outbox: Outbox, processes: Processes, signum: signal.Signals, command: tuple[str, ...]
) -> None:
    job_id = outbox.stage("test.wait", number=1)
    worker = processes.start(*command)
    until(lambda: runs() == [1], what="the job to begin")
    os.kill(worker.pid, signum)
    assert worker.wait(60) == 0, "the job would take ten minutes"
    row = outbox.row(job_id)
    assert (row.state, row.attempts, row.last_error) == ("ready", 0, None)
    processes.start("worker", "media")
    until(lambda: outbox.sweep() == 0 and outbox.row(job_id).state == "done", what="the second try")
    assert runs() == [1, 1]


def test_a_killed_worker_loses_no_job(outbox: Outbox, processes: Processes) -> None:
    job_id = outbox.stage("test.wait", number=1)
    worker = processes.start("worker", "media")
    until(lambda: runs() == [1], what="the job to begin")
    (horse,) = children(worker.pid)
    for pid in (worker.pid, horse):
        os.kill(pid, signal.SIGKILL)
    worker.wait()
    assert outbox.row(job_id).state == "running"
    outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))  # half a minute goes by
    assert outbox.sweep() == 1
    processes.start("worker", "media")
    until(lambda: outbox.row(job_id).state == "done", what="the second try")
    assert outbox.row(job_id).attempts == 2


def test_a_job_that_takes_longer_than_it_may_is_cut_off_and_tried_again(outbox: Outbox, processes: Processes) -> None:
    job_id = outbox.stage("test.too_slow", number=1)
    processes.start("worker", "default")
    until(lambda: outbox.row(job_id).last_error, what="the end of its time")
    row = outbox.row(job_id)
    assert row.last_error is not None and row.last_error.startswith("JobTimeoutException: ")
    assert (row.state, row.attempts) == ("ready", 1)
    until(lambda: outbox.sweep() >= 0 and outbox.row(job_id).state == "done", what="the second try")


def test_a_killed_work_horse_does_not_end_its_worker(outbox: Outbox, processes: Processes) -> None:
    job_id = outbox.stage("test.wait", number=1)
    worker = processes.start("worker", "media")
    until(lambda: runs() == [1], what="the job to begin")
    os.kill(children(worker.pid)[0], signal.SIGKILL)
    outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))
    until(lambda: outbox.sweep() >= 0 and outbox.row(job_id).state == "done", what="the second try")
    assert worker.poll() is None


def test_workers_wait_for_a_redis_that_is_away_and_stop_when_told(outbox: Outbox, processes: Processes) -> None:
    worker = processes.start("worker", "default", REDIS_URL="redis://127.0.0.1:1/0")
    with pytest.raises(Exception, match="timed out"):
        worker.wait(4)
    worker.terminate()
    assert worker.wait(5) in (0, -signal.SIGTERM)


@pytest.fixture
def own_redis(outbox: Outbox, tmp_path: Path) -> Iterator[embedded.Redis]:
    """A Redis that only this test uses, and may kill. (After the outbox, which brings the one of all tests.)"""
    server = embedded.start_redis(tmp_path, fast=True)
    with config.override(redis_url=server.url):
        yield server
    server.stop()


def test_workers_outlive_a_redis_that_dies_and_so_does_the_job_in_hand(
    own_redis: embedded.Redis, outbox: Outbox, processes: Processes
) -> None:
    outbox.stage("test.wait", number=1)
    busy, idle = processes.start("worker", "media", "films"), processes.start("worker", "default")
    until(lambda: runs() == [1] and jobs.served_queues() == set(jobs.QUEUES), what="two workers")
    (horse,) = children(busy.pid)
    own_redis.kill()
    outbox.stage("test.count", number=2)
    time.sleep(jobs.SIGN_OF_LIFE.total_seconds() + 2)
    own_redis.start()
    until(lambda: outbox.sweep() >= 0 and runs() == [1, 2], what="the job staged meanwhile")
    assert children(busy.pid) == [horse]
    assert (busy.poll(), idle.poll()) == (None, None)
    busy.terminate()
    assert busy.wait(5) == 0


def test_a_worker_shows_every_few_seconds_that_it_lives_and_is_missed_soon(
    outbox: Outbox, processes: Processes
) -> None:
    assert jobs.served_queues() == set()
    worker = processes.start("worker", "default")
    until(lambda: jobs.served_queues() == {"default"}, what="the worker to register")
    seconds = jobs.SIGN_OF_LIFE.total_seconds()
    time.sleep(seconds + 2)  # by now what it said at birth is older than what counts below
    with clock.shifted(timedelta(seconds=4 * seconds - seconds - 1)):
        until(lambda: jobs.served_queues() == {"default"}, seconds + 1, "a sign of life")
    os.killpg(worker.pid, signal.SIGKILL)
    with clock.shifted(4 * jobs.SIGN_OF_LIFE):
        assert jobs.served_queues() == set()


def test_asking_for_workers_leaves_the_patience_of_the_client_alone(outbox: Outbox, processes: Processes) -> None:
    processes.start("worker", "default")
    until(lambda: jobs.served_queues() == {"default"}, what="the worker to register")
    assert jobs.connection().connection_pool.connection_kwargs["socket_timeout"] == redis_client.ANSWER_SECONDS


@pytest.fixture
def in_this_process(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker in this process takes over its signals, and forks it."""
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    monkeypatch.setattr(workers_run, "_prepare", lambda _: None)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def test_a_worker_in_this_process_does_what_is_due(outbox: Outbox, in_this_process: None) -> None:
    for number in range(3):
        outbox.stage("test.count", number=number)
    assert workers_run.main(["burst"]) == 0
    assert (runs(), outbox.states()) == ([0, 1, 2], {"done": 3})


def test_burst_does_not_wait_for_a_redis_that_is_away(
    outbox: Outbox, in_this_process: None, redis_away: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert workers_run.main(["burst"]) == 1
    assert [record.msg["event"] for record in caplog.records] == ["queue_away"]


@pytest.mark.parametrize("arguments", [["worker", "default"], ["burst"]])
def test_a_worker_in_this_process_stops_when_told(outbox: Outbox, in_this_process: None, arguments: list[str]) -> None:
    job_id = outbox.stage("test.stop_worker", number=1)
    assert workers_run.main(arguments) == 0
    row = outbox.row(job_id)
    assert (row.state, row.attempts, runs()) == ("ready", 0, [1])


def test_a_worker_tries_again_until_redis_is_there(in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    class Flaky:
        stopping = False

        def __init__(self, queues: list[str]) -> None:
            assert queues == ["media"]

        def run(self) -> None:
            tries.append("run")
            if len(tries) == 1:
                raise redis.ConnectionError
            self.stopping = len(tries) == 3

    monkeypatch.setattr(workers_run, "Worker", Flaky)
    monkeypatch.setattr(workers_run, "_RETRY_SECONDS", 0.01)
    workers_run.work(["media"])
    assert len(tries) == 3


@pytest.mark.parametrize(("horse", "looks"), [(0, 1), (4711, 2)])
def test_redis_errors_do_not_take_the_eyes_of_a_worker_off_its_job(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, horse: int, looks: int
) -> None:
    seen: list[object] = []

    def look(worker: rq.Worker, _job: object, _queue: object) -> None:
        seen.append(worker)
        if len(seen) == 1:
            raise redis.TimeoutError

    monkeypatch.setattr(rq.Worker, "monitor_work_horse", look)
    worker = workers_run.Worker(["media"])
    worker._horse_pid = horse
    worker.monitor_work_horse(None, None)
    assert len(seen) == looks


def test_a_job_that_ends_while_redis_is_away_is_looked_after_once(
    own_redis: embedded.Redis, outbox: Outbox, processes: Processes, capfd: pytest.CaptureFixture[str]
) -> None:
    job_id = outbox.stage("test.few_seconds", number=1)
    processes.start("worker", "default")
    until(lambda: runs() == [1], what="the job to begin")
    own_redis.kill()
    until(lambda: outbox.row(job_id).state == "done", what="its end")
    time.sleep(1)
    own_redis.start()
    assert 0 < capfd.readouterr().err.count("queue_away") < 5


def test_the_clockwork_is_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[bool] = []
    monkeypatch.setattr(workers_run.schedule, "run", lambda: ran.append(True))
    assert workers_run.main(["schedule"]) == 0
    assert ran == [True]


def test_work_horses_find_everything_loaded(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(workers_run, "load", loaded.append)
    workers_run._prepare(jobs.QUEUES)
    assert loaded == list(jobs.JOBS)
    loaded.clear()
    workers_run._prepare(["films"])
    assert loaded == [name for name, job in jobs.JOBS.items() if job.queue == "films"]
    logging.getLogger("rq.worker").removeFilter(workers_run._shorten)


@pytest.mark.parametrize("arguments", [[], ["worker"], ["worker", "no-such-queue"], ["nonsense"]])
def test_a_wrong_command_line_says_how_to_write_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert workers_run.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m workers.run worker media|default")


def test_an_away_redis_is_told_without_a_traceback() -> None:
    def record(error: Exception) -> logging.LogRecord:
        try:
            raise error
        except Exception:  # noqa: BLE001 - made on purpose
            return logging.LogRecord("rq.worker", logging.ERROR, __file__, 1, "quitting", (), sys.exc_info())

    away, bug = record(redis.ConnectionError()), record(ValueError())
    assert workers_run._shorten(away) and workers_run._shorten(bug)
    assert away.exc_info is None
    assert bug.exc_info is not None
