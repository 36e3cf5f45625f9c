"""The embedded Redis: quick to start, and its data may be lost but never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from popoff import embedded
from tests.unit.embedded.helpers import redis_of


def test_keeps_queues_over_a_restart_and_a_power_cut(redis_service: embedded.Redis) -> None:
    url = redis_service.url
    with redis_of(url) as client:
        client.rpush("queue", "job")
    redis_service.restart()
    assert redis_service.url == url
    with redis_of(url) as client:
        assert client.lrange("queue", 0, -1) == ["job"]
    redis_service.kill()
    redis_service.revive()
    with redis_of(url) as client:
        assert client.lrange("queue", 0, -1) == ["job"]


def test_asks_for_the_password_and_shows_it_to_nobody(redis_service: embedded.Redis) -> None:
    with redis_of(f"redis://127.0.0.1:{redis_service.port}/0") as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert redis_service.process is not None
    password = (redis_service.folder / "password").read_text()
    assert password not in Path(f"/proc/{redis_service.process.pid}/cmdline").read_text()


def test_ends_a_server_that_a_former_runner_left(redis_service: embedded.Redis) -> None:
    left = redis_service.process
    assert left is not None
    second = embedded.start_redis(redis_service.home)
    try:
        assert left.wait(1) == 0
        with redis_of(second.url) as client:
            assert client.ping()
    finally:
        second.stop()


def test_unreadable_data_is_put_aside(redis_service: embedded.Redis) -> None:
    with redis_of(redis_service.url) as client:
        client.set("name", "value")
    redis_service.stop()
    for file in redis_service.data.rglob("*.manifest"):
        file.write_text("nonsense\n")
    redis_service.start()
    with redis_of(redis_service.url) as client:
        assert client.get("name") is None
    assert (redis_service.folder / "data.unreadable").is_dir()


def test_fast_keeps_nothing(home: Path) -> None:
    service = embedded.start_redis(home, fast=True)
    try:
        with redis_of(service.url) as client:
            client.set("name", "value")
        service.restart()
        with redis_of(service.url) as client:
            assert client.get("name") is None
    finally:
        service.stop()
