"""Tables of the ledger: accounts, transfers, their entries, and holds.

The database keeps the books honest by itself (triggers in the migration): entries and transfers are only ever
added; the entries of a transfer sum to zero; adding them is the only thing that changes a balance, and opening or
closing a hold the only thing that changes what is held. People are ids without foreign keys: entries outlive them.
Entries have no foreign keys either: what posts them finds their account and transfer, which are never removed.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.kernel.db import Base
from popoff.ledger.rules import LONGEST_KEY, LONGEST_TEXT, MINTING, PERSONAL, HoldState, Kind, quoted

MINTS = f"kind IN ({quoted(sorted(MINTING))})"


class LedgerAccount(Base):
    """`balance`, `held` and `entries` (how many there are) are sums over the rows below, kept by triggers."""

    __tablename__ = "ledger_accounts"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    kind: orm.Mapped[str]
    owner_id: orm.Mapped[int] = orm.mapped_column(server_default="0")
    """0: nobody's."""
    balance: orm.Mapped[int] = orm.mapped_column(server_default="0")
    held: orm.Mapped[int] = orm.mapped_column(server_default="0")
    entries: orm.Mapped[int] = orm.mapped_column(server_default="0")

    __table_args__ = (
        sa.UniqueConstraint("kind", "owner_id"),
        sa.CheckConstraint(f"kind IN ({quoted(list(Kind))})", name="kind"),
        sa.CheckConstraint(f"(kind IN ({quoted(sorted(PERSONAL))})) = (owner_id <> 0)", name="owner"),
        sa.CheckConstraint(f"{MINTS} OR balance >= 0", name="balance"),
        sa.CheckConstraint(f"held >= 0 AND held <= CASE WHEN {MINTS} THEN 0 ELSE balance END", name="held"),
        {"postgresql_with": {"fillfactor": 50}},  # room to change a row in place
    )


class LedgerHold(Base):
    """Money that stays in its account and cannot be spent. Closed once: released, or captured by a transfer."""

    __tablename__ = "ledger_holds"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    key: orm.Mapped[str] = orm.mapped_column(unique=True)
    fingerprint: orm.Mapped[str]
    account_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("ledger_accounts.id", ondelete="RESTRICT"))
    amount: orm.Mapped[int]
    reason: orm.Mapped[str]
    until: orm.Mapped[datetime | None]
    state: orm.Mapped[str] = orm.mapped_column(server_default=HoldState.OPEN)
    created_at: orm.Mapped[datetime]
    closed_at: orm.Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint("amount > 0", name="amount"),
        sa.CheckConstraint(f"state IN ({quoted(list(HoldState))})", name="state"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        sa.CheckConstraint(f"length(key) <= {LONGEST_KEY} AND length(reason) <= {LONGEST_TEXT}", name="lengths"),
        sa.Index("ix_ledger_holds_of_account", "account_id", "state"),
        sa.Index("ix_ledger_holds_until", "until", postgresql_where=sa.text("state = 'open'")),
    )


class LedgerTransfer(Base):
    """`legs` and `amount` (how much changes hands) say what its entries must add up to."""

    __tablename__ = "ledger_transfers"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    key: orm.Mapped[str] = orm.mapped_column(unique=True)
    fingerprint: orm.Mapped[str]
    reference: orm.Mapped[str]
    memo: orm.Mapped[str]
    amount: orm.Mapped[int]
    legs: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    reverses_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("ledger_transfers.id", ondelete="RESTRICT"))
    hold_id: orm.Mapped[int | None] = orm.mapped_column(sa.ForeignKey("ledger_holds.id", ondelete="RESTRICT"))
    created_at: orm.Mapped[datetime]

    __table_args__ = (
        sa.CheckConstraint("amount > 0 AND legs >= 2", name="amount"),
        sa.CheckConstraint(
            f"length(key) <= {LONGEST_KEY} AND greatest(length(reference), length(memo)) <= {LONGEST_TEXT}",
            name="lengths",
        ),
        sa.Index(
            "uq_ledger_transfers_reverses_id",
            "reverses_id",
            unique=True,
            postgresql_where=sa.text("reverses_id IS NOT NULL"),
        ),
        sa.Index(
            "uq_ledger_transfers_hold_id", "hold_id", unique=True, postgresql_where=sa.text("hold_id IS NOT NULL")
        ),
    )


class LedgerEntry(Base):
    """What one transfer did to one account: its `seq`-th entry, after which it had `balance_after`."""

    __tablename__ = "ledger_entries"

    account_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    seq: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    transfer_id: orm.Mapped[int]
    amount: orm.Mapped[int]
    balance_after: orm.Mapped[int]
    created_at: orm.Mapped[datetime]

    __table_args__ = (
        sa.UniqueConstraint("transfer_id", "account_id"),
        sa.CheckConstraint("amount <> 0", name="amount"),
        sa.Index("ix_ledger_entries_of_account", "account_id", "created_at"),
    )
