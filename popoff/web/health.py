"""Whether the parts this process needs do answer."""

from __future__ import annotations

from collections.abc import Callable

import redis
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from popoff.adapters import jobs
from popoff.adapters.storage import store
from popoff.kernel.db import db
from popoff.kernel.errors import Unavailable


def readiness() -> dict[str, str]:
    """Each part with `ok` or what is wrong with it."""
    return {
        "database": _try(_database),
        "redis": _try(_redis),
        "store": _try(store().check),
        "workers": _try(_workers),
    }


def _try(check: Callable[[], object]) -> str:
    try:
        check()
    except Unavailable as error:
        return f"unavailable ({error})"
    except (SQLAlchemyError, redis.RedisError) as error:
        return f"unavailable ({type(error).__name__})"
    return "ok"


def _database() -> None:
    """On a connection of its own: a database that is away must not spoil the request's transaction."""
    with db.engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))


def _redis() -> None:
    jobs.connection().ping()


def _workers() -> None:
    missing = set(jobs.QUEUES) - jobs.served_queues()
    if missing:
        raise Unavailable(f"no worker serves {', '.join(sorted(missing))}")
