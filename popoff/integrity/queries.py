"""Reads of the integrity domain: flagged entries and gifts, fraud cases, what reports can be about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.audit import queries as audit
from popoff.audit.models import EntryRow
from popoff.audit.rules import Entry
from popoff.integrity import rules
from popoff.integrity.models import Decision, Flag, FraudCase, FraudReport
from popoff.integrity.rules import FlagState, SubjectKind
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.paging import decode_cursor, encode_cursor
from popoff.media.models import Post

PAGE = 50


def flagged_gifts(among: Collection[str] | None = None) -> set[str]:
    """Public ids of the gifts (of these, or of all) with an open or a confirmed flag: not to be paid out."""
    statement = sa.select(Flag.gift_id).where(Flag.gift_id.is_not(None), Flag.state != FlagState.CLEARED.value)
    if among is not None:
        statement = statement.where(Flag.gift_id.in_(among))
    return {gift_id for gift_id in db.session.scalars(statement.distinct()) if gift_id is not None}


# flags


@dataclass(frozen=True, slots=True)
class FlagView:
    """A flag with the decisions about it, the last one first. `raised_by`: None for the scan."""

    public_id: str
    entry_id: str
    flag_entry_id: str
    gift_id: str | None
    rule: str
    reason: str
    description: str
    raised_by: int | None
    state: FlagState
    created_at: datetime
    decisions: Sequence[DecisionView] = ()


@dataclass(frozen=True, slots=True)
class DecisionView:
    outcome: FlagState
    reason: str
    decided_by: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FlaggedEntry:
    """An entry that deserves a look: for its flags, or for what it is itself."""

    entry: Entry
    flags: Sequence[FlagView] = field(default_factory=list)


def flagged(
    *, state: FlagState | None = None, cursor: str | None = None, limit: int = PAGE
) -> tuple[list[FlaggedEntry], str | None]:
    """Entries that were flagged, or are conspicuous by themselves, the newest first; and the cursor of the next page.

    With `state` only those with a flag in that state. Raises Invalid (code `invalid_cursor`).
    """
    of_entry = sa.exists().where(Flag.entry_id == EntryRow.public_id)
    if state is None:
        wanted = sa.or_(EntryRow.action.in_(rules.NOTED_ACTIONS), of_entry)
    else:
        wanted = of_entry.where(Flag.state == state.value)
    statement = sa.select(EntryRow.public_id).where(wanted).order_by(EntryRow.public_id.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(EntryRow.public_id < str(decode_cursor(cursor, str)[0]))
    found = db.session.scalars(statement).all()
    more = encode_cursor([found[limit - 1]]) if len(found) > limit else None
    return of_entries(found[:limit]), more


def of_entries(entry_ids: Sequence[str]) -> list[FlaggedEntry]:
    """These entries, in this order, with their flags."""
    entries = audit.by_ids(entry_ids)
    flags: dict[str, list[FlagView]] = {entry_id: [] for entry_id in entry_ids}
    for flag in _flags(Flag.entry_id.in_(entry_ids)):
        flags[flag.entry_id].append(flag)
    return [FlaggedEntry(entries[entry_id], flags[entry_id]) for entry_id in entry_ids if entry_id in entries]


def flag(public_id: str) -> FlagView:
    """Raises NotFound (code `flag_not_found`)."""
    found = _flags(Flag.public_id == public_id)
    if not found:
        raise flag_not_found()
    return found[0]


def flag_not_found() -> NotFound:
    return NotFound("There is no such flag.", code="flag_not_found")


def _flags(*conditions: sa.ColumnElement[bool]) -> list[FlagView]:
    """Flags with their decisions, the newest first."""
    rows = db.session.scalars(
        sa.select(Flag).where(*conditions).order_by(Flag.id.desc()).execution_options(populate_existing=True)
    ).all()
    decisions: dict[int, list[DecisionView]] = {row.id: [] for row in rows}
    for made in db.session.scalars(
        sa.select(Decision).where(Decision.flag_id.in_(decisions)).order_by(Decision.id.desc())
    ):
        decisions[made.flag_id].append(
            DecisionView(FlagState(made.outcome), made.reason, made.decided_by, made.created_at)
        )
    return [
        FlagView(
            public_id=row.public_id,
            entry_id=row.entry_id,
            flag_entry_id=row.flag_entry_id,
            gift_id=row.gift_id,
            rule=row.rule,
            reason=row.reason,
            description=row.description,
            raised_by=row.raised_by,
            state=FlagState(row.state),
            created_at=row.created_at,
            decisions=decisions[row.id],
        )
        for row in rows
    ]


# fraud reports


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case with its reports, the oldest first."""

    public_id: str
    kind: SubjectKind
    subject: str
    state: rules.CaseState
    opened_at: datetime
    decided_at: datetime | None
    decided_by: int | None
    decision_reason: str | None
    reports: Sequence[ReportView]


@dataclass(frozen=True, slots=True)
class ReportView:
    public_id: str
    case_id: str
    kind: SubjectKind
    subject: str
    state: rules.CaseState
    reporter_id: int
    reason: str
    description: str
    created_at: datetime


def cases(state: rules.CaseState | None, cursor: str | None, limit: int = PAGE) -> tuple[list[CaseView], str | None]:
    """Fraud cases, the newest first, and the cursor of the next page. Raises Invalid (code `invalid_cursor`)."""
    statement = sa.select(FraudCase).order_by(FraudCase.opened_at.desc(), FraudCase.public_id.desc()).limit(limit + 1)
    if state is not None:
        statement = statement.where(FraudCase.state == state.value)
    if cursor is not None:
        public_id = decode_cursor(cursor, str)[0]
        opened_at = sa.select(FraudCase.opened_at).where(FraudCase.public_id == public_id).scalar_subquery()
        statement = statement.where(
            sa.tuple_(FraudCase.opened_at, FraudCase.public_id) < sa.tuple_(opened_at, sa.literal(public_id))
        )
    found = db.session.scalars(statement).all()
    more = encode_cursor([found[limit - 1].public_id]) if len(found) > limit else None
    return case_views(found[:limit]), more


def case_views(found: Sequence[FraudCase]) -> list[CaseView]:
    """These cases with their reports."""
    reports: dict[int, list[ReportView]] = {case.id: [] for case in found}
    known = {case.id: case for case in found}
    for row in db.session.scalars(
        sa.select(FraudReport).where(FraudReport.case_id.in_(reports)).order_by(FraudReport.id)
    ):
        reports[row.case_id].append(report_view(known[row.case_id], row))
    return [
        CaseView(
            public_id=case.public_id,
            kind=SubjectKind(case.kind),
            subject=case.subject,
            state=rules.CaseState(case.state),
            opened_at=case.opened_at,
            decided_at=case.decided_at,
            decided_by=case.decided_by,
            decision_reason=case.decision_reason,
            reports=reports[case.id],
        )
        for case in found
    ]


def report_view(case: FraudCase, row: FraudReport) -> ReportView:
    return ReportView(
        public_id=row.public_id,
        case_id=case.public_id,
        kind=SubjectKind(case.kind),
        subject=case.subject,
        state=rules.CaseState(case.state),
        reporter_id=row.reporter_id,
        reason=row.reason,
        description=row.description,
        created_at=row.created_at,
    )


def export(user_id: int) -> list[dict[str, Any]]:
    """What a person reported."""
    rows = db.session.execute(
        sa.select(FraudReport, FraudCase)
        .join(FraudCase, FraudCase.id == FraudReport.case_id)
        .where(FraudReport.reporter_id == user_id)
        .order_by(FraudReport.id)
    )
    return [
        {
            "id": report.public_id,
            "subject": case.subject,
            "kind": case.kind,
            "reason": report.reason,
            "description": report.description,
            "created_at": rfc3339(report.created_at),
            "state": case.state,
        }
        for report, case in rows
    ]


def find_subject(subject: str) -> tuple[SubjectKind, int | None]:
    """What an id is the id of, and whose it is if that can be said. Raises NotFound (code `subject_not_found`)."""
    for kind in rules.kinds_of(subject):
        found = _FINDERS[kind](subject)
        if found is not None:
            return kind, found or None
    raise NotFound("There is nothing with this id.", code="subject_not_found", field="subject")


def _person(subject: str) -> int | None:
    return db.session.scalar(sa.select(User.id).where(User.public_id == UUID(subject)))


def _content(subject: str) -> int | None:
    return db.session.scalar(sa.select(Post.user_id).where(Post.public_id == UUID(subject), Post.deleted_at.is_(None)))


def _gift(subject: str) -> int | None:
    return 0 if gift_entry(subject) is not None else None


def _entry(subject: str) -> int | None:
    return 0 if audit.by_ids([subject]) else None


_FINDERS = {
    SubjectKind.PERSON: _person,
    SubjectKind.CONTENT: _content,
    SubjectKind.GIFT: _gift,
    SubjectKind.ENTRY: _entry,
}


def gift_entry(gift_id: str) -> str | None:
    """The entry that says that a gift was made."""
    return db.session.scalar(
        sa.select(EntryRow.public_id).where(EntryRow.subject == gift_id, EntryRow.action == rules.SEND)
    )


def last_scan() -> datetime | None:
    """When the log was scanned last."""
    return db.session.scalar(
        sa.select(EntryRow.time).where(EntryRow.action == "integrity.scan").order_by(EntryRow.id.desc()).limit(1)
    )
