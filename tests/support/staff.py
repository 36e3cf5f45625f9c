"""A giver, a creator with a post, and staff: the cast of tests about money at the edge."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.accounts.models import User
from popoff.kernel.db import db
from tests.support import ledger
from tests.support.economy import Member, join, post_link


@dataclass
class Cast:
    giver: Member
    creator: Member
    other: Member
    moderator: Member
    finance: Member
    admin: Member
    content_id: str

    def give(self, amount: object = 12.5, **more: object):  # type: ignore[no-untyped-def]
        """A gift of the giver's for the creator's post; `more` are headers."""
        body = {"creatorId": self.creator.id, "contentId": self.content_id, "amount": amount}
        return self.giver.post("/api/gift", json=body, headers={str(k): str(v) for k, v in more.items()})


def cast(client: FlaskClient, money: int = 500_000) -> Cast:
    """Everybody, with so much in the giver's wallet."""
    creator = join(client, role="CREATOR")
    people = Cast(
        giver=join(client),
        creator=creator,
        other=join(client),
        moderator=join(client, role="MODERATOR"),
        finance=join(client, role="FINANCE"),
        admin=join(client, role="ADMIN"),
        content_id=post_link(creator)["id"],
    )
    if money:
        ledger.grant(number_of(people.giver), money)
    db.session.commit()
    return people


def number_of(member: Member) -> int:
    return db.session.scalars(sa.select(User.id).where(User.public_id == member.id)).one()
