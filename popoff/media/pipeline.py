"""What the transcoding pipeline notes on its post.

Every note raises NotWanted once the post was deleted, or was finished by another run: the work can stop.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.rules import UNFINISHED, Stage


class NotWanted(Exception):
    """Nobody waits for what this run makes."""


def note_progress(post_id: int, stage: Stage, percent: int) -> None:
    """How far it is; a run that begins again does not set the percentage back."""
    _note(post_id, stage=stage.value, progress=sa.func.greatest(Post.progress, min(max(percent, 0), 99)))


def note_facts(post_id: int, facts: dict[str, Any], *, width: int, height: int, duration_ms: int) -> None:
    """What the probe measured of the source; sizes in pixels as shown."""
    _note(post_id, source_facts=facts, width=width, height=height, duration_ms=duration_ms)


def note_pictures(post_id: int, *, thumbnail_key: str, preview_key: str) -> None:
    _note(post_id, thumbnail_key=thumbnail_key, preview_key=preview_key)


def note_renditions(
    post_id: int, renditions: list[dict[str, Any]], *, duration_ms: int, loudness: dict[str, Any] | None
) -> None:
    """The renditions that are up. With the first of them the post can be played and recommended."""
    _note(
        post_id,
        renditions=renditions,
        duration_ms=duration_ms,
        loudness=loudness,
        playable_at=sa.func.coalesce(Post.playable_at, clock.now()),
    )


def note_ready(post_id: int) -> None:
    """All of it is up; what the post is about, and how good it is, is worked out next."""
    _note(post_id, stage=Stage.READY.value, progress=100)
    jobs.stage("media.insight", unique_key=f"insight:{post_id}", post_id=post_id)
    jobs.stage("scoring.rescore", unique_key=f"score:{post_id}", post_id=post_id)


def note_failed(post_id: int, code: str) -> None:
    """The source cannot be made into a post; its owner reads the code. Nothing half-made is shown."""
    _note(post_id, stage=Stage.FAILED.value, failure_code=code, playable_at=None, renditions=[])


def _note(post_id: int, **values: Any) -> None:
    found = db.session.scalar(
        sa.update(Post)
        .where(Post.id == post_id, Post.deleted_at.is_(None), Post.stage.in_([stage.value for stage in UNFINISHED]))
        .values(**values)
        .returning(Post.id)
    )
    if found is None:
        raise NotWanted
