"""What people did and what there is to be shown, as the feed model learns it: `models_ml.ranking.frames` from the
database.

Read a batch at a time, each in a transaction of its own that the caller makes: nothing is held for long, however much
there is. As far as the platform remembers: likes that were taken back are gone, and watch time is that of all visits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.queries import is_shown

if TYPE_CHECKING:
    import pandas as pd

MOST_EVENTS = 2_000_000
"""The newest so many are learnt from,"""
WINDOW = timedelta(days=90)
"""of so long a time."""
BATCH_EVENTS, BATCH_ITEMS = 20_000, 5_000
"""Rows that a batch is meant to have."""
FIRST_SPAN, LONGEST_SPAN, SHORTEST_SPAN = timedelta(hours=1), timedelta(days=10), timedelta(minutes=1)
SEEN_AFTER = timedelta(days=1)
"""A post that was served is seen within this time, or is taken not to have been seen."""

EVENTS = {
    "user_id": "int64",
    "item_id": "int64",
    "ts": "float64",
    "watch_ms": "float64",
    "duration_ms": "float64",
    "like": "bool",
    "comment": "bool",
    "share": "bool",
    "hate": "bool",
    "position": "float64",
}
ITEMS = ("item_id", "title", "tags", "duration_ms", "author_id", "created")
EXPLORED = ("user_id", "item_id", "ts", "pool")

Transaction = Callable[[], AbstractContextManager[Any]]

# One row for a person and a post, at the first moment of all that they had to do with one another, which makes it the
# row of one window only. What came at `known` or later is left out, as if it were read then.
_EVENTS = sa.text("""
WITH met AS (
    SELECT user_id, post_id FROM views WHERE first_at >= :since AND first_at < :until
    UNION SELECT user_id, post_id FROM likes WHERE created_at >= :since AND created_at < :until
    UNION SELECT user_id, post_id FROM comments WHERE created_at >= :since AND created_at < :until
    UNION SELECT user_id, post_id FROM shares WHERE created_at >= :since AND created_at < :until
    UNION SELECT user_id, post_id FROM dismissals WHERE created_at >= :since AND created_at < :until
    UNION SELECT reporter_id, post_id FROM reports WHERE created_at >= :since AND created_at < :until
    UNION SELECT user_id, post_id FROM impressions
           WHERE served_at >= :served AND served_at < :until AND seen_at >= :since AND seen_at < :until
), told AS MATERIALIZED (
    SELECT met.user_id, met.post_id, posts.duration_ms, views.watch_ms, views.first_at, likes.created_at AS liked_at,
           shares.created_at AS shared_at, dismissals.created_at AS dismissed_at, reports.created_at AS reported_at,
           (SELECT min(created_at) FROM comments WHERE comments.user_id = met.user_id
               AND comments.post_id = met.post_id AND comments.created_at < :known) AS commented_at,
           shown.seen_at, shown.place
      FROM met
      JOIN posts ON posts.id = met.post_id AND posts.user_id <> met.user_id AND posts.playable_at IS NOT NULL
                AND posts.visibility = 'public' AND posts.deleted_at IS NULL
      LEFT JOIN views ON views.user_id = met.user_id AND views.post_id = met.post_id AND first_at < :known
      LEFT JOIN likes ON likes.user_id = met.user_id AND likes.post_id = met.post_id AND likes.created_at < :known
      LEFT JOIN shares ON shares.user_id = met.user_id AND shares.post_id = met.post_id AND shares.created_at < :known
      LEFT JOIN dismissals ON dismissals.user_id = met.user_id AND dismissals.post_id = met.post_id
                          AND dismissals.created_at < :known
      LEFT JOIN reports ON reports.reporter_id = met.user_id AND reports.post_id = met.post_id
                       AND reports.created_at < :known
      LEFT JOIN LATERAL (
            SELECT seen_at, position - (SELECT min(position) FROM impressions AS page
                                         WHERE page.page_id = impressions.page_id) AS place
              FROM impressions WHERE user_id = met.user_id AND post_id = met.post_id AND seen_at < :known
             ORDER BY seen_at LIMIT 1) AS shown ON true
)
SELECT user_id, post_id, extract(epoch FROM met_at)::float8,
       coalesce(watch_ms, CASE WHEN seen_at IS NOT NULL THEN 0 END)::float8, duration_ms::float8,
       liked_at IS NOT NULL, commented_at IS NOT NULL, shared_at IS NOT NULL,
       reported_at IS NOT NULL OR dismissed_at IS NOT NULL, place::float8
  FROM told CROSS JOIN LATERAL (
        SELECT least(first_at, liked_at, shared_at, dismissed_at, reported_at, commented_at, seen_at) AS met_at) AS one
 WHERE met_at >= :since AND met_at < :until
 ORDER BY met_at, user_id, post_id
""")

# Only places that were seen: what nobody looked at has no reward.
_EXPLORED = sa.text("""
SELECT user_id, post_id, extract(epoch FROM served_at)::float8, pool FROM impressions
 WHERE served_at >= :since AND served_at < :until AND seen_at IS NOT NULL AND cardinality(pool) > 1
 ORDER BY served_at, page_id, position
""")


def events(
    until: datetime,
    within: Transaction,
    *,
    since: datetime | None = None,
    known: datetime | None = None,
    most: int = MOST_EVENTS,
) -> pd.DataFrame:
    """The newest `most` events before `until`, none before `since` (WINDOW before it unless given), by rising time.

    `known`: what was known then, `until` unless given. Columns of EVENTS: one row for each person and post of somebody
    else's that is shown still; `position`: where it stood on the page that it was seen on, from 0.
    """
    import pandas as pd

    begin, end, span = since or until - WINDOW, until, FIRST_SPAN
    batches, number = [_typed(pd.DataFrame(columns=list(EVENTS)))], 0
    while end > begin and number < most:
        start = max(begin, end - span)
        values = {"since": start, "until": end, "known": known or until, "served": start - SEEN_AFTER}
        with within():
            rows = db.session.execute(_EVENTS, values).all()
        if rows:
            batches.append(_typed(pd.DataFrame(rows, columns=list(EVENTS))))
        number += len(rows)
        end, span = start, next_span(span, len(rows))
    return pd.concat(batches[::-1], ignore_index=True).tail(most).reset_index(drop=True)


def next_span(span: timedelta, rows: int) -> timedelta:
    """How much time the next batch spans, for as many rows as a batch is meant to have: at most four times as much."""
    wanted = span * min(4.0, BATCH_EVENTS / max(rows, 1))
    return min(max(wanted, SHORTEST_SPAN), LONGEST_SPAN)


def items(within: Transaction) -> pd.DataFrame:
    """All posts that may be shown, in the columns of ITEMS; `created` is when each could first be played."""
    import pandas as pd

    columns = (Post.id, Post.description, Post.tags, Post.duration_ms, Post.user_id, Post.playable_at)
    statement = sa.select(*columns).join(User, User.id == Post.user_id).where(is_shown(), is_visible())
    found: list[Any] = []
    last = 0
    while True:
        with within():
            rows = db.session.execute(statement.where(Post.id > last).order_by(Post.id).limit(BATCH_ITEMS)).all()
        found += [(*row[:-1], row.playable_at.timestamp()) for row in rows]
        if len(rows) < BATCH_ITEMS:
            break
        last = rows[-1].id
    frame = pd.DataFrame(found, columns=list(ITEMS))
    return frame.astype({"item_id": "int64", "duration_ms": "float64", "author_id": "int64", "created": "float64"})


def explored(since: datetime, until: datetime, within: Transaction) -> pd.DataFrame:
    """Places that explored and were seen, by rising time, in the columns of EXPLORED; `pool`: lists of post ids."""
    import pandas as pd

    with within():
        rows = db.session.execute(_EXPLORED, {"since": since, "until": until}).all()
    return pd.DataFrame(rows, columns=list(EXPLORED))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(EVENTS)
