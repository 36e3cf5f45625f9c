"""A small economy for tests: people, posts, views, scores, gifts, closed periods."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from popoff.accounts import service as accounts
from popoff.accounts.models import User
from popoff.accounts.rules import Role
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import checks as ledger_checks
from popoff.media.models import Post
from popoff.rewards import checks, gifts, periods
from popoff.rewards.models import Gift, Period, Statement
from popoff.scoring.models import EngagementScore, QualityScore
from popoff.social.models import View
from tests.support import ledger
from tests.support.people import PASSWORD
from tests.support.posts import make_post

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
INSIDE = START + timedelta(days=10)
AFTER = END + timedelta(days=1)


def person(name: str, money: int = 0, role: Role = Role.CONSUMER) -> User:
    """Somebody new, with so much in their wallet."""
    user = accounts.register(name, f"{name}@people.example", PASSWORD, role=role)
    if money:
        ledger.grant(user.id, money)
    return user


def post_of(author: User, description: str = "A post") -> Post:
    return db.session.get_one(Post, make_post(author.username, description, indexed=False))


def watch(viewer: User, post: Post, seconds: float = 5, at: datetime = INSIDE) -> None:
    """What a view leaves behind, at any moment; a later one of the same person adds to the first."""
    ms = int(seconds * 1000)
    seen = db.session.get(View, (viewer.id, post.id))
    if seen is None:
        seen = View(user_id=viewer.id, post_id=post.id, watch_ms=0, first_at=at, last_at=at)
        db.session.add(seen)
    seen.watch_ms, seen.last_at = seen.watch_ms + ms, at
    db.session.flush()


def score(post: Post, engagement: float, quality: float | None) -> None:
    """The stored scores of a post."""
    counts = dict.fromkeys(("likes", "shares", "comments", "views", "watch_ms", "length_ms", "reputation"), 0)
    now = clock.now()
    db.session.add(EngagementScore(post_id=post.id, score=engagement, model="e-1", scored_at=now, **counts))
    reason = None if quality is not None else "not looked at"
    db.session.add(
        QualityScore(post_id=post.id, score=quality, reason=reason, model="q-1", parts={}, inputs={}, scored_at=now)
    )
    db.session.flush()


def public_id(user: User) -> UUID:
    return db.session.scalars(sa.select(User.public_id).where(User.id == user.id)).one()


def content_id(post: Post) -> UUID:
    return db.session.scalars(sa.select(Post.public_id).where(Post.id == post.id)).one()


def give(
    giver: User,
    post: Post,
    cents: int,
    at: datetime | None = INSIDE,
    key: str | None = None,
    creator: User | None = None,
) -> Gift:
    """A gift at a moment of the period; None: now."""
    creator = creator or db.session.get_one(User, post.user_id)
    with clock.at(at or clock.now()):
        return gifts.give(giver.id, public_id(creator), content_id(post), Minor(cents), key)


def begin(start: datetime = START, end: datetime = END, **pools: int) -> Period:
    """A period that is about to be settled."""
    with clock.at(max(end + timedelta(days=1), AFTER)):
        return periods.close(start, end, by=None, **{name: Minor(cents) for name, cents in pools.items()})


def settle(period: Period) -> Period:
    with clock.at(max(period.ends_at + timedelta(days=1), AFTER)):
        while periods.advance(period.id):
            pass
    return period


def close(start: datetime = START, end: datetime = END, **pools: int) -> Period:
    """A period, settled to the end."""
    return settle(begin(start, end, **pools))


def statement_of(user: User, period: Period) -> Statement:
    return db.session.scalars(
        sa.select(Statement).where(Statement.creator_id == user.id, Statement.period_id == period.id)
    ).one()


def prove() -> None:
    """The books are right, and rewards and ledger say the same."""
    db.session.flush()
    db.session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert ledger_checks.check() == []
    assert checks.check() == []
    db.session.execute(sa.text("SET CONSTRAINTS ALL DEFERRED"))
