"""Connections that the server ends while nobody uses them."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa
from flask import Flask

from popoff.kernel.db import db
from popoff.web.transaction import transaction


def backend() -> int:
    with transaction():
        return int(db.session.scalar(sa.text("SELECT pg_backend_pid()")) or 0)


def test_a_request_after_a_restart_of_the_server_gets_a_connection_that_works(platform_db: Flask) -> None:
    with platform_db.app_context():
        first = backend()
        assert backend() == first
        address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (first,))  # waits until it has ended
        second = backend()
        assert second not in (0, first)
        assert backend() == second
