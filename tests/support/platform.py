"""One embedded PostgreSQL and one Redis for a whole test session, shared by all pytest-xdist workers.

The process that runs the session starts them: the controller under pytest-xdist (before its workers), else pytest
itself at first use. Workers find the addresses in their environment. Servers die with that process, even when it
is killed; a folder it left behind is removed by the next session.

Set POPOFF_TEST_DATABASE_URL or POPOFF_TEST_REDIS_URL to test against servers of your own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from config import Settings
from popoff import embedded

DATABASE, REDIS = "POPOFF_TEST_DATABASE_URL", "POPOFF_TEST_REDIS_URL"
PREFIX = "popoff-test-"

_session = contextlib.ExitStack()


@dataclass(frozen=True)
class TestServices:
    """Addresses of the shared servers; the Redis one names database 0."""

    __test__ = False

    database_url: str
    redis_url: str


def configure(config: pytest.Config) -> None:
    """For `pytest_configure`: under pytest-xdist the controller starts the servers before its workers."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker and config.getoption("numprocesses", None) and not config.getoption("collectonly"):
        session_services()


def unconfigure() -> None:
    """For `pytest_unconfigure`: stop what this process started."""
    _session.close()


def session_services() -> TestServices:
    """The servers of this test session, started at first use by whoever runs it."""
    if not (os.environ.get(DATABASE) and os.environ.get(REDIS)):
        home = _session.enter_context(folder())
        settings = Settings(home=home, database_url=os.environ.get(DATABASE, ""), redis_url=os.environ.get(REDIS, ""))
        services = _session.enter_context(embedded.platform(settings, fast=True))
        _session.enter_context(_environment({DATABASE: services.database_url, REDIS: services.redis_url}))
    return TestServices(os.environ[DATABASE], os.environ[REDIS])


def create_database(services: TestServices, name: str, template: str | None = None) -> str:
    """Make database `name` anew, empty or as a copy of `template` (nobody may be connected to it); returns its URL."""
    drop_database(services, name)
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    _administer(services, statement.format(sql.Identifier(name), sql.Identifier(template or "template1")))
    return database_url(services, name)


def drop_database(services: TestServices, name: str) -> None:
    """Drop database `name` if there is one, ending the sessions that use it."""
    _administer(services, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def database_url(services: TestServices, name: str) -> str:
    """The address of database `name`."""
    return make_url(services.database_url).set(database=name).render_as_string(hide_password=False)


def redis_url(services: TestServices, worker_id: str) -> str:
    """The Redis database of one pytest-xdist worker ("gw3"; "master" without xdist)."""
    return (
        services.redis_url.rpartition("/")[0] + "/" + (worker_id.removeprefix("gw") if worker_id != "master" else "0")
    )


def _administer(services: TestServices, statement: sql.Composed) -> None:
    url = make_url(services.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def scratch() -> Path:
    """Where to keep data for the length of a test: in memory where there is much of it, unless TMPDIR says where."""
    memory = Path("/dev/shm")
    if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3:
        return memory
    return Path(tempfile.gettempdir())


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone after the session; a lock on it tells later sessions that it is in use."""
    for former in scratch().glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _lock(former):
            if time.time() - former.stat().st_mtime > 60:  # a younger one may be about to be locked
                shutil.rmtree(former, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=scratch()) as name, _lock(Path(name)):
        yield Path(name)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock `folder`; raises BlockingIOError when another process has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
