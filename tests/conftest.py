"""Fixtures: real PostgreSQL and Redis for everything that needs them, started once for the whole session.

`client` and `session` run inside one transaction that is rolled back after the test (services flush, requests
commit into a savepoint), which is a few hundred times cheaper than a fresh schema. `platform_db` gives a test
a database of its own where commits are real: for threads that race. `live_platform` is `popoff run` itself.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import flask_migrate
import pytest
import redis
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask, g, request_started
from flask.testing import FlaskClient
from flask_sqlalchemy.session import Session

import config
from popoff import create_app
from popoff.accounts import service as account_service
from popoff.kernel.db import db
from tests.support import live, platform
from tests.support.people import People

TEMPLATE = "popoff_template"
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    platform.configure(config)


def pytest_unconfigure() -> None:
    platform.unconfigure()


@pytest.fixture(scope="session")
def services() -> platform.TestServices:
    return platform.session_services()


@pytest.fixture(scope="session", autouse=True)
def _plain_signals() -> None:
    """What tests start inherits what we ignore: SIGINT where the shell runs us in the background, SIGHUP by nohup."""
    for signum, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, handler)


@pytest.fixture(scope="session", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Argon2id at its least cost: what it guards is not under test, and it would take half of the time."""
    before = account_service._hasher
    account_service._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield
    account_service._hasher = before


@pytest.fixture(scope="session")
def template(services: platform.TestServices, worker_id: str) -> Iterator[str]:
    """A migrated database that others are copied from."""
    name = f"{TEMPLATE}_{worker_id}"
    url = platform.create_database(services, name)
    with config.override(database_url=url, redis_url=services.redis_url, secret_key="test"):
        app = create_app()
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
    yield name
    platform.drop_database(services, name)


@pytest.fixture(scope="session")
def _session_settings(
    services: platform.TestServices, template: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[config.Settings]:
    name = f"popoff_{worker_id}"
    settings = replace(
        config.from_env({}),
        home=tmp_path_factory.mktemp("home"),
        database_url=platform.create_database(services, name, template),
        redis_url=platform.redis_url(services, worker_id),
        secret_key="a secret for tests",
        log_level="WARNING",
        public_url="http://popoff.test",
        rate_limit="1000000/minute",
        signup_rate_limit="1000000/minute",
    )
    yield settings
    platform.drop_database(services, name)


@pytest.fixture
def settings(_session_settings: config.Settings) -> Iterator[config.Settings]:
    """The settings of the test; change one with `config.override` or a `settings_change` marker."""
    with config.override(**{name: getattr(_session_settings, name) for name in _session_settings.__dict__}):
        redis.Redis.from_url(_session_settings.redis_url).flushdb()
        yield config.current()


@pytest.fixture(scope="session")
def _session_app(_session_settings: config.Settings) -> Iterator[Flask]:
    with config.override(**{name: getattr(_session_settings, name) for name in _session_settings.__dict__}):
        app = create_app()
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def session(
    settings: config.Settings, _session_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sa.orm.Session]:
    """The database session, whose every commit ends with the test."""
    with _session_app.app_context():
        connection = db.engine.connect()
        outer = connection.begin()

        class Savepoints(Session):
            """Flask-SQLAlchemy finds engines by itself, whatever a session is bound to: it must be told here."""

            def get_bind(self, *_: object, **__: object) -> sa.Connection:
                return connection

        options = {"class_": Savepoints, "join_transaction_mode": "create_savepoint", "expire_on_commit": False}
        monkeypatch.setattr(db, "session", db._make_scoped_session(options))
        yield db.session()
        db.session.remove()
        outer.rollback()
        connection.close()


@pytest.fixture
def app(session: sa.orm.Session, _session_app: Flask) -> Flask:
    return _session_app


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    """HTTP against the application; what it writes is gone after the test.

    Requests share the application context of the test, so what Flask-Login remembers there must go before each.
    """

    def forget(*_: object, **__: object) -> None:
        g.pop("_login_user", None)

    with request_started.connected_to(forget, app):
        yield app.test_client()


@pytest.fixture
def people(client: FlaskClient) -> People:
    """Registers people and speaks for them: `people.ada.post("/api/post/like/", ...)`."""
    return People(client)


@pytest.fixture
def platform_db(
    services: platform.TestServices, template: str, worker_id: str, settings: config.Settings
) -> Iterator[Flask]:
    """An application over a database of its own, where commits are real and threads may race."""
    name = f"popoff_{worker_id}_{next(_numbers)}"
    with config.override(database_url=platform.create_database(services, name, template)):
        app = create_app()
        app.config["WTF_CSRF_ENABLED"] = False
        yield app
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    platform.drop_database(services, name)


@pytest.fixture(scope="session")
def live_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Platform]:
    """`popoff run` in a folder of its own: web, workers, embedded PostgreSQL and Redis, folder store."""
    with live.run(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of real clips beside the project."""
    from tests.support.clips import shared_media as find

    return find()
