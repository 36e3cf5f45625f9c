"""Closing a period while its worker is killed again and again: `kill -9` of real processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from popoff.adapters import jobs
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.ledger.models import LedgerTransfer
from popoff.ledger.rules import Account, Kind
from popoff.rewards import periods, queries
from popoff.rewards.models import Period, Statement
from popoff.rewards.rules import PeriodState
from tests.integration.jobs.conftest import Outbox, Processes, until
from tests.integration.jobs.stalls import BATCH, FOLDER, Stalls
from tests.support.ledger import has, wallet
from tests.support.rewards import give, person, post_of, prove, score, watch
from workers.base import transaction

pytestmark = pytest.mark.xdist_group("workers")

CREATORS = 5
STRIDE = 5
"""Of the moments of each step every fifth is one to die at: before its first statement, its sixth ..."""
WHOLE = 7
"""Each seventh time the worker dies with its work horse, as a machine does."""


def a_period() -> tuple[int, int]:
    """Gifts, views and scores of a few creators, and the job that settles them: the ids of period and job."""
    with transaction():
        start, eve = clock.now() - timedelta(hours=1), person("eve", money=100_000)
        for number in range(CREATORS):
            post = post_of(person(f"creator{number}"))
            score(post, 50, 10 * number)
            watch(eve, post, number + 1, at=clock.now())
            give(eve, post, 101 + number, at=None)
        period_id = periods.close(start, clock.now(), by=None).id
        job_id = db.session.scalars(sa.select(jobs.Job.id).where(jobs.Job.name == periods.CLOSE_JOB)).one()
    return period_id, job_id


def progress(period_id: int) -> tuple[str, int]:
    with transaction():
        found = sa.select(Period.state, Period.batches_paid).where(Period.id == period_id)
        state, paid = db.session.execute(found).one()
        return state, paid


def test_a_period_is_paid_once_however_often_its_worker_is_killed(
    outbox: Outbox, processes: Processes, tmp_path: Path
) -> None:
    period_id, job_id = a_period()
    stalls, moment, kills, before = Stalls(tmp_path), 1, 0, progress(period_id)
    states = {before}
    worker = None
    while outbox.row(job_id).state != "done":
        stalls.choose(moment)
        if worker is None:
            worker = processes.start("worker", "default", **{FOLDER: str(tmp_path), "JOB_ATTEMPTS": "1000"})
        with transaction():
            jobs.end_leases()
        outbox.sweep()
        until(lambda: stalls.reached() or outbox.row(job_id).state == "done", what=f"moment {moment}")
        if horse := stalls.reached():
            kills += 1
            os.kill(horse, signal.SIGKILL)
            if kills % WHOLE == 0:
                worker.kill()
                worker.wait()
                worker = None
        now = progress(period_id)
        states.add(now)
        moment, before = (moment + STRIDE if now == before else 1), now
    assert kills > 12 and outbox.row(job_id).attempts == kills + 1
    assert len(states) == 1 + 1 + 3 + 1, "it died in every step"
    assert_settled(period_id)


def assert_settled(period_id: int) -> None:
    with transaction():
        period = db.session.get_one(Period, period_id)
        assert period.state == PeriodState.CLOSED
        assert period.batches == period.batches_paid == -(-CREATORS // BATCH)
        statements = db.session.scalars(sa.select(Statement)).all()
        assert len(statements) == CREATORS
        for statement in statements:
            assert has(wallet(statement.creator_id)) == statement.total == queries.total(statement.creator_id)
        terms = queries.terms_of(period)
        assert sum(statement.ad_revenue for statement in statements) == terms.ads
        assert sum(statement.fund_reward for statement in statements) == terms.fund
        assert has(Account(Kind.AD_POOL)) == has(Account(Kind.CREATOR_FUND)) == 0
        assert told_paid() == Counter({statement.public_id: 1 for statement in statements})
        transfers = sa.select(sa.func.count()).where(LedgerTransfer.reference == period.public_id)
        assert db.session.scalar(transfers) == 1 + period.batches
        prove()


def told_paid() -> Counter[str]:
    """How often the audit log says of each statement that it was paid."""
    entries = db.session.scalars(sa.select(EntryRow).where(EntryRow.action == "rewards_paid"))
    return Counter(public_id for entry in entries for public_id, _ in entry.data["statements"])
