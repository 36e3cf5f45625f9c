"""`popoff run` taken apart: what it starts, what it says, what it refuses."""

from __future__ import annotations

import contextlib
import http.server
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy.exc import OperationalError

import config
from config import Settings
from popoff import demo, runner
from popoff.embedded import Services, StartFailed
from popoff.supervisor import Program

DATABASE, REDIS = "postgresql://popoff:secret@127.0.0.1:1/popoff", "redis://:secret@127.0.0.1:1/0"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    chosen = Settings(home=tmp_path, database_url=DATABASE, redis_url=REDIS, secret_key="k" * 64, port=8123)
    with config.override(**{name: getattr(chosen, name) for name in chosen.__dict__}):
        yield chosen


def said(function: Callable[..., object], *arguments: Any, **options: Any) -> list[str]:
    lines: list[str] = []
    function(*arguments, lines.append, **options)
    return lines


# what is started


def test_the_programs_are_the_clockwork_the_workers_of_each_queue_and_the_web(settings: Settings) -> None:
    with config.override(media_workers=2, job_workers=1, web_workers=3, web_threads=5, host="0.0.0.0") as chosen:
        programs = {program.name: program for program in runner.programs(chosen, {"A": "b"})}
    assert list(programs) == ["schedule", "worker-media-1", "worker-media-2", "worker-default-1", "web"]
    assert programs["worker-media-2"].argv[-4:] == ["workers.run", "worker", "media", "films"]
    assert programs["schedule"].env == {"A": "b", "POPOFF_PROGRAM": "schedule"}
    web = " ".join(programs["web"].argv)
    assert "--host 0.0.0.0 --port 8123 --workers 3 --blocking-threads 5" in web


def test_programs_hear_of_one_another_by_their_environment_not_their_command_line(settings: Settings) -> None:
    environment = runner.child_environment(settings)
    assert environment["DATABASE_URL"] == DATABASE
    assert environment["REDIS_URL"] == REDIS
    assert environment["POPOFF_HOME"] == str(settings.home)
    for program in runner.programs(settings, environment):
        assert "secret" not in " ".join(program.argv)


def test_a_command_beside_a_running_platform_leaves_its_numbers_alone(settings: Settings) -> None:
    """`popoff demo load` hands the same folder on to a worker of its own."""
    folder = Path(runner.child_environment(settings)["PROMETHEUS_MULTIPROC_DIR"])
    folder.mkdir(parents=True)
    (folder / "counter_1.db").touch()
    runner.child_environment(settings)
    assert (folder / "counter_1.db").exists()
    runner._empty(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("demo_setting", "database", "environment", "wanted"),
    [
        ("auto", "", "development", True),
        ("auto", DATABASE, "development", False),
        ("auto", "", "production", False),
        ("on", DATABASE, "production", True),
        ("off", "", "development", False),
    ],
)
def test_demo_accounts_are_made_only_where_they_do_no_harm(
    demo_setting: str, database: str, environment: str, wanted: bool
) -> None:
    chosen = Settings(demo=demo_setting, database_url=database, environment=environment)
    assert runner._wants_demo(chosen) == wanted


# what is refused


def test_a_free_port_is_fine(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with config.override(port=port) as chosen:
        runner._check_port(chosen)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"port": 0}, "Port 0 on 127.0.0.1 cannot be used (ports go from 1 to 65535): set PORT to another one."),
        ({"port": 65536}, "Port 65536 on 127.0.0.1 cannot be used (ports go from 1 to 65535)"),
        ({"host": "no such host"}, "Port 8123 on no such host cannot be used ("),
        ({"host": "192.0.2.1"}, "Port 8123 on 192.0.2.1 cannot be used (Cannot assign requested address)"),
    ],
)
def test_an_address_that_cannot_be_bound_is_refused_in_a_sentence(
    settings: Settings, changes: dict[str, Any], sentence: str
) -> None:
    with config.override(**changes) as chosen, pytest.raises(StartFailed) as refused:
        runner._check_port(chosen)
    assert str(refused.value).startswith(sentence)


def test_a_port_that_another_program_has_is_refused(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with config.override(port=port) as chosen, pytest.raises(StartFailed, match="Address already in use"):
            runner._check_port(chosen)


def test_a_database_that_does_not_answer_is_told_in_a_sentence(settings: Settings) -> None:
    with pytest.raises(StartFailed) as refused:
        runner.prepare(lambda _line: None, with_demo=False)
    assert str(refused.value).startswith("The database cannot be used (connection failed")
    assert str(refused.value).endswith("): check DATABASE_URL.")
    assert isinstance(refused.value.__cause__, OperationalError)
    assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


# what is said


def test_addresses_are_shown_without_passwords_and_a_silent_redis_is_mentioned(settings: Settings) -> None:
    lines = said(lambda say: runner._announce(Settings(), Services(DATABASE, REDIS), say))
    assert lines[:2] == ["PostgreSQL: embedded, 127.0.0.1:1/popoff", "Redis: embedded, 127.0.0.1:1/0"]
    assert lines[2].startswith("Redis does not answer (") and lines[2].endswith("): jobs wait until it does")
    mine = said(lambda say: runner._announce(settings, Services(DATABASE, REDIS), say))
    assert mine[0] == "PostgreSQL: yours, 127.0.0.1:1/popoff"
    assert not any("secret" in line for line in (*lines, *mine))


@pytest.mark.parametrize(
    ("changes", "pages"),
    [
        ({}, "http://127.0.0.1:8123/"),
        ({"host": "0.0.0.0"}, "http://127.0.0.1:8123/"),
        ({"host": "::"}, "http://[::1]:8123/"),
        ({"host": "192.0.2.7"}, "http://192.0.2.7:8123/"),
        ({"public_url": "https://pop.example/"}, "https://pop.example/"),
    ],
)
def test_the_addresses_that_are_printed_can_be_opened(settings: Settings, changes: dict[str, Any], pages: str) -> None:
    with config.override(**changes) as chosen:
        lines = said(lambda say: runner._print_addresses(chosen, say, has_demo=False))
    assert f"  pages    {pages}" in lines
    assert "Stop with Ctrl-C." in lines
    assert not any("password" in line for line in lines)


def test_the_sign_ins_of_the_demo_are_printed_with_their_password(settings: Settings) -> None:
    lines = said(lambda say: runner._print_addresses(settings, say, has_demo=True))
    (line,) = [line for line in lines if "sign in as" in line]
    assert demo.PASSWORD in line
    assert all(name in line for name in ("ada", "eve", "mo", "boss"))


@pytest.fixture
def readyz(settings: Settings) -> Iterator[dict[str, Any]]:
    """A web server whose answer the test sets; yields status, body and port."""
    answer: dict[str, Any] = {"status": 503, "body": b'{"ready": false}'}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"])
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer["port"] = server.server_address[1]
        yield answer
        server.shutdown()


def test_a_start_that_takes_long_says_once_what_it_waits_for(
    readyz: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readyz["body"] = b'{"ready": false, "database": "ok", "workers": "unavailable (no worker serves media)"}'
    lines: list[str] = []
    with config.override(port=readyz["port"]) as chosen:
        ask = runner._Readiness(chosen, lines.append)
        assert not ask() and lines == []
        monkeypatch.setattr(ask, "_deadline", 0.0)
        assert not ask() and not ask()
        assert lines == ["Still waiting for workers (unavailable (no worker serves media))"]
        readyz["status"] = 200
        assert ask()


def test_an_answer_that_is_not_from_readyz_is_not_taken_for_one(
    readyz: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readyz["body"] = b"<h1>Bad gateway</h1>"
    lines: list[str] = []
    with config.override(port=readyz["port"]) as chosen:
        ask = runner._Readiness(chosen, lines.append)
        monkeypatch.setattr(ask, "_deadline", 0.0)
        assert not ask()
    assert lines == ["Still waiting for web (does not answer)"]


def test_a_web_server_that_is_not_there_yet_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with config.override(port=port) as chosen:
        ask = runner._Readiness(chosen, lines.append)
        monkeypatch.setattr(ask, "_deadline", 0.0)
        assert not ask()
    assert lines == ["Still waiting for web (does not answer)"]


# the run as a whole, with everything that takes long replaced


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> dict[str, Any]:
    """`run` over services that are not started: notes what it did, and lets a test step in."""
    seen: dict[str, Any] = {"order": []}

    @contextlib.contextmanager
    def platform(_settings: Settings) -> Iterator[Services]:
        seen["order"].append("services")
        yield Services(DATABASE, REDIS, lock_fd=7)
        seen["order"].append("services stopped")

    def prepare(_say: object, **options: bool) -> bool:
        seen["order"].append("prepared")
        seen["prepared"] = options
        if "during_start" in seen:
            seen["during_start"]()
        return True

    def supervise(programs: list[Program], **options: Any) -> int:
        seen["order"].append("supervised")
        seen["supervised"] = options
        options["on_ready"]()
        assert not options["is_ready"]()
        return int(seen.get("code", 0))

    monkeypatch.setattr(runner.embedded, "platform", platform)
    monkeypatch.setattr(runner, "prepare", prepare)
    monkeypatch.setattr(runner, "supervise", supervise)
    return seen


@pytest.mark.parametrize("database", ["", DATABASE])
def test_a_run_starts_prepares_supervises_and_says_goodbye(
    replaced: dict[str, Any], settings: Settings, database: str
) -> None:
    lines: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with config.override(database_url=database):
        assert runner.run(lines.append) == 0
    assert replaced["order"] == ["services", "prepared", "supervised", "services stopped"]
    assert replaced["prepared"] == {"with_demo": not database, "alone": not database}
    assert replaced["supervised"]["hold_fds"] == [7]
    assert (settings.home / "run" / "metrics").is_dir()
    assert lines[0] == f"PopOff keeps its data in {settings.home}"
    assert "PopOff is running" in lines
    assert lines[-1] == "PopOff has stopped"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_run_that_was_cut_short_says_so_by_its_exit_code(replaced: dict[str, Any]) -> None:
    replaced["code"] = 1
    assert runner.run(lambda _line: None) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_during_the_start_ends_it_in_order(replaced: dict[str, Any], signum: signal.Signals) -> None:
    replaced["during_start"] = lambda: os.kill(os.getpid(), signum)
    lines: list[str] = []
    assert runner.run(lines.append) == 0
    assert replaced["order"] == ["services", "prepared"]
    assert lines[-1] == "PopOff has stopped"


def test_with_nohup_a_closed_terminal_is_nothing(replaced: dict[str, Any]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        replaced["during_start"] = lambda: os.kill(os.getpid(), signal.SIGHUP)
        assert runner.run(lambda _line: None) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "supervised" in replaced["order"]


def test_the_errors_of_redis_are_what_the_start_expects() -> None:
    with pytest.raises(redis.RedisError):
        runner.redis_client.client(REDIS).ping()
