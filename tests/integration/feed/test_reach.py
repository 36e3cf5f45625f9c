"""What creators read about the audience of a post."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.feed import sessions
from popoff.feed.models import Impression, OwedPost
from popoff.feed.rules import PROMISED
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.refusals import assert_refusal

GUITAR = "A song on my guitar"


def reach(people: People, post_id: int, name: str = "ada") -> dict[str, Any]:
    answer = people[name].get(f"/api/post/reach/?video_id={post_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def codes(people: People, post_id: int) -> list[str]:
    return [limit["code"] for limit in reach(people, post_id)["limits"]]


def change(model: type[User] | type[Post], where: sa.ColumnElement[bool], **values: object) -> None:
    db.session.execute(sa.update(model).where(where).values(**values))
    db.session.commit()
    db.session.expire_all()


def show(post_id: int, user_id: int, source: str, *, seen: bool, age: timedelta = timedelta()) -> None:
    moment, page_id = clock.now() - age, uuid4()
    impression = Impression(page_id=page_id, position=0, session_id=page_id, user_id=user_id, post_id=post_id)
    impression.source, impression.ranker, impression.served_at = source, "rules", moment
    impression.seen_at = moment if seen else None
    db.session.add(impression)
    db.session.commit()


@pytest.fixture
def post_id(people: People) -> int:
    return make_post(people.ada.username, GUITAR, duration_ms=10_000)


def test_a_post_that_nobody_met_has_no_reach(people: People, post_id: int) -> None:
    found = reach(people, post_id)
    numbers = ("served", "seen", "people", "views", "likes", "comments", "shares")
    assert all(found[name] == 0 for name in numbers)
    assert (found["sources"], found["watched"]) == ([], None)
    assert found["first_audience"] == {"promised": PROMISED, "given": 0, "owed": True}


def test_impressions_are_told_by_source_old_ones_among_them(people: People, post_id: int) -> None:
    show(post_id, 1, "interest", seen=True, age=timedelta(days=100))
    show(post_id, 2, "interest", seen=False, age=timedelta(days=100))
    sessions.tally()
    show(post_id, 3, "interest", seen=True)
    show(post_id, 3, "explore", seen=False)
    show(post_id + 1, 3, "explore", seen=True)
    found = reach(people, post_id)
    assert [(row["source"], row["served"], row["seen"]) for row in found["sources"]] == [
        ("interest", 3, 2),
        ("explore", 1, 0),
    ]
    assert (found["served"], found["seen"], found["people"]) == (4, 2, 1)
    assert found["first_audience"]["given"] == 1, "people of late, each once, as long as it is owed"


def test_what_came_of_them(people: People, post_id: int) -> None:
    for name, seconds in (("eve", 10), ("bob", 5), ("carl", 40)):
        people[name].get("/api/media/get_feed/")
        report = {"video_id": post_id, "watch_time": seconds}
        people[name].post("/api/post/update_posts_engagement/", json=report)
    people.eve.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
    people.eve.post("/api/post/add_comment/", data={"video_id": post_id, "comment": "Lovely"})
    people.bob.post("/api/post/share/", data={"video_id": post_id})
    found = reach(people, post_id)
    assert (found["served"], found["seen"], found["people"], found["views"]) == (3, 3, 3, 3)
    assert found["watched"] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-3)
    assert (found["likes"], found["comments"], found["shares"]) == (1, 1, 1)


def test_only_the_author_and_moderators_read_it(people: People, post_id: int) -> None:
    path = f"/api/post/reach/?video_id={post_id}"
    assert_refusal(people.eve.get(path), 404, "post_not_found")
    assert_refusal(people.ada.get("/api/post/reach/?video_id=1000000000"), 404, "post_not_found")
    change(User, User.username == people.mo.username, role="moderator")
    assert reach(people, post_id, "mo") == reach(people, post_id)
    people.ada.delete("/api/media/delete_post/", data={"video_id": post_id})
    for name in ("ada", "mo"):
        assert_refusal(people[name].get(path), 404, "post_not_found")


def test_a_new_post_is_in_its_first_audience_until_that_was_given(people: People, post_id: int) -> None:
    assert codes(people, post_id) == ["first_audience"]
    db.session.execute(sa.delete(OwedPost))
    db.session.commit()
    assert codes(people, post_id) == []


def test_what_limits_a_post_is_told(people: People, post_id: int) -> None:
    silent, unread = make_post("ada", ""), make_post("ada", GUITAR, indexed=False)
    db.session.execute(sa.delete(OwedPost))
    media.set_visibility(post_id, Visibility.HIDDEN)
    db.session.commit()
    assert codes(people, post_id) == ["hidden"]
    assert codes(people, silent) == ["no_words"]
    assert codes(people, unread) == ["not_read"]
    media.set_visibility(post_id, Visibility.REMOVED)
    db.session.commit()
    assert codes(people, post_id) == ["removed"]
    change(Post, Post.id == unread, playable_at=None, stage="transcoding")
    assert codes(people, unread) == ["not_playable"]


def test_staff_read_that_the_author_is_suspended(people: People, post_id: int) -> None:
    change(User, User.username == people.mo.username, role="moderator")
    change(User, User.username == "ada", suspended_until=clock.now() + timedelta(days=3))
    assert [limit["code"] for limit in reach(people, post_id, "mo")["limits"]] == ["author_suspended"]


def test_who_blocks_mutes_or_dismisses_is_not_told(people: People, post_id: int) -> None:
    people.eve.get("/api/media/get_feed/")
    before = reach(people, post_id)
    people.eve.post("/api/post/not_interested/", data={"video_id": post_id})
    people.eve.post("/api/user/mute_creator/", data={"username": "ada"})
    people.eve.post("/api/user/mute_word/", data={"word": "guitar"})
    people.eve.post("/api/user/block_user/", data={"username": "ada"})
    assert reach(people, post_id) == before
