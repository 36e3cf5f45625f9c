"""Reads of the media domain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from popoff.adapters import storage
from popoff.adapters.storage import store
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.paging import decode_cursor, encode_cursor
from popoff.media import failures, rules
from popoff.media.models import Post, Upload, UploadFile
from popoff.media.rules import UNFINISHED, Stage, Visibility

OWN_POSTS = 50
"""Posts on one page of a person's own list."""

DAY = 86_400


def is_shown() -> sa.ColumnElement[bool]:
    """SQL: anybody may see this post (its author's standing and blocks are checked elsewhere)."""
    return sa.and_(Post.playable_at.is_not(None), Post.visibility == Visibility.PUBLIC.value, Post.deleted_at.is_(None))


def not_found() -> NotFound:
    return NotFound("Video not found.", code="post_not_found")


def owned(user_id: int, post_id: int) -> Post:
    """A post of one's own, in any stage. Raises NotFound (code `post_not_found`)."""
    found = db.session.scalars(
        sa.select(Post).where(Post.id == post_id, Post.user_id == user_id, Post.deleted_at.is_(None))
    ).one_or_none()
    if found is None:
        raise not_found()
    return found


def is_public() -> sa.ColumnElement[bool]:
    """SQL: anybody may know of this post: one that is shown here, or a film that is kept elsewhere."""
    by_link = sa.and_(Post.link.is_not(None), Post.visibility == Visibility.PUBLIC.value, Post.deleted_at.is_(None))
    return sa.or_(is_shown(), by_link)


def by_id(post_id: int) -> Post | None:
    """A post as it is now, deleted or not."""
    return db.session.get(Post, post_id, populate_existing=True)


def of_upload(upload_id: str) -> Post | None:
    """The post an upload became."""
    return db.session.scalars(sa.select(Post).where(Post.upload_id == upload_id)).one_or_none()


def upload(user_id: int, upload_id: str, *, lock: bool = False) -> Upload:
    """An upload of one's own; with `lock` nobody else changes it until this transaction ends.

    Raises NotFound (code `upload_not_found`).
    """
    statement = sa.select(Upload).where(Upload.id == upload_id, Upload.user_id == user_id)
    found = db.session.scalars(_locked(statement) if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Upload not found.", code="upload_not_found")
    return found


def lock_upload_of_key(user_id: int, key: str) -> Upload | None:
    """The person's own upload behind a key we handed out, locked; None for anybody else's and for invented ones."""
    of_key = sa.select(UploadFile.upload_id).where(UploadFile.key == key).scalar_subquery()
    return db.session.scalars(
        _locked(sa.select(Upload).where(Upload.id == of_key, Upload.user_id == user_id))
    ).one_or_none()


def _locked(statement: sa.Select[Upload]) -> sa.Select[Upload]:
    return statement.with_for_update().execution_options(populate_existing=True)


def open_uploads(user_id: int) -> int:
    return (
        db.session.scalar(
            sa.select(sa.func.count()).select_from(Upload).where(Upload.user_id == user_id, sa.not_(Upload.claimed))
        )
        or 0
    )


def lock_abandoned_upload(older_than: timedelta) -> Upload | None:
    """An upload that never became a post, locked; None when none is left (that nobody else has locked)."""
    return db.session.scalars(
        sa.select(Upload)
        .where(sa.not_(Upload.claimed), Upload.created_at < clock.now() - older_than)
        .order_by(Upload.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def unsettled_uploads(user_id: int, since: datetime) -> Sequence[str]:
    """Uploads of a person under which something may still arrive: begun after `since`, or in the pipeline."""
    unfinished = sa.exists().where(Post.upload_id == Upload.id, Post.stage.in_([stage.value for stage in UNFINISHED]))
    return db.session.scalars(
        sa.select(Upload.id).where(Upload.user_id == user_id, sa.or_(Upload.created_at > since, unfinished))
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


def of_owner(user_id: int, cursor: str | None = None, limit: int = OWN_POSTS) -> dict[str, Any]:
    """A person's own posts in every stage, the newest first. Raises Invalid (code `invalid_cursor`)."""
    statement = _posts_of(user_id).limit(limit + 1)
    if cursor:
        statement = statement.where(Post.id < decode_cursor(cursor, int)[0])
    posts = db.session.scalars(statement).all()
    return {
        "posts": [status(post) for post in posts[:limit]],
        "next_cursor": encode_cursor([posts[limit - 1].id]) if len(posts) > limit else None,
    }


def _posts_of(user_id: int) -> sa.Select[Post]:
    return sa.select(Post).where(Post.user_id == user_id, Post.deleted_at.is_(None)).order_by(Post.id.desc())


def export(user_id: int) -> list[dict[str, Any]]:
    """Everything this domain holds of a person, with links to the files they uploaded, good for a day."""
    files: dict[str, list[UploadFile]] = {}
    for file in db.session.scalars(sa.select(UploadFile).join(Upload).where(Upload.user_id == user_id)):
        files.setdefault(file.upload_id, []).append(file)
    return [
        {
            "id": post.id,
            "description": post.description,
            "tags": post.tags,
            "created_at": rfc3339(post.created_at),
            "stage": post.stage,
            "visibility": post.visibility,
            "duration": post.duration_ms,
            "files": [
                {"name": file.label, "link": store().sign_get(file.key, expires_seconds=DAY, download_name=file.label)}
                for file in files.get(post.upload_id, ())
            ],
        }
        for post in db.session.scalars(_posts_of(user_id))
    ]


def failed_by_us() -> Sequence[int]:
    """Posts that failed for want of something on our side, not for what they are."""
    return db.session.scalars(
        sa.select(Post.id).where(
            Post.stage == Stage.FAILED.value,
            Post.failure_code.in_([code for code in failures.FailureCode if code.worth_retrying]),
            Post.deleted_at.is_(None),
        )
    ).all()
