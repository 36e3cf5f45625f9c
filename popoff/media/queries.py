"""Reads of the media domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.adapters import storage
from popoff.adapters.storage import store
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.media import failures, rules
from popoff.media.models import Post, Upload, UploadFile
from popoff.media.rules import Stage, Visibility


def is_shown() -> sa.ColumnElement[bool]:
    """SQL: anybody may see this post (its author's standing and blocks are checked elsewhere)."""
    return sa.and_(Post.playable_at.is_not(None), Post.visibility == Visibility.PUBLIC.value, Post.deleted_at.is_(None))


def not_found() -> NotFound:
    return NotFound("Video not found.", code="post_not_found")


def shown(post_id: int) -> Post:
    """A post that others may see, with a visible author. Raises NotFound (code `post_not_found`)."""
    found = db.session.scalars(
        sa.select(Post).join(User, User.id == Post.user_id).where(Post.id == post_id, is_shown(), is_visible())
    ).one_or_none()
    if found is None:
        raise not_found()
    return found


def owned(user_id: int, post_id: int) -> Post:
    """A post of one's own, in any stage. Raises NotFound (code `post_not_found`)."""
    found = db.session.scalars(
        sa.select(Post).where(Post.id == post_id, Post.user_id == user_id, Post.deleted_at.is_(None))
    ).one_or_none()
    if found is None:
        raise not_found()
    return found


def by_id(post_id: int) -> Post | None:
    return db.session.get(Post, post_id)


def upload_of_key(user_id: int, key: str) -> UploadFile | None:
    """The person's own file behind a key we handed out; None for anybody else's and for invented ones."""
    return db.session.scalars(
        sa.select(UploadFile)
        .join(Upload)
        .where(UploadFile.key == key, Upload.user_id == user_id)
        .options(orm.contains_eager(UploadFile.upload).selectinload(Upload.files))
    ).one_or_none()


def upload(user_id: int, upload_id: str) -> Upload:
    """Raises NotFound (code `upload_not_found`)."""
    found = db.session.scalars(sa.select(Upload).where(Upload.id == upload_id, Upload.user_id == user_id)).one_or_none()
    if found is None:
        raise NotFound("Upload not found.", code="upload_not_found")
    return found


def open_uploads(user_id: int) -> int:
    return (
        db.session.scalar(
            sa.select(sa.func.count()).select_from(Upload).where(Upload.user_id == user_id, sa.not_(Upload.claimed))
        )
        or 0
    )


def abandoned_uploads(older_than: timedelta, limit: int = 200) -> Sequence[Upload]:
    """Uploads that never became a post."""
    return db.session.scalars(
        sa.select(Upload)
        .where(sa.not_(Upload.claimed), Upload.created_at < clock.now() - older_than)
        .order_by(Upload.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def play_link(user_id: int, upload_id: str) -> str:
    """The address of a post's master playlist, good for LINK_EXPIRY_SECONDS; the source stays private."""
    folder = rules.prefix(user_id, upload_id) + rules.HLS_FOLDER
    return storage.play_link(key=f"{folder}/{rules.MASTER_PLAYLIST}", prefix=folder)


def image_link(key: str | None) -> str:
    """The address of a picture; empty when there is none (the app shows a placeholder)."""
    return storage.play_link(key=key, prefix=key.rpartition("/")[0]) if key else ""


def status(post: Post) -> dict[str, Any]:
    """What an owner reads of a post's way to being played."""
    return {
        "id": post.id,
        "stage": post.stage,
        "progress": post.progress,
        "failure_code": post.failure_code,
        "failure": failures.sentence(post.failure_code) if post.failure_code else None,
        "playable": post.playable_at is not None,
        "visibility": post.visibility,
        "link": play_link(post.user_id, post.upload_id) if post.playable_at else "",
        "thumbnail_link": image_link(post.thumbnail_key),
        "preview_link": image_link(post.preview_key),
        "width": post.width,
        "height": post.height,
        "duration": post.duration_ms,
        "renditions": post.renditions,
        "description": post.description,
        "tags": post.tags,
        "created_at": rfc3339(post.created_at),
    }


def of_owner(user_id: int, limit: int = 200) -> Sequence[Post]:
    """A person's own posts in every stage, newest first."""
    return db.session.scalars(
        sa.select(Post).where(Post.user_id == user_id, Post.deleted_at.is_(None)).order_by(Post.id.desc()).limit(limit)
    ).all()


def export(user_id: int) -> list[dict[str, Any]]:
    """Everything this domain holds of a person."""
    return [
        {
            "id": post.id,
            "description": post.description,
            "tags": post.tags,
            "created_at": rfc3339(post.created_at),
            "stage": post.stage,
            "visibility": post.visibility,
            "duration": post.duration_ms,
            "source": store().sign_get(post.source_key, expires_seconds=86_400, download_name=f"post-{post.id}"),
        }
        for post in of_owner(user_id, limit=100_000)
    ]


def stuck(since: datetime) -> Sequence[Post]:
    """Posts that have been on their way since before `since`."""
    return db.session.scalars(
        sa.select(Post)
        .where(
            Post.stage.in_([Stage.RECEIVED.value, Stage.PROBING.value, Stage.TRANSCODING.value]),
            Post.created_at < since,
            Post.deleted_at.is_(None),
        )
        .order_by(Post.id)
    ).all()


def failed_by_us() -> Sequence[int]:
    """Posts that failed for want of something on our side, not for what they are."""
    return db.session.scalars(
        sa.select(Post.id).where(
            Post.stage == Stage.FAILED.value,
            Post.failure_code.in_([code for code in failures.FailureCode if code.worth_retrying]),
            Post.deleted_at.is_(None),
        )
    ).all()
