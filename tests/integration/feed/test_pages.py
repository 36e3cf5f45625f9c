"""Pages of the feed: their size, order and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from flask import Flask

from popoff import create_app
from popoff.accounts import service as accounts
from popoff.feed import service as feed
from popoff.feed.categories import categorise, short_name
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.social import service as social
from popoff.web.transaction import transaction
from tests.integration.feed.conftest import Register
from tests.support.people import People
from tests.support.posts import make_post

CAPTIONS = {
    "Music": "A song on my guitar",
    "Food": "Pasta recipe, cooking at home",
    "Sports": "Football goals of the week",
    "Animals": "My cat and a puppy",
    "Gaming": "Minecraft castle gameplay",
}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("left", [0, 1, 4])
def test_a_page_is_short_when_less_than_the_batch_is_left(people: People, left: int) -> None:
    people.ada, people.eve  # noqa: B018
    posts = {make_post("ada", f"Number {n}") for n in range(left)}
    answer = people.eve.get("/api/media/get_feed/?batch_size=5").json
    assert {item["id"] for item in answer["feed"]} == posts
    assert answer["exhausted"] is True


def test_a_full_page_is_not_exhausted(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    for number in range(6):
        make_post("ada", f"Number {number}")
    answer = people.eve.get("/api/media/get_feed/?batch_size=5").json
    assert len(answer["feed"]) == 5
    assert answer["exhausted"] is False


def test_watching_page_after_page_shows_everything_once(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    posts = {make_post("ada", caption) for caption in CAPTIONS.values() for _ in range(5)}
    seen: list[int] = []
    while page := feed.page(viewer, 4, rng=rng(len(seen))):
        for item in page:
            seen.append(item["id"])
            watched = social.record_view(viewer, item["id"], 5.0)
            feed.learn(viewer, item["id"], watch_ms=watched)
    assert len(seen) == len(posts)
    assert set(seen) == posts


def test_an_older_post_ranks_lower_all_else_being_equal(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    ages = [timedelta(minutes=1), timedelta(days=1), timedelta(days=4), timedelta(days=30)]
    posts = [make_post("ada", "A song on my guitar", age=age) for age in ages]
    scores = {item["id"]: item["rank_score"] for item in feed.page(viewer, 5)}
    assert [scores[post] for post in posts] == sorted(scores.values(), reverse=True)
    assert len(set(scores.values())) == len(posts)


def test_a_new_person_gets_many_authors_and_categories(register: Register) -> None:
    viewer = register("viewer")
    for author in ("ada", "bela", "chen", "dina"):
        register(author)
    for number in range(12):
        make_post("ada", CAPTIONS["Music"], age=timedelta(minutes=number))
    for author, category in (("bela", "Food"), ("chen", "Sports"), ("dina", "Animals")):
        for number in range(4):
            make_post(author, CAPTIONS[category], age=timedelta(hours=number))
    for seed in range(5):
        page = feed.page(viewer, 6, rng=rng(seed))
        assert len({item["user"] for item in page}) >= 3
        assert len({categorise(item["description"]) for item in page}) >= 3
        assert max(Counter(item["user"] for item in page).values()) <= 2


def test_posts_without_words_are_shown(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    silent, unindexed = make_post("ada", ""), make_post("ada", "Guitar", indexed=False)
    page = {item["id"]: item for item in feed.page(viewer, 5)}
    assert set(page) == {silent, unindexed}
    assert {item["interest_score"] for item in page.values()} == {0.0}


def test_the_same_chance_gives_the_same_page(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    for number in range(30):
        make_post("ada", list(CAPTIONS.values())[number % 5])

    def page(seed: int) -> list[int]:
        return [item["id"] for item in feed.page(viewer, 5, rng=rng(seed))]

    assert page(3) == page(3)
    assert len({tuple(page(seed)) for seed in range(5)}) > 1


def test_every_item_tells_its_scores_and_a_reason(register: Register) -> None:
    viewer = register("viewer")
    for author in ("ada", "bela", "chen"):
        register(author)
    liked = make_post("ada", CAPTIONS["Music"])
    similar, followed = make_post("bela", CAPTIONS["Music"]), make_post("chen", CAPTIONS["Food"])
    old = make_post("ada", CAPTIONS["Sports"], age=timedelta(days=20))
    social.follow(viewer, "chen", True)
    feed.learn(viewer, liked, watch_ms=10_000, liked=True)
    page = {item["id"]: item for item in feed.page(viewer, 5, exclude=[liked], rng=rng())}
    assert all(0 <= item["interest_score"] <= 100 and 0 <= item["rank_score"] <= 1 for item in page.values())
    assert page[similar]["interest_score"] > 90 > page[old]["interest_score"]
    music = short_name(categorise(CAPTIONS["Music"]))
    assert page[similar]["reason"] in (f"Because you like {music}", "New on PopOff")
    assert page[followed]["reason"] in ("New from chen, whom you follow", "New on PopOff")
    assert page[old]["reason"] == "Something different"


@dataclass
class Cost:
    statements: int = 0
    rows: int = 0


@contextmanager
def counted() -> Iterator[Cost]:
    """Statements sent and rows fetched inside the block."""
    cost = Cost()

    def note(_connection: object, cursor: sa.engine.interfaces.DBAPICursor, statement: str, *_: object) -> None:
        if "SAVEPOINT" not in statement:  # of the test's own session
            cost.statements += 1
            cost.rows += max(0, cursor.rowcount)

    sa.event.listen(db.engine, "after_cursor_execute", note)
    try:
        yield cost
    finally:
        sa.event.remove(db.engine, "after_cursor_execute", note)


def copy_all_posts(times: int) -> None:
    """As many posts again, `times` over, each a little older than what it is a copy of."""
    for statement in (
        "INSERT INTO uploads (id, user_id, kind, claimed)"
        " SELECT id || '-' || n, user_id, kind, claimed FROM uploads, generate_series(1, :times) n",
        "INSERT INTO posts (user_id, upload_id, description, stage, source_key, playable_at)"
        " SELECT user_id, upload_id || '-' || n, description, stage, source_key, playable_at - n * interval '1 hour'"
        " FROM posts, generate_series(1, :times) n",
        "INSERT INTO post_vectors (post_id, vector, category, model)"
        " SELECT copy.id, vector, category, model FROM post_vectors JOIN posts ON posts.id = post_id"
        " JOIN posts copy ON copy.upload_id LIKE posts.upload_id || '-_'",
    ):
        db.session.execute(sa.text(statement), {"times": times} if ":times" in statement else {})


def test_a_page_costs_the_same_in_a_catalogue_ten_times_as_large(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    words = list(CAPTIONS.values())
    first = [make_post("ada", words[n % 5], age=timedelta(minutes=n)) for n in range(50)]
    for post_id in first[:5]:
        body = {"video_id": post_id, "watch_time": 10, "liked": True}
        assert people.eve.post("/api/post/update_posts_engagement/", json=body).status_code == 200

    def cost() -> Cost:
        db.session.expunge_all()  # a request of its own has an empty session
        with counted() as spent:
            assert len(people.eve.get("/api/media/get_feed/?batch_size=5").json["feed"]) == 5
        return spent

    small = cost()
    copy_all_posts(times=9)
    feed.refresh_trending()
    large = cost()
    assert db.session.scalar(sa.text("SELECT count(*) FROM post_vectors")) == 500
    # who asks, the trial, the person, a setting of the index, the candidates, the log, the cards
    assert small.statements == large.statements <= 7
    assert large.rows < 450


def test_a_new_post_is_in_the_next_page_of_every_web_process(platform_db: Flask) -> None:
    other = create_app()
    with platform_db.app_context(), transaction():
        accounts.register("ada", "ada@people.example", "correct horse battery")
        viewer = accounts.register("eve", "eve@people.example", "correct horse battery").id
        make_post("ada", "Guitar")

    def shown(app: Flask) -> set[str]:
        with app.app_context(), transaction():
            return {item["description"] for item in feed.page(viewer, 5)}

    assert shown(platform_db) == shown(other) == {"Guitar"}
    with platform_db.app_context(), transaction():
        make_post("ada", "Piano", age=timedelta())
    assert shown(other) == shown(platform_db) == {"Guitar", "Piano"}
    with other.app_context(), clock.shifted(timedelta(minutes=1)), transaction():
        social.record_view(viewer, feed.page(viewer, 5)[0]["id"], 5.0)
    assert shown(platform_db) == shown(other)
    assert len(shown(other)) == 1
    with other.app_context():
        db.engine.dispose()
