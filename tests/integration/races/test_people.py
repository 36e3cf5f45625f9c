"""What people do to one another, and to their accounts, at the same moment."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from popoff.accounts import queries
from popoff.accounts.models import LoginFailures, User
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.social.models import Block, Follow
from tests.integration.races.conftest import Crowd
from tests.support.counts import counted
from tests.support.people import PASSWORD
from tests.support.races import at_once
from workers import lifecycle

FOLLOW, BLOCK, LIKE = "/api/user/add_follower/", "/api/user/block_user/", "/api/post/like/"


@pytest.mark.parametrize("presses", [20, 21])
def test_the_number_of_toggles_alone_decides(crowd: Crowd, presses: int) -> None:
    assert crowd["ada"]
    toggle = crowd.call(crowd["eve"], "POST", FOLLOW, username="ada")
    assert at_once([toggle] * presses) == [201] * presses
    accounts = crowd["eve"].get("/api/user/get_followers/").json["accounts"]
    assert [account["num_followers"] for account in accounts] == [1] * (presses % 2)


def test_everybody_follows_everybody_at_once(crowd: Crowd) -> None:
    people = crowd.many(6)
    follows = [
        crowd.call(one, "POST", FOLLOW, username=other.username) for one in people for other in people if one != other
    ]
    assert at_once(follows) == [201] * 30
    with crowd.app.app_context():
        assert all(counts == {"followers": 5, "following": 5} for counts in counted()[1].values())


def test_blocking_and_following_one_another_at_once_ends_apart(crowd: Crowd) -> None:
    people = crowd.many(4)
    for _ in range(3):
        calls = [
            crowd.call(one, "POST", path, username=other.username)
            for one in people
            for other in people
            if one != other
            for path in (FOLLOW, BLOCK)
        ]
        assert set(at_once(calls)) <= {200, 201, 404}
        with crowd.app.app_context():
            assert db.session.scalar(sa.select(sa.func.count()).select_from(Block)) == 12
            assert db.session.scalars(sa.select(Follow.follower_id)).all() == []
            db.session.execute(sa.delete(Block))
            db.session.commit()


@pytest.mark.parametrize("names", [("ada",) * 6, ("ada", "ADA", "Ada", "aDa", "adA", "\uff41da")])
def test_of_several_registrations_at_once_one_succeeds_and_the_others_are_told(
    platform_db: Flask, names: tuple[str, ...]
) -> None:
    def register(name: str, number: int) -> tuple[int, str]:
        body = {"username": name, "email": f"ada{number}@x.io", "password": PASSWORD}
        answer = platform_db.test_client().post("/api/auth/register/", data=body)
        return answer.status_code, answer.json.get("code", "")

    answers = at_once([lambda n=name, i=number: register(n, i) for number, name in enumerate(names)])  # type: ignore[misc]
    assert sorted(answers) == [(201, "")] + [(400, "account_exists")] * 5


def test_guesses_cannot_overtake_the_count_of_failures(platform_db: Flask, crowd: Crowd) -> None:
    assert crowd["ada"]

    def guess() -> int:
        body = {"username": "ada", "password": "not it at all"}
        return platform_db.test_client().post("/api/auth/login/", data=body).status_code

    assert sorted(at_once([guess] * 16)) == [400] * 5 + [429] * 11
    with platform_db.app_context():
        assert set(db.session.scalars(sa.select(LoginFailures.failures))) == {5}


@pytest.fixture
def leaver(crowd: Crowd) -> int:
    """The number of ada, who liked and follows, is followed, has a post, and whose grace period is over."""
    post_id = crowd.post_of("ada")
    for person in crowd.many(4):
        other = crowd.post_of(person.username)
        assert crowd.call(crowd["ada"], "POST", LIKE, video_id=other, like=True)() == 200
        assert crowd.call(person, "POST", LIKE, video_id=post_id, like=True)() == 200
        assert crowd.call(person, "POST", FOLLOW, username="ada")() == 201
        assert crowd.call(crowd["ada"], "POST", FOLLOW, username=person.username)() == 201
    with crowd.app.app_context():
        user = queries.by_login("ada")
        assert user is not None
        user.deletion_requested_at = clock.now() - timedelta(days=20)
        db.session.commit()
        return user.id


def purge(crowd: Crowd, user_id: int) -> int:
    with crowd.app.app_context():
        lifecycle.purge_account(user_id)
    return 200


def test_a_purge_beside_the_life_of_others_disturbs_neither(crowd: Crowd, leaver: int) -> None:
    people = crowd.many(4)
    with crowd.app.app_context():
        posts = {p.username: crowd.post_of(p.username) for p in people}
    calls = [crowd.call(p, "POST", LIKE, video_id=i, like=True) for p in people for i in posts.values()]
    calls += [crowd.call(p, "POST", FOLLOW, username=o.username) for p in people for o in people if p != o]
    calls += [crowd.call(p, "POST", "/api/user/reset_user_engagement/") for p in people]
    assert set(at_once([lambda: purge(crowd, leaver), *calls, lambda: purge(crowd, leaver)])) <= {200, 201}
    with crowd.app.app_context():
        assert db.session.get(User, leaver) is None


def test_signing_in_beside_the_purge_comes_back_or_comes_too_late(crowd: Crowd, leaver: int) -> None:
    def sign_in() -> int:
        body = {"username": "ada", "password": PASSWORD}
        return crowd.app.test_client().post("/api/auth/login/", data=body).status_code

    _, *statuses = at_once([lambda: purge(crowd, leaver), *([sign_in] * 3)])
    with crowd.app.app_context():
        stayed = db.session.get(User, leaver) is not None
    assert set(statuses) <= {200, 400}
    assert (200 in statuses) == stayed
