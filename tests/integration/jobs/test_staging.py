"""A job is a row of the transaction that staged it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import redis
import sqlalchemy as sa
import structlog

from popoff.adapters import jobs
from popoff.kernel.db import db
from tests.integration.jobs import tasks
from tests.integration.jobs.conftest import Outbox, until
from workers import base
from workers.base import perform, transaction


def test_a_job_is_told_once_its_transaction_has_committed(outbox: Outbox) -> None:
    with transaction():
        jobs.stage("test.note", number=1)
        assert outbox.in_queue() == []
    assert len(outbox.in_queue()) == 1


def test_a_job_of_a_rolled_back_transaction_never_existed(outbox: Outbox) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        jobs.stage("test.note", number=1)
        raise ZeroDivisionError
    with transaction():
        db.session.execute(sa.text("SELECT 1"))
    assert outbox.in_queue() == []
    assert outbox.states() == {}


def test_news_of_a_job_that_a_savepoint_took_back_is_harmless(outbox: Outbox) -> None:
    with transaction():
        with pytest.raises(ZeroDivisionError), db.session.begin_nested():
            jobs.stage("test.note", number=1)
            raise ZeroDivisionError
        jobs.stage("test.note", number=2)
    for job_id in outbox.in_queue():
        perform(job_id)
    assert tasks.calls == [{"number": 2}]


def test_a_name_nobody_knows_is_refused_when_it_is_staged(outbox: Outbox) -> None:
    with pytest.raises(LookupError, match="no job is called"), transaction():
        jobs.stage("test.nothing")


def test_a_redis_that_is_away_costs_no_commit(outbox: Outbox, redis_away: None) -> None:
    job_id = outbox.stage()
    assert outbox.row(job_id).state == "ready"


def test_a_job_remembers_the_request_it_came_from(outbox: Outbox) -> None:
    with structlog.contextvars.bound_contextvars(request_id="request-17"):
        job_id = outbox.stage()
    assert outbox.row(job_id).request_id == "request-17"


def test_many_jobs_of_one_transaction_are_all_told_in_order(outbox: Outbox) -> None:
    with transaction():
        for number in range(1100):
            jobs.stage("test.note", number=number)
    told = outbox.in_queue()
    assert len(told) == 1100
    assert told == sorted(told)


def test_a_delayed_job_is_told_when_it_is_due(outbox: Outbox) -> None:
    job_id = outbox.stage(delay=timedelta(minutes=5))
    assert (outbox.sweep(later=290), outbox.in_queue()) == (0, [])
    perform(job_id)
    assert tasks.calls == []
    assert (outbox.sweep(later=310), outbox.in_queue()) == (1, [job_id])


def test_jobs_with_one_key_become_one(outbox: Outbox) -> None:
    for _ in range(3):
        outbox.stage(unique_key="k")
    assert outbox.states() == {"ready": 1}
    assert len(outbox.in_queue()) == 1


def test_jobs_with_other_keys_or_none_stay_apart(outbox: Outbox) -> None:
    for key in ("k", "l", None, None):
        outbox.stage(unique_key=key)
    assert outbox.states() == {"ready": 4}


def test_a_job_that_runs_already_does_not_serve_a_later_call(outbox: Outbox) -> None:
    """It may have read what the later call is about before that was written."""
    first = outbox.stage(unique_key="k")
    assert outbox.claim(first)
    second = outbox.stage(unique_key="k")
    assert second != first
    assert outbox.states() == {"ready": 1, "running": 1}


@pytest.mark.parametrize(("first", "second"), [(0, 60), (60, 0), (60, 30)])
def test_of_two_times_for_one_key_the_sooner_counts(outbox: Outbox, first: int, second: int) -> None:
    job_id = outbox.stage(unique_key="k", delay=timedelta(seconds=first))
    outbox.stage(unique_key="k", delay=timedelta(seconds=second))
    row = outbox.row(job_id)
    assert (row.run_after - row.created_at).total_seconds() == pytest.approx(min(first, second), abs=5)


def test_a_job_with_a_key_runs_after_every_commit_it_serves(outbox: Outbox) -> None:
    """Taken between the statement and the commit of a second transaction, it would miss what that one writes."""
    job_id = outbox.stage(unique_key="k")
    with transaction():
        db.session.execute(sa.text("CREATE TABLE written (number int)"))
    seen = []

    def read() -> None:
        seen.append(db.session.scalar(sa.text("SELECT count(*) FROM written")))

    tasks.during.append(read)
    worker = threading.Thread(target=perform, args=(job_id,))
    with transaction():
        db.session.execute(sa.text("INSERT INTO written VALUES (1)"))
        jobs.stage("test.note", unique_key="k")
        worker.start()
        until(lambda: _waits_for_a_lock() or seen, what="the worker at the lock")
    worker.join()
    assert seen == [1]


def _waits_for_a_lock() -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE jobs%'"
    with db.engine.connect() as connection:
        return connection.scalar(sa.text(waiting)) > 0


def test_two_transactions_that_stage_one_key_at_once_leave_one_job(outbox: Outbox) -> None:
    barrier = threading.Barrier(4)

    def stage() -> None:
        with base.application().app_context():
            barrier.wait()
            outbox.stage(unique_key="k")

    threads = [threading.Thread(target=stage) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outbox.states() == {"ready": 1}


def test_a_redis_that_is_full_is_told_in_the_log_not_to_the_caller(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'")

    monkeypatch.setattr(jobs, "_tell", full)
    outbox.stage()
    assert [record.msg["event"] for record in caplog.records] == ["queue_away"]
    assert outbox.states() == {"ready": 1}
