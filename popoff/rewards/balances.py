"""Reads about money on its way out: what can be paid out, payouts, and what the bank is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

import config
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.money import Minor, to_json
from popoff.ledger import queries as ledger
from popoff.ledger.rules import Account, Kind
from popoff.rewards import holds, inputs, queries, rules
from popoff.rewards.models import BankAccount, Gift, Payout, PayoutExport, Period, Statement, TopUp
from popoff.rewards.rules import COMMITTED, PayoutState

PAGE = 100

UNSETTLED = (PayoutState.PENDING.value, PayoutState.HELD.value, PayoutState.APPROVED.value)
"""States of payouts that are not over."""

_SUSPENDED = sa.text("""
SELECT gifts.amount, period.gift_share
  FROM gifts
  LEFT JOIN gift_holds ON gift_holds.gift_id = gifts.id
  LEFT JOIN reward_late_lines AS late ON late.gift_id = gifts.id AND late.kind = 'release'
  JOIN reward_periods AS period ON period.frozen_at IS NOT NULL AND CASE
       WHEN gift_holds.gift_id IS NULL THEN gifts.created_at >= period.starts_at AND gifts.created_at < period.ends_at
       ELSE period.id = late.period_id END
 WHERE gifts.creator_id = :creator_id AND gifts.id = ANY (CAST(:flagged AS bigint[]))
   AND NOT EXISTS (SELECT FROM gift_reversals WHERE gift_reversals.gift_id = gifts.id)
""")


def earned(user_id: int) -> Minor:
    """What statements have paid into this wallet."""
    paid = sa.select(sa.func.coalesce(sa.func.sum(Statement.total), 0)).join(Period, Period.id == Statement.period_id)
    return Minor(
        int(db.session.scalar(paid.where(Statement.creator_id == user_id, Statement.batch < Period.batches_paid)) or 0)
    )


def unspent(user_id: int) -> Minor:
    """What was earned, without what payouts have taken and what is owed for gifts that were reversed late."""
    committed = db.session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(Payout.amount), 0)).where(
            Payout.user_id == user_id, Payout.state.in_([state.value for state in COMMITTED])
        )
    )
    debts = sum(debt.amount for debt in inputs.owed(user_id))
    return Minor(earned(user_id) - int(committed or 0) - debts)


def suspended(user_id: int) -> Minor:
    """The creator's part of gifts that were paid and have been flagged since: it waits until somebody decides."""
    rows = db.session.execute(_SUSPENDED, {"creator_id": user_id, "flagged": sorted(holds.flagged())})
    return Minor(sum(rules.creators_part(Minor(row.amount), row.gift_share) for row in rows))


def payable(user_id: int) -> Minor:
    """The most that this person can ask for now: earned, not suspended, and still in the wallet."""
    available = ledger.balance(Account(Kind.WALLET, user_id)).available
    return Minor(max(min(available, unspent(user_id) - suspended(user_id)), 0))


@dataclass(frozen=True, slots=True)
class Purse:
    """A person's money at a glance, in minor units. `in_escrow`: gifts that no statement has settled yet."""

    wallet: Minor
    earned: Minor
    payable: Minor
    suspended: Minor
    on_its_way: Minor
    in_escrow: Minor


def purse(user_id: int) -> Purse:
    accounts = [Account(kind, user_id) for kind in (Kind.WALLET, Kind.PAYOUTS, Kind.GIFTS)]
    wallet, on_its_way, in_escrow = (ledger.balances(accounts)[account].total for account in accounts)
    return Purse(wallet, earned(user_id), payable(user_id), suspended(user_id), on_its_way, in_escrow)


# payouts


def payout_not_found() -> NotFound:
    return NotFound("Payout not found.", code="payout_not_found")


def payout(public_id: str, *, user_id: int | None = None) -> Payout:
    """A payout; with `user_id` only if it is theirs. Raises NotFound (code `payout_not_found`)."""
    found = db.session.scalars(sa.select(Payout).where(Payout.public_id == public_id)).one_or_none()
    if found is None or user_id not in (None, found.user_id):
        raise payout_not_found()
    return found


def payouts_of(user_id: int, limit: int = PAGE) -> Sequence[Payout]:
    """A person's payouts, the latest first."""
    return db.session.scalars(
        sa.select(Payout).where(Payout.user_id == user_id).order_by(Payout.id.desc()).limit(limit)
    ).all()


def open_payouts(limit: int = PAGE) -> Sequence[Payout]:
    """Payouts that somebody has to look at, the oldest first."""
    waiting = sa.select(Payout).where(Payout.state.in_(UNSETTLED)).order_by(Payout.id).limit(limit)
    return db.session.scalars(waiting).all()


def bank_account(user_id: int) -> BankAccount | None:
    return db.session.get(BankAccount, user_id)


@dataclass(frozen=True, slots=True)
class Order:
    """One payment that the bank is to make. `reference` is the payout's public id."""

    reference: str
    holder: str
    iban: str
    bic: str
    amount: Minor


@dataclass(frozen=True, slots=True)
class Orders:
    """An export: what one file for the bank says."""

    public_id: str
    created_at: datetime
    orders: list[Order]
    left_out: list[str]
    """Payouts whose person has no bank account any more."""


def export_orders(public_id: str) -> Orders:
    """Raises NotFound (code `export_not_found`)."""
    made = db.session.scalars(sa.select(PayoutExport).where(PayoutExport.public_id == public_id)).one_or_none()
    if made is None:
        raise NotFound("There is no such export.", code="export_not_found")
    rows = db.session.execute(
        sa.select(Payout.public_id, Payout.amount, BankAccount.holder, BankAccount.iban, BankAccount.bic)
        .outerjoin(BankAccount, BankAccount.user_id == Payout.user_id)
        .where(Payout.export_id == made.id)
        .order_by(Payout.id)
    ).all()
    return Orders(
        public_id=made.public_id,
        created_at=made.created_at,
        orders=[Order(row.public_id, row.holder, row.iban, row.bic, Minor(row.amount)) for row in rows if row.iban],
        left_out=[row.public_id for row in rows if not row.iban],
    )


# what a person may take along


def export(user_id: int) -> dict[str, Any]:
    """Everything this domain holds of a person; amounts in major units."""
    account = bank_account(user_id)
    gifts = db.session.scalars(
        sa.select(Gift).where(sa.or_(Gift.giver_id == user_id, Gift.creator_id == user_id)).order_by(Gift.id)
    )
    top_ups = db.session.scalars(sa.select(TopUp).where(TopUp.user_id == user_id).order_by(TopUp.id))
    return {
        "currency": config.current().currency,
        "gifts": [
            {
                "id": gift.public_id,
                "direction": "sent" if gift.giver_id == user_id else "received",
                "content": gift.post_id,
                "amount": to_json(Minor(gift.amount)),
                "created_at": rfc3339(gift.created_at),
            }
            for gift in gifts
        ],
        "statements": [
            {
                "id": statement.public_id,
                "from": rfc3339(period.starts_at),
                "to": rfc3339(period.ends_at),
                "total": to_json(Minor(statement.total)),
            }
            for statement, period in queries.statements(user_id)
        ],
        "payouts": [
            {
                "id": payout.public_id,
                "amount": to_json(Minor(payout.amount)),
                "state": payout.state,
                "created_at": rfc3339(payout.created_at),
            }
            for payout in payouts_of(user_id, limit=10**6)
        ],
        "top_ups": [
            {
                "id": top_up.public_id,
                "amount": to_json(Minor(top_up.amount)),
                "state": top_up.state,
                "created_at": rfc3339(top_up.created_at),
            }
            for top_up in top_ups
        ],
        "bank_account": {"holder": account.holder, "iban": account.iban, "bic": account.bic} if account else None,
    }
