"""Reads of the accounts domain."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from popoff.accounts.models import Token, User
from popoff.accounts.rules import email_key, username_key
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.paging import decode_cursor, encode_cursor


def is_visible(now: datetime | sa.ColumnElement[datetime] | None = None) -> sa.ColumnElement[bool]:
    """SQL: this person is shown to others (not suspended, not on the way out)."""
    now = clock.now() if now is None else now
    return sa.and_(
        User.deletion_requested_at.is_(None),
        sa.or_(User.suspended_until.is_(None), User.suspended_until <= now),
    )


def by_login(name: str) -> User | None:
    """The person who signs in as `name`: a username, or an email address."""
    return db.session.execute(
        sa.select(User).where(sa.or_(User.username_key == username_key(name), User.email_key == email_key(name)))
    ).scalar_one_or_none()


def user_not_found() -> NotFound:
    return NotFound("User not found.", code="user_not_found")


def by_public_id(public_id: UUID) -> User | None:
    return db.session.scalars(sa.select(User).where(User.public_id == public_id)).one_or_none()


def id_of(public_id: UUID) -> int | None:
    """The number of a person, remembered: it never changes. Whether they are still here is another question."""
    try:
        return _id_of(public_id)
    except LookupError:
        return None


@functools.lru_cache(maxsize=65_536)
def _id_of(public_id: UUID) -> int:
    """Raises LookupError, which is not remembered: they may sign up next."""
    user_id = db.session.scalar(sa.select(User.id).where(User.public_id == public_id))
    if user_id is None:
        raise LookupError
    return user_id


def by_ids(user_ids: Iterable[int]) -> dict[int, User]:
    """The people with these numbers, as far as they are still here."""
    users = db.session.scalars(
        sa.select(User).where(User.id == sa.any_(sa.cast(list(user_ids), sa.ARRAY(sa.BigInteger))))
    )
    return {user.id: user for user in users}


def page(cursor: str | None, limit: int) -> tuple[Sequence[User], str | None]:
    """Everybody, the newest first, and where the next page begins. Raises Invalid (code `invalid_cursor`)."""
    statement = sa.select(User).order_by(User.id.desc()).limit(limit + 1)
    if cursor:
        statement = statement.where(User.id < decode_cursor(cursor, int)[0])
    users = db.session.scalars(statement).all()
    return users[:limit], encode_cursor([users[limit - 1].id]) if len(users) > limit else None


def visible_by_username(username: str) -> User:
    """Raises NotFound (code `user_not_found`)."""
    found = db.session.execute(
        sa.select(User).where(User.username_key == username_key(username), is_visible())
    ).scalar_one_or_none()
    if found is None:
        raise user_not_found()
    return found


def was_signed_in_from(user_id: int, address: str) -> bool:
    """Whether a device that is, or lately was, signed in has this network address."""
    return bool(db.session.scalar(sa.select(sa.exists().where(Token.user_id == user_id, Token.address == address))))


def devices(user_id: int) -> list[dict[str, Any]]:
    """Signed-in devices, the latest used first."""
    tokens = db.session.scalars(
        sa.select(Token)
        .where(Token.user_id == user_id, Token.expires_at > clock.now())
        .order_by(Token.last_used_at.desc(), Token.id.desc())
    )
    return [
        {
            "id": token.id,
            "device": token.device,
            "address": token.address,
            "created_at": rfc3339(token.created_at),
            "last_used_at": rfc3339(token.last_used_at),
            "expires_at": rfc3339(token.expires_at),
        }
        for token in tokens
    ]


def export(user_id: int) -> dict[str, Any]:
    """Everything this domain holds of a person, without secrets."""
    user = db.session.get_one(User, user_id)
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "phone_number": user.phone_number,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "role": user.role,
        "created_at": rfc3339(user.created_at),
        "suspended_until": rfc3339(user.suspended_until) if user.suspended_until else None,
        "devices": devices(user_id),
    }


def due_for_deletion(before: datetime, limit: int = 100) -> Sequence[int]:
    """Ids of people whose deletion was asked for before `before`."""
    return db.session.scalars(
        sa.select(User.id).where(User.deletion_requested_at < before).order_by(User.deletion_requested_at).limit(limit)
    ).all()
