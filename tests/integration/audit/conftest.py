"""Logs with real commits, and a way to tamper with them that only the owner of the database has."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

import config
from popoff import create_app
from popoff.audit import inspection, queries, service
from popoff.audit.rules import Checkpoint
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from tests.support.platform import TestServices, create_database, drop_database
from workers.base import transaction

COUNT = 300
TABLES = ("audit_entries", "audit_chain", "audit_tiles", "audit_checkpoints")


def record(number: int) -> str:
    """An entry of its own kind; its public id."""
    return service.record(
        "gift.sent" if number % 4 else "scan.done",
        actor=number % 7 or None,
        subject=f"gift:{number}" if number % 5 else "",
        amount=Minor(number * 100) if number % 3 else None,
        data={"post": number, "creator": service.pseudonym(number % 3)},
    ).id


def chain_all() -> int:
    """Chain what waits; how many."""
    chained = 0
    while step := service.chain_committed():
        chained += step
    return chained


def fill(count: int) -> Checkpoint:
    """Commit this many entries, chained and signed over."""
    with transaction():
        for number in range(count):
            record(number)
    with transaction():
        chain_all()
    with transaction():
        return service.checkpoint()


@pytest.fixture(scope="module")
def log_app(
    services: TestServices, template: str, worker_id: str, _session_settings: config.Settings
) -> Iterator[Flask]:
    """An application over a database whose log is filled once: tests undo what they do to it."""
    name = f"popoff_{worker_id}_log"
    url = create_database(services, name, template)
    with config.override(**{**vars(_session_settings), "database_url": url}):
        app = create_app()
        with app.app_context():
            fill(20)
            fill(COUNT - 20)
            db.session.remove()
        yield app
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    drop_database(services, name)


@pytest.fixture
def log(log_app: Flask) -> Iterator[Checkpoint]:
    """A log of 300 entries with checkpoints over 20 and all of them; the latter, as somebody keeps it outside."""
    with log_app.app_context():
        yield queries.checkpoint_at(COUNT)
        db.session.rollback()
        db.session.remove()


def execute(statement: str) -> int:
    """Run plain SQL; how many rows it touched."""
    return db.session.connection().exec_driver_sql(statement).rowcount


def tamper(*statements: str, checkpoint: str | None = None, then: Callable[[], object] = lambda: None) -> list[str]:
    """Run statements, and `then`, as somebody who owns the database and hides it well; what an inspection finds.

    All of it is undone.
    """
    try:
        with unguarded():
            for statement in statements:
                assert execute(statement), f"this changed nothing: {statement}"
            then()
        return inspection.inspect(checkpoint).problems
    finally:
        db.session.rollback()


@contextlib.contextmanager
def unguarded() -> Iterator[None]:
    """The tables without their triggers, for the length of a `with` block, in this transaction."""
    for table in TABLES:
        execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in TABLES:
        execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    execute("ALTER TABLE audit_entries ENABLE ALWAYS TRIGGER wait_for_place")
    execute("ALTER TABLE audit_chain ENABLE ALWAYS TRIGGER follow")
