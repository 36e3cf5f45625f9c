"""Posts at moments of their life, with what came afterwards: what engagement models are learnt from and compared by.

As far as the platform remembers: what was taken back is gone, and watch time is that of a view with all its visits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.rules import Visibility

MOMENTS = (1.0, 6.0, 24.0, 72.0, 168.0, 720.0)
"""Hours after a post could first be played."""

COLUMNS = (
    "post", "age_hours", "length_ms", "reputation", "views", "watch_ms", "likes", "shares", "comments",
    "later_views", "later_likes",
)  # fmt: skip

# Of everybody but the creator. Likes count later when their view does: they are parts of the later views.
_MOMENTS = sa.text("""
WITH wanted AS MATERIALIZED (
    SELECT posts.id AS post, posts.user_id AS creator, posts.duration_ms AS length_ms, hours AS age_hours,
           coalesce(playable_at, created_at) + hours * interval '1 hour' AS moment
      FROM posts CROSS JOIN unnest(CAST(:hours AS float8[])) AS hours
     WHERE posts.id = ANY(CAST(:posts AS bigint[]))
), within AS MATERIALIZED (
    SELECT * FROM wanted WHERE moment >= :since AND moment < :until
), met AS MATERIALIZED (
    SELECT posts.user_id AS creator, acted.user_id, min(acted.created_at) AS met_at
      FROM (SELECT post_id, user_id, created_at FROM likes
            UNION ALL SELECT post_id, user_id, created_at FROM shares
            UNION ALL SELECT post_id, user_id, created_at FROM comments) AS acted
      JOIN posts ON posts.id = acted.post_id AND posts.user_id <> acted.user_id
     WHERE posts.user_id IN (SELECT creator FROM within)
     GROUP BY 1, 2
), known AS (
    SELECT post, age_hours, count(*) AS people
      FROM within JOIN met ON met.creator = within.creator AND met.met_at <= within.moment
     GROUP BY 1, 2
)
SELECT within.post, within.age_hours, within.length_ms, coalesce(known.people, 0) AS reputation,
       seen.views, seen.watch_ms, liked.likes, shared.shares, said.comments, seen.later_views, seen.later_likes
  FROM within
  LEFT JOIN known ON known.post = within.post AND known.age_hours = within.age_hours
 CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE first_at <= moment) AS views,
           coalesce(sum(watch_ms) FILTER (WHERE first_at <= moment), 0)::bigint AS watch_ms,
           count(*) FILTER (WHERE first_at > moment) AS later_views,
           count(*) FILTER (WHERE first_at > moment AND likes.created_at < :until) AS later_likes
      FROM views LEFT JOIN likes ON likes.post_id = views.post_id AND likes.user_id = views.user_id
     WHERE views.post_id = within.post AND views.user_id <> creator AND first_at < :until) AS seen
 CROSS JOIN LATERAL (SELECT count(*) AS likes FROM likes
                      WHERE post_id = within.post AND user_id <> creator AND created_at <= moment) AS liked
 CROSS JOIN LATERAL (SELECT count(*) AS shares FROM shares
                      WHERE post_id = within.post AND user_id <> creator AND created_at <= moment) AS shared
 CROSS JOIN LATERAL (SELECT count(DISTINCT user_id) AS comments FROM comments
                      WHERE post_id = within.post AND user_id <> creator AND created_at <= moment) AS said
 WHERE seen.later_views > 0
 ORDER BY within.post, within.age_hours
""")


def newest(before_id: int | None, limit: int, until: datetime) -> Sequence[int]:
    """The newest public posts below an id that could be played before then, the newest first."""
    statement = sa.select(Post.id).where(
        Post.deleted_at.is_(None), Post.visibility == Visibility.PUBLIC.value, Post.playable_at < until
    )
    if before_id is not None:
        statement = statement.where(Post.id < before_id)
    return db.session.scalars(statement.order_by(Post.id.desc()).limit(limit)).all()


def moments(post_ids: Sequence[int], since: datetime, until: datetime) -> list[dict[str, Any]]:
    """These posts at those of MOMENTS that lie between `since` and `until`, with what came after each up to `until`.

    Rows of COLUMNS by post and age, only where somebody watched later; `later_likes` are of the later viewers.
    """
    rows = db.session.execute(
        _MOMENTS, {"posts": list(post_ids), "hours": list(MOMENTS), "since": since, "until": until}
    )
    return [dict(row) for row in rows.mappings()]
