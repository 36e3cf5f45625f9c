"""Writes of the moderation domain: reports, their cases, and the outcome."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid, NotFound
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.moderation import rules
from popoff.moderation.models import Case, Report
from popoff.moderation.rules import CaseState
from popoff.social import queries as social


def report_post(reporter_id: int, post_id: int, reason: str) -> bool:
    """File a report; it joins the open case about the post, or opens one. True when it is this person's first.

    The post is hidden until reviewed when enough distinct people have reported it since its last review.
    Raises NotFound, Invalid (codes `empty_reason`, `too_long`, `report_self`).
    """
    checked = rules.check_reason(reason)
    post = social.reachable_post(reporter_id, post_id)
    if post.user_id == reporter_id:
        raise Invalid("You cannot report your own video.", code="report_self")
    case = _open_case(post_id)
    added = db.session.execute(
        insert(Report)
        .values(
            case_id=case.id,
            post_id=post_id,
            reporter_id=reporter_id,
            reason=checked,
            evidence=_evidence(post),
            created_at=clock.now(),
        )
        .on_conflict_do_nothing(constraint="uq_reports_post_reporter")
        .returning(Report.id)
    ).scalar_one_or_none()
    if added is None:
        _close_if_empty(case)
        return False
    reporters = db.session.scalar(sa.select(sa.func.count()).where(Report.case_id == case.id)) or 0
    if case.hidden_at is None and rules.hides(reporters, config.current().report_threshold):
        case.hidden_at = clock.now()
        media.set_visibility(post_id, Visibility.HIDDEN)
    db.session.flush()
    return True


def _open_case(post_id: int) -> Case:
    """The open case about a post, locked, so that simultaneous reports are counted one after another."""
    db.session.execute(
        insert(Case)
        .values(post_id=post_id, opened_at=clock.now())
        .on_conflict_do_nothing(index_elements=["post_id"], index_where=sa.text("state = 'open'"))
    )
    return db.session.scalars(
        sa.select(Case).where(Case.post_id == post_id, Case.state == CaseState.OPEN.value).with_for_update()
    ).one()


def _close_if_empty(case: Case) -> None:
    """A repeated report must not open a case about a post that was found fine."""
    if not db.session.scalar(sa.select(sa.exists().where(Report.case_id == case.id))):
        db.session.delete(case)
        db.session.flush()


def _evidence(post: Post) -> dict[str, Any]:
    """The post as the reporter saw it: its owner may change it afterwards."""
    return {
        "description": post.description,
        "tags": post.tags,
        "user_id": post.user_id,
        "source_key": post.source_key,
        "thumbnail_key": post.thumbnail_key,
        "created_at": rfc3339(post.created_at),
    }


def decide(case_id: int, outcome: CaseState, reason: str) -> Case:
    """Close a case: `dismissed` shows the post again, `removed` takes it away for good.

    Raises NotFound (code `case_not_found`), Invalid.
    """
    case = db.session.get(Case, case_id, with_for_update=True, populate_existing=True)
    if case is None or case.state != CaseState.OPEN or outcome is CaseState.OPEN:
        raise NotFound("There is no open case with this number.", code="case_not_found")
    case.state = outcome.value
    case.decided_at = clock.now()
    case.decision_reason = rules.check_reason(reason)
    visible = Visibility.PUBLIC if outcome is CaseState.DISMISSED else Visibility.REMOVED
    media.set_visibility(case.post_id, visible)
    db.session.flush()
    return case


def forget(user_id: int) -> None:
    """Reports of a person who left go with them; the cases they belonged to stay."""
    db.session.execute(sa.delete(Report).where(Report.reporter_id == user_id))
