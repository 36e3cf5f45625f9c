"""Posts that do well now."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from popoff.accounts import service as accounts
from popoff.adapters.insight import insight
from popoff.feed import queries
from popoff.feed import service as feed
from popoff.feed.rules import Source
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.social import service as social
from popoff.web.transaction import transaction
from tests.integration.feed.conftest import Register
from tests.support.posts import make_post


def trending() -> list[int]:
    return list(db.session.scalars(sa.text("SELECT post_id FROM trending_posts ORDER BY score DESC")))


def versions() -> dict[int, str]:
    """Post -> where its row lies; a row that is written anew lies elsewhere."""
    rows = db.session.execute(sa.text("SELECT post_id, ctid::text AS place FROM trending_posts"))
    return {row.post_id: row.place for row in rows}


@pytest.fixture
def fans(register: Register) -> list[int]:
    register("ada")
    return [register(f"fan{number}") for number in range(4)]


def test_more_engagement_comes_first_and_none_is_left_out(fans: list[int]) -> None:
    quiet, watched, liked = (make_post("ada", caption, age=timedelta(days=9)) for caption in ("One", "Two", "Three"))
    for fan in fans:
        social.record_view(fan, watched, 5.0)
        social.record_view(fan, liked, 5.0)
        social.set_like(fan, liked, True)
    feed.refresh_trending()
    assert trending() == [liked, watched]
    assert quiet not in trending()


@pytest.mark.parametrize(
    "act",
    [
        lambda fan, post: social.set_like(fan, post, True),
        lambda fan, post: social.add_comment(fan, post, "Nice"),
        lambda fan, post: social.share(fan, post),
    ],
    ids=["like", "comment", "share"],
)
def test_every_act_weighs_more_than_a_view(fans: list[int], act: object) -> None:
    viewed, acted = make_post("ada", "One"), make_post("ada", "Two")
    social.record_view(fans[0], viewed, 5.0)
    act(fans[0], acted)  # type: ignore[operator]
    feed.refresh_trending()
    assert trending() == [acted, viewed]


def test_what_is_new_overtakes_what_was_and_the_old_drops_out(fans: list[int]) -> None:
    old, new = make_post("ada", "Old", age=timedelta(days=9)), make_post("ada", "New", age=timedelta(days=9))
    for fan in fans[:3]:
        social.record_view(fan, old, 5.0)
    feed.refresh_trending()
    with clock.shifted(timedelta(hours=24)):
        social.record_view(fans[0], new, 5.0)
        feed.refresh_trending()
        assert trending() == [new, old]
    with clock.shifted(timedelta(hours=49)):
        feed.refresh_trending()
        assert trending() == [new]


def test_only_posts_with_new_engagement_are_written(fans: list[int]) -> None:
    still, moving = make_post("ada", "One"), make_post("ada", "Two")
    for post in (still, moving):
        social.record_view(fans[0], post, 5.0)
    feed.refresh_trending()
    before = versions()
    with clock.shifted(timedelta(hours=5)):
        feed.refresh_trending()
        assert versions() == before
        social.set_like(fans[1], moving, True)
        feed.refresh_trending()
        after = versions()
    assert after[still] == before[still]
    assert after[moving] != before[moving]


def test_two_refreshes_at_once_do_not_disturb_each_other(platform_db: Flask) -> None:
    with platform_db.app_context(), transaction():
        fan = accounts.register("fan", "fan@people.example", "correct horse battery").id
        accounts.register("ada", "ada@people.example", "correct horse battery")
        posts = [make_post("ada", f"Number {number}") for number in range(20)]
        for post_id in posts:
            social.record_view(fan, post_id, 5.0)
    together = threading.Barrier(4)

    def refresh(_: int) -> None:
        with platform_db.app_context():
            together.wait()
            for _ in range(5):
                with transaction():
                    feed.refresh_trending()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(refresh, range(4)))
    with platform_db.app_context():
        assert sorted(trending()) == posts


def test_no_more_are_kept_than_asked_for(fans: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "TRENDING_KEPT", 2)
    for number in range(4):
        social.record_view(fans[0], make_post("ada", f"Number {number}"), 5.0)
    feed.refresh_trending()
    assert len(trending()) == 2


def test_the_popular_reach_people_whose_interests_they_miss(fans: list[int], register: Register) -> None:
    viewer = register("viewer")
    hit = make_post("ada", "Guitar", age=timedelta(days=9))
    for fan in fans:
        social.set_like(fan, hit, True)
        social.record_view(fan, hit, 5.0)
    feed.refresh_trending()
    for number in range(queries.FRESH + queries.RANDOM * 2):
        make_post("ada", f"Pasta {number}", age=timedelta(hours=1), indexed=False)
    found = queries.candidates(viewer, [], insight().model, [], dice=0.5, per_author=2)
    sources = dict(zip(found.post_ids.tolist(), found.sources.tolist(), strict=True))
    assert sources[hit] & Source.POPULAR
