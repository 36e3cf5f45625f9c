"""Sending posts that exist through the pipeline: imported ones, or all after the ladder has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from popoff.adapters.jobs import Job
from popoff.adapters.storage import store
from popoff.kernel.db import db
from popoff.media import queries, service
from popoff.media.models import Post
from popoff.media.rules import UNFINISHED, Stage


def unconverted(*, anew: bool) -> Sequence[int]:
    """Posts without renditions that nobody works on; with `anew` all but those that failed."""
    return db.session.scalars(
        sa.select(Post.id)
        .where(
            Post.deleted_at.is_(None),
            Post.stage != Stage.FAILED.value,
            sa.not_(_on_the_way()),
            sa.true() if anew else sa.func.jsonb_array_length(Post.renditions) == 0,
        )
        .order_by(Post.id)
    ).all()


def stuck() -> Sequence[int]:
    """Posts on their way that no job moves on: there are none, unless somebody meddled with the outbox."""
    return db.session.scalars(
        sa.select(Post.id)
        .where(
            Post.deleted_at.is_(None),
            Post.stage.in_([stage.value for stage in UNFINISHED]),
            sa.not_(_on_the_way()),
        )
        .order_by(Post.id)
    ).all()


def _on_the_way() -> sa.ColumnElement[bool]:
    """SQL: a job works on this post, or will."""
    return sa.exists().where(
        Job.name == "media.transcode",
        Job.state.in_(["ready", "running"]),
        Job.args["post_id"].as_integer() == Post.id,
    )


def convert(post_id: int, *, anew: bool) -> str | None:
    """Send a post through the pipeline; None, or why it is left alone. Raises NotFound."""
    post = queries.by_id(post_id)
    if post is None or post.deleted_at is not None:
        raise queries.not_found()
    if post.renditions and not anew:
        return "it has its renditions; --force makes them anew"
    if store().stat(post.source_key) is None:
        return f"its source {post.source_key} is not in the store; see `popoff media relink`"
    service.retry(post_id)
    return None


@dataclass(frozen=True)
class Progress:
    stage: str
    percent: int
    failure_code: str | None

    @property
    def is_over(self) -> bool:
        return self.stage not in [stage.value for stage in UNFINISHED]

    def __str__(self) -> str:
        if self.failure_code:
            return f"failed ({self.failure_code})"
        return self.stage if self.is_over else f"{self.stage} {self.percent} %"


def progress(post_ids: Iterable[int]) -> dict[int, Progress]:
    """How far these posts are, the oldest first; those that were deleted are left out."""
    rows = db.session.execute(
        sa.select(Post.id, Post.stage, Post.progress, Post.failure_code)
        .where(Post.id.in_(list(post_ids)), Post.deleted_at.is_(None))
        .order_by(Post.id)
    )
    return {row.id: Progress(row.stage, row.progress, row.failure_code) for row in rows}
