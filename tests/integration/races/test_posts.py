"""What many people do with one post at the same moment."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

import config
from popoff.accounts import queries as accounts
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.moderation import service as moderation
from popoff.moderation.models import Case, Report
from popoff.moderation.rules import CaseState
from popoff.social import queries
from popoff.social import service as social
from popoff.social.models import View
from popoff.web.transaction import transaction
from tests.integration.races.conftest import Crowd
from tests.support.counts import counted
from tests.support.races import at_once
from workers import lifecycle

LIKE, VIEW, REPORT = "/api/post/like/", "/api/post/update_posts_engagement/", "/api/post/report_video/"
RESET = "/api/user/reset_user_engagement/"


def kept(crowd: Crowd, post_id: int) -> dict[str, int]:
    with crowd.app.app_context():
        return counted()[0].get(post_id, {})


def test_of_64_likes_at_once_none_is_lost(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    likes = [crowd.call(person, "POST", LIKE, video_id=post_id, like=True) for person in crowd.many(64)]
    assert at_once(likes) == [200] * 64
    assert kept(crowd, post_id) == {"likes": 64}
    unlikes = [crowd.call(person, "POST", LIKE, video_id=post_id, like=False) for person in crowd.many(32)]
    assert at_once(unlikes) == [200] * 32
    assert kept(crowd, post_id) == {"likes": 32}


def test_one_person_on_many_devices_likes_once(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    assert at_once([crowd.call(crowd["eve"], "POST", LIKE, video_id=post_id, like=True)] * 12) == [200] * 12
    assert kept(crowd, post_id) == {"likes": 1}
    assert at_once([crowd.call(crowd["eve"], "POST", LIKE, video_id=post_id, like=False)] * 12) == [200] * 12
    assert kept(crowd, post_id) == {}


def test_two_first_reports_at_once_are_one_view(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    report = crowd.call(crowd["eve"], "POST", VIEW, video_id=post_id, watch_time=5)
    assert at_once([report] * 8) == [200] * 8
    counts = kept(crowd, post_id)
    assert counts["views"] == 1
    assert 5000 <= counts["watch_ms"] < 10_000, "the same five seconds must not add up"
    with crowd.app.app_context():
        assert db.session.scalars(sa.select(View.watch_ms)).one() == counts["watch_ms"]


def test_everything_at_once_is_counted_to_the_last(crowd: Crowd) -> None:
    posts, people = [crowd.post_of("ada"), crowd.post_of("bob")], crowd.many(6)
    calls = []
    for person in people:
        for post_id in posts:
            calls += [
                crowd.call(person, "POST", LIKE, video_id=post_id, like=True),
                crowd.call(person, "POST", "/api/post/add_comment/", video_id=post_id, comment="Hi"),
                crowd.call(person, "POST", "/api/post/share/", video_id=post_id),
                crowd.call(person, "POST", VIEW, video_id=post_id, watch_time=3),
            ]
    assert set(at_once(calls)) == {200}
    for post_id in posts:
        assert kept(crowd, post_id) == {"likes": 6, "comments": 6, "shares": 6, "views": 6, "watch_ms": 18_000}


def test_resets_beside_likes_and_one_another_neither_deadlock_nor_miscount(crowd: Crowd) -> None:
    posts, people = [crowd.post_of("ada") for _ in range(4)], crowd.many(4)
    for number, person in enumerate(people):  # crossing orders: each has done something else with each post
        for turn, post_id in enumerate(posts):
            act: tuple[str, dict[str, Any]] = [
                (LIKE, {"like": True}),
                ("/api/post/share/", {}),
                ("/api/post/add_comment/", {"comment": "Hi"}),
                (VIEW, {"watch_time": 2}),
            ][(number + turn) % 4]
            assert crowd.call(person, "POST", act[0], video_id=post_id, **act[1])() == 200
    for _ in range(3):
        calls = [crowd.call(person, "POST", RESET) for person in people]
        calls += [crowd.call(p, "POST", LIKE, video_id=post_id, like=True) for p in people for post_id in posts]
        calls += [crowd.call(p, "POST", VIEW, video_id=post_id, watch_time=2) for p in people for post_id in posts]
        assert set(at_once(calls)) == {200}


def test_the_repair_job_finds_nothing_wrong_in_the_midst_of_it(crowd: Crowd) -> None:
    post_id, found = crowd.post_of("ada"), []

    def repair() -> int:
        with crowd.app.app_context(), transaction():
            found.append(social.repair_counters())
        return 200

    people = crowd.many(16)
    likes = [crowd.call(person, "POST", LIKE, video_id=post_id, like=True) for person in people]
    follows = [crowd.call(person, "POST", "/api/user/add_follower/", username="ada") for person in people]
    assert set(at_once([*likes, *follows, *([repair] * 4)])) == {200, 201}
    assert found == [0] * 4


def test_a_post_deleted_in_the_midst_of_likes_is_gone_and_nobody_sees_an_error(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    with crowd.app.app_context():
        post = db.session.get_one(Post, post_id)
        upload = {"user_id": post.user_id, "upload_id": post.upload_id}

    def delete_and_purge() -> int:
        status = crowd.call(crowd["ada"], "DELETE", "/api/media/delete_post/", video_id=post_id)()
        with crowd.app.app_context():
            lifecycle.purge_post(**upload)
        return status

    likes = [crowd.call(person, "POST", LIKE, video_id=post_id, like=True) for person in crowd.many(24)]
    views = [crowd.call(person, "POST", VIEW, video_id=post_id, watch_time=2) for person in crowd.many(8)]
    resets = [crowd.call(person, "POST", RESET) for person in crowd.many(8)]
    deleted, *others = at_once([delete_and_purge, *likes, *views, *resets])
    assert deleted == 200
    assert set(others) <= {200, 404}
    with crowd.app.app_context():
        assert db.session.get(Post, post_id) is None


def test_a_post_that_somebody_acts_on_can_be_changed_meanwhile_but_not_erased(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    assert crowd["eve"]
    with crowd.app.app_context():
        eve = accounts.by_login("eve")
        assert eve and queries.reachable_post(eve.id, post_id, hold=True)
        for change, passes in (("UPDATE posts SET visibility = 'hidden'", True), ("DELETE FROM posts", False)):
            with db.engine.connect() as other:
                other.execute(sa.text("SET lock_timeout = '100ms'"))
                refusal = contextlib.nullcontext() if passes else pytest.raises(OperationalError, match="lock timeout")
                with refusal:
                    other.execute(sa.text(f"{change} WHERE id = {post_id}"))


def cases(crowd: Crowd) -> list[tuple[str, int]]:
    """(state, reports) of every case."""
    with crowd.app.app_context():
        rows = db.session.execute(
            sa.select(Case.state, sa.func.count(Report.id)).outerjoin(Report).group_by(Case.id).order_by(Case.id)
        )
        return [(row[0], row[1]) for row in rows]


def test_one_person_reports_once_however_fast(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    report = crowd.call(crowd["eve"], "POST", REPORT, video_id=post_id, reason="Spam")
    assert sorted(at_once([report] * 8)) == [200] * 7 + [201]
    assert cases(crowd) == [("open", 1)]


def test_many_reports_at_once_are_one_case_that_hides_the_post(crowd: Crowd) -> None:
    post_id = crowd.post_of("ada")
    reports = [crowd.call(person, "POST", REPORT, video_id=post_id, reason="Spam") for person in crowd.many(12)]
    statuses = at_once(reports)
    assert set(statuses) <= {201, 404}
    assert statuses.count(201) >= config.current().report_threshold
    assert cases(crowd) == [("open", statuses.count(201))]
    with crowd.app.app_context():
        assert db.session.get_one(Post, post_id).visibility == "hidden"


@pytest.mark.parametrize("attempt", range(3))
def test_reports_beside_a_decision_join_this_case_or_open_the_next(crowd: Crowd, attempt: int) -> None:
    post_id = crowd.post_of("ada")
    with config.override(report_threshold=100):
        assert crowd.call(crowd["eve"], "POST", REPORT, video_id=post_id, reason="Spam")() == 201
        with crowd.app.app_context():
            case_id = db.session.scalars(sa.select(Case.id)).one()

        def decide() -> int:
            with crowd.app.app_context(), transaction():
                moderation.decide(case_id, CaseState.DISMISSED, "Fine.")
            return 201

        people = crowd.many(8)
        reports = [crowd.call(person, "POST", REPORT, video_id=post_id, reason="Spam") for person in people]
        again = [crowd.call(crowd["eve"], "POST", REPORT, video_id=post_id, reason="Spam")] * 3
        assert set(at_once([*reports, decide, *again])) <= {200, 201}
    (first, *later) = cases(crowd)
    assert first[0] == "dismissed"
    assert sum(count for _, count in (first, *later)) == 9
    assert all(case[0] == "open" and case[1] > 0 for case in later) and len(later) <= 1
