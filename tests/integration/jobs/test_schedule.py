"""The clockwork: one leader, recurring jobs, and a sweep every second."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from tests.integration.jobs import tasks
from tests.integration.jobs.conftest import Outbox, Processes, redis_of_this_test, until
from workers import base, schedule
from workers.base import perform, transaction


class Clockwork:
    """A scheduler in a thread, as another process would be: with connections of its own."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with base.application().app_context():
            schedule.serve(self.stop)

    def end(self) -> None:
        self.stop.set()
        self.thread.join(5)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.05)


@pytest.fixture
def clockworks(outbox: Outbox, quick: None) -> Iterator[list[Clockwork]]:
    started = [Clockwork() for _ in range(3)]
    yield started
    for clockwork in started:
        clockwork.end()


def leaders() -> list[int]:
    """Database processes that hold the leader's lock."""
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted AND database = "
    held += "(SELECT oid FROM pg_database WHERE datname = current_database())"
    with db.engine.connect() as connection:
        return list(connection.scalars(sa.text(held), {"key": schedule.LEADER_LOCK}))


def recurring() -> list[str]:
    with transaction():
        return sorted(db.session.scalars(sa.select(Job.name).where(Job.name.in_(schedule.RECURRING))))


def test_of_several_clockworks_one_leads_and_stages_each_job_once(clockworks: list[Clockwork], outbox: Outbox) -> None:
    until(lambda: recurring() == sorted(schedule.RECURRING), what="the recurring jobs")
    time.sleep(0.3)
    assert recurring() == sorted(schedule.RECURRING)
    assert len(leaders()) == 1


def test_another_leads_when_the_leaders_connection_ends(clockworks: list[Clockwork], outbox: Outbox) -> None:
    until(leaders, what="a leader")
    (first,) = leaders()
    with db.engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
    until(lambda: leaders() not in ([], [first]), what="another leader")


def test_a_leader_that_steps_down_leaves_no_lock_behind_in_the_pool(outbox: Outbox, quick: None) -> None:
    for _ in range(3):
        one = Clockwork()
        until(leaders, what="a leader")
        one.end()
        until(lambda: leaders() == [], what="the lock to be free")


def test_a_restart_does_not_run_again_what_ran_a_moment_ago(outbox: Outbox) -> None:
    schedule.tick(dict.fromkeys(schedule.RECURRING, clock.now()))
    with clock.shifted(timedelta(minutes=20)), transaction():
        due = schedule.next_times()
        now = clock.now()
    often = {name for name, every in schedule.RECURRING.items() if every < timedelta(minutes=20)}
    assert {"feed.trending", "accounts.purge_due"} <= often < set(schedule.RECURRING)
    assert {name for name, at in due.items() if at <= now} == often


def test_on_a_new_platform_every_recurring_job_is_due(outbox: Outbox) -> None:
    assert all(at <= clock.now() for at in schedule.next_times().values())


def test_a_recurring_job_that_still_waits_is_not_staged_again(outbox: Outbox) -> None:
    due = dict.fromkeys(schedule.RECURRING, clock.now())
    for minutes in (0, 1, 2):
        with clock.shifted(timedelta(minutes=minutes)):
            schedule.tick(due)
    assert recurring().count("feed.trending") == 1


def test_a_recurring_job_comes_again_after_its_time(outbox: Outbox) -> None:
    due = dict.fromkeys(schedule.RECURRING, clock.now())
    schedule.tick(due)
    perform(next(iter(_ids("feed.trending"))))
    schedule.tick(due)
    assert len(_ids("feed.trending")) == 1
    with clock.shifted(timedelta(seconds=31)):
        schedule.tick(due)
    assert len(_ids("feed.trending")) == 2


def _ids(name: str) -> list[int]:
    with transaction():
        return list(db.session.scalars(sa.select(Job.id).where(Job.name == name).order_by(Job.id)))


def test_the_clockwork_goes_on_while_redis_is_away(
    outbox: Outbox, redis_away: None, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.stage()
    with clock.shifted(timedelta(seconds=10)):
        schedule.tick(dict.fromkeys(schedule.RECURRING, clock.now()))
    assert recurring() == sorted(schedule.RECURRING)
    assert "queue_away" in [record.msg["event"] for record in caplog.records]


def test_the_clockwork_waits_for_a_database_that_is_away(
    outbox: Outbox, quick: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    rounds: list[int] = []

    def lead(stop: threading.Event) -> None:
        rounds.append(1)
        if len(rounds) == 1:
            raise OperationalError("SELECT 1", {}, Exception("gone away"))
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()

    monkeypatch.setattr(schedule, "lead", lead)
    try:
        schedule.run()
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
    assert [record.msg["event"] for record in caplog.records] == ["schedule_waits"]
    assert len(rounds) == 2


def test_jobs_that_redis_lost_run_without_anybody_asking(outbox: Outbox, processes: Processes) -> None:
    for number in range(5):
        outbox.stage("test.count", number=number)
    redis_of_this_test().flushdb()
    processes.start("worker", "default")
    clockwork = processes.start("schedule")
    until(lambda: outbox.states().get("done", 0) >= 5 + len(schedule.RECURRING), what="the lost jobs")
    clockwork.terminate()
    assert clockwork.wait(5) == 0


def test_a_round_over_very_many_jobs_is_followed_by_a_longer_rest(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) == 3

    monkeypatch.setattr(schedule, "tick", lambda _due: time.sleep(0.15 if len(waits) == 1 else 0))
    schedule.lead(Stop())
    assert waits[0] == 0
    assert waits[1] == pytest.approx(1.5, abs=0.3)
    assert waits[2] == schedule.TICK_SECONDS


def test_every_recurring_job_is_one_that_can_be_staged() -> None:
    assert set(schedule.RECURRING) <= set(jobs.JOBS)
    assert tasks.TEST_JOBS.keys().isdisjoint(schedule.RECURRING)
