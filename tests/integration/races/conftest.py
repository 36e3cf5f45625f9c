from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support.counts import assert_exact
from tests.support.people import People, Person
from tests.support.posts import make_post


class Crowd:
    """People over a database where commits are real; their requests may be sent from any thread."""

    def __init__(self, app: Flask):
        self.app = app
        self._people = People(app.test_client())

    def __getitem__(self, name: str) -> Person:
        return self._people[name]

    def many(self, count: int) -> list[Person]:
        return [self[f"person{number}"] for number in range(count)]

    def post_of(self, name: str) -> int:
        with self.app.app_context():
            return make_post(self[name].username, "A post", "music")

    def call(self, person: Person, method: str, path: str, **body: Any) -> Callable[[], int]:
        """A request to send later; its result is the status."""
        speaker = Person(self.app.test_client(), person.username, person.token)
        return lambda: speaker._send(method, path, **({"json": body} if body else {})).status_code


@pytest.fixture
def crowd(platform_db: Flask) -> Iterator[Crowd]:
    """After each test every counter equals its rows."""
    yield Crowd(platform_db)
    with platform_db.app_context():
        assert_exact()
