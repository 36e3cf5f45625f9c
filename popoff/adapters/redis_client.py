"""The client of Redis for everything that must not wait for it: requests, and the sweeper of the outbox."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import redis

ANSWER_SECONDS = 1.0
"""How long an answer may take."""
REST_SECONDS = 2.0
"""How long Redis is left alone after it did not answer in time."""

_clients: dict[str, redis.Redis] = {}


def client(url: str) -> redis.Redis:
    """The client of this process for the Redis at `url`; usable in threads and after a fork.

    Any command raises redis.RedisError within ANSWER_SECONDS. A Redis that hangs costs that time once: for the
    next REST_SECONDS commands are refused at once, so that not every request pays for it.
    """
    if url not in _clients:
        pool = redis.ConnectionPool.from_url(
            url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS, health_check_interval=15
        )
        pool.connection_class = _impatient(pool.connection_class)
        _clients[url] = redis.Redis(connection_pool=pool)
    return _clients[url]


def _impatient(kind: type[Any]) -> type[Any]:
    """Connections of this kind (TCP, TLS, socket file) that share what they know about a hanging server."""

    class Impatient(kind):
        resting_until = 0.0

        def connect(self) -> None:  # the pool calls it before each use
            if time.monotonic() < Impatient.resting_until:
                raise redis.ConnectionError("Redis did not answer a moment ago")
            with _noticing():
                super().connect()

        def read_response(self, *args: Any, **options: Any) -> Any:
            with _noticing():
                return super().read_response(*args, **options)

    @contextlib.contextmanager
    def _noticing() -> Iterator[None]:
        try:
            yield
        except redis.TimeoutError:
            Impatient.resting_until = time.monotonic() + REST_SECONDS
            raise

    return Impatient
