"""What a model is told: gifts, money that came in, and how young accounts are, all under the log's pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

import config
from popoff.accounts.models import User
from popoff.audit import rules as audit_rules
from popoff.audit import service as audit
from popoff.integrity import rules
from popoff.kernel import clock
from popoff.kernel.db import db

PAST = timedelta(days=90)
"""How far back gifts are read; an account of that age is as good as any older one."""


class PastGift(NamedTuple):
    """A gift as the log has it; `amount` in minor units."""

    entry_id: str
    time: datetime
    giver: str
    creator: str
    amount: int


class Inflow(NamedTuple):
    """A grant or a top-up; `amount` in minor units."""

    wallet: str
    time: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class History:
    """Gifts and inflows in order of time; `joined`: of accounts opened after `known_from`, all others are older;
    `daily_limit`: minor units."""

    gifts: Sequence[PastGift]
    inflows: Sequence[Inflow]
    joined: Mapping[str, datetime]
    known_from: datetime
    daily_limit: int


_GIFTS = sa.text("""
    SELECT public_id, time, actor, data->>'creator', amount FROM audit_entries
     WHERE action = :send AND public_id >= :from AND public_id < :until ORDER BY public_id DESC LIMIT :most
""")
_INFLOWS = sa.text("""
    SELECT coalesce(data->>'wallet', actor), time, amount FROM audit_entries
     WHERE action IN ('wallet_grant', 'top_up_paid') AND public_id >= :from AND public_id < :until
     ORDER BY public_id
""")


def read(most: int) -> History:
    """The last `most` gifts of PAST up to now, and what came into wallets in that time."""
    now = clock.now()
    bounds = {"from": audit_rules.public_id(now - PAST, bytes(10)), "until": audit_rules.public_id(now, b"\xff" * 10)}
    gifts = db.session.execute(_GIFTS, {**bounds, "send": rules.SEND, "most": most}).all()
    inflows = db.session.execute(_INFLOWS, bounds).all()
    known_from = now - 2 * PAST
    opened = db.session.execute(sa.select(User.id, User.created_at).where(User.created_at > known_from))
    return History(
        gifts=[PastGift(*row) for row in reversed(gifts)],
        inflows=[Inflow(*row) for row in inflows],
        joined={audit.pseudonym(user_id): created_at for user_id, created_at in opened},
        known_from=known_from,
        daily_limit=config.current().daily_gift_limit,
    )
