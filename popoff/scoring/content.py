"""Posts as the creator economy lists them: rows with counters and scores, under ids that tell no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid
from popoff.kernel.paging import decode_cursor, encode_cursor
from popoff.media import queries as media
from popoff.media.models import Post
from popoff.media.rules import PostKind
from popoff.scoring import queries
from popoff.scoring.queries import StoredQuality
from popoff.social.models import PostCounters
from popoff.social.queries import blocked_either_way

_TITLE_FROM_CAPTION = 80
"""Posts of the phone app have no title: the beginning of their caption stands for it."""


def listed(
    viewer_id: int, creator: UUID | None, kind: PostKind | None, cursor: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Posts of one creator, the newest first, and where the next page begins: one's own in every stage (also when
    `creator` is None), of others what everybody may see. Raises Invalid (code `invalid_cursor`)."""
    own = sa.and_(Post.user_id == viewer_id, Post.deleted_at.is_(None))
    if creator is None:
        shown = own
    else:
        for_all = sa.and_(media.is_public(), is_visible(), sa.not_(blocked_either_way(viewer_id, Post.user_id)))
        shown = sa.and_(User.public_id == creator, sa.or_(own, for_all))
    statement = (
        sa.select(Post.id, Post.public_id)
        .join(User, User.id == Post.user_id)
        .where(shown)
        .order_by(Post.id.desc())
        .limit(limit + 1)
    )
    if kind is not None:
        statement = statement.where(Post.kind == kind.value)
    if cursor:
        statement = statement.where(Post.id < _place_of(cursor))
    found = db.session.execute(statement).all()
    more = encode_cursor([str(found[limit - 1].public_id)]) if len(found) > limit else None
    return rows([post.id for post in found[:limit]], viewer_id), more


def _place_of(cursor: str) -> int:
    """Cursors name the last post by its public id, so that no numbers can be read from them."""
    try:
        place = db.session.scalar(sa.select(Post.id).where(Post.public_id == UUID(str(decode_cursor(cursor, str)[0]))))
    except ValueError:
        place = None
    if place is None:
        raise Invalid("This cursor is not valid.", code="invalid_cursor", field="cursor")
    return place


def rows(post_ids: Sequence[int], viewer_id: int) -> list[dict[str, Any]]:
    """These posts, in this order, with their scores; one's own also with what moved their engagement most.

    Who may see them was decided before.
    """
    found = db.session.execute(
        sa.select(
            Post,
            User,
            *(sa.func.coalesce(getattr(PostCounters, name), 0).label(name) for name in queries.COUNTED),
        )
        .join(User, User.id == Post.user_id)
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .where(Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))))
    ).all()
    engagements, qualities = queries.engagements(post_ids), queries.qualities(post_ids)
    by_id = {
        row.Post.id: _row(row)
        | {
            "engagement": engagements[row.Post.id].score,
            "contentQuality": parts(qualities[row.Post.id]),
        }
        | ({"engagementReasons": engagements[row.Post.id].reasons} if row.Post.user_id == viewer_id else {})
        for row in found
    }
    return [by_id[post_id] for post_id in post_ids if post_id in by_id]


def _row(row: Any) -> dict[str, Any]:
    post, user = row.Post, row.User
    return {
        "id": str(post.public_id),
        "creatorId": str(user.public_id),
        "type": post.kind.upper(),
        "title": title(post),
        "description": post.description,
        "tags": post.tags,
        "createdAt": rfc3339(post.created_at),
        "updatedAt": rfc3339(post.updated_at),
        "likes": row.likes,
        "shares": row.shares,
        "commentCount": row.comments,
        "watchTime": row.watch_ms / 1000,
        "length": (post.duration_ms or 0) / 1000,
        "views": row.views,
        "url": post.link or (media.play_link(post.user_id, post.upload_id) if post.playable_at else ""),
        "stage": post.stage,
        "creator": {"id": str(user.public_id), "name": user.name or user.username, "username": user.username},
    }


def title(post: Post) -> str:
    """What a post is called in lists."""
    return post.title or next(iter(post.description.splitlines()), "")[:_TITLE_FROM_CAPTION]


def parts(quality: StoredQuality) -> dict[str, dict[str, Any]]:
    """The five parts as clients read them: `score` is null where nothing could be measured."""
    return {name: asdict(part) for name, part in quality.parts.items()}
