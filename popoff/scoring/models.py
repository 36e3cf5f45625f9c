"""Tables of the scoring domain: the present scores of posts, each with its model version and what it was worked out of.

They are facts about posts and go with them. Whoever pays by them keeps a copy of what it paid by.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSONB

from popoff.kernel.db import Base

_IN_RANGE = "score BETWEEN 0 AND 100"
"""PostgreSQL holds NaN to be greater than every number, so this keeps it out as well."""


def _post() -> orm.Mapped[int]:
    return orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)


class EngagementScore(Base):
    """How people take to a post, with what the score was worked out of and the reasons for it.

    The columns that count are the post's counters at that time, by which SQL finds the posts whose counters moved on;
    `inputs` leaves out what creators did themselves.
    """

    __tablename__ = "engagement_scores"

    post_id: orm.Mapped[int] = _post()
    score: orm.Mapped[float] = orm.mapped_column(sa.Double)
    model: orm.Mapped[str]
    likes: orm.Mapped[int]
    shares: orm.Mapped[int]
    comments: orm.Mapped[int]
    views: orm.Mapped[int]
    watch_ms: orm.Mapped[int]
    length_ms: orm.Mapped[int]
    reputation: orm.Mapped[int]
    inputs: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSONB, server_default="{}")
    reasons: orm.Mapped[list[dict[str, Any]]] = orm.mapped_column(JSONB, server_default="[]")
    scored_at: orm.Mapped[datetime]

    __table_args__ = (sa.CheckConstraint(_IN_RANGE, name="score"),)


class QualityScore(Base):
    """What a post is like. Without a score there is a reason; each part has a score or none, and a sentence."""

    __tablename__ = "quality_scores"

    post_id: orm.Mapped[int] = _post()
    score: orm.Mapped[float | None] = orm.mapped_column(sa.Double)
    reason: orm.Mapped[str | None]
    model: orm.Mapped[str]
    parts: orm.Mapped[dict[str, dict[str, Any]]] = orm.mapped_column(JSONB)
    inputs: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSONB)
    scored_at: orm.Mapped[datetime]

    __table_args__ = (
        sa.CheckConstraint(_IN_RANGE, name="score"),
        sa.CheckConstraint("(score IS NULL) = (reason IS NOT NULL)", name="reason"),
    )


class Reputation(Base):
    """How many people have liked, shared or commented on what a person posted, not counting themselves."""

    __tablename__ = "reputations"

    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    people: orm.Mapped[int]
    counted_at: orm.Mapped[datetime]
