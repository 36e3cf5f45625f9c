"""Where benchmarks run: an embedded PostgreSQL, durable as by default, and applications over databases of their own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import flask_migrate
import psycopg
import sqlalchemy as sa
from flask import Flask
from psycopg import sql

import config
from popoff import create_app, embedded
from popoff.embedded import Services
from popoff.kernel.db import db

_CHANGES = {
    "log_level": "ERROR",
    "rate_limit": "1000000/minute",
    "signup_rate_limit": "1000000/minute",
    "daily_gift_limit": 10**12,
}


@contextlib.contextmanager
def services() -> Iterator[Services]:
    """Engines and settings of our own; all of it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="popoff-bench-")))
        settings = replace(config.current(), home=home, database_url="", redis_url="", secret_key="benchmark")
        started = stack.enter_context(embedded.platform(settings))
        stack.enter_context(config.override(**{**vars(settings), "redis_url": started.redis_url, **_CHANGES}))
        yield started


@contextlib.contextmanager
def application(services: Services, name: str, template: str = "") -> Iterator[Flask]:
    """An application over a new database `name`: migrated and empty, or a copy of `template`. In its context."""
    with psycopg.connect(address(services), autocommit=True) as connection:
        copied = sql.SQL("TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template)) if template else sql.SQL("")
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copied))
    mine = sa.make_url(services.database_url).set(database=name)
    with config.override(database_url=mine.render_as_string(hide_password=False)):
        app = create_app()
        app.logger.disabled = True
        with app.app_context():
            if not template:
                flask_migrate.upgrade()
            try:
                yield app
            finally:
                db.session.remove()
                db.engine.dispose()


def drop(services: Services, name: str) -> None:
    with psycopg.connect(address(services), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def address(services: Services, name: str | None = None) -> str:
    """Where libpq finds the database `name`; without, the one that is always there."""
    url = sa.make_url(services.database_url).set(drivername="postgresql")
    return (url.set(database=name) if name else url).render_as_string(hide_password=False)
