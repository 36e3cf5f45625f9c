"""The servers that all workers of a test session share (`tests/support/platform.py`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from popoff.embedded import Postgres, host
from tests.support import platform
from tests.unit.embedded.helpers import PROJECT, eventually, query, redis_of

CONFTEST = """
import pytest
from tests.support import platform

def pytest_configure(config):
    platform.configure(config)

def pytest_unconfigure():
    platform.unconfigure()

@pytest.fixture(scope="session")
def services():
    return platform.session_services()
"""
TESTS = """
import os, time, pathlib, pytest
from tests.support import platform

@pytest.mark.parametrize("number", range(4))
def test_one(services, worker_id, number):
    url = platform.create_database(services, f"db_{worker_id}")
    folder = pathlib.Path(__file__).parent
    (folder / f"{worker_id}-{number}.txt").write_text(services.database_url)
    while (folder / "hang").exists():
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def services() -> Iterator[platform.TestServices]:
    running = bool(os.environ.get(platform.DATABASE))
    yield platform.session_services()
    if not running:
        platform.unconfigure()


@pytest.fixture
def folder(home: Path) -> Path:
    home.mkdir()
    return home


def session(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A pytest session of its own, in `folder`."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POPOFF_TEST", "PYTEST"))}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xdist", *arguments, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(PROJECT), "TMPDIR": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def addresses(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.glob("*-*.txt")}


def test_workers_share_one_server_that_is_gone_afterwards(folder: Path) -> None:
    assert session(folder, "-n", "2").wait(60) == 0
    assert len(list(folder.glob("gw*.txt"))) == 4
    (url,) = addresses(folder)
    with pytest.raises(psycopg.OperationalError):
        query(url, "SELECT 1")
    assert not list(folder.glob(f"{platform.PREFIX}*"))


def test_a_killed_session_leaves_no_server_and_its_folder_goes_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hang").touch()
    running = session(folder)
    eventually(lambda: any(addresses(folder)), 30)
    (data,) = folder.glob(f"{platform.PREFIX}*/postgres/cluster")
    mark = Postgres(data.parents[1]).mark
    assert host.marked_processes(mark)
    running.send_signal(signal.SIGKILL)
    running.wait()
    eventually(lambda: not host.marked_processes(mark))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # the standard library remembers it
    os.utime(data.parents[1], (0, 0))  # as if that was long ago
    with platform.folder() as mine:
        assert list(folder.glob(f"{platform.PREFIX}*")) == [mine]
        os.utime(mine, (0, 0))
        with platform.folder():
            assert mine.exists()  # in use


def test_databases_are_made_from_a_template_and_dropped_in_use(services: platform.TestServices) -> None:
    template = platform.create_database(services, "unit_template")
    query(template, "CREATE TABLE things AS SELECT 42 AS value")
    url = platform.create_database(services, "unit_copy", template="unit_template")
    with psycopg.connect(url.replace("+psycopg", "")):
        assert query(url, "SELECT value FROM things") == 42
        platform.create_database(services, "unit_copy")
    assert query(url, "SELECT to_regclass('things')") is None
    for name in ("unit_copy", "unit_template"):
        platform.drop_database(services, name)
        platform.drop_database(services, name)


def test_each_worker_has_a_redis_database(services: platform.TestServices) -> None:
    assert platform.redis_url(services, "master").endswith("/0")
    with redis_of(platform.redis_url(services, "gw3")) as client:
        assert client.connection_pool.connection_kwargs["db"] == 3
        assert client.ping()
