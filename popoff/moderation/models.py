"""Tables of the moderation domain."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSONB

from popoff.kernel.db import Base
from popoff.moderation.rules import CaseState


class Case(Base):
    """All reports about one subject, until somebody decides. At most one case about a subject is open."""

    __tablename__ = "cases"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"))
    state: orm.Mapped[str] = orm.mapped_column(server_default=CaseState.OPEN.value)
    opened_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    hidden_at: orm.Mapped[datetime | None]
    decided_at: orm.Mapped[datetime | None]
    decision_reason: orm.Mapped[str | None]

    __table_args__ = (
        sa.CheckConstraint(f"state IN ({', '.join(repr(state.value) for state in CaseState)})", name="state"),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided_at"),
        sa.Index("uq_cases_open_post_id", "post_id", unique=True, postgresql_where=sa.text("state = 'open'")),
        sa.Index("ix_cases_post_id", "post_id"),
    )


class Report(Base):
    """What one person said about a post, with the post as it was at that moment. Once a person and post."""

    __tablename__ = "reports"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    case_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("cases.id", ondelete="CASCADE"), index=True)
    post_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"))
    reporter_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    reason: orm.Mapped[str]
    evidence: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSONB)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.UniqueConstraint("post_id", "reporter_id", name="uq_reports_post_reporter"),)
