"""A block hides both ways, everywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.kernel import clock
from tests.support.counts import assert_exact
from tests.support.people import People, Person
from tests.support.posts import make_post

BLOCK, UNBLOCK, LIST = "/api/user/block_user/", "/api/user/unblock_user/", "/api/user/get_blocked/"
FOLLOW = "/api/user/add_follower/"


@pytest.fixture
def posts(people: People) -> dict[str, int]:
    """ada and eve follow one another, and comment under bob's post and each other's."""
    posts = {name: make_post(people[name].username, f"A post by {name}", "music") for name in ("ada", "eve", "bob")}
    for one, other in ((people.ada, "eve"), (people.eve, "ada")):
        one.post(FOLLOW, data={"username": other})
        for post_id in posts.values():
            one.post("/api/post/add_comment/", data={"video_id": post_id, "comment": f"Hello from {one.username}"})
    return posts


def meets(viewer: Person, name: str, posts: dict[str, int]) -> dict[str, bool]:
    """Where `viewer` meets `name`."""

    def users(answer: Any, key: str) -> set[str]:
        return {item.get("user", item.get("username")) for item in answer.json[key]}

    feed = {"batch_size": 50}
    comments = viewer.post("/api/post/get_comments/", data={"video_id": posts["bob"]})
    return {
        "search": name in users(viewer.get(f"/api/user/search/?query={name}"), "accounts"),
        "profile": viewer.get(f"/api/media/get_user_posts/?username={name}").status_code == 200,
        "comments": name in users(comments, "comments"),
        "feed": name in users(viewer.get("/api/media/get_feed/", query_string=feed), "feed"),
        "following feed": name
        in users(viewer.get("/api/media/get_feed/", query_string=feed | {"followers_only": "true"}), "feed"),
        "followed": name in users(viewer.get("/api/user/get_followers/"), "accounts"),
        "own comments": viewer.post("/api/post/get_comments/", data={"video_id": posts[name]}).status_code == 200,
        "like": viewer.post("/api/post/like/", data={"video_id": posts[name], "like": "false"}).status_code == 200,
        "comment": viewer.post("/api/post/add_comment/", data={"video_id": posts[name], "comment": "x"}).status_code
        == 200,
        "view": viewer.post("/api/post/update_posts_engagement/", json={"video_id": posts[name], "watch_time": 0})
        .status_code == 200,
        "report": viewer.post("/api/post/report_video/", data={"video_id": posts[name], "reason": " "}).json["code"]
        == "never",
    }  # fmt: skip


def test_before_the_block_they_meet_everywhere_and_afterwards_nowhere(people: People, posts: dict[str, int]) -> None:
    for viewer, name in ((people.ada, "eve"), (people.eve, "ada")):
        met = meets(viewer, name, posts)
        met.pop("report")
        assert all(met.values()), met
    answer = people.eve.post(BLOCK, data={"username": "ada"})
    assert (answer.status_code, answer.json["message"]) == (201, "User blocked successfully.")
    for viewer, name in ((people.ada, "eve"), (people.eve, "ada")):
        met = meets(viewer, name, posts)
        assert not any(met.values()), (viewer.username, met)
        follow = viewer.post(FOLLOW, data={"username": name})
        assert (follow.status_code, follow.json["code"]) == (404, "user_not_found")
        report = viewer.post("/api/post/report_video/", data={"video_id": posts[name], "reason": "Spam"})
        assert report.json["code"] == "post_not_found"
    others = people.bob.post("/api/post/get_comments/", data={"video_id": posts["bob"]}).json["comments"]
    assert {comment["user"] for comment in others} == {"ada", "eve"}
    assert_exact()


def test_both_stop_following(people: People, posts: dict[str, int]) -> None:
    people.eve.post(BLOCK, data={"username": "ada"})
    people.eve.post(UNBLOCK, data={"username": "ada"})
    for viewer, name in ((people.ada, "eve"), (people.eve, "ada")):
        profile = viewer.get(f"/api/media/get_user_posts/?username={name}").json
        assert (profile["is_following"], profile["total_followers"]) == (False, 0)
    assert_exact()


def test_a_block_can_be_lifted_and_then_they_meet_again(people: People, posts: dict[str, int]) -> None:
    people.eve.post(BLOCK, data={"username": "ada"})
    assert people.eve.get(LIST).json == {"accounts": [{"username": "ada"}]}
    assert people.ada.get(LIST).json == {"accounts": []}
    assert people.ada.post(UNBLOCK, data={"username": "eve"}).json["message"] == "User was not blocked."
    assert people.eve.post(UNBLOCK, data={"username": "ada"}).json["message"] == "User unblocked successfully."
    met = meets(people.ada, "eve", posts)
    assert {name for name, yes in met.items() if not yes} == {"following feed", "followed", "report"}
    assert people.eve.get(LIST).json == {"accounts": []}


def test_who_is_blocked_may_block_in_turn(people: People, posts: dict[str, int]) -> None:
    people.eve.post(BLOCK, data={"username": "ada"})
    assert people.ada.post(BLOCK, data={"username": "eve"}).status_code == 201
    people.eve.post(UNBLOCK, data={"username": "ada"})
    assert not any(meets(people.eve, "ada", posts).values())


def test_blocking_again_says_so(people: People) -> None:
    assert people.ada
    assert people.eve.post(BLOCK, data={"username": "ada"}).status_code == 201
    answer = people.eve.post(BLOCK, data={"username": "Ada"})
    assert (answer.status_code, answer.json["message"]) == (200, "User already blocked.")


@pytest.mark.parametrize(
    ("path", "name", "status", "sentence"),
    [
        (BLOCK, "eve", 400, "You cannot block yourself."),
        (BLOCK, "nobody", 404, "User not found."),
        (UNBLOCK, "nobody", 404, "User not found."),
    ],
)
def test_nobody_blocks_themselves_or_no_one(people: People, path: str, name: str, status: int, sentence: str) -> None:
    answer = people.eve.post(path, data={"username": name})
    assert (answer.status_code, answer.json["error"]) == (status, sentence)


def test_the_block_of_somebody_suspended_can_be_lifted(people: People, session: sa.orm.Session) -> None:
    assert people.ada
    people.eve.post(BLOCK, data={"username": "ada"})
    until = clock.now() + timedelta(days=1)
    session.execute(sa.update(User).where(User.username == "ada").values(suspended_until=until))
    session.commit()
    assert people.eve.post(UNBLOCK, data={"username": "ada"}).status_code == 200
    assert people.eve.post(UNBLOCK, data={"username": "ada"}).status_code == 404
