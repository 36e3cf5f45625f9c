"""The feed: pages for a person, and learning from what they do. Writes its own tables only.

A page is made in small steps: candidates from indexes and from the trained model, filters in the same statement, an
order by the model or by the rules, a selection with room for creators, topics and new posts, and a reason for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from models_ml.ranking.selection import select
from popoff.adapters import jobs
from popoff.adapters.insight import insight
from popoff.feed import aversion, engine, queries, recent, rules
from popoff.feed.categories import CATEGORIES, OTHER, short_name
from popoff.feed.engine import NewPost, Visit
from popoff.feed.models import OwedPost, PersonInterests, PostVector
from popoff.feed.recent import Act, Recent
from popoff.feed.rules import Cause, Reason, Vectors
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid
from popoff.media.models import Post
from popoff.social.queries import cards

RULES = "rules"
"""What put a page in order where there is no trained model."""
USUAL = -4.605
"""Log odds of one among a hundred others: what a ranker says of a candidate of which nothing speaks for or against."""
OVERLAP = timedelta(minutes=1)
"""New posts are asked for so much further back: what was committed last need not have begun last."""
TRENDING_KEPT = 1000


@dataclass(frozen=True)
class Chosen:
    """A post that was chosen for a place of a page. `pool`: for a place that explores the posts it was drawn from."""

    post_id: int
    rank_score: float
    interest_score: float
    reason: Reason
    pool: Sequence[int] | None


@dataclass(frozen=True)
class Page:
    """What was chosen, in the order to show it, and the version of what put it in order (`RULES` without a model)."""

    places: Sequence[Chosen]
    ranker: str


def page(
    user_id: int,
    batch_size: int,
    *,
    exclude: Sequence[int] = (),
    following_only: bool = False,
    rng: np.random.Generator | None = None,
) -> list[dict[str, Any]]:
    """The next posts for a person, each with its scores and the reason why it is shown; nothing is noted.

    Fewer than `batch_size` when nothing more is left: the feed does not repeat what was seen. All chance
    comes from `rng`.
    """
    return shown(user_id, choose(user_id, batch_size, exclude=exclude, following_only=following_only, rng=rng).places)


def choose(
    user_id: int,
    batch_size: int,
    *,
    exclude: Sequence[int] = (),
    following_only: bool = False,
    rng: np.random.Generator | None = None,
    ranker: str = "",
) -> Page:
    """A page for a person, of at most `batch_size` posts: candidates, what may be shown, order, selection, reasons.

    `ranker`: a version on trial in place of the one in use.
    """
    rng = rng or np.random.default_rng()
    model = insight().model
    interests, met = queries.person(user_id, model)
    # Who only said what they like is unknown to the model: it would show them what everybody gets.
    only_chose = bool(interests) and not len(met)
    visit = None if following_only or only_chose else _visit(user_id, met, exclude, ranker)
    per_author = batch_size if following_only else rules.PER_AUTHOR
    found = queries.candidates(
        user_id,
        interests,
        model,
        exclude,
        dice=float(rng.random()),
        per_author=per_author,
        following_only=following_only,
        proposed=visit.proposed if visit else (),
        least=batch_size,
    )
    ranked = rules.rank(found, interests)
    if visit:
        ranked = rules.relearnt(ranked, found, visit.log_odds(found.post_ids.tolist()), USUAL)
    turned_down = queries.rejections(met, model)
    ranked = aversion.lowered(ranked, found, turned_down)
    offer = rules.offer(found, ranked, aversion.spared(found, turned_down) if turned_down else None)
    chosen = select(offer, batch_size, rules.selection(per_author, following_only), rng)
    rows = chosen.rows.tolist()
    causes = _causes(user_id, visit, met, found.post_ids[chosen.rows].tolist())
    places = [
        Chosen(
            post_id := int(found.post_ids[row]),
            round(float(ranked.rank_score[row]), 4),
            round(float(ranked.interest_score[row]), 1),
            rules.reason(found, ranked, interests, row, explored=pool is not None, cause=causes.get(post_id)),
            None if pool is None else found.post_ids[pool].tolist(),
        )
        for row, pool in zip(rows, chosen.pools, strict=True)
    ]
    return Page(places, visit.ranker if visit else RULES)


def shown(user_id: int, places: Sequence[Chosen]) -> list[dict[str, Any]]:
    """The posts of a page as the app reads them; what went away meanwhile is left out."""
    by_id = {place.post_id: place for place in places}
    return [
        {
            **card,
            "rank_score": (place := by_id[card["id"]]).rank_score,
            "interest_score": place.interest_score,
            "reason": place.reason.about(card["user"]).text,
        }
        for card in cards(user_id, list(by_id))
    ]


def _visit(user_id: int, met: Recent, exclude: Sequence[int], ranker: str) -> Visit | None:
    """What the trained model says, when there is one; new posts are made known to it in passing."""
    feed = engine.current()
    if (since := feed.wants_posts()) is not None:
        now = clock.now()
        posts = queries.playable_since(since - OVERLAP)
        new = [NewPost(p.id, p.description, p.tags, p.duration_ms, p.user_id, p.playable_at) for p in posts]
        feed.add(new, posts[0].playable_at if posts else now)
    return feed.visit(user_id, met, clock.now(), [*exclude, *met["post_id"].tolist()], ranker)


def _causes(user_id: int, visit: Visit | None, met: Recent, post_ids: Sequence[int]) -> dict[int, Cause]:
    """For each chosen post what the person met that speaks most for it, where something does and may be named."""
    told = dict(zip(post_ids, visit.because(post_ids), strict=True)) if visit else {}
    named = {cause for cause in told.values() if cause is not None}
    if not named:
        return {}
    known = queries.causes(user_id, met[np.isin(met["post_id"], list(named))])
    return {post_id: known[cause] for post_id, cause in told.items() if cause in known}


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
        .outerjoin(PostVector, PostVector.post_id == Post.id)
        .where(Post.id == post_id)
    ).one_or_none()
    if post is None:
        return
    row = _locked(user_id)
    acts = Act.of(liked=liked, commented=commented, shared=shared, rejected=rejected)
    row.recent = recent.note(
        row.recent, post_id, clock.timestamp(), watch_ms=watch_ms, duration_ms=post.duration_ms or 0, acts=acts
    )
    if post.vector is None or post.model != row.model:
        db.session.flush()
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
    point = np.asarray(post.vector, dtype=np.float32)
    now = clock.now()
    before = rules.unpack(row.vectors, row.groups)
    after = rules.observe(before, point, strength, post.category, elapsed=now - row.updated_at)
    row.vectors, row.groups = rules.pack(after)
    row.updated_at = now
    db.session.flush()


def choose_topics(user_id: int, labels: Sequence[str]) -> None:
    """Somebody says what they like, so that their first page need not guess; what they do afterwards outweighs it.

    `labels`: of CATEGORIES, or their short names. A topic that they are known to like already gains nothing, one that
    no post is about yet is passed over. Raises Invalid (code `unknown_topic`).
    """
    known = {name: label for label in CATEGORIES if label != OTHER for name in (label, short_name(label))}
    if unknown := [label for label in labels if label not in known]:
        raise Invalid(f"There is no topic {unknown[0]!r}.", code="unknown_topic", field="topics")
    row = _locked(user_id)
    interests = rules.unpack(row.vectors, row.groups)
    wanted = {known[label] for label in labels} - rules.preferences(interests).keys()
    for label, centre in sorted(queries.centres(wanted, row.model).items()):
        interests = rules.observe(interests, centre, rules.CHOSEN, label)
    row.vectors, row.groups = rules.pack(interests)
    db.session.flush()


def unlearn_like(user_id: int, post_id: int) -> None:
    """A like was taken back: what was watched stays, the like no longer speaks for the post."""
    _unlearn(user_id, post_id, Act.LIKED)


def unlearn_rejection(user_id: int, post_id: int) -> None:
    """A post is welcome after all, and so is what is like it."""
    _unlearn(user_id, post_id, Act.REJECTED)


def _unlearn(user_id: int, post_id: int, act: Act) -> None:
    row = db.session.get(PersonInterests, user_id, with_for_update=True, populate_existing=True)
    if row is not None:
        row.recent = recent.undo(row.recent, post_id, act)
        db.session.flush()


def _locked(user_id: int) -> PersonInterests:
    """A person's row, locked; made when there is none, its interests emptied when they are of another insight model."""
    model, now = insight().model, clock.now()
    empty = {"user_id": user_id, "model": model, "vectors": b"", "groups": [], "updated_at": now}
    # An update that changes nothing locks the row in the same step, so that a reset cannot take it away in between.
    made_or_locked = (
        insert(PersonInterests)
        .values(empty)
        .on_conflict_do_update(index_elements=[PersonInterests.user_id], set_={"model": PersonInterests.model})
    )
    db.session.execute(made_or_locked)
    row = db.session.get_one(PersonInterests, user_id, populate_existing=True)
    if row.model != model:
        row.model, row.vectors, row.groups, row.updated_at = model, b"", [], now
    return row


def reset(user_id: int) -> None:
    """Forget what was learnt about a person."""
    db.session.execute(sa.delete(PersonInterests).where(PersonInterests.user_id == user_id))


def index_post(post_id: int, vector: Vectors | None, category: str, model: str) -> None:
    """Note what a post is about; from now on it can be found by interest, and a young one is promised its first
    audience. A post that is gone is skipped."""
    post = db.session.get(Post, post_id, with_for_update={"key_share": True})
    if post is None:
        return
    if post.playable_at is not None and post.playable_at > clock.now() - rules.PROMISE_ENDS:
        owed = insert(OwedPost).values(post_id=post_id, since=post.playable_at)
        db.session.execute(owed.on_conflict_do_nothing())
    row = {"vector": vector, "category": category, "model": model, "created_at": clock.now()}
    db.session.execute(
        insert(PostVector)
        .values(post_id=post_id, **row)
        .on_conflict_do_update(index_elements=[PostVector.post_id], set_=row)
    )


_FULFILLED = """
    DELETE FROM owed_posts WHERE since < :ended OR :promised <= (
        SELECT count(*) FROM (
            SELECT DISTINCT user_id FROM impressions
            WHERE impressions.post_id = owed_posts.post_id AND seen_at IS NOT NULL LIMIT :promised
        ) AS audience
    )
"""


def release_promises() -> int:
    """Posts that had the audience they were promised, or are no longer young, are owed nothing more; how many."""
    promised = {"promised": rules.PROMISED, "ended": clock.now() - rules.PROMISE_ENDS}
    return int(db.session.execute(sa.text(_FULFILLED), promised).rowcount)  # type: ignore[attr-defined]


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
