"""Counters equal their rows, whatever people do in whatever order; the repair job finds drift and mends it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popoff.accounts.models import User
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.errors import DomainError
from popoff.media.models import Post
from popoff.social import queries, service
from popoff.social.models import AccountCounters, Comment, PostCounters
from tests.support.counts import assert_exact, counted
from tests.support.people import People
from tests.support.posts import make_post

PEOPLE = ("ada", "eve", "bob")

person = st.sampled_from(PEOPLE)
post = st.integers(0, 2)
step = st.one_of(
    st.tuples(st.just("like"), person, post, st.booleans()),
    st.tuples(st.just("share"), person, post),
    st.tuples(st.just("comment"), person, post, st.sampled_from(["Hi", "", "x" * 1001])),
    st.tuples(st.just("uncomment"), person, st.integers(0, 5)),
    st.tuples(st.just("view"), person, post, st.floats(0, 1e300)),
    st.tuples(st.just("wait"), st.integers(0, 3600)),
    st.tuples(st.just("follow"), person, person, st.sampled_from([None, True, False])),
    st.tuples(st.just("block"), person, person),
    st.tuples(st.just("unblock"), person, person),
    st.tuples(st.just("reset"), person),
    st.tuples(st.just("forget"), person),
)


class World:
    """Three people with a post each, and what they may do."""

    def __init__(self) -> None:
        self.ids = {name: db.session.scalars(sa.select(User.id).where(User.username == name)).one() for name in PEOPLE}
        self.posts = list(db.session.scalars(sa.select(Post.id).order_by(Post.id)))
        self.late = timedelta()

    def do(self, kind: str, *args: Any) -> None:
        with clock.shifted(self.late):
            getattr(self, kind)(*args)

    def like(self, name: str, post: int, liked: bool) -> None:
        service.set_like(self.ids[name], self.posts[post], liked)

    def share(self, name: str, post: int) -> None:
        service.share(self.ids[name], self.posts[post])

    def comment(self, name: str, post: int, text: str) -> None:
        service.add_comment(self.ids[name], self.posts[post], text)

    def uncomment(self, name: str, number: int) -> None:
        comments = db.session.scalars(sa.select(Comment.id).order_by(Comment.id)).all()
        service.delete_comment(self.ids[name], comments[number] if number < len(comments) else 0)

    def view(self, name: str, post: int, seconds: float) -> None:
        service.record_view(self.ids[name], self.posts[post], seconds)

    def wait(self, seconds: int) -> None:
        self.late += timedelta(seconds=seconds)

    def follow(self, name: str, other: str, wanted: bool | None) -> None:
        assert service.follow(self.ids[name], other, wanted) is queries.is_following(self.ids[name], self.ids[other])

    def block(self, name: str, other: str) -> None:
        service.block(self.ids[name], other)
        assert not queries.is_following(self.ids[name], self.ids[other])

    def unblock(self, name: str, other: str) -> None:
        service.unblock(self.ids[name], other)

    def reset(self, name: str) -> None:
        service.forget_engagement(self.ids[name])

    def forget(self, name: str) -> None:
        service.forget(self.ids[name])


@pytest.fixture
def world(people: People) -> World:
    for name in PEOPLE:
        make_post(people[name].username, f"A post by {name}")
    return World()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, max_size=40))
def test_whatever_people_do_every_counter_equals_its_rows(world: World, steps: list[tuple[Any, ...]]) -> None:
    with db.session.begin_nested() as example:
        world.late = timedelta()
        for kind, *args in steps:
            try:
                with db.session.begin_nested():
                    world.do(kind, *args)
            except DomainError:
                continue
        db.session.expire_all()
        assert_exact()
        assert service.repair_counters() == 0
        example.rollback()


def drift(model: type[PostCounters | AccountCounters], key: int, **values: int) -> None:
    primary_key = sa.inspect(model).primary_key[0]
    db.session.execute(sa.update(model).where(primary_key == key).values(**values))


def test_planted_drift_is_found_mended_and_told(world: World) -> None:
    first, second, third = world.posts
    world.do("like", "eve", 0, True)
    world.do("view", "eve", 1, 5.0)
    world.do("comment", "bob", 2, "Hi")
    world.do("follow", "eve", "ada", None)
    true = counted()
    drift(PostCounters, first, likes=7, shares=2)
    drift(PostCounters, second, watch_ms=0)
    db.session.execute(sa.delete(PostCounters).where(PostCounters.post_id == third))
    drift(AccountCounters, world.ids["ada"], followers=0)
    drift(AccountCounters, world.ids["eve"], followers=3)
    assert counted() != true
    assert service.repair_counters() == 5
    assert counted() == true
    assert service.repair_counters() == 0


def test_counters_of_those_who_did_nothing_are_no_drift(world: World) -> None:
    assert service.repair_counters() == 0
    world.do("like", "eve", 0, True)
    world.do("like", "eve", 0, False)
    assert service.repair_counters() == 0


def test_the_database_itself_refuses_counters_below_zero(world: World) -> None:
    world.do("like", "eve", 0, True)
    with pytest.raises(sa.exc.IntegrityError), db.session.begin_nested():
        drift(PostCounters, world.posts[0], likes=-1)
