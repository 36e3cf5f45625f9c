"""Posts at moments of their life, as the platform remembers them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.scoring import history
from popoff.social.models import Comment, Like, Share, View
from tests.support.people import People
from tests.support.posts import make_post

START = datetime(2026, 3, 1, tzinfo=UTC)


def hours(count: float) -> datetime:
    return START + timedelta(hours=count)


def id_of(people: People, name: str) -> int:
    return db.session.execute(
        sa.text("SELECT id FROM users WHERE username = :name"), {"name": people[name].username}
    ).scalar_one()


def view(post_id: int, user_id: int, at: datetime, seconds: int = 5) -> None:
    db.session.add(View(post_id=post_id, user_id=user_id, watch_ms=seconds * 1000, first_at=at, last_at=at))


def posted(people: People) -> int:
    post_id = make_post(people.ada.username, indexed=False)
    db.session.get_one(Post, post_id).playable_at = START
    return post_id


def test_what_people_did_is_told_before_and_after_each_moment(people: People) -> None:
    post_id = posted(people)
    ada, eve, farid, gus = (id_of(people, name) for name in ("ada", "eve", "farid", "gus"))
    view(post_id, eve, hours(0.5))
    view(post_id, ada, hours(0.6))
    view(post_id, farid, hours(3), seconds=8)
    view(post_id, gus, hours(30))
    db.session.add_all(Like(post_id=post_id, user_id=user, created_at=hours(at)) for user, at in [(eve, 0.5), (ada, 1)])
    db.session.add_all(Like(post_id=post_id, user_id=user, created_at=hours(at)) for user, at in [(gus, 31)])
    db.session.add(Share(post_id=post_id, user_id=farid, created_at=hours(4)))
    for at in (2, 2.5, 7):
        db.session.add(Comment(post_id=post_id, user_id=farid, text="Hello", created_at=hours(at)))
    db.session.flush()
    rows = {row["age_hours"]: row for row in history.moments([post_id], START, hours(1000))}
    assert list(rows) == [1.0, 6.0, 24.0], "nobody watched after the third day"
    told = ("views", "likes", "shares", "comments", "watch_ms", "reputation", "later_views", "later_likes")
    assert [rows[1.0][name] for name in told] == [1, 1, 0, 0, 5000, 1, 2, 1]
    assert [rows[6.0][name] for name in told] == [2, 1, 1, 1, 13000, 2, 1, 1]
    assert set(rows[1.0]) == set(history.COLUMNS)


def test_what_happened_after_the_end_is_not_known(people: People) -> None:
    post_id = posted(people)
    eve, gus = id_of(people, "eve"), id_of(people, "gus")
    view(post_id, eve, hours(2))
    view(post_id, gus, hours(10))
    db.session.add(Like(post_id=post_id, user_id=eve, created_at=hours(9)))
    db.session.flush()
    [row] = history.moments([post_id], START, hours(8))
    assert (row["age_hours"], row["later_views"], row["later_likes"]) == (1.0, 1, 0)
    assert history.moments([post_id], hours(2), hours(8)) == [], "no moment with views after it lies between"


def test_posts_are_told_from_the_newest_on(people: People) -> None:
    first, second, third = (posted(people) for _ in range(3))
    assert history.newest(None, 2, hours(1)) == [third, second]
    assert history.newest(second, 2, hours(1)) == [first]
