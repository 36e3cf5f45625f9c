"""What the feed may show: compared with an oracle over random states of a small world."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.feed import service as feed
from popoff.feed import wishes
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media import pipeline
from popoff.media import service as media
from popoff.media.failures import FailureCode
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.social import service as social
from tests.integration.feed.conftest import Register
from tests.support.people import People
from tests.support.posts import make_post

CAPTIONS = ("Guitar solo", "Pasta recipe", "Football goals", "My cat", "")
NAMES = ("ada", "bela", "chen", "dina", "emil", "fay")


class World:
    """People and posts in random states, and what follows from them for one viewer."""

    def __init__(self, register: Register, seed: int):
        self.dice = random.Random(seed)
        self.viewer = register("viewer")
        self.ids = {name: register(name) for name in NAMES}
        self.followed: set[str] = set()
        self.blocked: set[str] = set()
        self.away: set[str] = set()
        self.muted: set[str] = set()
        self.posts: dict[int, str] = {}
        self.captions: dict[int, str] = {}
        self.barred: set[int] = set()
        for name in ("viewer", *NAMES):
            for _ in range(self.dice.randint(0, 6)):
                caption = self.dice.choice(CAPTIONS)
                age = timedelta(hours=self.dice.uniform(0, 500))
                post_id = make_post(name, caption, age=age, indexed=self.dice.random() < 0.8)
                self.posts[post_id], self.captions[post_id] = name, caption
        for post_id in self.posts:
            self._change_post(post_id)
        for name in NAMES:
            self._change_person(name)
        self._mute()

    def _change_post(self, post_id: int) -> None:
        own = self.posts[post_id] == "viewer"
        match self.dice.randrange(14):
            case 0 | 1 if not own:
                social.record_view(self.viewer, post_id, 5.0)
                feed.learn(self.viewer, post_id, watch_ms=5000, liked=self.dice.random() < 0.5)
            case 2:
                media.set_visibility(post_id, Visibility.HIDDEN)
            case 3:
                media.set_visibility(post_id, Visibility.REMOVED)
            case 4:
                media.delete_post(db.session.get_one(Post, post_id).user_id, post_id)
            case 5:
                media.retry(post_id)
                pipeline.note_failed(post_id, FailureCode.ENCODE_FAILED)
            case 6 if not own:
                wishes.dismiss(self.viewer, post_id)
                feed.learn(self.viewer, post_id, rejected=True)
            case 7 if not own:
                wishes.dismiss(self.viewer, post_id)
                wishes.take_back(self.viewer, post_id)
                return
            case _:
                return
        self.barred.add(post_id)

    def _change_person(self, name: str) -> None:
        if self.dice.random() < 0.5:
            social.follow(self.viewer, name, True)
            self.followed.add(name)
        match self.dice.randrange(8):
            case 0:
                social.block(self.viewer, name)
            case 1:
                social.block(self.ids[name], "viewer")
            case 2:
                self._mark(name, suspended_until=clock.now() + timedelta(hours=1))
                self.away.add(name)
                return
            case 3:
                self._mark(name, suspended_until=clock.now() - timedelta(hours=1))
                return
            case 4:
                self._mark(name, deletion_requested_at=clock.now())
                self.away.add(name)
                return
            case _:
                return
        self.blocked.add(name)

    def _mute(self) -> None:
        """Creators, and words of captions."""
        for name in NAMES:
            if name not in self.blocked | self.away and self.dice.random() < 0.2:
                wishes.mute_creator(self.viewer, name)
                self.muted.add(name)
        for word in self.dice.sample(["guitar", "#pasta", "Cat", "GOAL", "recipe goals"], k=2):
            wishes.mute_word(self.viewer, word)
            pattern = re.compile(rf"\b{word.lstrip('#')}\b", re.IGNORECASE)
            self.barred |= {post for post, caption in self.captions.items() if pattern.search(caption)}

    def _mark(self, name: str, **values: object) -> None:
        db.session.execute(sa.update(User).where(User.id == self.ids[name]).values(**values))

    def allowed(self, excluded: Sequence[int], *, following_only: bool = False) -> set[int]:
        authors = self.followed if following_only else set(NAMES)
        authors = authors - self.blocked - self.away - self.muted
        return {post for post, name in self.posts.items() if name in authors} - self.barred - set(excluded)


@pytest.mark.parametrize("seed", range(12))
def test_the_feed_shows_all_that_may_be_shown_and_nothing_else(register: Register, seed: int) -> None:
    world = World(register, seed)
    feed.refresh_trending()
    excluded = world.dice.sample(sorted(world.posts), min(3, len(world.posts)))
    for following_only in (False, True):
        shown = [item["id"] for item in feed.page(world.viewer, 50, exclude=excluded, following_only=following_only)]
        assert len(set(shown)) == len(shown)
        assert set(shown) == world.allowed(excluded, following_only=following_only)


def test_a_feed_of_followed_people_goes_through_all_they_have(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    register("bela")
    posts = {make_post("ada", f"Number {n}", age=timedelta(hours=n)) for n in range(60)}
    make_post("bela", "Somebody else")
    social.follow(viewer, "ada", True)
    first = [item["id"] for item in feed.page(viewer, 50, following_only=True)]
    second = [item["id"] for item in feed.page(viewer, 50, exclude=first, following_only=True)]
    assert (len(first), len(second)) == (50, 10)
    assert {*first, *second} == posts


def test_an_unblocked_person_comes_back(register: Register) -> None:
    viewer, _ = register("viewer"), register("ada")
    post_id = make_post("ada", "Guitar")
    social.block(viewer, "ada")
    assert feed.page(viewer, 5) == []
    social.unblock(viewer, "ada")
    assert [item["id"] for item in feed.page(viewer, 5)] == [post_id]


def test_the_wire_names_exclusions_and_followed_people_as_the_app_does(people: People) -> None:
    people.ada, people.bela, people.eve  # noqa: B018
    first, second, other = make_post("ada", "Guitar"), make_post("ada", "Piano"), make_post("bela", "Drums")
    people.eve.post("/api/user/add_follower/", data={"username": "ada"})

    def shown(query: str) -> set[int]:
        return {item["id"] for item in people.eve.get(f"/api/media/get_feed/?batch_size=5&{query}").json["feed"]}

    assert shown("") == {first, second, other}
    assert shown(f"exclude_ids[]={first}&exclude_ids[]={other}") == {second}
    assert shown("followers_only=true") == {first, second}
    assert shown(f"followers_only=true&exclude_ids[]={first}") == {second}
