"""The feed: pages for a person, and learning from what they do. Writes its own tables only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.adapters import jobs
from popoff.adapters.insight import insight
from popoff.feed import queries, rules
from popoff.feed.models import PersonInterests, PostVector
from popoff.feed.rules import Vectors
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.social.queries import cards

TRENDING_KEPT = 1000


def page(
    user_id: int,
    batch_size: int,
    *,
    exclude: Sequence[int] = (),
    following_only: bool = False,
    rng: np.random.Generator | None = None,
) -> list[dict[str, Any]]:
    """The next posts for a person, each with its scores and the reason why it is shown.

    Fewer than `batch_size` when nothing more is left: the feed does not repeat what was seen. All chance
    comes from `rng`.
    """
    rng = rng or np.random.default_rng()
    model = insight().model
    interests = queries.interests(user_id, model)
    per_author = batch_size if following_only else rules.PER_AUTHOR
    found = queries.candidates(
        user_id,
        interests,
        model,
        exclude,
        dice=float(rng.random()),
        per_author=per_author,
        following_only=following_only,
    )
    ranked = rules.rank(found, interests)
    exploration = 0.0 if following_only else rules.EXPLORATION
    chosen = rules.select(found, ranked.rank_score, batch_size, rng, exploration=exploration, per_author=per_author)
    reasons = rules.reasons(found, ranked, interests, chosen)
    shown = {
        int(found.post_ids[i]): {
            "rank_score": round(float(ranked.rank_score[i]), 4),
            "interest_score": round(float(ranked.interest_score[i]), 1),
            "reason": reason.text,
        }
        for i, reason in zip(chosen.positions.tolist(), reasons, strict=True)
    }
    return [{**card, **shown[card["id"]]} for card in cards(user_id, list(shown))]


def interest_scores(user_id: int, post_ids: Sequence[int]) -> dict[int, float]:
    """Post id -> 0..100; posts without a vector are left out."""
    model = insight().model
    interests, vectors = queries.interests(user_id, model), queries.vectors_of(post_ids, model)
    if not vectors:
        return {}
    scores, _ = rules.interest_scores(np.stack(list(vectors.values())), interests)
    return {post_id: round(float(score), 1) for post_id, score in zip(vectors, scores, strict=True)}


def learn(
    user_id: int,
    post_id: int,
    *,
    watch_ms: int = 0,
    liked: bool = False,
    commented: bool = False,
    viewed_comments: bool = False,
    shared: bool = False,
    rejected: bool = False,
) -> None:
    """Take one engagement up into a person's interests; the very next page knows it.

    Their row is locked, so that engagements that arrive together are learnt one after another.
    """
    post = db.session.execute(
        sa.select(PostVector.vector, PostVector.category, PostVector.model, Post.duration_ms)
        .join(Post, Post.id == PostVector.post_id)
        .where(PostVector.post_id == post_id, PostVector.vector.is_not(None))
    ).one_or_none()
    if post is None or post.model != insight().model:
        return
    if rejected:
        strength = rules.REPORTED
    else:
        strength = rules.signal(
            watch_ms,
            post.duration_ms or 0,
            liked=liked,
            commented=commented,
            viewed_comments=viewed_comments,
            shared=shared,
        )
    _observe(user_id, np.asarray(post.vector, dtype=np.float32), strength, post.category, post.model)


def _observe(user_id: int, vector: Vectors, strength: float, category: str, model: str) -> None:
    now = clock.now()
    empty = {"user_id": user_id, "model": model, "vectors": b"", "groups": [], "updated_at": now}
    # An update that changes nothing locks the row in the same step, so that a reset cannot take it away in between.
    made_or_locked = (
        insert(PersonInterests)
        .values(empty)
        .on_conflict_do_update(index_elements=[PersonInterests.user_id], set_={"model": PersonInterests.model})
    )
    db.session.execute(made_or_locked)
    row = db.session.get_one(PersonInterests, user_id, populate_existing=True)
    before = rules.unpack(row.vectors, row.groups) if row.model == model else []
    after = rules.observe(before, vector, strength, category, elapsed=now - row.updated_at)
    row.vectors, row.groups = rules.pack(after)
    row.model, row.updated_at = model, now
    db.session.flush()


def reset(user_id: int) -> None:
    """Forget what was learnt about a person."""
    db.session.execute(sa.delete(PersonInterests).where(PersonInterests.user_id == user_id))


def index_post(post_id: int, vector: Vectors | None, category: str, model: str) -> None:
    """Note what a post is about; from now on it can be found by interest. A post that is gone is skipped."""
    if db.session.get(Post, post_id, with_for_update={"key_share": True}) is None:
        return
    row = {"vector": vector, "category": category, "model": model, "created_at": clock.now()}
    db.session.execute(
        insert(PostVector)
        .values(post_id=post_id, **row)
        .on_conflict_do_update(index_elements=[PostVector.post_id], set_=row)
    )


def rebuild() -> int:
    """Have every post worked out anew that is not known in the present insight model; how many there are."""
    stale = queries.unindexed(insight().model)
    for post_id in stale:
        jobs.stage("media.insight", unique_key=f"insight:{post_id}", post_id=post_id)
    refresh_trending()
    return len(stale)


_TRENDING = """
    WITH events AS (
        SELECT post_id, first_at AS at, 1.0 AS worth FROM views WHERE first_at > :since
        UNION ALL SELECT post_id, created_at, 3.0 FROM likes WHERE created_at > :since
        UNION ALL SELECT post_id, created_at, 4.0 FROM comments WHERE created_at > :since
        UNION ALL SELECT post_id, created_at, 5.0 FROM shares WHERE created_at > :since
    ), top AS (
        SELECT post_id, ln(sum(worth * 2 ^ (extract(epoch FROM at - :since)::float8 / :half_life))) / ln(2)
                        + extract(epoch FROM cast(:since AS timestamptz))::float8 / :half_life AS score
        FROM events GROUP BY post_id ORDER BY score DESC LIMIT :kept
    ), gone AS (
        DELETE FROM trending_posts WHERE post_id NOT IN (SELECT post_id FROM top)
    )
    INSERT INTO trending_posts (post_id, score) SELECT post_id, score FROM top ORDER BY post_id
    ON CONFLICT (post_id) DO UPDATE SET score = excluded.score
    WHERE abs(trending_posts.score - excluded.score) > :noticeable
"""
TRENDING_WINDOW = timedelta(days=2)
TRENDING_HALF_LIFE_S = 6 * 3600
NOTICEABLE = 0.01


def refresh_trending() -> None:
    """Work out anew which posts do well now: engagements of two days, halving in worth every six hours.

    A score is the number of half-lives since 1970 at which one view would be worth as much, so it stands still as
    time goes by: only rows of posts with new engagements are written. May run beside itself.
    """
    now = clock.now()
    db.session.execute(
        sa.text(_TRENDING),
        {
            "since": now - TRENDING_WINDOW,
            "half_life": TRENDING_HALF_LIFE_S,
            "kept": TRENDING_KEPT,
            "noticeable": NOTICEABLE,
        },
    )
