"""What the feed model is told of the past: one row for a person and a post, at its first moment."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking import frames
from popoff.feed import history
from popoff.feed.models import Dismissal, Impression
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.moderation.models import Case, Report
from popoff.social.models import Comment, Like, Share, View
from tests.integration.feed.conftest import Register
from tests.support import crowd

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@contextlib.contextmanager
def within() -> Iterator[None]:
    yield


@pytest.fixture
def posts(register: Register) -> list[int]:
    captions = ["guitar song", "pasta recipe", "football goal", "piano song", "bread recipe", "tennis match"]
    return crowd.posts(register("ada"), captions, [NOON - timedelta(days=200)] * 6)


@pytest.fixture
def eve(register: Register) -> int:
    return register("eve")


def viewed(user_id: int, post_id: int, at: datetime, watch_ms: int = 4000) -> None:
    add(View(user_id=user_id, post_id=post_id, watch_ms=watch_ms, first_at=at, last_at=at))


def add(row: Any) -> None:
    db.session.add(row)
    db.session.flush()


def served(user_id: int, page: list[int], at: datetime, seen: datetime | None, first: int = 0) -> None:
    page_id, session_id = uuid.uuid4(), uuid.uuid4()
    for place, post_id in enumerate(page):
        add(
            Impression(
                page_id=page_id,
                session_id=session_id,
                position=first + place,
                user_id=user_id,
                post_id=post_id,
                source="explore",
                ranker="",
                pool=[post_id, 10_000] if place == 0 else None,
                served_at=at,
                seen_at=seen,
            )
        )


def told(until: datetime = NOON, **options: Any) -> dict[int, dict[str, Any]]:
    rows = history.events(until, within, **options)
    assert list(rows) == list(history.EVENTS)
    assert rows["ts"].is_monotonic_increasing
    return {row["item_id"]: row for row in rows.to_dict("records")}


def test_all_that_one_did_with_a_post_is_one_row_at_its_first_moment(eve: int, posts: list[int]) -> None:
    one, two, three, four, five, six = posts
    at = NOON - 5 * HOUR
    viewed(eve, one, at)
    add(Like(user_id=eve, post_id=one, created_at=at + HOUR))
    add(Comment(user_id=eve, post_id=two, text="a", created_at=at + HOUR))
    add(Comment(user_id=eve, post_id=two, text="b", created_at=at))
    add(Share(user_id=eve, post_id=three, created_at=at))
    viewed(eve, three, at + 2 * HOUR)
    add(Dismissal(user_id=eve, post_id=four, created_at=at))
    add(Case(id=1, post_id=five))
    add(Report(case_id=1, post_id=five, reporter_id=eve, reason="spam", evidence={}, created_at=at))
    served(eve, [one, six], at - HOUR, at - timedelta(minutes=1), first=10)
    found = told()
    assert {post: row["like"] for post, row in found.items()} == dict.fromkeys(posts, False) | {one: True}
    assert [post for post, row in found.items() if row["comment"]] == [two]
    assert [post for post, row in found.items() if row["share"]] == [three]
    assert [post for post, row in found.items() if row["hate"]] == [four, five]
    first = at.timestamp()
    assert {post: row["ts"] for post, row in found.items()} == dict.fromkeys(posts, first) | {
        one: first - 60,
        six: first - 60,
    }
    assert (found[one]["watch_ms"], found[six]["watch_ms"]) == (4000.0, 0.0), "seen, and not watched"
    assert np.isnan(found[two]["watch_ms"])
    assert {row["duration_ms"] for row in found.values()} == {10_000.0}
    assert (found[one]["position"], found[six]["position"]) == (0.0, 1.0), "counted on its page"
    assert np.isnan(found[two]["position"])


def test_what_came_later_is_not_known_yet(eve: int, posts: list[int]) -> None:
    at = NOON - 5 * HOUR
    viewed(eve, posts[0], at)
    add(Like(user_id=eve, post_id=posts[0], created_at=at + 2 * HOUR))
    assert told(at + HOUR)[posts[0]]["like"] is False
    assert told(NOON)[posts[0]]["like"] is True
    assert told(NOON, known=at + HOUR)[posts[0]]["like"] is False
    assert told(NOON, since=at + HOUR) == {}, "the like is of a post that was met before"


def test_own_posts_and_those_that_are_gone_and_what_was_not_seen_tell_nothing(eve: int, posts: list[int]) -> None:
    mine = crowd.posts(eve, ["mine"], [NOON - 9 * HOUR])
    for post in (*mine, posts[0], posts[1]):
        viewed(eve, post, NOON - HOUR)
    media.delete_post(db.session.get_one(media.Post, posts[0]).user_id, posts[0])
    served(eve, [posts[2]], NOON - HOUR, None)
    assert set(told()) == {posts[1]}
    assert set(history.items(within)["item_id"]) == {*mine, *posts[1:]}


def test_the_newest_are_read_window_by_window_and_none_twice(
    eve: int, posts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH_EVENTS", 2)
    entered = []

    @contextlib.contextmanager
    def counted() -> Iterator[None]:
        entered.append(True)
        yield

    ages = [timedelta(minutes=30), HOUR, 2 * HOUR, timedelta(days=3), timedelta(days=80), timedelta(days=100)]
    for post, age in zip(posts, ages, strict=True):
        viewed(eve, post, NOON - age)
        add(Like(user_id=eve, post_id=post, created_at=NOON - age + timedelta(minutes=10)))
    assert list(history.events(NOON, counted)["item_id"]) == posts[:5][::-1], "of 90 days"
    assert len(entered) > 5
    assert list(history.events(NOON, within, most=2)["item_id"]) == [posts[1], posts[0]]


def test_batches_come_to_have_the_rows_that_they_are_meant_to_have() -> None:
    hour = timedelta(hours=1)
    assert history.next_span(hour, history.BATCH_EVENTS) == hour
    assert history.next_span(hour, 2 * history.BATCH_EVENTS) == hour / 2
    assert history.next_span(hour, 0) == 4 * hour
    assert history.next_span(timedelta(days=9), 0) == history.LONGEST_SPAN
    assert history.next_span(timedelta(minutes=2), 10**9) == history.SHORTEST_SPAN


def test_without_anything_the_frames_are_empty_and_have_their_columns(session: object) -> None:
    nothing, items = history.events(clock.now(), within), history.items(within)
    assert (len(nothing), list(nothing)) == (0, list(history.EVENTS))
    assert (len(items), list(items)) == (0, list(history.ITEMS))
    assert len(frames.events_of(nothing)) == len(frames.items_of(items)) == 0


def test_items_are_as_the_model_takes_them(posts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BATCH_ITEMS", 4)
    items = frames.items_of(history.items(within))
    assert items["item_id"].tolist() == posts
    assert items["title"].tolist()[:2] == ["guitar song", "pasta recipe"]
    assert items["tags"].tolist()[:2] == [("guitar",), ("pasta",)]
    assert set(items["created"]) == {(NOON - timedelta(days=200)).timestamp()}


def test_places_that_explored_are_told_with_their_pools(eve: int, posts: list[int]) -> None:
    served(eve, [posts[0], posts[1]], NOON - HOUR, NOON - HOUR)
    served(eve, [posts[2]], NOON - HOUR, None)
    found = history.explored(NOON - 2 * HOUR, NOON, within)
    assert found.to_dict("records") == [
        {"user_id": eve, "item_id": posts[0], "ts": (NOON - HOUR).timestamp(), "pool": [posts[0], 10_000]}
    ]
    assert isinstance(found, pd.DataFrame)
