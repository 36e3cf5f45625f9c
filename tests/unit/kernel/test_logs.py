from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from popoff.kernel import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], level, former = before[0], before[1], before[2]
    root.setLevel(level)
    structlog.configure(**former)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("name", ["password", "new_password", "Authorization", "token", "session_cookie", "API_KEY"])
def test_secrets_do_not_get_into_the_log(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True, level="INFO")
    structlog.get_logger("secrets").info("signed in", **{name: "hunter2", "user": "ada"})
    (line,) = lines(capsys)
    assert json.loads(line)[name] == "***"
    assert json.loads(line)["user"] == "ada"


def test_in_production_every_line_is_json_with_its_exception(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True, level="INFO")
    structlog.contextvars.bind_contextvars(request_id="abc")
    try:
        raise ValueError("no such thing")
    except ValueError:
        structlog.get_logger("ours").exception("it broke")
    finally:
        structlog.contextvars.clear_contextvars()
    logging.getLogger("theirs").warning("from a library: %s", "so it is")
    ours, theirs = map(json.loads, lines(capsys))
    assert (ours["event"], ours["level"], ours["request_id"]) == ("it broke", "error", "abc")
    assert "ValueError: no such thing" in ours["exception"]
    assert (theirs["event"], theirs["level"]) == ("from a library: so it is", "warning")


def test_in_a_terminal_lines_are_for_reading_and_libraries_keep_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=False, level="info")
    structlog.get_logger("ours").info("started", port=8000)
    structlog.get_logger("ours").debug("details")
    logging.getLogger("urllib3").info("chatter")
    (line,) = lines(capsys)
    assert "started" in line and "port" in line and not line.startswith("{")
