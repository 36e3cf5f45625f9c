"""Tables of the social domain: what people do with posts and with one another.

Each fact is a row under a unique key; counters are changed in the statement's own transaction, and only
when the row really came or went, so they are exact under any interleaving.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.kernel.db import Base


def _user(**options: bool) -> orm.Mapped[int]:
    return orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), **options)  # type: ignore[arg-type]


def _post(**options: bool) -> orm.Mapped[int]:
    return orm.mapped_column(sa.ForeignKey("posts.id", ondelete="CASCADE"), **options)  # type: ignore[arg-type]


class Follow(Base):
    __tablename__ = "follows"

    follower_id: orm.Mapped[int] = _user(primary_key=True)
    followee_id: orm.Mapped[int] = _user(primary_key=True, index=True)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.CheckConstraint("follower_id <> followee_id", name="not_oneself"),)


class Block(Base):
    __tablename__ = "blocks"

    blocker_id: orm.Mapped[int] = _user(primary_key=True)
    blocked_id: orm.Mapped[int] = _user(primary_key=True, index=True)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.CheckConstraint("blocker_id <> blocked_id", name="not_oneself"),)


class Like(Base):
    __tablename__ = "likes"

    post_id: orm.Mapped[int] = _post(primary_key=True)
    user_id: orm.Mapped[int] = _user(primary_key=True, index=True)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.Index("ix_likes_recent", "created_at", postgresql_using="brin"),)


class Share(Base):
    __tablename__ = "shares"

    post_id: orm.Mapped[int] = _post(primary_key=True)
    user_id: orm.Mapped[int] = _user(primary_key=True, index=True)
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (sa.Index("ix_shares_recent", "created_at", postgresql_using="brin"),)


class Comment(Base):
    __tablename__ = "comments"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    post_id: orm.Mapped[int] = _post()
    user_id: orm.Mapped[int] = _user(index=True)
    text: orm.Mapped[str]
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    __table_args__ = (
        sa.Index("ix_comments_of_post", "post_id", sa.desc("id")),
        sa.Index("ix_comments_recent", "created_at", postgresql_using="brin"),
    )


class View(Base):
    """One person's watching of one post, added up over all their visits."""

    __tablename__ = "views"

    user_id: orm.Mapped[int] = _user(primary_key=True)
    post_id: orm.Mapped[int] = _post(primary_key=True, index=True)
    watch_ms: orm.Mapped[int]
    commented: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    viewed_comments: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    first_at: orm.Mapped[datetime]
    last_at: orm.Mapped[datetime]

    __table_args__ = (
        sa.CheckConstraint("watch_ms >= 0", name="watch_ms"),
        sa.Index("ix_views_recent", "first_at", postgresql_using="brin"),
    )


class PostCounters(Base):
    """Sums over the rows above; the repair job proves it."""

    __tablename__ = "post_counters"

    post_id: orm.Mapped[int] = _post(primary_key=True)
    likes: orm.Mapped[int] = orm.mapped_column(server_default="0")
    comments: orm.Mapped[int] = orm.mapped_column(server_default="0")
    shares: orm.Mapped[int] = orm.mapped_column(server_default="0")
    views: orm.Mapped[int] = orm.mapped_column(server_default="0")
    watch_ms: orm.Mapped[int] = orm.mapped_column(server_default="0")

    __table_args__ = (sa.CheckConstraint("least(likes, comments, shares, views, watch_ms) >= 0", name="not_negative"),)


class AccountCounters(Base):
    __tablename__ = "account_counters"

    user_id: orm.Mapped[int] = _user(primary_key=True)
    followers: orm.Mapped[int] = orm.mapped_column(server_default="0")
    following: orm.Mapped[int] = orm.mapped_column(server_default="0")

    __table_args__ = (sa.CheckConstraint("least(followers, following) >= 0", name="not_negative"),)
