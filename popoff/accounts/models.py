"""Tables of the accounts domain."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.accounts.rules import Role
from popoff.kernel import clock
from popoff.kernel.db import Base


class User(Base):
    """A person. `*_key` columns hold the folded form that must be unique (case does not tell people apart).

    `public_id` is what the creator economy's side of the API calls them: it tells nothing of how many there are.
    `name` is how they want to be called, empty for those who never said: then it is the username.
    """

    __tablename__ = "users"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    public_id: orm.Mapped[UUID] = orm.mapped_column(server_default=sa.func.gen_random_uuid(), unique=True)
    name: orm.Mapped[str] = orm.mapped_column(server_default="")
    username: orm.Mapped[str]
    username_key: orm.Mapped[str] = orm.mapped_column(unique=True)
    email: orm.Mapped[str]
    email_key: orm.Mapped[str] = orm.mapped_column(unique=True)
    password_hash: orm.Mapped[str]
    phone_number: orm.Mapped[str] = orm.mapped_column(server_default="")
    first_name: orm.Mapped[str] = orm.mapped_column(server_default="")
    last_name: orm.Mapped[str] = orm.mapped_column(server_default="")
    role: orm.Mapped[str] = orm.mapped_column(server_default=Role.CONSUMER.value)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    updated_at: orm.Mapped[datetime] = orm.mapped_column(
        server_default=sa.func.now(), default=clock.now, onupdate=clock.now
    )
    suspended_until: orm.Mapped[datetime | None]
    deletion_requested_at: orm.Mapped[datetime | None]

    __table_args__ = (
        sa.CheckConstraint(f"role IN ({', '.join(repr(role.value) for role in Role)})", name="role"),
        sa.Index("ix_users_username_prefix", "username_key", postgresql_ops={"username_key": "text_pattern_ops"}),
        sa.Index(
            "ix_users_username_trigram",
            "username_key",
            postgresql_using="gin",
            postgresql_ops={"username_key": "gin_trgm_ops"},
        ),
        sa.Index(
            "ix_users_deletion_requested_at",
            "deletion_requested_at",
            postgresql_where=sa.text("deletion_requested_at IS NOT NULL"),
        ),
    )


class Token(Base):
    """A signed-in device. Only the SHA-256 of the token is kept."""

    __tablename__ = "tokens"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: orm.Mapped[bytes] = orm.mapped_column(sa.LargeBinary, unique=True)
    device: orm.Mapped[str] = orm.mapped_column(server_default="")
    address: orm.Mapped[str] = orm.mapped_column(server_default="")
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    last_used_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    expires_at: orm.Mapped[datetime]


class LoginFailures(Base):
    """Wrong logins in a row, for one account, one address, or one of both together."""

    __tablename__ = "login_failures"

    key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    failures: orm.Mapped[int] = orm.mapped_column(sa.Integer)
    last_failed_at: orm.Mapped[datetime]
