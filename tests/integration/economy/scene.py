"""A small world in which every route has something to be about: a gift, a settled period, a payout, flags, a case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.audit import service as audit
from popoff.audit.models import EntryRow
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.rewards import periods
from tests.support.economy import Member
from tests.support.staff import Cast, cast

IBAN = "DE89370400440532013000"


@dataclass
class Scene:
    people: Cast
    gift: str
    log: str
    statement: str = ""
    payout: str = ""
    flag: str = ""
    case: str = ""

    def member(self, role: str) -> Member:
        member: Member = getattr(self.people, role)
        return member

    def path(self, template: str) -> str:
        """`template` with ids in it."""
        ids = {name: member.id for name, member in vars(self.people).items() if isinstance(member, Member)}
        return "/api" + template.format(content=self.people.content_id, **ids, **vars(self))


def settled(client: FlaskClient, cents: int = 100_000) -> Scene:
    """A gift of `cents`, in a period that was closed: the creator has their part of it in their wallet."""
    people = cast(client)
    with clock.at(clock.now() - timedelta(hours=1)):
        given = people.give(cents / 100)
        assert given.status_code == 201, given.text
    scene = Scene(people, given.json["id"], entry_of(given.json["id"]))
    close_period()
    scene.statement = people.creator.get("/api/reward/statements").json[0]["id"]
    audit.chain_committed()
    audit.checkpoint()
    db.session.commit()
    return scene


def close_period() -> None:
    now = clock.now()
    period = periods.close(now - timedelta(days=1), now, by=None, ad_pool=None, creator_fund=None)
    while periods.advance(period.id):
        pass
    db.session.commit()


def entry_of(gift_id: str) -> str:
    """The entry of the audit log about a gift."""
    return db.session.scalars(
        sa.select(EntryRow.public_id).where(EntryRow.subject == gift_id, EntryRow.action == "send_gift")
    ).one()


def whole(client: FlaskClient) -> Scene:
    """All that there can be."""
    scene = settled(client)
    people = scene.people
    scene.payout = ask_for_payout(scene)
    flagged = people.finance.post(f"/api/audit/{scene.log}/flag", json={"reason": "odd"})
    scene.flag = flagged.json["id"]
    scene.case = people.other.post("/api/fraud", json={"subject": people.creator.id, "reason": "odd"}).json["caseId"]
    return scene


def ask_for_payout(scene: Scene, amount: float = 100) -> str:
    """The id of a new payout of the creator's."""
    person = scene.people.creator
    account = person.put("/api/payout/account", json={"holder": "Cleo Creator", "iban": IBAN})
    assert account.status_code == 200, account.text
    asked = person.post("/api/payout", json={"amount": amount})
    assert asked.status_code == 201, asked.text
    return str(asked.json["id"])
