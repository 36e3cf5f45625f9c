"""Tables of the integrity domain. Flags are decided, never removed; decisions are only added."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.integrity.rules import CaseState, FlagState, SubjectKind
from popoff.kernel.db import Base


def new_public_id() -> str:
    """24 hexadecimal digits that tell nothing."""
    return secrets.token_hex(12)


def _one_of(column: str, values: Iterable[StrEnum]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(repr(value.value) for value in values)})", name=column)


class Flag(Base):
    """An entry of the audit log that deserves a look. `gift_id` is the public id of the gift it is about, if any.

    `state` is the outcome of the last decision. Who raised it is a number without a foreign key, None for the scan:
    flags outlive people.
    """

    __tablename__ = "integrity_flags"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    public_id: orm.Mapped[str] = orm.mapped_column(unique=True, default=new_public_id)
    entry_id: orm.Mapped[str]
    flag_entry_id: orm.Mapped[str] = orm.mapped_column(unique=True)
    """The entry that says in the log that `entry_id` was flagged."""
    gift_id: orm.Mapped[str | None]
    rule: orm.Mapped[str]
    reason: orm.Mapped[str]
    description: orm.Mapped[str] = orm.mapped_column(server_default="")
    raised_by: orm.Mapped[int | None]
    state: orm.Mapped[str] = orm.mapped_column(server_default=FlagState.OPEN.value)
    created_at: orm.Mapped[datetime]

    __table_args__ = (
        _one_of("state", FlagState),
        sa.Index("ix_integrity_flags_entry_id", "entry_id"),
        sa.Index(
            "uq_integrity_flags_rule",
            "entry_id",
            "rule",
            unique=True,
            postgresql_where=sa.text("raised_by IS NULL"),
        ),
        sa.Index(
            "uq_integrity_flags_person",
            "entry_id",
            "raised_by",
            unique=True,
            postgresql_where=sa.text("raised_by IS NOT NULL AND state = 'open'"),
        ),
        sa.Index("ix_integrity_flags_open", "id", postgresql_where=sa.text("state = 'open'")),
        sa.Index(
            "ix_integrity_flags_gift_id",
            "gift_id",
            postgresql_where=sa.text("gift_id IS NOT NULL AND state <> 'cleared'"),
        ),
    )


class Decision(Base):
    """What somebody decided about a flag, and why."""

    __tablename__ = "integrity_decisions"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    flag_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("integrity_flags.id", ondelete="RESTRICT"), index=True)
    outcome: orm.Mapped[str]
    reason: orm.Mapped[str]
    decided_by: orm.Mapped[int]
    entry_id: orm.Mapped[str] = orm.mapped_column(unique=True)
    created_at: orm.Mapped[datetime]

    __table_args__ = (sa.CheckConstraint("outcome IN ('cleared', 'confirmed')", name="outcome"),)


class FraudCase(Base):
    """All reports about one subject, until somebody decides. At most one case about a subject is open."""

    __tablename__ = "fraud_cases"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    public_id: orm.Mapped[str] = orm.mapped_column(unique=True, default=new_public_id)
    kind: orm.Mapped[str]
    subject: orm.Mapped[str]
    state: orm.Mapped[str] = orm.mapped_column(server_default=CaseState.OPEN.value)
    opened_at: orm.Mapped[datetime]
    decided_at: orm.Mapped[datetime | None]
    decided_by: orm.Mapped[int | None]
    decision_reason: orm.Mapped[str | None]

    __table_args__ = (
        _one_of("state", CaseState),
        _one_of("kind", SubjectKind),
        sa.CheckConstraint(
            "(state = 'open') = (decided_at IS NULL) AND (state = 'open') = (decided_by IS NULL)", name="decided"
        ),
        sa.Index("uq_fraud_cases_open", "subject", unique=True, postgresql_where=sa.text("state = 'open'")),
    )


class FraudReport(Base):
    """What one person says about a subject, once in each case. Personal: it goes with them."""

    __tablename__ = "fraud_reports"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    public_id: orm.Mapped[str] = orm.mapped_column(unique=True, default=new_public_id)
    case_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("fraud_cases.id", ondelete="CASCADE"))
    reporter_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    reason: orm.Mapped[str]
    description: orm.Mapped[str] = orm.mapped_column(server_default="")
    created_at: orm.Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("case_id", "reporter_id", name="uq_fraud_reports_case_reporter"),)
