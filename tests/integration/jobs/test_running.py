"""One job from being taken to its end, in this process."""

from __future__ import annotations

import signal
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

import config
from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Unavailable
from tests.integration.jobs import tasks
from tests.integration.jobs.conftest import Outbox, until
from workers import base
from workers.base import Stopped, perform, transaction


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]


def raising(error: BaseException) -> None:
    def hit() -> None:
        raise error

    tasks.during.append(hit)


def test_a_job_runs_with_its_arguments_and_is_done(outbox: Outbox) -> None:
    job_id = outbox.stage(number=3, word="x")
    perform(job_id)
    row = outbox.row(job_id)
    assert tasks.calls == [{"number": 3, "word": "x"}]
    assert (row.state, row.attempts, row.lease_until, row.last_error) == ("done", 1, None, None)
    assert row.finished_at is not None


def test_a_job_told_twice_runs_once(outbox: Outbox) -> None:
    job_id = outbox.stage()
    perform(job_id)
    perform(job_id)
    assert len(tasks.calls) == 1


def test_news_of_a_job_that_does_not_exist_is_nothing(outbox: Outbox) -> None:
    perform(4711)
    assert tasks.calls == []


def test_of_two_workers_that_hear_of_a_job_at_once_one_takes_it(outbox: Outbox) -> None:
    job_id = outbox.stage()
    barrier = threading.Barrier(8)

    def hear() -> None:
        barrier.wait()
        perform(job_id)

    threads = [threading.Thread(target=hear) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tasks.calls) == 1


def test_a_job_that_fails_is_tried_again_later_and_later_and_is_dead_in_the_end(outbox: Outbox) -> None:
    job_id = outbox.stage("test.fail", number=1)
    waits = []
    with config.override(job_attempts=4):
        for attempt in range(1, 4):
            before = clock.now()
            perform(job_id)
            row = outbox.row(job_id)
            assert (row.state, row.attempts, row.finished_at) == ("ready", attempt, None)
            assert row.last_error == "RuntimeError: no luck"
            waits.append(round((row.run_after - before).total_seconds()))
            outbox.change(job_id, run_after=clock.now())
        perform(job_id)
    row = outbox.row(job_id)
    assert waits == [2, 8, 32]
    assert (row.state, row.attempts, row.lease_until) == ("dead", 4, None)
    assert len(tasks.calls) == 4


def test_the_wait_between_tries_does_not_grow_for_ever() -> None:
    assert [jobs.retry_delay(attempt).total_seconds() for attempt in (1, 2, 5, 6, 50)] == [2, 8, 512, 1800, 1800]


def test_a_retry_is_not_taken_before_it_is_due(outbox: Outbox) -> None:
    job_id = outbox.stage("test.fail")
    perform(job_id)
    perform(job_id)
    assert len(tasks.calls) == 1


def test_the_person_hears_that_a_job_is_dead_in_the_transaction_that_buries_it(outbox: Outbox) -> None:
    job_id = outbox.stage("test.fail", number=1)
    with config.override(job_attempts=1):
        perform(job_id)
        assert outbox.row(job_id).state == "dead"
        assert db.session.scalar(sa.text("SELECT to_regclass('given_up') IS NOT NULL"))
        again = outbox.stage("test.fail", number=2)
        with pytest.raises(Exception, match="already exists"):
            perform(again)  # telling fails now: the table is there
    assert outbox.row(again).state == "running"
    assert tasks.given_up_on == [("RuntimeError", {"number": 1}), ("RuntimeError", {"number": 2})]


def test_a_job_that_kills_its_worker_each_time_is_dead_after_as_many_tries(outbox: Outbox) -> None:
    """It never gets to say that it failed."""
    job_id = outbox.stage("test.note", number=1)
    with config.override(job_attempts=2):
        for attempt in (1, 2):
            job = outbox.claim(job_id)
            assert job is not None and job.attempts == attempt
            outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))
        perform(job_id)
    row = outbox.row(job_id)
    assert (row.state, row.last_error, tasks.calls) == ("dead", "worker_fell_silent", [])
    assert tasks.given_up_on == [("worker_fell_silent", {"number": 1})]


def test_a_job_whose_module_cannot_be_loaded_fails_like_any_other(outbox: Outbox) -> None:
    job_id = outbox.stage("test.gone")
    perform(job_id)
    row = outbox.row(job_id)
    assert row.state == "ready"
    assert row.last_error is not None and row.last_error.startswith("ModuleNotFoundError")
    outbox.change(job_id, run_after=clock.now())
    with config.override(job_attempts=2):
        perform(job_id)
    assert outbox.row(job_id).state == "dead"


def test_what_a_job_wrote_before_it_failed_is_rolled_back_with_the_jobs_it_staged(outbox: Outbox) -> None:
    def write() -> None:
        db.session.execute(sa.text("CREATE TABLE written (number int)"))
        jobs.stage("test.note", number=2)
        raise RuntimeError

    tasks.during.append(write)
    perform(outbox.stage())
    with transaction():
        assert db.session.scalar(sa.text("SELECT to_regclass('written') IS NULL"))
    assert outbox.states() == {"ready": 1}


@pytest.mark.parametrize(
    ("error", "summary"),
    [
        (
            Unavailable("The provider is away.", code="insight_unavailable"),
            "insight_unavailable: The provider is away.",
        ),
        (ValueError("x" * 900), f"ValueError: {'x' * 900}"[: base.ERROR_CHARACTERS]),
        (OperationalError("SELECT :secret", {"secret": "s"}, Exception("gone away")), "OperationalError: (builtins"),
    ],
)
def test_the_row_says_in_one_line_what_went_wrong(outbox: Outbox, error: Exception, summary: str) -> None:
    raising(error)
    job_id = outbox.stage()
    perform(job_id)
    said = outbox.row(job_id).last_error
    assert said is not None and said.startswith(summary)
    assert len(said) <= base.ERROR_CHARACTERS
    assert "\n" not in said and "secret" not in said


@pytest.mark.parametrize(("error", "traces"), [(Unavailable(), False), (KeyError("bug"), True)])
def test_only_trouble_that_nobody_foresaw_leaves_a_traceback_at_once(
    outbox: Outbox, caplog: pytest.LogCaptureFixture, error: Exception, traces: bool
) -> None:
    raising(error)
    perform(outbox.stage())
    (line,) = lines(caplog, "job_failed")
    assert bool(line.get("exc_info") or line.get("exception")) == traces


def test_the_log_line_of_a_job_names_the_request_it_came_from(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    job_id = outbox.stage(number=5)
    outbox.change(job_id, request_id="request-17")
    perform(job_id)
    (line,) = lines(caplog, "job")
    assert (line["request_id"], line["job"], line["job_id"]) == ("request-17", "test.note", job_id)
    assert (line["outcome"], line["attempt"], line["number"]) == ("done", 1, 5)
    assert line["seconds"] < 5


def test_a_worker_that_is_told_to_stop_gives_its_job_back_and_the_try_does_not_count(outbox: Outbox) -> None:
    job_id = outbox.stage()
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, base.stop)
    tasks.during.append(lambda: signal.raise_signal(signal.SIGTERM))
    try:
        perform(job_id)
    finally:
        signal.signal(signal.SIGTERM, before)
    row = outbox.row(job_id)
    assert (row.state, row.attempts, row.lease_until) == ("ready", 0, None)
    tasks.during.clear()
    perform(job_id)
    assert (outbox.row(job_id).state, len(tasks.calls)) == ("done", 2)


def test_a_job_stopped_in_the_middle_of_a_statement_can_still_be_given_back(outbox: Outbox) -> None:
    job_id = outbox.stage()
    before = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(Stopped))
    tasks.during.append(lambda: signal.setitimer(signal.ITIMER_REAL, 0.2))
    tasks.during.append(lambda: db.session.execute(sa.text("SELECT pg_sleep(30)")))
    started = time.monotonic()
    try:
        perform(job_id)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 5
    assert outbox.row(job_id).state == "ready"


@pytest.mark.parametrize("reason", [Stopped(), OperationalError("UPDATE", {}, Exception("gone away"))])
def test_a_job_that_cannot_be_taken_now_is_told_of_again(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reason: BaseException
) -> None:
    def refuse(_job_id: int) -> None:
        raise reason

    job_id = outbox.stage()
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "claim", refuse)
        perform(outbox.take_news())
    assert [line["reason"] for line in lines(caplog, "job_not_taken")] == [type(reason).__name__]
    assert outbox.sweep() == 1
    perform(outbox.take_news())
    assert outbox.row(job_id).state == "done"


def test_while_a_job_runs_its_lease_is_made_longer(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "HEARTBEAT_SECONDS", 0.05)
    job_id = outbox.stage()
    leases: list[object] = []

    def watch() -> None:
        leases.append(outbox.row(job_id).lease_until)
        until(lambda: outbox.row(job_id).lease_until != leases[0], what="a heartbeat")

    tasks.during.append(watch)
    perform(job_id)
    assert outbox.row(job_id).state == "done"


def test_a_missed_heartbeat_is_made_up_for_by_the_next(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(base, "HEARTBEAT_SECONDS", 0.05)
    extend, beats = jobs.extend_lease, []

    def flaky(job: jobs.Job) -> bool:
        beats.append(job.id)
        if len(beats) == 1:
            raise OperationalError("UPDATE", {}, Exception("gone away"))
        return extend(job)

    monkeypatch.setattr(jobs, "extend_lease", flaky)
    tasks.during.append(lambda: until(lambda: len(beats) >= 3, what="heartbeats"))
    job_id = outbox.stage(number=1)
    perform(job_id)
    (line,) = lines(caplog, "heartbeat_missed")
    assert (line["job_id"], line["error"]) == (job_id, "OperationalError")
    assert outbox.row(job_id).state == "done"


def test_a_worker_thought_dead_cannot_speak_for_its_successor(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(base, "HEARTBEAT_SECONDS", 0.05)
    job_id = outbox.stage()

    def lose_it() -> None:
        outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))
        assert outbox.claim(job_id)
        until(lambda: lines(caplog, "lease_lost"), what="the worker to notice")

    tasks.during.append(lose_it)
    perform(job_id)
    row = outbox.row(job_id)
    assert (row.state, row.attempts) == ("running", 2)


@pytest.mark.parametrize("ending", ["finish", "retry_later", "give_up", "give_back"])
def test_no_ending_of_a_former_try_changes_the_present_one(outbox: Outbox, ending: str) -> None:
    job_id = outbox.stage()
    former = outbox.claim(job_id)
    assert former is not None
    outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))
    assert outbox.claim(job_id)
    arguments = {"finish": (), "give_back": (), "give_up": ("late",), "retry_later": (timedelta(), "late")}[ending]
    with transaction():
        getattr(jobs, ending)(former, *arguments)
        assert not jobs.extend_lease(former)
    row = outbox.row(job_id)
    assert (row.state, row.attempts) == ("running", 2)


def test_where_no_worker_can_be_alive_their_jobs_are_free_at_once(outbox: Outbox) -> None:
    held, done = outbox.stage(), outbox.stage()
    assert outbox.claim(held)
    perform(done)
    perform(held)
    assert outbox.row(held).state == "running"
    with transaction():
        assert jobs.end_leases() == 1
    perform(held)
    assert (outbox.row(held).state, outbox.row(held).attempts) == ("done", 2)


def test_a_statement_of_a_job_may_take_longer_than_one_of_a_request(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_apps", [])
    with base.application().app_context(), transaction():
        assert db.session.scalar(sa.text("SHOW statement_timeout")) == "0"
        db.session.remove()
        db.engine.dispose()


def test_jobs_done_long_ago_are_forgotten_and_dead_ones_are_not(outbox: Outbox) -> None:
    old, new, dead, waiting = (outbox.stage() for _ in range(4))
    long_ago = clock.now() - timedelta(days=8)
    outbox.change(old, state="done", finished_at=long_ago)
    outbox.change(new, state="done", finished_at=clock.now())
    outbox.change(dead, state="dead", finished_at=long_ago)
    outbox.change(waiting, created_at=long_ago)
    with transaction():
        assert jobs.tidy(timedelta(days=7)) == 1
        assert jobs.unfinished() == 1
        assert jobs.unfinished(["media"]) == 0
    assert outbox.states() == {"done": 1, "dead": 1, "ready": 1}


@pytest.mark.parametrize(("names", "revived"), [(None, 2), (["test.note"], 1), ([], 0)])
def test_dead_jobs_come_back_with_fresh_tries(outbox: Outbox, names: list[str] | None, revived: int) -> None:
    ids = [outbox.stage(name, unique_key="k" + name) for name in ("test.note", "test.fail")]
    for job_id in ids:
        outbox.take_news()
        outbox.change(job_id, state="dead", attempts=5, finished_at=clock.now())
    with transaction():
        assert jobs.retry_dead(names) == revived
    assert outbox.states().get("ready", 0) == revived
    assert outbox.sweep() == revived
    if revived:
        perform(outbox.take_news())
        assert outbox.row(ids[0]).attempts == 1
