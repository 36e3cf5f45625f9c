"""The closing job is cut off between any two statements, before and after any commit, and pays once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger.rules import Account, Kind
from popoff.rewards import gifts, periods, queries, rules
from popoff.rewards.models import Period, Statement
from popoff.web.transaction import transaction
from tests.support.ledger import has, wallet
from tests.support.rewards import content_id, person, post_of, prove, public_id, score, watch
from workers import rewards as job


class Killed(BaseException):
    """As good as SIGKILL: nobody handles it, and the database hears of nothing more."""


class Killer:
    """Counts statements and commits, and strikes at the one that is chosen."""

    def __init__(self, engine: sa.Engine):
        self.engine, self.strike_at, self.seen = engine, 0, 0
        self._hooks = (("before_cursor_execute", self._count), ("commit", self._count))
        for name, hook in self._hooks:
            sa.event.listen(engine, name, hook)

    def _count(self, *_: object) -> None:
        self.seen += 1
        if self.strike_at == self.seen:
            raise Killed

    def stop(self) -> None:
        for name, hook in self._hooks:
            sa.event.remove(self.engine, name, hook)


@pytest.fixture
def killer(platform_db: Flask) -> Iterator[Killer]:
    with platform_db.app_context():
        killer = Killer(db.engine)
        yield killer
        killer.stop()


def progress(period_id: int) -> tuple[str, int]:
    """How far a period has come, for everybody to see."""
    with db.engine.connect() as connection:
        row = connection.execute(sa.select(Period.state, Period.batches_paid).where(Period.id == period_id)).one()
    return row.state, row.batches_paid


def test_cut_off_between_any_two_statements_it_still_pays_once(
    platform_db: Flask, killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "BATCH", 2)
    with transaction():
        eve, start = person("eve", money=100_000), clock.now() - timedelta(hours=1)
        creators = [person(f"creator{number}") for number in range(5)]
        for number, creator in enumerate(creators):
            post = post_of(creator)
            score(post, 50, 10 * number)
            watch(eve, post, number + 1, at=clock.now())
            gifts.give(eve.id, public_id(creator), content_id(post), Minor(100 + number))
        period_id = periods.close(start, clock.now(), by=None).id
    cuts, strike_at, before = 0, 0, progress(period_id)
    while True:  # each step is cut at its first statement, then its second ... until one run comes to the end
        killer.strike_at = 0
        now = progress(period_id)
        strike_at, before = (strike_at + 1 if now == before else 1), now
        killer.seen, killer.strike_at = 0, strike_at
        try:
            job.close(period_id)
            break
        except Killed:
            cuts += 1
            db.session.rollback()
            db.session.remove()
    killer.strike_at = 0
    assert cuts > 30
    job.close(period_id)
    period = db.session.get_one(Period, period_id)
    assert (period.state, period.batches_paid) == ("closed", 3)
    assert has(Account(Kind.AD_POOL)) == has(Account(Kind.CREATOR_FUND)) == 0
    for statement in db.session.scalars(sa.select(Statement)):
        assert has(wallet(statement.creator_id)) == statement.total == queries.total(statement.creator_id)
    prove()
    db.session.rollback()
