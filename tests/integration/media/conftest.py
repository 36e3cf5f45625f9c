from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

import config
from tests.integration.media.films import Film, film_of
from tests.integration.storage.conftest import s3_server  # noqa: F401 - one server for the session
from tests.support import swift
from tests.support.clips import clip
from tests.support.people import People
from tests.support.wire import Wire
from workers import base


@pytest.fixture
def wire(client: FlaskClient) -> Wire:
    return Wire(client)


@pytest.fixture(params=["folder", "s3"])
def any_store(request: pytest.FixtureRequest, settings: config.Settings) -> Iterator[str]:
    """Each kind of store in turn."""
    if request.param == "folder":
        yield "folder"
        return
    server: swift.Swift = request.getfixturevalue("s3_server")
    names = {f"s3_{name}": value for name, value in server.settings.items()}
    with config.override(s3_bucket=server.make_bucket(f"media-{uuid.uuid4().hex}"), **names):
        yield "s3"


@pytest.fixture
def worker(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process, in the transaction of the test."""
    monkeypatch.setattr(base, "_apps", [app])


@pytest.fixture(scope="session")
def tiny() -> bytes:
    """A film of one second, of a few kilobytes."""
    return clip("tiny.mp4").read_bytes()


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A photograph as a phone takes it, with a place written into it: 400x300."""
    from tests.support.clips import ffmpeg

    path = tmp_path_factory.mktemp("picture") / "own.jpg"
    ffmpeg("-f", "lavfi", "-i", "color=red:size=400x300:duration=1", "-frames:v", "1", "-update", "1", path)
    plain = path.read_bytes()
    note = b"GPS 48.8577N 2.2950E"
    return plain[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + plain[2:]


@pytest.fixture
def film(people: People, wire: Wire, tiny: bytes) -> Film:
    """A film that was posted and waits for its transcoding."""
    return film_of(people, wire, tiny)
