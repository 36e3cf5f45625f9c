"""Gifts that integrity has flagged, from the flag to the decision."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.audit.models import EntryRow
from popoff.integrity import service as integrity
from popoff.integrity.rules import FlagState
from popoff.kernel.db import db
from popoff.rewards import balances, gifts
from popoff.rewards.models import Gift
from tests.support.ledger import has, wallet
from tests.support.rewards import END, close, give, person, post_of, statement_of


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return person("eve", money=10_000)


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def gift(eve: User, ada: User) -> Gift:
    return give(eve, post_of(ada), 10_000)


def flag(gift: Gift, by: int) -> str:
    entry = sa.select(EntryRow.public_id).where(EntryRow.subject == gift.public_id, EntryRow.action == "send_gift")
    return integrity.flag(db.session.scalars(entry).one(), by=by, reason="looks odd").public_id


def test_flagged_before_the_period_closes_it_waits_in_the_escrow(gift: Gift, ada: User) -> None:
    mo = person("mo").id
    raised = flag(gift, mo)
    close(ad_pool=0, creator_fund=0)
    assert has(wallet(ada.id)) == 0
    integrity.decide(raised, FlagState.CLEARED, by=mo, reason="a birthday")
    period = close(END, END.replace(month=5), ad_pool=0, creator_fund=0)
    assert statement_of(ada, period).late == has(wallet(ada.id)) == 4_000


def test_confirmed_it_never_arrives_and_can_go_back(gift: Gift, ada: User, eve: User) -> None:
    mo = person("mo").id
    integrity.decide(flag(gift, mo), FlagState.CONFIRMED, by=mo, reason="a stolen card")
    close(ad_pool=0, creator_fund=0)
    close(END, END.replace(month=5), ad_pool=0, creator_fund=0)
    assert has(wallet(ada.id)) == 0
    gifts.reverse(gift.public_id, by=mo, reason="a stolen card")
    assert has(wallet(eve.id)) == 10_000


def test_flagged_after_it_was_paid_it_is_not_paid_out(gift: Gift, ada: User) -> None:
    close(ad_pool=0, creator_fund=0)
    assert balances.payable(ada.id) == 4_000
    flag(gift, person("mo").id)
    assert balances.payable(ada.id) == 0
