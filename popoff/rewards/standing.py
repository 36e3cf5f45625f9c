"""What stands before a gift: everything it is judged by, read in one statement, which is built once.

Gifts are what this domain does most, and at the same moment for many; each statement less is a wait less.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import rules as ledger_rules
from popoff.ledger.models import LedgerTransfer
from popoff.media import queries as media
from popoff.media.models import Post
from popoff.rewards import rules
from popoff.rewards.models import Gift, Period
from popoff.social import queries as social


@dataclass(frozen=True, slots=True)
class Standing:
    """`creator_id`: None for an unknown creator; `post_id`, `author_id`: None for a post the giver cannot see.

    `given_today` is of the day (UTC); `repeated` when the same post got a gift of theirs lately; `closed_until` is
    the end of the last period.
    """

    creator_id: int | None
    post_id: int | None
    author_id: int | None
    given_today: Minor
    repeated: bool
    closed_until: datetime | None


def _bind(name: str, kind: type[sa.types.TypeEngine[Any]] = sa.BigInteger) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=kind)


def _at(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.DateTime(timezone=True))


def _standing() -> sa.Select[Any]:
    giver = _bind("giver_id")
    reachable = sa.or_(
        sa.and_(Post.user_id == giver, Post.deleted_at.is_(None)),
        sa.and_(
            media.is_public(),
            is_visible(_at("now")),
            sa.not_(social.blocked_either_way(giver, Post.user_id)),  # type: ignore[arg-type]
        ),
    )
    post = (
        sa.select(Post.id, Post.user_id)
        .join(User, User.id == Post.user_id)
        .where(Post.public_id == _bind("content_ref", sa.Uuid), reachable)
        .subquery()
    )
    creator = orm.aliased(User)
    today = sa.select(sa.func.coalesce(sa.func.sum(Gift.amount), 0)).where(
        Gift.giver_id == giver, Gift.created_at >= _at("day_start")
    )
    lately = sa.exists().where(Gift.giver_id == giver, Gift.created_at > _at("lately"), Gift.post_id == post.c.id)
    one = sa.select(sa.literal_column("1")).subquery()
    return (
        sa.select(
            sa.select(creator.id).where(creator.public_id == _bind("creator_ref", sa.Uuid)).scalar_subquery(),
            post.c.id,
            post.c.user_id,
            today.scalar_subquery(),
            lately,
            sa.select(sa.func.max(Period.ends_at)).scalar_subquery(),
        )
        .select_from(one)
        .outerjoin(post, sa.true())
    )


_STANDING = _standing()

_EARLIER = (
    sa.select(Gift, LedgerTransfer.fingerprint)
    .join(LedgerTransfer, LedgerTransfer.id == Gift.id)
    .where(LedgerTransfer.key == sa.bindparam("key"))
)


def of(giver_id: int, creator_ref: UUID, content_ref: UUID, now: datetime) -> Standing:
    """What stands before a gift of this giver at this moment."""
    values = {
        "giver_id": giver_id,
        "creator_ref": creator_ref,
        "content_ref": content_ref,
        "now": now,
        "day_start": rules.day_start(now),
        "lately": now - rules.REPEAT_WINDOW,
    }
    creator_id, post_id, author_id, today, repeated, closed_until = db.session.execute(_STANDING, values).one()
    return Standing(creator_id, post_id, author_id, Minor(int(today)), repeated, closed_until)


def given_under(ledger_key: str, fingerprint: str) -> Gift | None:
    """The gift that was made under this key of the ledger. Raises Conflict when it was another request."""
    row = db.session.execute(_EARLIER, {"key": ledger_key}).one_or_none()
    if row is None:
        return None
    if row[1] != fingerprint:
        raise ledger_rules.key_conflict()
    return row[0]
