"""Posts for tests that are not about the pipeline: playable rows without going through ffmpeg."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import numpy as np

from popoff.accounts import queries as accounts
from popoff.adapters.insight import PostText, insight
from popoff.feed import service as feed
from popoff.feed.categories import categorise
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post, Upload
from popoff.media.rules import Stage, UploadKind


def make_post(
    username: str,
    description: str = "",
    tags: str = "",
    *,
    age: timedelta = timedelta(hours=1),
    duration_ms: int = 10_000,
    indexed: bool = True,
) -> int:
    """The id of a ready post of `username`, `age` old, known to the feed unless `indexed` is False."""
    user = accounts.by_login(username)
    assert user is not None, f"{username} is not registered"
    moment: datetime = clock.now() - age
    upload = Upload(
        id=str(uuid.uuid4()), user_id=user.id, kind=UploadKind.SINGLE.value, claimed=True, created_at=moment
    )
    db.session.add(upload)
    db.session.flush()
    post = Post(
        user_id=user.id,
        upload_id=upload.id,
        description=description,
        tags=[tag for tag in tags.split(",") if tag],
        stage=Stage.READY.value,
        progress=100,
        source_key=f"users/{user.id}/{upload.id}/source",
        source_bytes=1000,
        created_at=moment,
        playable_at=moment,
        duration_ms=duration_ms,
        width=540,
        height=960,
    )
    db.session.add(post)
    db.session.flush()
    if indexed:
        vector = insight().embed_posts([PostText(description, tuple(post.tags))])[0]
        feed.index_post(
            post.id, vector if np.any(vector) else None, categorise(description, post.tags), insight().model
        )
    db.session.commit()  # a request that is refused rolls back what was not committed before it
    return post.id
