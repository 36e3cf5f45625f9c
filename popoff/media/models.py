"""Tables of the media domain."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from popoff.kernel import clock
from popoff.kernel.db import Base
from popoff.media.rules import PostKind, Stage, UploadKind, Visibility


def _one_of(column: str, values: type[PostKind | Stage | UploadKind | Visibility]) -> sa.CheckConstraint:
    names = ", ".join(repr(value.value) for value in values)
    return sa.CheckConstraint(f"{column} IN ({names})", name=column)


class Upload(Base):
    """Something a person was given links for. It becomes one post, or expires with its objects."""

    __tablename__ = "uploads"

    id: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: orm.Mapped[str]
    multipart_id: orm.Mapped[str | None]
    declared_bytes: orm.Mapped[int | None]
    claimed: orm.Mapped[bool] = orm.mapped_column(server_default=sa.false())
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())

    files: orm.Mapped[list[UploadFile]] = orm.relationship(
        back_populates="upload", cascade="all, delete-orphan", passive_deletes=True, order_by="UploadFile.key"
    )

    __table_args__ = (
        _one_of("kind", UploadKind),
        sa.Index("ix_uploads_open", "created_at", postgresql_where=sa.text("NOT claimed")),
    )


class UploadFile(Base):
    """One file of an upload: the client's label for it, and the key we chose."""

    __tablename__ = "upload_files"

    key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    upload_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("uploads.id", ondelete="CASCADE"), index=True)
    label: orm.Mapped[str]
    content_type: orm.Mapped[str]
    role: orm.Mapped[str]

    upload: orm.Mapped[Upload] = orm.relationship(back_populates="files")


class Post(Base):
    """A video somebody posted, from the moment it was accepted.

    `public_id` is what the creator economy's side of the API calls it. `link` is where a film is that is kept
    elsewhere: such a post has no files, cannot be played here, and is in no feed.
    """

    __tablename__ = "posts"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    user_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    upload_id: orm.Mapped[str] = orm.mapped_column(sa.ForeignKey("uploads.id"), unique=True)
    public_id: orm.Mapped[UUID] = orm.mapped_column(server_default=sa.func.gen_random_uuid(), unique=True)
    kind: orm.Mapped[str] = orm.mapped_column(server_default=PostKind.VIDEO.value)
    link: orm.Mapped[str | None]
    title: orm.Mapped[str] = orm.mapped_column(server_default="")
    description: orm.Mapped[str] = orm.mapped_column(server_default="")
    tags: orm.Mapped[list[str]] = orm.mapped_column(ARRAY(sa.Text), server_default="{}")
    created_at: orm.Mapped[datetime] = orm.mapped_column(server_default=sa.func.now())
    updated_at: orm.Mapped[datetime] = orm.mapped_column(
        server_default=sa.func.now(), default=clock.now, onupdate=clock.now
    )

    stage: orm.Mapped[str] = orm.mapped_column(server_default=Stage.RECEIVED.value)
    progress: orm.Mapped[int] = orm.mapped_column(sa.SmallInteger, server_default="0")
    failure_code: orm.Mapped[str | None]
    visibility: orm.Mapped[str] = orm.mapped_column(server_default=Visibility.PUBLIC.value)
    deleted_at: orm.Mapped[datetime | None]

    source_key: orm.Mapped[str]
    source_bytes: orm.Mapped[int] = orm.mapped_column(server_default="0")
    thumbnail_key: orm.Mapped[str | None]
    preview_key: orm.Mapped[str | None]
    playable_at: orm.Mapped[datetime | None]
    width: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    height: orm.Mapped[int | None] = orm.mapped_column(sa.Integer)
    duration_ms: orm.Mapped[int | None]
    renditions: orm.Mapped[list[dict[str, Any]]] = orm.mapped_column(JSONB, server_default="[]")
    source_facts: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSONB, server_default="{}")
    loudness: orm.Mapped[dict[str, Any] | None] = orm.mapped_column(JSONB)
    shuffle: orm.Mapped[float] = orm.mapped_column(sa.Double, server_default=sa.func.random())

    __table_args__ = (
        _one_of("kind", PostKind),
        _one_of("stage", Stage),
        _one_of("visibility", Visibility),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        sa.CheckConstraint("(stage = 'failed') = (failure_code IS NOT NULL)", name="failure_code"),
        sa.Index("ix_posts_of_user", "user_id", sa.desc("id")),
        sa.Index(
            "ix_posts_newest",
            sa.desc("playable_at"),
            postgresql_where=sa.text("playable_at IS NOT NULL AND visibility = 'public' AND deleted_at IS NULL"),
        ),
        sa.Index(
            "ix_posts_shuffle",
            "shuffle",
            postgresql_where=sa.text("playable_at IS NOT NULL AND visibility = 'public' AND deleted_at IS NULL"),
        ),
        sa.Index(
            "ix_posts_unfinished", "id", postgresql_where=sa.text("stage IN ('received', 'probing', 'transcoding')")
        ),
    )
