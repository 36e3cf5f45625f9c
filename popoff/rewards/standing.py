"""What stands before a gift: everything it is judged by, read in one statement, which is built once.

Gifts are what this domain does most, and at the same moment for many; each statement less is a wait less. So a gift is
judged, at first, within the statement that makes it (`premise`), which says yes or no. What is read by `of` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.kernel.db import driver_sql, execute_sql
from popoff.kernel.money import Minor
from popoff.ledger import rules as ledger_rules
from popoff.ledger.models import LedgerAccount, LedgerTransfer
from popoff.ledger.rules import Kind
from popoff.media import queries as media
from popoff.media.models import Post
from popoff.rewards import rules
from popoff.rewards.models import Gift
from popoff.social import queries as social

BARRIER = 3
"""Space of an advisory lock, a door: whoever gives shares it, closing a period has it alone."""


class Given(NamedTuple):
    """A gift that was made: the columns of its row."""

    id: int
    public_id: str
    giver_id: int
    creator_id: int
    post_id: int
    amount: Minor
    repeated: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """`creator_id`: None for an unknown creator; `post_id`, `author_id`: None for a post the giver cannot see.

    `given_today` is of the day (UTC).
    """

    creator_id: int | None
    post_id: int | None
    author_id: int | None
    given_today: Minor


def _bind(name: str, kind: type[sa.types.TypeEngine[Any]] = sa.BigInteger) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=kind)


def _at(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=sa.DateTime(timezone=True))


def _standing() -> sa.Select[Any]:
    giver, nothing = _bind("giver_id"), sa.literal_column("0", sa.BigInteger)
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
    today = sa.select(sa.func.coalesce(sa.func.sum(Gift.amount), nothing)).where(
        Gift.giver_id == giver, Gift.created_at >= _at("day_start")
    )
    lately = sa.exists().where(Gift.giver_id == giver, Gift.created_at > _at("lately"), Gift.post_id == post.c.id)
    wallet = sa.select(LedgerAccount.entries).where(
        LedgerAccount.kind == sa.literal_column(f"'{Kind.WALLET}'"), LedgerAccount.owner_id == giver
    )
    one = sa.select(sa.literal_column("1")).subquery()
    return (
        sa.select(
            giver.label("giver_id"),
            sa.select(creator.id)
            .where(creator.public_id == _bind("creator_ref", sa.Uuid))
            .scalar_subquery()
            .label("creator_id"),
            post.c.id.label("post_id"),
            post.c.user_id.label("author_id"),
            today.scalar_subquery().label("given_today"),
            lately.label("repeated"),
            sa.func.coalesce(wallet.scalar_subquery(), nothing).label("wallet_entries"),
            sa.func.pg_advisory_xact_lock_shared(sa.literal_column(str(BARRIER)), nothing).label("door"),
        )
        .select_from(one)
        .outerjoin(post, sa.true())
    )


_STANDING, _CONSTANTS = driver_sql(_standing())

# Yes, or no row: the same as `rules` say of what `of` reads.
_PREMISE = f"""standing AS MATERIALIZED ({_STANDING}), premise AS MATERIALIZED (
    SELECT wallet_entries AS seen FROM standing
     WHERE creator_id = author_id AND creator_id = %(creator_id)s::bigint AND creator_id <> giver_id
       AND given_today + %(amount)s::bigint <= %(limit)s::bigint
)"""  # noqa: S608 - made of our own constants

_EARLIER, _ = driver_sql(
    sa.select(*(getattr(Gift, name) for name in Given._fields), LedgerTransfer.fingerprint)
    .join(LedgerTransfer, LedgerTransfer.id == Gift.id)
    .where(LedgerTransfer.key == sa.bindparam("key"))
)


def of(giver_id: int, creator_ref: UUID, content_ref: UUID, now: datetime) -> Standing:
    """What stands before a gift of this giver at this moment. From here on no period is closed until it is given."""
    row = execute_sql(_STANDING, _values(giver_id, creator_ref, content_ref, now)).one()
    return Standing(row.creator_id, row.post_id, row.author_id, Minor(int(row.given_today)))


def premise(
    giver_id: int, creator_id: int, creator_ref: UUID, content_ref: UUID, now: datetime, limit: Minor
) -> tuple[str, dict[str, Any]]:
    """The premise of a gift, for `ledger.Joint`: SQL, and its values. `creator_id` is whom we take `creator_ref` for.

    Beside it is `standing`, with the columns `giver_id`, `creator_id`, `post_id` and `repeated`: whether the same post
    got a gift of theirs lately. Every gift of theirs adds an entry to their wallet, so while there are no more, all of
    this stands.
    """
    return _PREMISE, {**_values(giver_id, creator_ref, content_ref, now), "creator_id": creator_id, "limit": limit}


def _values(giver_id: int, creator_ref: UUID, content_ref: UUID, now: datetime) -> dict[str, Any]:
    return {
        **_CONSTANTS,
        "giver_id": giver_id,
        "creator_ref": creator_ref,
        "content_ref": content_ref,
        "now": now,
        "day_start": rules.day_start(now),
        "lately": now - rules.REPEAT_WINDOW,
    }


def given_under(ledger_key: str, fingerprint: str) -> Given | None:
    """The gift that was made under this key of the ledger. Raises Conflict when it was another request."""
    row = execute_sql(_EARLIER, {"key": ledger_key}).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise ledger_rules.key_conflict()
    return Given._make(row[:-1])
