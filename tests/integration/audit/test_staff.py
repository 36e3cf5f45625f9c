"""What staff do leaves a trace: roles, sign-ins, decisions."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.accounts import service as accounts
from popoff.accounts.rules import Role
from popoff.audit.models import EntryRow
from popoff.audit.service import pseudonym
from popoff.kernel.db import db
from popoff.moderation import service as moderation
from popoff.moderation.models import Case
from popoff.moderation.rules import CaseState
from tests.support.people import PASSWORD
from tests.support.rewards import person, post_of


def last() -> EntryRow | None:
    return db.session.scalars(sa.select(EntryRow).order_by(EntryRow.id.desc()).limit(1)).one_or_none()


def test_another_role_is_an_entry_and_the_same_is_none(session: sa.orm.Session) -> None:
    ada = person("ada")
    accounts.set_role("ada", Role.CONSUMER)
    assert last() is None
    accounts.set_role("ada", Role.FINANCE, by=17)
    entry = last()
    assert entry is not None
    assert (entry.action, entry.actor) == ("accounts.role_changed", pseudonym(17))
    assert entry.data == {"before": "consumer", "person": pseudonym(ada.id), "role": "finance"}


def test_somebody_who_begins_as_staff_is_an_entry(session: sa.orm.Session) -> None:
    person("ada", role=Role.CREATOR)
    assert last() is None
    person("pat", role=Role.ADMIN)
    entry = last()
    assert entry is not None and entry.data["role"] == "admin"


@pytest.mark.parametrize("role", Role)
def test_staff_sign_in_with_a_trace_and_others_without(client: FlaskClient, role: Role) -> None:
    ada = person("ada")
    accounts.set_role("ada", role)
    before = last()
    client.post("/api/auth/login", data={"username": "ada", "password": PASSWORD})
    entry = last()
    if role in (Role.CONSUMER, Role.CREATOR):
        assert entry is before
    else:
        assert entry is not None
        assert (entry.action, entry.actor) == ("accounts.staff_signed_in", pseudonym(ada.id))


def test_a_decided_case_is_an_entry(session: sa.orm.Session) -> None:
    post = post_of(person("ada"))
    moderation.report_post(person("eve").id, post.id, "rude")
    case = db.session.scalars(sa.select(Case)).one()
    moderation.decide(case.id, CaseState.DISMISSED, "it is not")
    entry = last()
    assert entry is not None
    assert (entry.action, entry.subject) == ("moderation.case_decided", f"case:{case.id}")
