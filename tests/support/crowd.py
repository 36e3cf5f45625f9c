"""Many people and posts at once, for tests about what many do: rows, without requests."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.kernel.db import db
from popoff.media.models import Post, Upload
from popoff.media.rules import Stage, UploadKind


def people(number: int, prefix: str = "p") -> list[int]:
    """Ids of so many people who cannot sign in."""
    names = [f"{prefix}{place}" for place in range(number)]
    rows = [
        {"username": name, "username_key": name, "email": name, "email_key": f"{name}@x.io", "password_hash": ""}
        for name in names
    ]
    found = db.session.execute(sa.insert(User).returning(User.id, sort_by_parameter_order=True), rows)
    return list(found.scalars())


def posts(
    author_id: int, captions: Sequence[str], playable: Sequence[datetime], duration_ms: int = 10_000
) -> list[int]:
    """Ids of ready posts of somebody."""
    uploads = [
        {"id": str(uuid.uuid4()), "user_id": author_id, "kind": UploadKind.SINGLE.value, "claimed": True}
        for _ in captions
    ]
    db.session.execute(sa.insert(Upload), uploads)
    rows = [
        {
            "user_id": author_id,
            "upload_id": upload["id"],
            "description": caption,
            "tags": caption.split()[:1],
            "stage": Stage.READY.value,
            "progress": 100,
            "source_key": f"users/{author_id}/{upload['id']}/source",
            "playable_at": moment,
            "duration_ms": duration_ms,
        }
        for upload, caption, moment in zip(uploads, captions, playable, strict=True)
    ]
    found = db.session.execute(sa.insert(Post).returning(Post.id, sort_by_parameter_order=True), rows)
    return list(found.scalars())
