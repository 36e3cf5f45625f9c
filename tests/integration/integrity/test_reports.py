"""Fraud reports: what they can be about, how they merge, what comes of them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.accounts import service as accounts
from popoff.accounts.models import User
from popoff.audit.models import EntryRow
from popoff.integrity import queries, service
from popoff.integrity.models import FraudReport
from popoff.integrity.rules import CaseState, FlagState, SubjectKind
from popoff.kernel.db import db
from popoff.kernel.errors import Forbidden, Invalid, NotFound
from popoff.media.models import Post
from popoff.rewards.models import Gift
from tests.support.rewards import content_id, give, person, post_of, public_id


@pytest.fixture
def ada(session: sa.orm.Session) -> User:
    return person("ada")


@pytest.fixture
def post(ada: User) -> Post:
    return post_of(ada)


@pytest.fixture
def eve(session: sa.orm.Session) -> User:
    return person("eve", money=100_000)


@pytest.fixture
def gift(eve: User, post: Post) -> Gift:
    return give(eve, post, 2_000)


@pytest.fixture
def bob(session: sa.orm.Session) -> User:
    return person("bob")


@pytest.fixture
def pat(session: sa.orm.Session) -> User:
    return person("pat")


def subjects(ada: User, post: Post, gift: Gift) -> dict[SubjectKind, str]:
    return {
        SubjectKind.PERSON: str(public_id(ada)),
        SubjectKind.CONTENT: str(content_id(post)).upper(),
        SubjectKind.GIFT: gift.public_id,
        SubjectKind.ENTRY: queries.gift_entry(gift.public_id) or "",
    }


@pytest.mark.parametrize("kind", SubjectKind)
def test_a_report_can_be_about_anything_with_an_id(
    kind: SubjectKind, ada: User, post: Post, gift: Gift, bob: User
) -> None:
    subject = subjects(ada, post, gift)[kind]
    made = service.report(bob.id, f" {subject} ", "a fraud", "of some sort")
    assert (made.kind, made.subject.upper(), made.state) == (kind, subject.upper(), CaseState.OPEN)
    entry = db.session.scalars(sa.select(EntryRow).order_by(EntryRow.id.desc()).limit(1)).one()
    assert (entry.action, entry.data) == ("integrity.report", {"kind": kind.value, "report": made.public_id})


@pytest.mark.parametrize("subject", ["0" * 24, "0" * 26, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", "1", "x" * 150])
def test_what_does_not_exist_cannot_be_reported(subject: str, bob: User) -> None:
    with pytest.raises(NotFound):
        service.report(bob.id, subject, "a fraud")


def test_one_does_not_report_oneself(ada: User, post: Post) -> None:
    for subject in (str(public_id(ada)), str(content_id(post))):
        with pytest.raises(Invalid) as refused:
            service.report(ada.id, subject, "me")
        assert refused.value.error_code == "report_self"


def test_reports_about_one_subject_make_one_case(gift: Gift, bob: User, pat: User) -> None:
    one, two = (service.report(reporter.id, gift.public_id, "odd") for reporter in (bob, pat))
    assert one.case_id == two.case_id
    ((case,), more) = queries.cases(CaseState.OPEN, None)
    assert ([report.reporter_id for report in case.reports], more) == ([bob.id, pat.id], None)


def test_reporting_again_changes_nothing_while_the_case_is_open(gift: Gift, bob: User) -> None:
    first = service.report(bob.id, gift.public_id, "odd")
    entries = db.session.scalar(sa.select(sa.func.count()).select_from(EntryRow))
    again = service.report(bob.id, gift.public_id, "very odd")
    assert (again.public_id, again.reason) == (first.public_id, "odd")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(EntryRow)) == entries


def test_after_a_decision_a_report_opens_a_new_case(gift: Gift, bob: User, pat: User) -> None:
    first = service.report(bob.id, gift.public_id, "odd")
    service.decide_case(first.case_id, CaseState.DISMISSED, by=pat.id, reason="not odd")
    assert queries.flagged_gifts() == set()
    assert service.report(bob.id, gift.public_id, "odd").case_id != first.case_id


@pytest.mark.parametrize("kind", [SubjectKind.GIFT, SubjectKind.ENTRY])
def test_an_upheld_report_about_a_gift_confirms_a_flag(
    kind: SubjectKind, ada: User, post: Post, gift: Gift, bob: User, pat: User
) -> None:
    made = service.report(bob.id, subjects(ada, post, gift)[kind], "odd")
    case = service.decide_case(made.case_id, CaseState.UPHELD, by=pat.id, reason="it is")
    assert (case.state, case.decided_by, case.decision_reason) == (CaseState.UPHELD, pat.id, "it is")
    ((flagged,), _) = queries.flagged(state=FlagState.CONFIRMED)
    assert (flagged.entry.subject, flagged.flags[0].rule) == (gift.public_id, "report")
    assert queries.flagged_gifts() == {gift.public_id}


def test_upholding_one_takes_who_may_decide_flags(gift: Gift, bob: User, pat: User) -> None:
    made = service.report(bob.id, gift.public_id, "odd")
    with pytest.raises(Forbidden):
        service.decide_case(made.case_id, CaseState.UPHELD, by=pat.id, reason="it is", may_flag=False)


def test_neither_reporter_nor_subject_nor_the_gifts_people_decide(ada: User, eve: User, gift: Gift, bob: User) -> None:
    about_gift = service.report(bob.id, gift.public_id, "odd")
    about_ada = service.report(bob.id, str(public_id(ada)), "odd")
    for case, by in ((about_gift, bob), (about_ada, bob), (about_ada, ada), (about_gift, eve), (about_gift, ada)):
        for outcome in (CaseState.UPHELD, CaseState.DISMISSED):
            with pytest.raises(Forbidden) as refused:
                service.decide_case(case.case_id, outcome, by=by.id, reason="I say so")
            assert refused.value.error_code == "own_matter"


def test_a_case_is_decided_once(gift: Gift, bob: User, pat: User) -> None:
    made = service.report(bob.id, gift.public_id, "odd")
    service.decide_case(made.case_id, CaseState.DISMISSED, by=pat.id, reason="no")
    with pytest.raises(NotFound):
        service.decide_case(made.case_id, CaseState.UPHELD, by=pat.id, reason="yes")


def test_reports_go_with_the_person_and_the_case_stays(gift: Gift, bob: User) -> None:
    made = service.report(bob.id, gift.public_id, "odd")
    assert [row["id"] for row in queries.export(bob.id)] == [made.public_id]
    accounts.erase(bob)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(FraudReport)) == 0
    ((case,), _) = queries.cases(None, None)
    assert (case.public_id, case.reports) == (made.case_id, [])


def test_cases_come_in_pages(ada: User, post: Post, gift: Gift, bob: User) -> None:
    made = [service.report(bob.id, subject, "odd").case_id for subject in subjects(ada, post, gift).values()]
    seen, cursor = [], None
    while True:
        page, cursor = queries.cases(None, cursor, limit=3)
        seen += [case.public_id for case in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)


def test_flagged_entries_come_in_pages(eve: User, post: Post, bob: User) -> None:
    entries = [queries.gift_entry(give(eve, post, 100).public_id) or "" for _ in range(3)]
    for entry_id in entries:
        service.flag(entry_id, by=bob.id, reason="odd")
    first, cursor = queries.flagged(state=FlagState.OPEN, limit=2)
    rest, end = queries.flagged(state=FlagState.OPEN, cursor=cursor, limit=2)
    assert (sorted(one.entry.id for one in [*first, *rest]), end) == (sorted(entries), None)
    assert service.flag(entries[0], by=bob.id, reason="again").reason == "odd"
