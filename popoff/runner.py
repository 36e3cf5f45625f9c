"""`popoff run`: the whole platform in one command, from an empty folder to an address one can open."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import redis
from sqlalchemy.exc import OperationalError

import config
from config import Settings
from popoff import create_app, demo, embedded
from popoff.adapters import jobs, redis_client
from popoff.embedded import Services, StartFailed
from popoff.kernel.db import db
from popoff.supervisor import Program, die_with_parent, supervise
from popoff.web.transaction import transaction

Say = Callable[[str], None]

PATIENCE_SECONDS = 15.0
"""How long the start may take before it says what it waits for."""


def run(say: Say) -> int:
    """Start everything, keep it running, stop it cleanly. Returns the exit code. Raises StartFailed, SettingError."""
    settings = config.current()
    say(f"PopOff keeps its data in {settings.home}")
    try:
        with _stoppable(), embedded.platform(settings) as services:
            _check_port(settings)  # after the lock on the data: a second start there is told so, not of the port
            _announce(settings, services, say)
            config.use(replace(settings, database_url=services.database_url, redis_url=services.redis_url))
            has_demo = prepare(say, with_demo=_wants_demo(settings), alone=not settings.database_url)
            code = _serve(services, say, has_demo=has_demo)
    except KeyboardInterrupt:  # before everything was up
        code = 0
    say("PopOff has stopped")
    return code


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the start in order, as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    asking = [signum for signum in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, stop) for signum in asking}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _serve(services: Services, say: Say, *, has_demo: bool) -> int:
    settings = config.current()
    _empty(_metrics_folder(settings))
    return supervise(
        programs(settings, child_environment(settings)),
        is_ready=_Readiness(settings, say),
        on_ready=lambda: _print_addresses(settings, say, has_demo=has_demo),
        each_second=services.revive,
        hold_fds=[services.lock_fd] if services.lock_fd >= 0 else [],
    )


def prepare(say: Say, *, with_demo: bool, alone: bool = False) -> bool:
    """Bring the database to the present version, and load the demo if it is wanted and was not loaded.

    `alone`: nobody else can be using the database, so jobs that a killed run had in hand can go on at once.
    Returns whether the demo is there. Raises StartFailed when the database does not answer.
    """
    import flask_migrate

    with create_app().app_context():
        say("Bringing the database up to date")
        try:
            flask_migrate.upgrade()
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise StartFailed(f"The database cannot be used ({reason}): check DATABASE_URL.") from error
        if alone:
            with transaction():
                jobs.end_leases()
        if with_demo and not demo.is_loaded():
            demo.load(say, drain_jobs=_drain_jobs)
        has_demo = demo.is_loaded()
        db.session.remove()
        db.engine.dispose()
    return has_demo


def _drain_jobs() -> subprocess.Popen[bytes]:
    """A worker that ends when nothing is left to do, or when we do."""
    return subprocess.Popen(
        [sys.executable, "-m", "workers.run", "burst"],
        env={**os.environ, **child_environment(config.current()), "LOG_LEVEL": "WARNING"},
        cwd=config.PROJECT,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent(),
    )


def _wants_demo(settings: Settings) -> bool:
    """By default only a database of our own gets demo accounts: their passwords are printed in the README."""
    return settings.demo == "on" or (settings.demo == "auto" and not settings.database_url and not settings.production)


def _announce(settings: Settings, services: Services, say: Say) -> None:
    for name, url, ours in (
        ("PostgreSQL", services.database_url, not settings.database_url),
        ("Redis", services.redis_url, not settings.redis_url),
    ):
        where = url.rpartition("@")[2] or url
        say(f"{name}: {'embedded' if ours else 'yours'}, {where}")
    try:
        redis_client.client(services.redis_url).ping()
    except redis.RedisError as error:
        say(f"Redis does not answer ({error}): jobs wait until it does")


def _metrics_folder(settings: Settings) -> Path:
    return settings.home / "run" / "metrics"


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def child_environment(settings: Settings) -> dict[str, str]:
    """What the programs of this platform need to find one another."""
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "POPOFF_HOME": str(settings.home),
        "PORT": str(settings.port),
        "PROMETHEUS_MULTIPROC_DIR": str(_metrics_folder(settings)),
        "PYTHONUNBUFFERED": "1",
    }


def programs(settings: Settings, environment: Mapping[str, str]) -> list[Program]:
    """The web server, the workers of each queue, and the clockwork.

    A worker that transcodes watches films when none waits to be transcoded.
    """
    python = sys.executable

    def program(name: str, *argv: str, grace: float = 10.0) -> Program:
        return Program(name, [python, "-m", *argv], {**environment, "POPOFF_PROGRAM": name}, grace_seconds=grace)

    web = program(
        "web", "granian", "--interface", "wsgi", "--host", settings.host, "--port", str(settings.port),
        "--workers", str(settings.web_workers), "--blocking-threads", str(settings.web_threads),
        "--working-dir", str(config.PROJECT), "--respawn-failed-workers",
        "--workers-kill-timeout", "5",  # one that is told to stop while it starts would never end
        "--log-level", "warning", "wsgi:app",
    )  # fmt: skip
    workers = [
        program(f"worker-{queues[0]}-{number}", "workers.run", "worker", *queues)
        for queues, count in ((("media", "films"), settings.media_workers), (("default",), settings.job_workers))
        for number in range(1, count + 1)
    ]
    return [program("schedule", "workers.run", "schedule"), *workers, web]


def _check_port(settings: Settings) -> None:
    try:
        if not 0 < settings.port < 65536:
            raise OSError(None, "ports go from 1 to 65535")
        ((family, kind, protocol, _, address), *_) = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartFailed(
            f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}): set PORT to another one."
        ) from None


class _Readiness:
    """Asks /readyz; when that takes long, says once what is not there yet."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._address = _local(settings)
        self._say: Say | None = say
        self._deadline = time.monotonic() + PATIENCE_SECONDS

    def __call__(self) -> bool:
        parts: dict[str, str] = {"web": "does not answer"}
        try:
            with urllib.request.urlopen(f"http://{self._address}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as refused:
            with contextlib.suppress(ValueError):  # not from /readyz itself
                parts = json.load(refused)
        except OSError:  # nobody is there yet
            pass
        if self._say and time.monotonic() > self._deadline:
            missing = ", ".join(f"{name} ({state})" for name, state in parts.items() if state not in ("ok", False))
            self._say(f"Still waiting for {missing}")
            self._say = None
        return False


def _local(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"{f'[{host}]' if ':' in host else host}:{settings.port}"


def _print_addresses(settings: Settings, say: Say, *, has_demo: bool) -> None:
    base = settings.public_url.rstrip("/") or f"http://{_local(settings)}"
    say("")
    say("PopOff is running")
    say(f"  pages    {base}/")
    say(f"  API      {base}/api     (the phone app's base URL)")
    say(f"  API docs {base}/api/docs")
    say(f"  health   {base}/readyz")
    if has_demo:
        say(f"  demo     sign in as {demo.SIGN_INS} with the password {demo.PASSWORD!r}")
    say("Stop with Ctrl-C.")
    say("")
