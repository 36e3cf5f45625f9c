"""Reads of the feed domain: candidates, their features, a person's interests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import orm

from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.feed import recent, rules
from popoff.feed.aversion import Rejection
from popoff.feed.categories import OTHER
from popoff.feed.models import DIMENSION, OwedPost, PersonInterests, PostVector, TrendingPost
from popoff.feed.recent import Recent
from popoff.feed.rules import Candidates, Cause, Interest, Source, Vectors
from popoff.feed.unwanted import unwanted
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.media.queries import is_shown
from popoff.social.models import Follow, PostCounters, View
from popoff.social.queries import blocked_either_way

INTERESTS_ASKED = 6
PER_INTEREST = 40
POPULAR, FRESH, OWED, RANDOM = 60, 60, 20, 40
FOLLOWED, ONLY_FOLLOWED = 60, 200
BESIDE = 3
"""Posts asked of each source. Together a few hundred: enough to choose from, whatever the size of the catalogue. Beside
what the trained model proposes each source is asked for this part of its posts."""

_COUNTERS = ("views", "likes", "comments", "shares")
_VECTOR_HEADER = 4
"""Bytes before the numbers in pgvector's binary form: two 16-bit integers (dimension, reserved)."""


def interests(user_id: int, model: str | None = None) -> list[Interest]:
    """A person's interests, heaviest first; none when they were learnt in another insight model than `model`."""
    row = db.session.get(PersonInterests, user_id)
    if row is None or (model is not None and row.model != model):
        return []
    return rules.unpack(row.vectors, row.groups)


def person(user_id: int, model: str) -> tuple[list[Interest], Recent]:
    """A person's interests as above, and what they met last, in one read."""
    row = db.session.get(PersonInterests, user_id)
    if row is None:
        return [], recent.unpack(b"")
    return rules.unpack(row.vectors, row.groups) if row.model == model else [], recent.unpack(row.recent)


def preferences(user_id: int) -> dict[str, float]:
    """Category label -> share, largest first, summing to 1; empty without history."""
    return rules.preferences(interests(user_id))


def candidates(
    user_id: int,
    liked: Sequence[Interest],
    model: str,
    exclude: Iterable[int],
    *,
    dice: float,
    per_author: int,
    following_only: bool = False,
    proposed: Sequence[int] = (),
    least: int = 0,
) -> Candidates:
    """Posts that may be shown to this person, with their features, by rising id.

    One statement walks the index of each source from its best end and stops when it has enough; the place of
    `dice` (0..1) says where the posts that come by chance begin. At most `per_author` posts come for following their
    author. Vectors of other insight models count as absent. `proposed`: posts that the trained model would show,
    allowed or not. There are `least` of them as long as so many are left.
    """
    allowed = _allowed(user_id, exclude)
    found = [_followed(allowed, user_id, per_author, ONLY_FOLLOWED if following_only else FOLLOWED)]
    if not following_only:
        part = BESIDE if proposed else 1
        by_chance = max(RANDOM // part, least)
        later, earlier = (lambda post: post.c.shuffle >= dice), (lambda post: post.c.shuffle < dice)
        found += [
            _near(allowed, liked[:INTERESTS_ASKED], model, PER_INTEREST // part),
            _popular(allowed, POPULAR // part),
            _first(allowed, Source.FRESH, FRESH // part, lambda post: [post.c.playable_at.desc()]),
            _owed(allowed, OwedPost.shuffle >= dice, OwedPost.shuffle),
            _owed(allowed, OwedPost.shuffle < dice, OwedPost.shuffle.desc()),
            _first(allowed, Source.RANDOM, by_chance, lambda post: [post.c.shuffle], later),
            _first(allowed, Source.RANDOM, by_chance, lambda post: [post.c.shuffle.desc()], earlier),
        ]
        if proposed:
            found.append(_proposed(allowed, proposed))
        if liked:  # with filters behind it, the index must go on until it has found enough
            db.session.execute(sa.text("SET LOCAL hnsw.iterative_scan = relaxed_order"))
    rows = db.session.execute(_with_features(sa.union_all(*found).subquery("found"), user_id, model)).all()
    return _as_arrays(rows)


def _allowed(user_id: int, exclude: Iterable[int]) -> sa.CTE:
    """What may be shown to this person at all. Each source looks through it with an index of its own."""
    # OFFSET 0 has the index of views asked about each post that is looked at. As a join the planner might
    # read through all that somebody has ever watched.
    watched = sa.select(View.post_id).where(View.user_id == user_id, View.post_id == Post.id).offset(0)
    return (
        sa.select(Post.id, Post.user_id, Post.playable_at, Post.shuffle)
        .join(User, User.id == Post.user_id)
        .where(
            is_shown(),
            is_visible(),
            Post.user_id != user_id,
            Post.id != sa.all_(sa.cast(list(exclude), sa.ARRAY(sa.BigInteger))),
            sa.not_(watched.exists()),
            sa.not_(blocked_either_way(user_id, Post.user_id)),
            sa.not_(unwanted(user_id)),
        )
        .cte("allowed")
        .prefix_with("NOT MATERIALIZED")
    )


def _columns(post: sa.FromClause, source: Source) -> list[sa.ColumnElement[Any]]:
    bit = sa.literal_column(str(int(source)), sa.Integer).label("source")
    return [post.c.id, post.c.user_id, post.c.playable_at, bit]


def _first(
    allowed: sa.CTE,
    source: Source,
    limit: int,
    order: Callable[[sa.FromClause], list[sa.ColumnElement[Any]]],
    where: Callable[[sa.FromClause], sa.ColumnElement[bool]] | None = None,
) -> sa.Select[Any]:
    """The first posts in an order that has an index."""
    post = allowed.alias()
    statement = sa.select(*_columns(post, source)).order_by(*order(post)).limit(limit)
    if where is not None:
        statement = statement.where(where(post))
    return statement


def _popular(allowed: sa.CTE, limit: int) -> sa.Select[Any]:
    post = allowed.alias()
    trending = sa.select(*_columns(post, Source.POPULAR)).join(TrendingPost, TrendingPost.post_id == post.c.id)
    return trending.order_by(TrendingPost.score.desc()).limit(limit)


def _owed(
    allowed: sa.CTE, where: sa.ColumnElement[bool], order: sa.ColumnElement[Any] | orm.InstrumentedAttribute[Any]
) -> sa.Select[Any]:
    """Posts that are promised a first audience, each in its turn."""
    post = allowed.alias()
    waiting = sa.select(*_columns(post, Source.OWED)).join(OwedPost, OwedPost.post_id == post.c.id)
    return waiting.where(where).order_by(order).limit(OWED)


def _proposed(allowed: sa.CTE, post_ids: Sequence[int]) -> sa.Select[Any]:
    post = allowed.alias()
    wanted = sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))
    return sa.select(*_columns(post, Source.PROPOSED)).where(post.c.id == sa.any_(wanted))


def _followed(allowed: sa.CTE, user_id: int, per_author: int, limit: int) -> sa.Select[Any]:
    """The newest of what each followed creator has to show."""
    post = allowed.alias()
    newest = (
        sa.select(*_columns(post, Source.FOLLOWED))
        .where(post.c.user_id == Follow.followee_id)
        .order_by(post.c.id.desc())
        .limit(per_author)
        .correlate(Follow)
        .lateral()
    )
    statement = sa.select(newest).select_from(Follow).join(newest, sa.true()).where(Follow.follower_id == user_id)
    return statement.order_by(newest.c.playable_at.desc()).limit(limit)


def _near(allowed: sa.CTE, liked: Sequence[Interest], model: str, limit: int) -> sa.Select[Any]:
    """The nearest posts to each interest."""
    vectors = sa.cast([interest.vector for interest in liked], sa.ARRAY(VECTOR(DIMENSION)))
    wanted = sa.func.unnest(vectors).table_valued(sa.column("vector", VECTOR(DIMENSION))).render_derived("wanted")
    post = allowed.alias()
    nearest = (
        sa.select(*_columns(post, Source.INTEREST))
        .join(PostVector, PostVector.post_id == post.c.id)
        .where(PostVector.model == model)
        .order_by(PostVector.vector.max_inner_product(wanted.c.vector))
        .limit(limit)
        .correlate(wanted)
        .lateral()
    )
    return sa.select(nearest).select_from(wanted).join(nearest, sa.true())


def _with_features(found: sa.Subquery, user_id: int, model: str) -> sa.Select[Any]:
    """Each found post once, with the bits of all its sources."""
    post = (
        sa.select(found.c.id, found.c.user_id, found.c.playable_at, sa.func.bit_or(found.c.source).label("sources"))
        .group_by(found.c.id, found.c.user_id, found.c.playable_at)
        .subquery("post")
    )
    follows = sa.exists().where(Follow.follower_id == user_id, Follow.followee_id == post.c.user_id)
    return (
        sa.select(
            post,
            sa.func.coalesce(PostVector.category, OTHER).label("category"),
            sa.func.vector_send(PostVector.vector).label("vector"),
            follows.label("followed"),
            *(sa.func.coalesce(getattr(PostCounters, name), 0).label(name) for name in _COUNTERS),
        )
        .select_from(post)
        .outerjoin(PostVector, sa.and_(PostVector.post_id == post.c.id, PostVector.model == model))
        .outerjoin(PostCounters, PostCounters.post_id == post.c.id)
        .order_by(post.c.id)
    )


def _as_arrays(rows: Sequence[sa.Row[Any]]) -> Candidates:
    now = clock.now()
    numbers = {name: np.array([getattr(row, name) for row in rows], dtype=np.int64) for name in (*_COUNTERS, "sources")}
    return Candidates(
        post_ids=np.array([row.id for row in rows], dtype=np.int64),
        author_ids=np.array([row.user_id for row in rows], dtype=np.int64),
        vectors=_vectors([row.vector for row in rows]),
        categories=[row.category for row in rows],
        age_s=np.array([(now - row.playable_at).total_seconds() for row in rows], dtype=np.float64),
        followed=np.array([row.followed for row in rows], dtype=np.bool_),
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


def rejections(met: Recent, model: str) -> list[Rejection]:
    """What a person turned down of what they met last, as far as it has words."""
    since = recent.rejected(met)
    if not since:
        return []
    rows = db.session.execute(
        sa.select(PostVector.post_id, PostVector.category, sa.func.vector_send(PostVector.vector)).where(
            PostVector.post_id == sa.any_(sa.cast(list(since), sa.ARRAY(sa.BigInteger))),
            PostVector.model == model,
            PostVector.vector.is_not(None),
        )
    ).all()
    vectors = _vectors([row[2] for row in rows])
    return [Rejection(vector, row.category, since[row.post_id]) for row, vector in zip(rows, vectors, strict=True)]


def centres(labels: Collection[str], model: str, newest: int = 50) -> dict[str, Vectors]:
    """Category label -> the middle (DIMENSION,) of its newest posts; categories without posts are left out."""
    wanted = sa.func.unnest(sa.cast(sorted(labels), sa.ARRAY(sa.Text))).table_valued("label").render_derived("wanted")
    late = (
        sa.select(PostVector.vector)
        .where(PostVector.category == wanted.c.label, PostVector.model == model, PostVector.vector.is_not(None))
        .order_by(PostVector.post_id.desc())
        .limit(newest)
        .correlate(wanted)
        .lateral()
    )
    middle = sa.func.vector_send(sa.func.avg(late.c.vector))
    statement = sa.select(wanted.c.label, middle).join(late, sa.true()).group_by(wanted.c.label)
    rows = db.session.execute(statement).all()
    return dict(zip([row[0] for row in rows], _vectors([row[1] for row in rows]), strict=True))


def unindexed(model: str) -> Sequence[int]:
    """Posts that can be played and are not known in this insight model."""
    known = sa.exists().where(PostVector.post_id == Post.id, PostVector.model == model)
    return db.session.scalars(
        sa.select(Post.id)
        .where(Post.playable_at.is_not(None), Post.deleted_at.is_(None), sa.not_(known))
        .order_by(Post.id)
    ).all()


def embeddings(
    *, model: str | None = None, newest: int | None = None, chunk: int = 500
) -> Iterator[tuple[Sequence[sa.Row[Any]], Vectors]]:
    """Posts with words, the newest first, in chunks: rows (post_id, user, category, model, created_at, description),
    and their vectors (n, DIMENSION). Nothing but the chunk is held in memory. Of one model, or of all."""
    statement = (
        sa.select(
            PostVector.post_id,
            User.username.label("user"),
            PostVector.category,
            PostVector.model,
            Post.created_at,
            Post.description,
            sa.func.vector_send(PostVector.vector).label("vector"),
        )
        .join(Post, Post.id == PostVector.post_id)
        .join(User, User.id == Post.user_id)
        .where(PostVector.vector.is_not(None), Post.deleted_at.is_(None))
        .order_by(Post.id.desc())
        .limit(newest)
    )
    if model is not None:
        statement = statement.where(PostVector.model == model)
    for rows in db.session.execute(statement, execution_options={"yield_per": chunk}).partitions():
        yield rows, _vectors([row.vector for row in rows])


def watched_by_week(user_id: int, model: str) -> tuple[Sequence[sa.Row[Any]], Vectors]:
    """What a person watched, oldest week first: rows (week: date of its Monday in UTC, post_id, watch_ms), and the
    vectors (n, DIMENSION) of the posts."""
    week = sa.cast(sa.func.date_trunc("week", View.first_at, "UTC"), sa.Date)
    rows = db.session.execute(
        sa.select(
            week.label("week"), View.post_id, View.watch_ms, sa.func.vector_send(PostVector.vector).label("vector")
        )
        .join(PostVector, PostVector.post_id == View.post_id)
        .where(View.user_id == user_id, PostVector.model == model, PostVector.vector.is_not(None))
        .order_by(week, View.post_id)
    ).all()
    return rows, _vectors([row.vector for row in rows])


def playable_since(moment: datetime, limit: int = 500) -> Sequence[sa.Row[Any]]:
    """Posts that became playable from then on, of very many the newest, the latest first: id, description, tags,
    duration_ms, user_id, playable_at."""
    columns: tuple[Any, ...] = (
        Post.id, Post.description, Post.tags, Post.duration_ms, Post.user_id, Post.playable_at
    )  # fmt: skip
    return db.session.execute(
        sa.select(*columns).where(Post.playable_at >= moment, is_shown()).order_by(Post.playable_at.desc()).limit(limit)
    ).all()


def causes(user_id: int, met: Recent) -> dict[int, Cause]:
    """Of what a person met the posts that may be named to them, and that they want to hear of: post id -> cause."""
    rows = db.session.execute(
        sa.select(Post.id, Post.description, User.username)
        .join(User, User.id == Post.user_id)
        .where(
            Post.id == sa.any_(sa.cast(met["post_id"].tolist(), sa.ARRAY(sa.BigInteger))),
            is_shown(),
            is_visible(),
            sa.not_(blocked_either_way(user_id, Post.user_id)),
            sa.not_(unwanted(user_id)),
        )
    ).all()
    took = {int(record["post_id"]): record for record in met}
    return {
        row.id: Cause(row.description, row.username, recent.liked(took[row.id]), recent.to_the_end(took[row.id]))
        for row in rows
    }
