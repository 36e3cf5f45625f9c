"""Writes of the moderation domain: reports, their cases, and the outcome."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.audit import service as audit
from popoff.kernel import clock, words
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import constraint_errors, db
from popoff.kernel.errors import Conflict, Invalid, NotFound
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.moderation import rules
from popoff.moderation.models import Case, Report
from popoff.moderation.rules import CaseState
from popoff.social import queries as social


class _ReportedBefore(Conflict):
    """This person has reported this post already."""


def report_post(reporter_id: int, post_id: int, reason: str) -> bool:
    """File a report; it joins the open case about the post, or opens one. True when it is this person's first.

    The post is hidden until reviewed when enough distinct people have reported it since its last review.
    Raises NotFound, Invalid (codes `empty_reason`, `too_long`, `report_self`).
    """
    checked = words.reason(reason)
    post = social.reachable_post(reporter_id, post_id, hold=True)
    if post.user_id == reporter_id:
        raise Invalid("You cannot report your own video.", code="report_self")
    report = Report(
        post_id=post_id, reporter_id=reporter_id, reason=checked, evidence=_evidence(post), created_at=clock.now()
    )
    try:
        with constraint_errors({"uq_reports_post_reporter": _ReportedBefore()}):  # undoes a case it opened, too
            case = _open_case(post_id)
            report.case_id = case.id
            db.session.add(report)
    except _ReportedBefore:
        return False
    reporters = db.session.scalar(sa.select(sa.func.count()).where(Report.case_id == case.id)) or 0
    if case.hidden_at is None and rules.hides(reporters, config.current().report_threshold):
        case.hidden_at = clock.now()
        media.set_visibility(post_id, Visibility.HIDDEN)
    db.session.flush()
    return True


def _open_case(post_id: int) -> Case:
    """The open case about a post, locked, so that simultaneous reports are counted one after another.

    One statement finds or opens it: a case that is decided meanwhile is not joined any more.
    """
    new = insert(Case).values(post_id=post_id, opened_at=clock.now())
    found = new.on_conflict_do_update(
        index_elements=["post_id"], index_where=sa.text("state = 'open'"), set_={"post_id": post_id}
    )
    return db.session.scalars(found.returning(Case), execution_options={"populate_existing": True}).one()


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
    checked = words.reason(reason)
    db.session.execute(social.held(sa.select(Post.id).join(Case, Case.post_id == Post.id).where(Case.id == case_id)))
    case = db.session.get(Case, case_id, with_for_update=True, populate_existing=True)
    if case is None or case.state != CaseState.OPEN or outcome is CaseState.OPEN:
        raise NotFound("There is no open case with this number.", code="case_not_found")
    case.state = outcome.value
    case.decided_at = clock.now()
    case.decision_reason = checked
    visible = Visibility.PUBLIC if outcome is CaseState.DISMISSED else Visibility.REMOVED
    media.set_visibility(case.post_id, visible)
    db.session.flush()
    audit.record("moderation.case_decided", actor=None, subject=f"case:{case.id}", data={"outcome": case.state})
    return case


def forget(user_id: int) -> None:
    """Reports of a person who left go with them; the cases they belonged to stay."""
    db.session.execute(sa.delete(Report).where(Report.reporter_id == user_id))
