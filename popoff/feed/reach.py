"""Where the audience of a post came from, what came of it, and what limits it: read by who made it, and by staff."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.accounts.rules import is_suspended
from popoff.adapters.insight import insight
from popoff.feed import rules
from popoff.feed.limits import Audience, State, limits
from popoff.feed.models import Impression, ImpressionTally, OwedPost, PostVector
from popoff.feed.rules import Kind
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import queries as media
from popoff.media.models import Post
from popoff.media.rules import Stage, Visibility
from popoff.social.models import PostCounters, View


def reach(viewer_id: int, post_id: int, *, staff: bool) -> dict[str, Any]:
    """For the author of a post, and for `staff`. Raises NotFound (code `post_not_found`) for everybody else."""
    post = media.by_id(post_id) if staff else media.owned(viewer_id, post_id)
    if post is None or post.deleted_at is not None:
        raise media.not_found()
    sources = _impressions(post_id)
    seen = sum(source["seen"] for source in sources)
    audience = _first_audience(post_id, seen)
    return {
        "video_id": post_id,
        "served": sum(source["served"] for source in sources),
        "seen": seen,
        "sources": sources,
        "people": _people(post_id),
        **_outcome(post),
        "first_audience": asdict(audience),
        "limits": [asdict(limit) for limit in limits(_state(post), audience)],
    }


def _first_audience(post_id: int, seen: int) -> Audience:
    """As long as it is owed everybody counts once, as in `service.release_promises`; then all was given that was."""
    owed = db.session.get(OwedPost, post_id) is not None
    people = sa.select(sa.func.count(sa.distinct(Impression.user_id)))
    had = people.where(Impression.post_id == post_id, Impression.seen_at.is_not(None))
    given = db.session.scalar(had) or 0 if owed else seen
    return Audience(rules.PROMISED, min(given, rules.PROMISED), owed)


def _impressions(post_id: int) -> list[dict[str, Any]]:
    """By source, the largest first; those that are still kept one by one, and those that are numbers by now."""
    kept = sa.select(
        Impression.source, sa.func.count().label("served"), sa.func.count(Impression.seen_at).label("seen")
    ).where(Impression.post_id == post_id)
    tallied = sa.select(ImpressionTally.source, ImpressionTally.served, ImpressionTally.seen)
    both = kept.group_by(Impression.source).union_all(tallied.where(ImpressionTally.post_id == post_id)).subquery()
    served, seen = sa.func.sum(both.c.served), sa.func.sum(both.c.seen)
    rows = db.session.execute(
        sa.select(both.c.source, served.label("served"), seen.label("seen"))
        .group_by(both.c.source)
        .order_by(served.desc(), both.c.source)
    )
    return [
        {
            "source": row.source,
            "sentence": _SOURCES[Kind(row.source)],
            "served": int(row.served),
            "seen": int(row.seen),
        }
        for row in rows
    ]


_SOURCES = {
    Kind.INTEREST: "It fits what people like.",
    Kind.WATCHED: "It is like something that people watched.",
    Kind.FOLLOWING: "People follow you.",
    Kind.POPULAR: "It does well just now.",
    Kind.FRESH: "It is new.",
    Kind.EXPLORE: "People are shown something different now and then.",
}


def _people(post_id: int) -> int:
    """Different people who had it before their eyes, in the feed or anywhere else."""
    met = sa.union(
        sa.select(Impression.user_id).where(Impression.post_id == post_id, Impression.seen_at.is_not(None)),
        sa.select(View.user_id).where(View.post_id == post_id),
    ).subquery()
    return db.session.scalar(sa.select(sa.func.count()).select_from(met)) or 0


def _outcome(post: Post) -> dict[str, Any]:
    counters = db.session.get(PostCounters, post.id)
    length = sa.cast(sa.func.nullif(post.duration_ms, 0), sa.Double)
    watched = sa.select(sa.func.avg(sa.func.least(1.0, View.watch_ms / length))).where(View.post_id == post.id)
    share = db.session.scalar(watched)
    return {
        "views": counters.views if counters else 0,
        "watched": None if share is None else round(float(share), 3),
        "likes": counters.likes if counters else 0,
        "comments": counters.comments if counters else 0,
        "shares": counters.shares if counters else 0,
    }


def _state(post: Post) -> State:
    author = db.session.get_one(User, post.user_id)
    indexed = db.session.execute(
        sa.select(PostVector.vector.is_not(None)).where(
            PostVector.post_id == post.id, PostVector.model == insight().model
        )
    ).scalar_one_or_none()
    return State(
        stage=Stage(post.stage),
        failure=post.failure_code,
        visibility=Visibility(post.visibility),
        playable=post.playable_at is not None,
        elsewhere=post.link is not None,
        indexed=indexed is not None,
        has_words=bool(indexed),
        suspended_until=author.suspended_until if is_suspended(author.suspended_until, clock.now()) else None,
        leaving=author.deletion_requested_at is not None,
    )
