"""Writes of the integrity domain: the scan, flags and decisions about them, fraud reports and their cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

import config
from popoff.audit import queries as audit_queries
from popoff.audit import rules as audit_rules
from popoff.audit import service as audit
from popoff.audit.rules import Entry
from popoff.integrity import facts, queries, rules
from popoff.integrity.models import Decision, Flag, FraudCase, FraudReport
from popoff.integrity.queries import CaseView, FlaggedEntry, FlagView, ReportView
from popoff.integrity.rules import CaseState, Finding, FlagState, Judge, Rule, SubjectKind
from popoff.kernel import clock, words
from popoff.kernel.db import advisory_lock, db
from popoff.kernel.errors import Forbidden, Invalid, NotFound
from popoff.kernel.money import Minor

SCAN_LOCK = 4
"""The space of our advisory lock: one scan at a time."""
OVERLAP = timedelta(minutes=10)
"""How much of what it has seen the recurring scan looks at again: entries that were committed late."""

Suspected = Mapping[str, Sequence[Finding]]
"""What is wrong with entries, by their id."""
_NOBODY: Suspected = {}


# the scan


@dataclass(frozen=True, slots=True)
class ScanResult:
    """`count`: gifts looked at; `flagged`: those with something wrong, the newest first; `raised`: flags new."""

    count: int
    raised: int
    flagged: Sequence[FlaggedEntry]

    @property
    def anomalies_detected(self) -> int:
        return len(self.flagged)


def scan(
    *, by: int | None, since: datetime | None = None, judge: Judge = rules.judge, suspected: Suspected = _NOBODY
) -> ScanResult:
    """Look at the gifts made since `since` (a week ago unless given) and flag those that `judge` finds wrong.

    `suspected`: what a model has found, of these gifts or of others, is flagged with them. Each rule flags an entry
    once, ever: repeating a scan raises nothing new. No entry of the log is changed.
    """
    now = clock.now()
    advisory_lock(SCAN_LOCK, 0)
    limit = Minor(config.current().daily_gift_limit)
    count = 0
    found: dict[str, Sequence[Finding]] = {}
    for gift in facts.of_gifts(since or now - rules.WEEK, now + OVERLAP):
        count += 1
        if findings := judge(gift, limit):
            found[gift.entry_id] = findings
    for entry_id, suspicions in suspected.items():
        found[entry_id] = [*found.get(entry_id, ()), *suspicions]
    raised = _raise(found, now)
    if count or by is not None:
        data = {"count": count, "anomalies": len(found), "raised": raised}
        audit.record("integrity.scan", actor=by, data=data)
    return ScanResult(count, raised, queries.of_entries(list(found)))


def scan_new(suspected: Suspected = _NOBODY) -> ScanResult:
    """Scan what came since the last scan, and flag what a model suspects: the recurring job."""
    last = queries.last_scan()
    return scan(by=None, since=None if last is None else last - OVERLAP, suspected=suspected)


def suspect(suspected: Suspected) -> int:
    """Flag what a model suspects, each entry once, ever; returns how many flags that makes."""
    advisory_lock(SCAN_LOCK, 0)
    return _raise(suspected, clock.now())


def _raise(found: Suspected, now: datetime) -> int:
    """Flag what was not flagged by the same rule before; returns how many flags that makes."""
    earlier = sa.select(Flag.entry_id, Flag.rule).where(Flag.entry_id.in_(list(found)), Flag.raised_by.is_(None))
    known = {(row.entry_id, row.rule) for row in db.session.execute(earlier)}
    entries = audit_queries.by_ids(list(found))
    raised = 0
    for entry_id, findings in found.items():
        for rule, reason in findings:
            if (entry_id, rule) not in known:
                _add_flag(entries[entry_id], rule, reason, "", None, now)
                raised += 1
    return raised


# flags


def flag(entry_id: str, *, by: int, reason: str, description: str = "") -> FlagView:
    """Flag an entry; what this person has flagged, and nobody has decided yet, stays one flag.

    Raises NotFound (code `entry_not_found`), Invalid (codes `empty_reason`, `too_long`).
    """
    return _flag(entry_id, Rule.STAFF, by, words.reason(reason), rules.check_description(description))


def _flag(entry_id: str, rule: Rule, by: int, reason: str, description: str) -> FlagView:
    entry = audit_queries.by_id(entry_id)
    advisory_lock(SCAN_LOCK, by % 2**31)
    earlier = db.session.scalar(
        sa.select(Flag.public_id).where(
            Flag.entry_id == entry_id, Flag.raised_by == by, Flag.state == FlagState.OPEN.value
        )
    )
    return queries.flag(earlier or _add_flag(entry, rule, reason, description, by, clock.now()))


def _add_flag(entry: Entry, rule: str, reason: str, description: str, by: int | None, now: datetime) -> str:
    """The public id of the new flag. In the log are its rule and id; words stay outside."""
    row = Flag(
        entry_id=entry.id,
        gift_id=entry.subject if entry.action in rules.GIFT_ACTIONS else None,
        rule=rule,
        reason=reason,
        description=description,
        raised_by=by,
        state=FlagState.OPEN.value,
        created_at=now,
    )
    row.flag_entry_id = audit.record(
        audit_rules.FLAG, actor=by, subject=entry.id, amount=entry.amount, data={"reason": rule}
    ).id
    db.session.add(row)
    db.session.flush()
    return row.public_id


def decide(flag_id: str, outcome: FlagState, *, by: int, reason: str) -> FlagView:
    """Clear or confirm a flag. Nobody decides about money that is theirs.

    Raises NotFound (`flag_not_found`), Conflict (`flag_decided`), Forbidden (`own_matter`, `four_eyes`), Invalid
    (`empty_reason`, `too_long`).
    """
    why = words.reason(reason)
    row = db.session.scalars(
        sa.select(Flag).where(Flag.public_id == flag_id).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise queries.flag_not_found()
    last = db.session.scalar(
        sa.select(Decision.decided_by).where(Decision.flag_id == row.id).order_by(Decision.id.desc()).limit(1)
    )
    rules.check_outcome(FlagState(row.state), outcome, decided_by=last, by=by)
    rules.check_impartial(_people_in(audit_queries.by_id(row.entry_id)), audit.pseudonym(by))
    row.state = outcome.value
    entry = audit.record(
        f"integrity.flag_{outcome.value}", actor=by, subject=row.entry_id, data={"flag": row.flag_entry_id}
    )
    made = Decision(
        flag_id=row.id,
        outcome=outcome.value,
        reason=why,
        decided_by=by,
        entry_id=entry.id,
        created_at=clock.now(),
    )
    db.session.add(made)
    db.session.flush()
    return queries.flag(flag_id)


def _people_in(entry: Entry) -> list[str | None]:
    """The pseudonyms of those with a part in what an entry says."""
    named: Iterable[object] = (entry.data.get(name) for name in ("creator", "wallet", "payee"))
    return [entry.actor, *(name for name in named if isinstance(name, str))]


# fraud reports


def report(reporter_id: int, subject: str, reason: str, description: str = "") -> ReportView:
    """Tell staff of a person, a post, a gift or an entry, by its id. A person's report of an open case stays one.

    Raises NotFound (`subject_not_found`), Invalid (`empty_reason`, `too_long`, `report_self`).
    """
    why, more = words.reason(reason), rules.check_description(description)
    subject = subject.strip()
    kind, owner_id = queries.find_subject(subject)
    if owner_id == reporter_id:
        raise Invalid("You cannot report yourself.", code="report_self", field="subject")
    subject = subject.lower() if kind in (SubjectKind.PERSON, SubjectKind.CONTENT) else subject
    case = _open_case(kind, subject)
    added = db.session.scalar(
        insert(FraudReport)
        .values(case_id=case.id, reporter_id=reporter_id, reason=why, description=more, created_at=clock.now())
        .on_conflict_do_nothing(constraint="uq_fraud_reports_case_reporter")
        .returning(FraudReport.id)
    )
    if added is not None:
        data = {"kind": kind.value, "report": _report(case, reporter_id).public_id}
        audit.record("integrity.report", actor=reporter_id, subject=case.public_id, data=data)
    return queries.report_view(case, _report(case, reporter_id))


def _open_case(kind: SubjectKind, subject: str) -> FraudCase:
    """The open case about a subject, locked: one that is decided meanwhile is not joined any more."""
    new = insert(FraudCase).values(kind=kind.value, subject=subject, opened_at=clock.now())
    found = new.on_conflict_do_update(
        index_elements=["subject"], index_where=sa.text("state = 'open'"), set_={"subject": subject}
    )
    return db.session.scalars(found.returning(FraudCase), execution_options={"populate_existing": True}).one()


def _report(case: FraudCase, reporter_id: int) -> FraudReport:
    return db.session.scalars(
        sa.select(FraudReport).where(FraudReport.case_id == case.id, FraudReport.reporter_id == reporter_id)
    ).one()


def decide_case(case_id: str, outcome: CaseState, *, by: int, reason: str, may_flag: bool = True) -> CaseView:
    """Close a fraud case. Upheld, the gift or the entry it is about gets a flag, which is confirmed at once.

    `may_flag`: whether `by` may decide flags; cases that need one are for those who may.

    Raises NotFound (`case_not_found`), Forbidden (`forbidden`, `own_matter`), Invalid (`empty_reason`,
    `too_long`), and of the flag what `decide` raises.
    """
    why = words.reason(reason)
    case = db.session.scalars(
        sa.select(FraudCase)
        .where(FraudCase.public_id == case_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if case is None or case.state != CaseState.OPEN or outcome is CaseState.OPEN:
        raise NotFound("There is no such open case.", code="case_not_found")
    entry_id = _entry_of(case)
    _check_no_part(case, entry_id, by)
    if outcome is CaseState.UPHELD and entry_id is not None:
        if not may_flag:
            raise Forbidden("Access denied")
        raised = _flag(entry_id, Rule.REPORT, by, why, "")
        decide(raised.public_id, FlagState.CONFIRMED, by=by, reason=why)
    case.state, case.decided_at, case.decided_by, case.decision_reason = outcome.value, clock.now(), by, why
    db.session.flush()
    audit.record(f"integrity.case_{outcome.value}", actor=by, subject=case.public_id, data={"kind": case.kind})
    return queries.case_views([case])[0]


def _check_no_part(case: FraudCase, entry_id: str | None, by: int) -> None:
    """Neither who reported it decides a case, nor whom it is about, nor those in the entry of what it is about."""
    _, owner_id = _subject(case)
    parties = [owner_id, *(report.reporter_id for report in queries.case_views([case])[0].reports)]
    rules.check_impartial([str(party) for party in parties], str(by))
    if entry_id is not None:
        rules.check_impartial(_people_in(audit_queries.by_id(entry_id)), audit.pseudonym(by))


def _subject(case: FraudCase) -> tuple[SubjectKind, int | None]:
    """Posts and people may be gone by now; their cases are decided all the same."""
    try:
        return queries.find_subject(case.subject)
    except NotFound:
        return SubjectKind(case.kind), None


def _entry_of(case: FraudCase) -> str | None:
    if case.kind == SubjectKind.ENTRY:
        return case.subject
    return queries.gift_entry(case.subject) if case.kind == SubjectKind.GIFT else None
