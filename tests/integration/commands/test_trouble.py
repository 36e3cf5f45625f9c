"""What stands in the way of a command, in one sentence."""

from __future__ import annotations

import pytest

import config
from popoff import demo, embedded, runner
from popoff.embedded import StartFailed
from tests.support import platform
from tests.support.command_line import popoff


@pytest.fixture
def empty_database(services: platform.TestServices, worker_id: str, settings: config.Settings) -> str:
    return platform.create_database(services, f"popoff_empty_{worker_id}")


def test_a_database_that_does_not_answer_is_one_sentence(settings: config.Settings) -> None:
    with config.override(database_url="postgresql://popoff@127.0.0.1:1/popoff"):
        result = popoff("case", "list", fails=True)
    assert result.stderr.startswith("Error: The database does not answer: ")


def test_a_database_of_another_kind_is_one_sentence(settings: config.Settings) -> None:
    with config.override(database_url="mysql://127.0.0.1/popoff"):
        result = popoff("case", "list", fails=True)
    assert "PostgreSQL" in result.stderr


def test_a_platform_that_does_not_start_is_one_sentence(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StartFailed("The disk is full.")

    monkeypatch.setattr(embedded, "platform", fails)
    assert popoff("case", "list", fails=True).stderr == "Error: The disk is full.\n"


def test_a_database_without_tables_says_what_to_run_and_migrating_helps(empty_database: str) -> None:
    with config.override(database_url=empty_database):
        assert "popoff migrate" in popoff("case", "list", fails=True).stderr
        for _ in range(2):
            assert popoff("migrate").output == "Bringing the database up to date\n"
        assert popoff("case", "list").output == ""


def test_the_demo_is_loaded_once(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(demo, "is_loaded", lambda: bool(loaded))
    monkeypatch.setattr(demo, "load", lambda *_, **__: loaded.append(True))
    with config.override(database_url=empty_database):
        popoff("demo", "load")
        popoff("demo", "load")
    assert loaded == [True]


def test_running_ends_as_the_runner_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run", lambda say: say("started") or 0)
    assert popoff("run").output == "started\n"


def test_settings_are_as_before_after_a_command(settings: config.Settings) -> None:
    before = config.current()
    with config.override(database_url="postgresql://popoff@127.0.0.1:1/popoff"):
        popoff("case", "list", fails=True)
    assert config.current() == before
