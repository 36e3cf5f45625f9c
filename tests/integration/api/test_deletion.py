"""Leaving: hidden at once, back by signing in, gone after the grace period."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

import config
from popoff.accounts import queries
from popoff.accounts.models import User
from popoff.adapters.jobs import Job
from popoff.adapters.storage import store
from popoff.feed.models import Impression
from popoff.kernel import clock
from popoff.kernel.db import metadata
from popoff.social import service as social
from tests.support.counts import assert_exact, counted
from tests.support.people import PASSWORD, People, Person
from tests.support.posts import make_post
from workers import lifecycle

DELETE, LOGIN = "/api/user/delete_account/", "/api/auth/login/"
GRACE = timedelta(days=14)


@pytest.fixture
def life(people: People) -> dict[str, int]:
    """ada, eve and bob with a post each; ada and eve did everything to one another and to bob."""
    posts = {name: make_post(people[name].username, f"A post by {name}", "music") for name in ("ada", "eve", "bob")}
    for one, other in ((people.ada, "eve"), (people.eve, "ada")):
        for username in (other, "bob"):
            one.post("/api/user/add_follower/", data={"username": username})
        for post_id in posts.values():
            one.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
            one.post("/api/post/share/", data={"video_id": post_id})
            one.post("/api/post/add_comment/", data={"video_id": post_id, "comment": f"Hello from {one.username}"})
            one.post("/api/post/update_posts_engagement/", json={"video_id": post_id, "watch_time": 5})
        for username in {"ada", "eve", "bob"} - {one.username}:
            one.post("/api/post/report_video/", data={"video_id": posts[username], "reason": "Spam"})
    people.ada.post("/api/user/block_user/", data={"username": people.mallory.username})
    return posts


def leave(person: Person, **body: str) -> Any:
    return person.delete(DELETE, **({"data": body} if body else {}))


def purge(session: sa.orm.Session, name: str, after: timedelta) -> None:
    user_id = session.scalars(sa.select(User.id).where(User.username == name)).one()
    with clock.shifted(after):
        lifecycle.purge_account(user_id)


def pages(viewer: Person, posts: dict[str, int]) -> str:
    """What somebody can read about people; links and scores, which differ from time to time, are left out."""
    texts = [viewer.get(f"/api/user/search/?query={letter}").text for letter in "aeb"]
    texts += [viewer.get("/api/user/get_followers/").text]
    texts += [viewer.post("/api/post/get_comments/", data={"video_id": post_id}).text for post_id in posts.values()]
    texts += [viewer.get(f"/api/media/get_user_posts/?username={name}").text for name in posts]
    return re.sub(r'"link":"[^"]*"|"interest_score":[^,}]*', "", "\n".join(texts))


def in_feed(viewer: Person) -> set[str]:
    return {item["user"] for item in viewer.get("/api/media/get_feed/?batch_size=50").json["feed"]}


def test_who_leaves_is_hidden_and_signed_out_at_once(people: People, life: dict[str, int]) -> None:
    ada = people.ada
    assert "ada" in pages(people.bob, life) and "ada" in in_feed(people.bob)
    assert leave(ada).json == {"message": "Account deleted successfully."}
    assert ada.get("/api/auth/check_token/").status_code == 401
    assert not re.search(r"\bada\b", pages(people.bob, life))
    assert in_feed(people.bob) == {"eve"}


def test_a_password_that_is_sent_must_be_right(people: People) -> None:
    ada = people.ada
    refused = leave(ada, password="not it at all")
    assert (refused.status_code, refused.json["code"]) == (400, "wrong_credentials")
    assert refused.json["non_field_errors"] == ["The password is not right."]
    assert ada.get("/api/auth/check_token/").status_code == 200
    assert ada.delete(DELETE, json={"password": PASSWORD}).status_code == 200
    assert ada.get("/api/auth/check_token/").status_code == 401


@pytest.mark.parametrize("name", ["ada", "ada@people.example"])
def test_signing_in_within_the_grace_period_brings_everything_back(
    people: People, client: FlaskClient, life: dict[str, int], session: sa.orm.Session, name: str
) -> None:
    before = pages(people.bob, life)
    leave(people.ada)
    with clock.shifted(GRACE - timedelta(hours=1)):
        assert client.post(LOGIN, data={"username": name, "password": PASSWORD}).status_code == 200
    purge(session, "ada", GRACE + timedelta(days=100))
    assert queries.by_login("ada") is not None
    assert "ada" in before and pages(people.bob, life) == before
    assert "ada" in in_feed(people.bob)
    assert_exact()


def test_a_wrong_password_brings_nobody_back(people: People, client: FlaskClient, session: sa.orm.Session) -> None:
    leave(people.ada)
    assert client.post(LOGIN, data={"username": "ada", "password": "not it at all"}).status_code == 400
    purge(session, "ada", GRACE + timedelta(minutes=1))
    assert queries.by_login("ada") is None


def test_before_the_grace_period_is_over_nothing_is_purged(
    people: People, life: dict[str, int], session: sa.orm.Session
) -> None:
    before = counted()
    leave(people.ada)
    purge(session, "ada", GRACE - timedelta(minutes=1))
    assert queries.by_login("ada") is not None
    assert counted() == before


def test_after_it_every_trace_is_gone_and_the_counts_are_exact(
    people: People, client: FlaskClient, life: dict[str, int], session: sa.orm.Session
) -> None:
    user_id = session.scalars(sa.select(User.id).where(User.username == "ada")).one()
    make_post(people.zoe.username, "Something new")
    people.ada.get("/api/media/get_feed/")
    people.ada.post("/api/user/mute_word/", data={"word": "Spam"})
    people.ada.post("/api/user/mute_creator/", data={"username": "eve"})
    people.eve.post("/api/user/mute_creator/", data={"username": "ada"})
    assert session.scalars(shown := sa.select(Impression.post_id).where(Impression.user_id == user_id)).all()
    leave(people.ada)
    purge(session, "ada", GRACE + timedelta(minutes=1))
    assert session.scalars(shown).all() == []
    for table in metadata.tables.values():
        for column in table.columns:
            if any(key.column.table.name == "users" for key in column.foreign_keys):
                assert session.scalars(sa.select(column).where(column == user_id)).all() == [], column
    assert_exact()
    assert social.repair_counters() == 0
    bob = people.mallory.get("/api/media/get_user_posts/?username=bob").json
    assert (bob["total_likes"], bob["total_followers"]) == (1, 1)
    assert [(post["likes"], post["comments"], post["views"]) for post in bob["posts"]] == [(1, 1, 1)]
    assert not re.search(r"\bada\b", pages(people.bob, life))
    assert client.post(LOGIN, data={"username": "ada", "password": PASSWORD}).status_code == 400
    lifecycle.purge_account(user_id)  # twice is as good as once


def test_the_name_and_the_address_are_free_again(people: People, client: FlaskClient, session: sa.orm.Session) -> None:
    leave(people.ada)
    body = {"username": "ada", "email": "ada@people.example", "password": PASSWORD}
    assert client.post("/api/auth/register/", data=body).json["code"] == "account_exists"
    purge(session, "ada", GRACE + timedelta(minutes=1))
    assert client.post("/api/auth/register/", data=body).status_code == 201


def test_the_objects_leave_the_store(people: People, client: FlaskClient, session: sa.orm.Session) -> None:
    keys = []
    for person in (people.ada, people.eve):
        ticket = person.post("/api/media/upload/", data={"fileName": "a.mp4", "fileType": "video/mp4"}).json
        for url, key, kind in (
            ("video_url", "video_file_path", "video/mp4"),
            ("thumb_url", "thumb_file_path", "image/jpeg"),
        ):
            path = ticket[url].removeprefix(config.current().public_url)
            assert client.put(path, data=b"bytes", content_type=kind).status_code == 200
            keys.append(ticket[key])
    leave(people.ada)
    purge(session, "ada", GRACE + timedelta(minutes=1))
    assert [store().stat(key) is not None for key in keys] == [False, False, True, True]


def test_the_round_of_the_job_finds_who_is_due(people: People, session: sa.orm.Session) -> None:
    leave(people.ada)
    with clock.shifted(timedelta(days=10)):
        leave(people.eve)
    for days, due in ((13, 0), (15, 1), (15, 1), (25, 2)):
        with clock.shifted(timedelta(days=days)):
            lifecycle.purge_due_accounts()
        jobs = session.scalars(sa.select(Job.args).where(Job.name == "accounts.purge")).all()
        assert len(jobs) == due
    assert {job["user_id"] for job in jobs} == set(
        session.scalars(sa.select(User.id).where(User.username.in_(["ada", "eve"])))
    )
