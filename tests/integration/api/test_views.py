"""What counts as watching."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from popoff.kernel import clock
from popoff.social.models import View
from tests.support.counts import assert_exact, counted
from tests.support.people import People
from tests.support.posts import make_post

ENGAGEMENT = "/api/post/update_posts_engagement/"


@pytest.fixture
def post_id(people: People) -> int:
    assert people.ada and people.eve
    return make_post("ada", duration_ms=10_000)


def test_the_report_of_the_app_is_taken_to_the_millisecond(people: People, post_id: int) -> None:
    report = {
        "video_id": post_id, "watch_time": 3.2000000000000006, "liked": True, "commented": False,
        "viewed_comments": False,
    }  # fmt: skip
    answer = people.eve.post(ENGAGEMENT, json=report)
    assert answer.json == {"message": "Engagement updated successfully.", "watch_time": 3.2}
    assert counted()[0][post_id] == {"views": 1, "watch_ms": 3200}


@pytest.mark.parametrize(
    ("watch_time", "code"),
    [
        (-5, "invalid"),
        (-0.001, "invalid"),
        (None, "invalid"),
        ("abc", "invalid"),
        ("", "invalid"),
        ("NaN", "invalid"),
        ("Infinity", "invalid"),
        ("-inf", "invalid"),
        ([3], "invalid"),
        ({}, "invalid"),
        (float("nan"), "malformed_body"),
        (float("inf"), "malformed_body"),
    ],
)
def test_watch_time_that_is_no_time_is_refused(people: People, post_id: int, watch_time: object, code: str) -> None:
    answer = people.eve.post(ENGAGEMENT, json={"video_id": post_id, "watch_time": watch_time})
    assert (answer.status_code, answer.json["code"]) == (400, code)
    if code == "invalid":
        assert answer.json["watch_time"]
    assert counted() == ({}, {})


@pytest.mark.parametrize("watch_time", [1e12, 1.7e308, "1e300", 10**40])
def test_nobody_watches_for_longer_than_can_be(people: People, post_id: int, watch_time: float) -> None:
    answer = people.eve.post(ENGAGEMENT, json={"video_id": post_id, "watch_time": watch_time})
    assert answer.json["watch_time"] == 200.0  # twenty rounds of ten seconds
    assert counted()[0][post_id] == {"views": 1, "watch_ms": 200_000}


def test_less_than_a_second_is_no_view(people: People, post_id: int) -> None:
    for watch_time in (0, 0.4, 0.999):
        answer = people.eve.post(ENGAGEMENT, json={"video_id": post_id, "watch_time": watch_time})
        assert (answer.status_code, answer.json["watch_time"]) == (200, 0)
    assert counted() == ({}, {})


def test_a_report_sent_twice_counts_once(people: People, post_id: int) -> None:
    report = {"video_id": post_id, "watch_time": 8}
    people.eve.post(ENGAGEMENT, json=report)
    assert people.eve.post(ENGAGEMENT, json=report).json["watch_time"] < 1
    assert counted()[0][post_id]["views"] == 1
    assert_exact()


def test_coming_back_adds_time_and_no_second_view(people: People, post_id: int, session: sa.orm.Session) -> None:
    people.eve.post(ENGAGEMENT, json={"video_id": post_id, "watch_time": 8, "commented": True})
    with clock.shifted(timedelta(minutes=1)):
        report = {"video_id": post_id, "watch_time": 4, "viewed_comments": True}
        assert people.eve.post(ENGAGEMENT, json=report).json["watch_time"] == 4
    assert counted()[0][post_id] == {"views": 1, "watch_ms": 12_000}
    view = session.scalars(sa.select(View)).one()
    assert (view.commented, view.viewed_comments) == (True, True)
    assert view.last_at > view.first_at


def test_everybody_counts_for_themselves(people: People, post_id: int) -> None:
    for person in (people.eve, people.bob):
        person.post(ENGAGEMENT, data={"video_id": post_id, "watch_time": "2.5"})
    assert counted()[0][post_id] == {"views": 2, "watch_ms": 5000}
