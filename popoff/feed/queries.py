"""Reads of the feed domain: candidates, their features, a person's interests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.feed import rules
from popoff.feed.categories import OTHER
from popoff.feed.models import DIMENSION, PersonInterests, PostVector, TrendingPost
from popoff.feed.rules import Candidates, Interest, Source, Vectors
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.queries import is_shown
from popoff.social.models import Follow, PostCounters, View
from popoff.social.queries import blocked_either_way

PER_INTEREST = 40
INTERESTS_ASKED = 6
PER_SOURCE = 80
FOLLOWED = 200

_COUNTERS = ("views", "likes", "comments", "shares")
_VECTOR_HEADER = 4
"""Bytes before the numbers in pgvector's binary form: two 16-bit integers (dimension, reserved)."""


def interests(user_id: int, model: str | None = None) -> list[Interest]:
    """A person's interests, heaviest first; none when they were learnt in another insight model than `model`."""
    row = db.session.get(PersonInterests, user_id)
    if row is None or (model is not None and row.model != model):
        return []
    return rules.unpack(row.vectors, row.groups)


def preferences(user_id: int) -> dict[str, float]:
    """Category label -> share, largest first, summing to 1; empty without history."""
    return rules.preferences(interests(user_id))


def _allowed(user_id: int, exclude: Iterable[int]) -> list[sa.ColumnElement[bool]]:
    """SQL: what may be shown to this person at all."""
    return [
        is_shown(),
        is_visible(),
        Post.user_id != user_id,
        Post.id != sa.all_(sa.cast(list(exclude), sa.ARRAY(sa.BigInteger))),
        sa.not_(sa.exists().where(View.user_id == user_id, View.post_id == Post.id)),
        sa.not_(blocked_either_way(user_id, Post.user_id)),
    ]


def candidate_ids(
    user_id: int, liked: Sequence[Interest], model: str, exclude: Iterable[int], *, following_only: bool
) -> dict[int, int]:
    """Post id -> bits of Source. A few hundred posts, found through indexes, whatever the size of the catalogue."""
    allowed = _allowed(user_id, exclude)
    found: dict[int, int] = {}

    def add(source: Source, statement: sa.Select[Any]) -> None:
        for post_id in db.session.scalars(statement):
            found[post_id] = found.get(post_id, 0) | source

    posts = sa.select(Post.id).join(User, User.id == Post.user_id).where(*allowed)
    followed = sa.select(Follow.followee_id).where(Follow.follower_id == user_id)
    add(
        Source.FOLLOWED,
        posts.where(Post.user_id.in_(followed)).order_by(Post.playable_at.desc()).limit(FOLLOWED),
    )
    if following_only:
        return found
    db.session.execute(sa.text("SET LOCAL hnsw.iterative_scan = relaxed_order"))
    for interest in liked[:INTERESTS_ASKED]:
        nearest = PostVector.vector.max_inner_product(interest.vector)
        near = posts.join(PostVector, PostVector.post_id == Post.id).where(PostVector.model == model)
        add(Source.INTEREST, near.order_by(nearest).limit(PER_INTEREST))
    trending = posts.join(TrendingPost, TrendingPost.post_id == Post.id).order_by(TrendingPost.score.desc())
    add(Source.POPULAR, trending.limit(PER_SOURCE))
    add(Source.FRESH, posts.order_by(Post.playable_at.desc()).limit(PER_SOURCE))
    dice = float(np.random.default_rng().random())
    add(Source.RANDOM, posts.where(Post.shuffle >= dice).order_by(Post.shuffle).limit(PER_SOURCE // 2))
    add(Source.RANDOM, posts.where(Post.shuffle < dice).order_by(Post.shuffle.desc()).limit(PER_SOURCE // 2))
    return found


def candidates(user_id: int, sources: dict[int, int], model: str) -> Candidates:
    """The features of these posts as arrays; vectors of other insight models count as absent."""
    follows = sa.exists().where(Follow.follower_id == user_id, Follow.followee_id == Post.user_id)
    counters = [sa.func.coalesce(getattr(PostCounters, name), 0).label(name) for name in _COUNTERS]
    rows = db.session.execute(
        sa.select(
            Post.id,
            Post.user_id,
            Post.playable_at,
            sa.func.coalesce(PostVector.category, OTHER).label("category"),
            sa.func.vector_send(PostVector.vector).label("vector"),
            follows.label("followed"),
            *counters,
        )
        .outerjoin(PostVector, sa.and_(PostVector.post_id == Post.id, PostVector.model == model))
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .where(Post.id == sa.any_(sa.cast(list(sources), sa.ARRAY(sa.BigInteger))))
    ).all()
    now = clock.now()
    numbers = {name: np.array([getattr(row, name) for row in rows], dtype=np.int64) for name in _COUNTERS}
    return Candidates(
        post_ids=np.array([row.id for row in rows], dtype=np.int64),
        author_ids=np.array([row.user_id for row in rows], dtype=np.int64),
        vectors=_vectors([row.vector for row in rows]),
        categories=[row.category for row in rows],
        age_s=np.array([(now - row.playable_at).total_seconds() for row in rows], dtype=np.float64),
        followed=np.array([row.followed for row in rows], dtype=np.bool_),
        sources=np.array([sources[row.id] for row in rows], dtype=np.int64),
        **numbers,
    )


def _vectors(packed: Sequence[bytes | None]) -> Vectors:
    """(n, DIMENSION) from pgvector's binary form, which costs a twentieth of parsing its text; zeros where None."""
    nothing = bytes(4 * DIMENSION)
    joined = b"".join(bytes(value)[_VECTOR_HEADER:] if value else nothing for value in packed)
    return np.frombuffer(joined, dtype=">f4").reshape(len(packed), DIMENSION).astype(np.float32)


def vectors_of(post_ids: Sequence[int], model: str) -> dict[int, Vectors]:
    """Post id -> vector (DIMENSION,), for those that have one of this model."""
    rows = db.session.execute(
        sa.select(PostVector.post_id, sa.func.vector_send(PostVector.vector)).where(
            PostVector.post_id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))),
            PostVector.model == model,
            PostVector.vector.is_not(None),
        )
    ).all()
    return dict(zip([row[0] for row in rows], _vectors([row[1] for row in rows]), strict=True))
