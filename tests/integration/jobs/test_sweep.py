"""The sweep: whatever is due and waits in no queue is told again, whatever became of Redis meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
import sqlalchemy as sa

import config
from popoff.adapters import jobs, redis_client
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from tests.integration.jobs import tasks
from tests.integration.jobs.conftest import Outbox, redis_of_this_test
from workers import base
from workers.base import perform, transaction


def test_a_job_committed_while_redis_was_away_is_told_when_it_is_back(outbox: Outbox) -> None:
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        job_id = outbox.stage()
        with pytest.raises(redis.RedisError):
            outbox.sweep()
    assert outbox.sweep() == 1
    assert outbox.in_queue() == [job_id]


def test_jobs_whose_news_redis_lost_are_told_again(outbox: Outbox) -> None:
    ids = [outbox.stage() for _ in range(3)]
    redis_of_this_test().flushdb()
    assert outbox.sweep() == 3
    assert outbox.in_queue() == ids


def test_what_waits_in_a_queue_is_not_told_twice(outbox: Outbox) -> None:
    outbox.stage()
    assert (outbox.sweep(), outbox.sweep(later=86400)) == (0, 0)
    assert len(outbox.in_queue()) == 1


def test_the_edge_has_a_moment_to_tell_its_own_news(outbox: Outbox, redis_away: None) -> None:
    outbox.stage()
    assert outbox.sweep(later=0) == 0


def test_news_taken_by_a_worker_that_was_killed_before_it_took_the_job_is_told_again(outbox: Outbox) -> None:
    """RQ's own record goes on to call such a job queued: it must not count."""
    job_id = outbox.stage()
    assert outbox.take_news() == job_id
    assert outbox.in_queue() == []
    assert outbox.sweep() == 1
    assert outbox.in_queue() == [job_id]


def test_a_job_in_good_hands_is_left_alone(outbox: Outbox) -> None:
    job_id = outbox.stage()
    outbox.take_news()
    assert outbox.claim(job_id)
    assert outbox.sweep(later=jobs.LEASE.total_seconds() - 5) == 0


def test_a_job_whose_worker_fell_silent_is_told_again_and_taken_over(outbox: Outbox) -> None:
    job_id = outbox.stage()
    outbox.take_news()
    assert outbox.claim(job_id)
    outbox.change(job_id, lease_until=clock.now() - timedelta(seconds=1))
    assert outbox.sweep() == 1
    perform(outbox.take_news())
    row = outbox.row(job_id)
    assert (row.state, row.attempts, len(tasks.calls)) == ("done", 2, 1)


@pytest.mark.parametrize("state", ["done", "dead"])
def test_what_is_over_is_not_told_again(outbox: Outbox, state: str) -> None:
    job_id = outbox.stage()
    outbox.take_news()
    outbox.change(job_id, state=state)
    assert outbox.sweep() == 0


def test_a_job_that_this_release_does_not_know_waits_for_one_that_does(outbox: Outbox) -> None:
    """A newer release may have staged it and been rolled back."""
    unknown, known = outbox.stage(), outbox.stage()
    outbox.change(unknown, name="test.from_the_future")
    redis_of_this_test().flushdb()
    assert outbox.sweep() == 1
    assert outbox.in_queue() == [known]
    perform(unknown)
    assert outbox.row(unknown).state == "ready"


def test_news_of_other_programs_in_the_same_redis_is_nothing_to_us(outbox: Outbox) -> None:
    job_id = outbox.stage()
    redis_of_this_test().flushdb()
    redis_of_this_test().rpush("rq:queue:default", "8f14e45f-ceea-467a-9575-1f0b0a5a3b52")
    assert outbox.sweep() == 1
    assert redis_of_this_test().lrange("rq:queue:default", 1, -1)[0].startswith(b"popoff-%d-" % job_id)


def _stage_at_once(count: int, name: str) -> None:
    with transaction():
        rows = [{"name": name, "args": {"number": number}} for number in range(count)]
        db.session.execute(sa.insert(Job.__table__), rows)


def test_a_retry_does_not_wait_behind_ten_thousand_waiting_jobs(outbox: Outbox) -> None:
    _stage_at_once(10_000, "test.wait")
    assert outbox.sweep() == 10_000
    late = outbox.stage()
    redis_of_this_test().delete("rq:queue:default")
    assert outbox.sweep() == 1
    assert outbox.in_queue() == [late]


def test_two_sweepers_at_once_do_no_harm(outbox: Outbox) -> None:
    ids = [outbox.stage(number=number) for number in range(50)]
    redis_of_this_test().flushdb()
    barrier = threading.Barrier(2)

    def sweep() -> None:
        with base.application().app_context():
            barrier.wait()
            outbox.sweep(later=0)

    with clock.shifted(timedelta(seconds=10)):
        threads = [threading.Thread(target=sweep) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        news = outbox.in_queue()
        assert set(news) == set(ids)
        for job_id in news:
            perform(job_id)
    assert sorted(call["number"] for call in tasks.calls) == list(range(50))


def test_sweeping_writes_nothing(outbox: Outbox) -> None:
    outbox.stage()
    redis_of_this_test().flushdb()
    version = sa.text("SELECT xmin::text FROM jobs")
    before = db.session.scalar(version)
    assert outbox.sweep() == 1
    assert db.session.scalar(version) == before


@pytest.fixture
def hanging_redis() -> Iterator[str]:
    """An address that accepts everything and answers nothing, like a stopped process."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_redis_that_hangs_costs_one_wait_not_one_for_each_request(outbox: Outbox, hanging_redis: str) -> None:
    with config.override(redis_url=hanging_redis):
        started = time.monotonic()
        outbox.stage()
        first = time.monotonic() - started
        for _ in range(20):
            outbox.stage()
        rest = time.monotonic() - started - first
    assert first == pytest.approx(redis_client.ANSWER_SECONDS, abs=0.5)
    assert rest < 0.5
    assert outbox.sweep() == 21


def test_a_redis_that_hung_is_asked_again_after_a_rest(
    outbox: Outbox, hanging_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_client, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(redis_client, "REST_SECONDS", 0.2)
    client = redis_client.client(hanging_redis)
    with pytest.raises(redis.TimeoutError):
        client.ping()
    with pytest.raises(redis.ConnectionError, match="a moment ago"):
        client.ping()
    time.sleep(0.3)
    with pytest.raises(redis.TimeoutError):
        client.ping()


def test_a_redis_that_is_started_again_is_used_at_once(outbox: Outbox) -> None:
    """Refused connections and connections that were cut cost nothing, so nothing is left alone for them."""
    ours = redis_of_this_test()
    database = int(ours.client_info()["db"])
    for connection in ours.client_list(_type="normal"):  # tests beside this one use the same server
        if int(connection["db"]) == database:
            ours.client_kill_filter(_id=connection["id"], skipme=True)
    job_id = outbox.stage()
    assert outbox.in_queue() == [job_id]
