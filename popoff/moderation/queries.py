"""Reads of the moderation domain."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.moderation.models import Case, Report
from popoff.moderation.rules import CaseState


def open_cases(limit: int = 100) -> list[dict[str, Any]]:
    """Open cases, the most reported first; those whose reporters have left since are among them."""
    rows = db.session.execute(
        sa.select(
            Case.id,
            Case.post_id,
            User.username,
            Post.description,
            Post.visibility,
            Case.opened_at,
            sa.func.count(Report.id).label("reports"),
        )
        .join(Post, Post.id == Case.post_id)
        .join(User, User.id == Post.user_id)
        .outerjoin(Report, Report.case_id == Case.id)
        .where(Case.state == CaseState.OPEN.value)
        .group_by(Case.id, Post.id, User.id)
        .order_by(sa.desc("reports"), Case.opened_at)
        .limit(limit)
    ).mappings()
    return [{**row, "opened_at": rfc3339(row["opened_at"])} for row in rows]


def export(user_id: int) -> list[dict[str, Any]]:
    """The reports a person filed, and what came of them."""
    rows = db.session.execute(
        sa.select(Report.post_id, Report.reason, Report.created_at, Case.state)
        .join(Case, Case.id == Report.case_id)
        .where(Report.reporter_id == user_id)
        .order_by(Report.id)
    ).mappings()
    return [{**row, "created_at": rfc3339(row["created_at"])} for row in rows]
