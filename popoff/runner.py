"""`popoff run`: the whole platform in one command, from an empty folder to an address one can open."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace

import config
from config import Settings
from popoff import create_app, demo, embedded
from popoff.embedded import Services, StartFailed
from popoff.supervisor import Program, supervise

Say = Callable[[str], None]


def run(say: Say) -> int:
    """Start everything, keep it running, stop it cleanly. Returns the exit code. Raises StartFailed, SettingError."""
    settings = config.current()
    _check_port(settings)
    say(f"PopOff keeps its data in {settings.home}")
    with embedded.platform(settings) as services:
        _announce(settings, services, say)
        config.use(replace(settings, database_url=services.database_url, redis_url=services.redis_url))
        prepare(say, with_demo=_wants_demo(settings))
        environment = child_environment(config.current())
        return supervise(
            programs(config.current(), environment),
            is_ready=lambda: _answers(config.current()),
            on_ready=lambda: _print_addresses(config.current(), say),
            each_second=services.revive,
            hold_fds=[services.lock_fd] if services.lock_fd >= 0 else [],
        )


def prepare(say: Say, *, with_demo: bool) -> None:
    """Bring the database to the present version, and load the demo if it is wanted and was not loaded."""
    import flask_migrate

    app = create_app()
    with app.app_context():
        say("Bringing the database up to date")
        flask_migrate.upgrade()
        if with_demo and not demo.is_loaded():
            demo.load(say, drain_jobs=_drain_jobs)


def _drain_jobs() -> subprocess.Popen[bytes]:
    """A worker that ends when nothing is left to do."""
    environment = {**os.environ, **child_environment(config.current()), "LOG_LEVEL": "WARNING"}
    return subprocess.Popen([sys.executable, "-m", "workers.run", "burst"], env=environment, cwd=config.PROJECT)


def _wants_demo(settings: Settings) -> bool:
    """By default only a database of our own gets demo accounts: their passwords are printed in the README."""
    return settings.demo == "on" or (settings.demo == "auto" and not settings.database_url and not settings.production)


def _announce(settings: Settings, services: Services, say: Say) -> None:
    for name, url, ours in (
        ("PostgreSQL", services.database_url, not settings.database_url),
        ("Redis", services.redis_url, not settings.redis_url),
    ):
        where = url.rpartition("@")[2] or url
        say(f"{name} {'(embedded)' if ours else '(yours)'} answers at {where}")


def child_environment(settings: Settings) -> dict[str, str]:
    """What the programs of this platform need to find one another."""
    metrics = settings.home / "run" / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "POPOFF_HOME": str(settings.home),
        "PORT": str(settings.port),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONUNBUFFERED": "1",
    }


def programs(settings: Settings, environment: Mapping[str, str]) -> list[Program]:
    """The web server, the workers of each queue, and the clockwork."""
    python = sys.executable

    def program(name: str, *argv: str, grace: float = 10.0) -> Program:
        return Program(name, [python, "-m", *argv], {**environment, "POPOFF_PROGRAM": name}, grace_seconds=grace)

    web = program(
        "web", "granian", "--interface", "wsgi", "--host", settings.host, "--port", str(settings.port),
        "--workers", str(settings.web_workers), "--blocking-threads", str(settings.web_threads),
        "--working-dir", str(config.PROJECT), "--respawn-failed-workers", "--log-level", "warning", "wsgi:app",
    )  # fmt: skip
    workers = [
        program(f"worker-{queue}-{number}", "workers.run", "worker", queue)
        for queue, count in (("media", settings.media_workers), ("default", settings.job_workers))
        for number in range(1, count + 1)
    ]
    return [program("schedule", "workers.run", "schedule"), *workers, web]


def _check_port(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StartFailed(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}): set PORT to another one."
            ) from None


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"http://{_local(settings)}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _local(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    return f"{host}:{settings.port}"


def _print_addresses(settings: Settings, say: Say) -> None:
    base = settings.public_url.rstrip("/") or f"http://{_local(settings)}"
    say("")
    say("PopOff is running")
    say(f"  pages    {base}/")
    say(f"  API      {base}/api     (the phone app's base URL)")
    say(f"  API docs {base}/api/docs")
    say(f"  health   {base}/readyz")
    with create_app().app_context():
        if demo.is_loaded():
            say(f"  demo     sign in as {demo.SIGN_INS} with the password {demo.PASSWORD!r}")
    say("Stop with Ctrl-C.")
