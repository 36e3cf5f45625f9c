"""Tables of the rewards domain.

People and posts are numbers without foreign keys: what was given, earned and paid outlives them. Gifts, reversals,
holds, lines, statements and late lines are append-only (triggers in the migration), and so are the terms of a period.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from popoff.kernel.db import Base
from popoff.rewards.rules import LateKind, PayoutState, PeriodState, TopUpState


def new_public_id() -> str:
    """24 hexadecimal digits that tell nothing, least of all how many there are."""
    return secrets.token_hex(12)


def _public_id() -> orm.Mapped[str]:
    return orm.mapped_column(unique=True, default=new_public_id)


def _number() -> orm.Mapped[int]:
    return orm.mapped_column(sa.Identity(), primary_key=True)


def _small(**options: str) -> orm.Mapped[int]:
    return orm.mapped_column(sa.SmallInteger, **options)  # type: ignore[arg-type]


def _one_of(column: str, values: Iterable[StrEnum]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


class Gift(Base):
    """A gift is a transfer of the ledger, and has its number."""

    __tablename__ = "gifts"

    id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    )
    public_id: orm.Mapped[str] = _public_id()
    giver_id: orm.Mapped[int]
    creator_id: orm.Mapped[int]
    post_id: orm.Mapped[int]
    amount: orm.Mapped[int]
    repeated: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    created_at: orm.Mapped[datetime]

    __table_args__ = (
        sa.CheckConstraint("amount > 0", name="amount"),
        sa.CheckConstraint("giver_id <> creator_id", name="not_oneself"),
        sa.Index("ix_gifts_of_giver", "giver_id", "created_at"),
        sa.Index("ix_gifts_of_creator", "creator_id", "created_at"),
        sa.Index("ix_gifts_recent", "created_at", postgresql_using="brin"),
    )


class GiftReversal(Base):
    """A gift that was taken back. `owed`: what the creator had been paid of it, and gives back by late lines."""

    __tablename__ = "gift_reversals"

    gift_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("gifts.id", ondelete="RESTRICT"), primary_key=True)
    transfer_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"), unique=True
    )
    creator_id: orm.Mapped[int] = orm.mapped_column(index=True)
    owed: orm.Mapped[int]
    reason: orm.Mapped[str]
    reversed_by: orm.Mapped[int | None]
    created_at: orm.Mapped[datetime]

    __table_args__ = (sa.CheckConstraint("owed >= 0", name="owed"),)


class Period(Base):
    """A stretch of time that was, or is being, settled, with the terms it is settled by."""

    __tablename__ = "reward_periods"

    id: orm.Mapped[int] = _number()
    public_id: orm.Mapped[str] = _public_id()
    starts_at: orm.Mapped[datetime]
    ends_at: orm.Mapped[datetime]
    requested_end: orm.Mapped[datetime]
    """What was asked for; a period that is closed before its end, ends then."""
    state: orm.Mapped[str] = orm.mapped_column(server_default=PeriodState.CLOSING.value)
    ad_pool: orm.Mapped[int]
    creator_fund: orm.Mapped[int]
    gift_share: orm.Mapped[int] = _small()
    ad_share: orm.Mapped[int] = _small()
    fund_share: orm.Mapped[int] = _small()
    min_views: orm.Mapped[int]
    daily_gift_limit: orm.Mapped[int]
    ad_carried_in: orm.Mapped[int] = orm.mapped_column(server_default="0")
    fund_carried_in: orm.Mapped[int] = orm.mapped_column(server_default="0")
    ad_carried_out: orm.Mapped[int] = orm.mapped_column(server_default="0")
    fund_carried_out: orm.Mapped[int] = orm.mapped_column(server_default="0")
    digest: orm.Mapped[str | None]
    """SHA-256 of the frozen lines, which the audit log has, too."""
    batches: orm.Mapped[int] = orm.mapped_column(server_default="0")
    batches_paid: orm.Mapped[int] = orm.mapped_column(server_default="0")
    closed_by: orm.Mapped[int | None]
    created_at: orm.Mapped[datetime]
    frozen_at: orm.Mapped[datetime | None]
    closed_at: orm.Mapped[datetime | None]

    __table_args__ = (
        _one_of("state", PeriodState),
        sa.CheckConstraint("starts_at < ends_at AND ends_at <= requested_end", name="time"),
        sa.CheckConstraint("least(ad_pool, creator_fund, ad_carried_out, fund_carried_out) >= 0", name="pools"),
        sa.CheckConstraint(
            "least(gift_share, ad_share, fund_share) >= 0 AND greatest(gift_share, ad_share, fund_share) <= 100",
            name="shares",
        ),
        sa.CheckConstraint("batches_paid BETWEEN 0 AND batches", name="batches"),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        ExcludeConstraint((sa.text("tstzrange(starts_at, ends_at)"), "&&"), using="gist", name="reward_periods_apart"),
        sa.Index(
            "uq_reward_periods_unfinished",
            sa.text("(state <> 'closed')"),
            unique=True,
            postgresql_where=sa.text("state <> 'closed'"),
        ),
    )


class GiftHold(Base):
    """A gift that was left out of its period, for it was flagged then. A late line of kind release ends this."""

    __tablename__ = "gift_holds"

    gift_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("gifts.id", ondelete="RESTRICT"), primary_key=True)
    period_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("reward_periods.id", ondelete="RESTRICT"), index=True)
    created_at: orm.Mapped[datetime]


class Line(Base):
    """One post in one period: what counted (frozen), and what it earned."""

    __tablename__ = "reward_lines"

    creator_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    period_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("reward_periods.id", ondelete="RESTRICT"), primary_key=True
    )
    post_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    gifts: orm.Mapped[int]
    gift_count: orm.Mapped[int]
    views: orm.Mapped[int]
    watch_ms: orm.Mapped[int]
    eligible: orm.Mapped[bool]
    score: orm.Mapped[int | None]
    """Overall, in hundredths; and the two it is made of."""
    engagement: orm.Mapped[int | None]
    quality: orm.Mapped[int | None]
    model: orm.Mapped[str | None]
    gift_reward: orm.Mapped[int]
    ad_revenue: orm.Mapped[int]
    fund_reward: orm.Mapped[int]

    __table_args__ = (
        sa.CheckConstraint(
            "least(gifts, gift_count, views, watch_ms, gift_reward, ad_revenue, fund_reward) >= 0", name="not_negative"
        ),
        sa.CheckConstraint("score BETWEEN 0 AND 10000", name="score"),
        sa.Index("ix_reward_lines_of_period", "period_id", postgresql_using="brin"),
    )


class Statement(Base):
    """What a creator earned in a period: sums over their lines and late lines, paid with the batch it is in."""

    __tablename__ = "reward_statements"

    id: orm.Mapped[int] = _number()
    public_id: orm.Mapped[str] = _public_id()
    period_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("reward_periods.id", ondelete="RESTRICT"))
    creator_id: orm.Mapped[int]
    batch: orm.Mapped[int]
    gifts: orm.Mapped[int]
    """All that was given; `gift_reward` is the creator's part of it."""
    gift_reward: orm.Mapped[int]
    ad_revenue: orm.Mapped[int]
    fund_reward: orm.Mapped[int]
    late: orm.Mapped[int]
    total: orm.Mapped[int]

    __table_args__ = (
        sa.UniqueConstraint("creator_id", "period_id"),
        sa.CheckConstraint("total = gift_reward + ad_revenue + fund_reward + late AND total >= 0", name="total"),
        sa.Index("ix_reward_statements_batch", "period_id", "batch"),
    )


class LateLine(Base):
    """A line of a statement about a gift of an earlier period. `gross` leaves the escrow, `amount` is the creator's."""

    __tablename__ = "reward_late_lines"

    id: orm.Mapped[int] = _number()
    period_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("reward_periods.id", ondelete="RESTRICT"))
    creator_id: orm.Mapped[int]
    gift_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("gifts.id", ondelete="RESTRICT"), index=True)
    post_id: orm.Mapped[int]
    kind: orm.Mapped[str]
    gross: orm.Mapped[int]
    amount: orm.Mapped[int]

    __table_args__ = (
        _one_of("kind", LateKind),
        sa.CheckConstraint(
            "CASE kind WHEN 'release' THEN amount BETWEEN 0 AND gross ELSE amount < 0 AND gross = 0 END", name="amount"
        ),
        sa.Index("ix_reward_late_lines_of_statement", "period_id", "creator_id"),
        sa.Index("uq_reward_late_lines_release", "gift_id", unique=True, postgresql_where=sa.text("kind = 'release'")),
    )


class BankAccount(Base):
    """Where a person wants to be paid. Personal: it goes with them."""

    __tablename__ = "bank_accounts"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    holder: orm.Mapped[str]
    iban: orm.Mapped[str]
    bic: orm.Mapped[str] = orm.mapped_column(server_default="")
    updated_at: orm.Mapped[datetime]


class PayoutExport(Base):
    """A file for the bank: the approved payouts of one moment."""

    __tablename__ = "payout_exports"

    id: orm.Mapped[int] = _number()
    public_id: orm.Mapped[str] = _public_id()
    made_by: orm.Mapped[int]
    created_at: orm.Mapped[datetime]


class Payout(Base):
    """A person's money on its way to their bank. Nobody approves what they asked for or will receive."""

    __tablename__ = "payouts"

    id: orm.Mapped[int] = _number()
    public_id: orm.Mapped[str] = _public_id()
    user_id: orm.Mapped[int]
    amount: orm.Mapped[int]
    state: orm.Mapped[str] = orm.mapped_column(server_default=PayoutState.PENDING.value)
    transfer_id: orm.Mapped[int] = orm.mapped_column(
        sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"), unique=True
    )
    requested_by: orm.Mapped[int]
    created_at: orm.Mapped[datetime]
    reason: orm.Mapped[str | None]
    """Why it is held, failed or was reversed."""
    held_until: orm.Mapped[datetime | None]
    approved_by: orm.Mapped[int | None]
    approved_at: orm.Mapped[datetime | None]
    export_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("payout_exports.id", ondelete="RESTRICT"), index=True
    )
    paid_transfer_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"), unique=True
    )
    settled_at: orm.Mapped[datetime | None]

    __table_args__ = (
        _one_of("state", PayoutState),
        sa.CheckConstraint("amount > 0", name="amount"),
        sa.CheckConstraint("approved_by <> requested_by AND approved_by <> user_id", name="four_eyes"),
        sa.CheckConstraint(
            "(approved_by IS NULL) = (approved_at IS NULL) "
            "AND (state NOT IN ('approved', 'paid', 'reversed') OR approved_by IS NOT NULL)",
            name="approved",
        ),
        sa.CheckConstraint("(state IN ('paid', 'reversed')) = (paid_transfer_id IS NOT NULL)", name="paid"),
        sa.CheckConstraint("(state = 'held') <= (reason IS NOT NULL)", name="held"),
        sa.Index("ix_payouts_of_user", "user_id", "id"),
        sa.Index("ix_payouts_open", "id", postgresql_where=sa.text("state IN ('pending', 'held', 'approved')")),
    )


class TopUp(Base):
    """Money that a person pays in through a provider; it arrives with the provider's word, once."""

    __tablename__ = "top_ups"

    id: orm.Mapped[int] = _number()
    public_id: orm.Mapped[str] = _public_id()
    user_id: orm.Mapped[int] = orm.mapped_column(index=True)
    amount: orm.Mapped[int]
    provider: orm.Mapped[str]
    state: orm.Mapped[str] = orm.mapped_column(server_default=TopUpState.PENDING.value)
    transfer_id: orm.Mapped[int | None] = orm.mapped_column(
        sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"), unique=True
    )
    created_at: orm.Mapped[datetime]
    settled_at: orm.Mapped[datetime | None]

    __table_args__ = (
        _one_of("state", TopUpState),
        sa.CheckConstraint("amount > 0", name="amount"),
        sa.CheckConstraint("(state = 'paid') = (transfer_id IS NOT NULL)", name="paid"),
    )


class PaymentEvent(Base):
    """What providers have told us; each event counts once."""

    __tablename__ = "payment_events"

    provider: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    event_id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    kind: orm.Mapped[str]
    reference: orm.Mapped[str]
    received_at: orm.Mapped[datetime]
