"""Sessions: page after page without repeats, and a log of what stood where."""

from __future__ import annotations

import contextlib
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from popoff.feed import service as feed
from popoff.feed import sessions
from popoff.feed.models import Impression, OwedPost
from popoff.feed.rules import PROMISED, Kind
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid
from popoff.kernel.paging import encode_cursor
from tests.integration.feed.conftest import Register
from tests.support.crowd import people
from tests.support.people import People
from tests.support.posts import make_post
from workers import feed as jobs_of_feed


@pytest.fixture
def viewer(register: Register) -> int:
    for author in ("ada", "bela", "chen"):
        register(author)
    for number in range(12):
        make_post(("ada", "bela", "chen")[number % 3], f"Number {number}")
    return register("viewer")


def logged(user_id: int) -> list[Impression]:
    statement = sa.select(Impression).where(Impression.user_id == user_id).order_by(Impression.position)
    return list(db.session.scalars(statement.execution_options(populate_existing=True)))


def test_a_session_goes_through_everything_once_though_nothing_is_watched(viewer: int) -> None:
    shown: list[int] = []
    cursor = None
    for _ in range(3):
        page = sessions.next_page(viewer, 5, cursor=cursor)
        shown += [item["id"] for item in page["feed"]]
        cursor = page["next_cursor"]
    assert page["exhausted"]
    assert len(shown) == len(set(shown)) == 12
    assert len(sessions.next_page(viewer, 5)["feed"]) == 5, "another session begins anew"


def test_every_place_is_noted_with_its_position_source_and_ranker(viewer: int) -> None:
    first = sessions.next_page(viewer, 5)
    second = sessions.next_page(viewer, 5, cursor=first["next_cursor"])
    rows = logged(viewer)
    assert [row.post_id for row in rows] == [item["id"] for page in (first, second) for item in page["feed"]]
    assert [row.position for row in rows] == list(range(10))
    assert len({row.session_id for row in rows}) == 1 and len({row.page_id for row in rows}) == 2
    assert {row.source for row in rows} <= set(Kind) and {row.ranker for row in rows} == {feed.RULES}
    assert all(row.post_id in row.pool for row in rows if row.pool is not None)
    assert all(row.seen_at is None for row in rows)


def test_what_was_seen_is_told_in_batches_and_counts_once(viewer: int) -> None:
    tokens = [item["impression"] for item in sessions.next_page(viewer, 5)["feed"]]
    assert sessions.note_seen(viewer, tokens[:3]) == 3
    assert sessions.note_seen(viewer, [*tokens, tokens[0]]) == 2
    assert sessions.note_seen(viewer, []) == 0
    assert all(row.seen_at is not None for row in logged(viewer))


def test_nobody_tells_what_others_saw(viewer: int, register: Register) -> None:
    token = sessions.next_page(viewer, 1)["feed"][0]["impression"]
    assert sessions.note_seen(register("other"), [token]) == 0
    assert logged(viewer)[0].seen_at is None


def test_what_was_watched_was_seen_where_it_was_last_shown(viewer: int) -> None:
    post_id = sessions.next_page(viewer, 12)["feed"][0]["id"]
    sessions.next_page(viewer, 12)
    sessions.note_watched(viewer, post_id)
    (row,) = [row for row in logged(viewer) if row.seen_at is not None]
    assert row.post_id == post_id
    assert row.served_at == max(other.served_at for other in logged(viewer) if other.post_id == post_id)


def test_a_cursor_of_somebody_else_is_refused(viewer: int, register: Register) -> None:
    cursor = sessions.next_page(viewer, 3)["next_cursor"]
    with pytest.raises(Invalid):
        sessions.next_page(register("other"), 3, cursor=cursor)


@pytest.mark.parametrize(
    "cursor", ["nonsense", encode_cursor(["no-uuid", 3]), encode_cursor([UUID(int=7).hex, -1]), encode_cursor([7, 7])]
)
def test_cursors_that_were_not_handed_out_are_refused(people: People, cursor: str) -> None:
    answer = people.eve.get(f"/api/media/get_feed/?cursor={cursor}")
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor")
    answer = people.eve.post("/api/post/impressions/", json={"impressions": [cursor]})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor")


def test_two_pages_after_one_cursor_are_both_noted(viewer: int) -> None:
    cursor = sessions.next_page(viewer, 3)["next_cursor"]
    pages = [sessions.next_page(viewer, 3, cursor=cursor) for _ in range(2)]
    assert len(logged(viewer)) == 9
    assert not {item["id"] for item in pages[0]["feed"]} & {item["id"] for item in pages[1]["feed"]}


def test_the_wire_carries_session_and_impressions(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    for number in range(4):
        make_post("ada", f"Number {number}")
    first = people.eve.get("/api/media/get_feed/?batch_size=2").json
    second = people.eve.get("/api/media/get_feed/", query_string={"batch_size": 2, "cursor": first["next_cursor"]}).json
    assert len({item["id"] for item in first["feed"] + second["feed"]}) == 4
    tokens = [item["impression"] for item in first["feed"]]
    for counted in (2, 0):
        answer = people.eve.post("/api/post/impressions/", json={"impressions": tokens})
        assert (answer.status_code, answer.json["counted"]) == (200, counted)
    body = {"video_id": second["feed"][0]["id"], "watch_time": 5}
    people.eve.post("/api/post/update_posts_engagement/", json=body)
    assert db.session.scalar(sa.select(sa.func.count()).where(Impression.seen_at.is_not(None))) == 3


def test_a_like_taken_back_no_longer_speaks(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    post_id = make_post("ada", "Guitar")
    acts = []
    for like in (True, False):
        people.eve.post("/api/post/like/", json={"video_id": post_id, "like": like})
        (row,) = db.session.execute(sa.text("SELECT recent FROM person_interests")).scalars()
        acts.append(int(feed.recent.unpack(row)["acts"][0]))
    assert acts == [1, 0]


def test_a_young_post_is_owed_an_audience_until_so_many_people_saw_it(viewer: int) -> None:
    post_id = make_post("ada", "A new one")
    place = feed.Chosen(post_id, 0.5, 0.0, feed.Reason(Kind.FRESH), None)

    def see(person: int) -> None:
        sessions.note(person, uuid4(), uuid4(), 0, feed.Page([place], feed.RULES))
        sessions.note_watched(person, post_id)

    audience = people(PROMISED)
    for person in [*audience[1:], *audience[1:]]:
        see(person)
    feed.release_promises()
    assert db.session.get(OwedPost, post_id) is not None, "who sees it again is no more people"
    see(audience[0])
    assert feed.release_promises() == 1
    assert db.session.get(OwedPost, post_id, populate_existing=True) is None
    with clock.shifted(feed.rules.PROMISE_ENDS):
        assert feed.release_promises() == 12


def test_old_impressions_become_numbers_and_none_counts_twice(viewer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    token = sessions.next_page(viewer, 5)["feed"][0]["impression"]
    sessions.note_seen(viewer, [token])
    sessions.tally()
    assert len(logged(viewer)) == 5
    with clock.shifted(sessions.KEPT):
        sessions.next_page(viewer, 5)
        assert sessions.tally(most=3) == 3
        monkeypatch.setattr(jobs_of_feed, "transaction", contextlib.nullcontext)
        jobs_of_feed.tally()
        assert sessions.tally() == 0
        assert len(logged(viewer)) == 5
    sums = db.session.execute(sa.text("SELECT sum(served), sum(seen) FROM impression_tallies")).one()
    assert tuple(sums) == (5, 1)
