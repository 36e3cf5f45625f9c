"""Likes, shares, and what reaches the person behind a post."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.kernel import clock
from popoff.media.models import Post
from popoff.media.rules import Visibility
from tests.support.counts import assert_exact
from tests.support.people import People, Person
from tests.support.posts import make_post

LIKE = "/api/post/like/"


@pytest.fixture
def post_id(people: People) -> int:
    assert people.ada and people.eve
    return make_post("ada", "Three chords on the guitar", "music")


def card(viewer: Person, post_id: int, owner: str = "ada") -> dict[str, Any]:
    posts = viewer.get("/api/media/get_user_posts/", query_string={"username": owner}).json["posts"]
    return next(post for post in posts if post["id"] == post_id)


def test_a_like_is_a_state_and_not_a_toggle(people: People, post_id: int) -> None:
    said = []
    for like, count in ((False, 0), (True, 1), (True, 1), (False, 0), (False, 0), (True, 1)):
        answer = people.eve.post(LIKE, data={"video_id": post_id, "like": like})
        assert answer.status_code == 200
        said.append(answer.json["message"])
        seen = card(people.eve, post_id)
        assert (seen["likes"], seen["liked"]) == (count, like)
        assert_exact()
    assert set(said) == {"Video liked successfully.", "Video already liked."}
    assert said[2] == "Video already liked."


def test_taking_back_a_like_that_never_was_changes_nothing(people: People, post_id: int) -> None:
    people.bob.post(LIKE, data={"video_id": post_id, "like": "true"})
    for _ in range(3):
        assert people.eve.post(LIKE, data={"video_id": post_id, "like": "false"}).status_code == 200
    assert card(people.eve, post_id)["likes"] == 1


@pytest.mark.parametrize(
    ("encoding", "value", "liked"),
    [
        ("json", True, True),
        ("json", False, False),
        ("json", "true", True),
        ("json", "false", False),
        ("json", 1, True),
        ("json", 0, False),
        ("data", "true", True),
        ("data", "false", False),
        ("data", "True", True),
        ("data", "1", True),
        ("data", "0", False),
    ],
)
def test_truth_is_read_right_in_every_encoding(
    people: People, post_id: int, encoding: str, value: object, liked: bool
) -> None:
    people.eve.post(LIKE, data={"video_id": post_id, "like": "false" if liked else "true"})
    body = {encoding: {"video_id": post_id, "like": value}}
    assert people.eve.post(LIKE, **body).status_code == 200
    assert card(people.eve, post_id)["liked"] is liked


@pytest.mark.parametrize("value", ["", "maybe", "2", "[]", "null"])
def test_what_is_neither_true_nor_false_is_refused(people: People, post_id: int, value: str) -> None:
    answer = people.eve.post(LIKE, data={"video_id": post_id, "like": value})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid")
    assert answer.json["like"]


def test_the_profile_adds_up_the_likes_of_all_posts(people: People, post_id: int) -> None:
    second = make_post("ada", "And a fourth")
    for person in (people.eve, people.bob):
        for video_id in (post_id, second):
            person.post(LIKE, data={"video_id": video_id, "like": "true"})
    assert people.eve.get("/api/media/get_user_posts/?username=ada").json["total_likes"] == 4


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (LIKE, {"like": "true"}),
        ("/api/post/share/", {}),
        ("/api/post/add_comment/", {"comment": "Hi"}),
        ("/api/post/get_comments/", {}),
        ("/api/post/update_posts_engagement/", {"watch_time": 3}),
        ("/api/post/report_video/", {"reason": "Inappropriate content"}),
    ],
)
@pytest.mark.parametrize("why", ["unknown", "huge", "hidden", "removed", "deleted", "unready", "suspended", "leaving"])
def test_a_post_that_is_not_to_be_seen_is_not_to_be_touched(
    people: People, post_id: int, session: sa.orm.Session, path: str, body: dict[str, object], why: str
) -> None:
    now = clock.now()
    match why:
        case "unknown":
            post_id += 1000
        case "huge":
            post_id = 2**63 - 1
        case "suspended":
            session.execute(sa.update(User).where(User.username == "ada").values(suspended_until=now + timedelta(1)))
        case "leaving":
            session.execute(sa.update(User).where(User.username == "ada").values(deletion_requested_at=now))
        case _:
            values: dict[str, dict[str, object]] = {
                "hidden": {"visibility": Visibility.HIDDEN},
                "removed": {"visibility": Visibility.REMOVED},
                "deleted": {"deleted_at": now},
                "unready": {"playable_at": None},
            }
            session.execute(sa.update(Post).values(values[why]))
    session.commit()
    answer = people.eve.post(path, data={"video_id": post_id, **body})
    assert (answer.status_code, answer.json["code"]) == (404, "post_not_found")
    assert answer.json["error"] == "Video not found."
    assert_exact()


def test_a_share_counts_once_a_person(people: People, post_id: int) -> None:
    for _ in range(2):
        answer = people.eve.post("/api/post/share/", data={"video_id": post_id})
        assert answer.json == {"message": "Video shared successfully."}
    assert people.bob.post("/api/post/share/", json={"video_id": post_id}).status_code == 200
    assert_exact()


def test_what_was_liked_shared_or_watched_is_learnt(people: People, post_id: int) -> None:
    assert people.eve.get("/api/user/get_preferences/").json == {}
    people.eve.post("/api/post/share/", data={"video_id": post_id})
    shares = people.eve.get("/api/user/get_preferences/").json
    assert sum(shares.values()) == pytest.approx(1)
    assert people.eve.post("/api/user/reset_user_engagement/").status_code == 200
    assert people.eve.get("/api/user/get_preferences/").json == {}


def test_a_reset_takes_everything_out_of_the_counts_again(people: People, post_id: int) -> None:
    own = make_post("eve")
    for video_id in (post_id, own):
        for person in (people.eve, people.bob):
            person.post(LIKE, data={"video_id": video_id, "like": "true"})
            person.post("/api/post/share/", data={"video_id": video_id})
            for text in ("One", "Two"):
                person.post("/api/post/add_comment/", data={"video_id": video_id, "comment": text})
            person.post("/api/post/update_posts_engagement/", json={"video_id": video_id, "watch_time": 5})
    assert people.eve.post("/api/user/reset_user_engagement/").json == {"message": "Engagement reset successfully."}
    assert_exact()
    for video_id, owner in ((post_id, "ada"), (own, "eve")):
        seen = card(people.eve, video_id, owner)
        assert (seen["likes"], seen["comments"], seen["views"], seen["liked"]) == (1, 2, 1, False)
    assert people.eve.post("/api/user/reset_user_engagement/").status_code == 200
