"""Rate limits, counted in Redis for all processes together, and in this process while Redis is away."""

from __future__ import annotations

import math

import redis
import structlog
from flask import g, request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter

import config
from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.addresses import place_of
from popoff.kernel.errors import TooMany

log = structlog.get_logger()

_local = FixedWindowRateLimiter(MemoryStorage())
_shared: dict[str, FixedWindowRateLimiter] = {}


def _shared_limiter() -> FixedWindowRateLimiter:
    url = config.current().redis_url
    if url not in _shared:
        pool = jobs.connection().connection_pool
        storage: Storage = RedisStorage(url, connection_pool=pool, wrap_exceptions=False)
        _shared[url] = FixedWindowRateLimiter(storage)
    return _shared[url]


def check(limit: str, scope: str, key: str) -> None:
    """Count one request of `key` in `scope` against a limit such as `600/minute`. Raises TooMany."""
    item = parse(limit)
    try:
        wait = _hit(_shared_limiter(), item, scope, key)
    except redis.RedisError as error:
        log.warning("rate_limits_local", error=type(error).__name__)
        wait = _hit(_local, item, scope, key)
    if wait:
        raise TooMany(retry_after=wait)


def _hit(limiter: FixedWindowRateLimiter, item: RateLimitItem, scope: str, key: str) -> int:
    """0 when there was room for one more; else the seconds until there is."""
    if limiter.hit(item, scope, key):
        return 0
    return max(1, math.ceil(limiter.get_window_stats(item, scope, key).reset_time - clock.timestamp()))


def check_request() -> None:
    """The general limit: for each person, or each address when nobody is signed in."""
    key = f"user:{g.principal.user_id}" if g.principal else f"address:{_place()}"
    check(config.current().rate_limit, "all", key)


def check_signup() -> None:
    """The limit of new accounts from one address."""
    check(config.current().signup_rate_limit, "signup", _place())


def _place() -> str:
    return place_of(request.remote_addr or "")
