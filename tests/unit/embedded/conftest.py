from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from popoff import embedded
from tests.support.platform import scratch
from tests.unit.embedded.helpers import NOBODY, Runner


@pytest.fixture
def home() -> Iterator[Path]:
    """A data folder that only we can reach: as root, the servers' user cannot."""
    with tempfile.TemporaryDirectory(prefix="popoff-home-", dir=scratch(), ignore_cleanup_errors=True) as closed:
        yield Path(closed, "var")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder everybody can reach, given to `nobody` when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="popoff-open-", dir=scratch()))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def postgres(home: Path) -> Iterator[embedded.Postgres]:
    service = embedded.start_postgres(home, fast=True)
    yield service
    service.stop()


@pytest.fixture
def redis_service(home: Path) -> Iterator[embedded.Redis]:
    service = embedded.start_redis(home)
    yield service
    service.stop()


@pytest.fixture
def start_runner() -> Iterator[Callable[..., Runner]]:
    """Starts a process that runs the platform; whatever is left of it is killed after the test."""
    runners: list[Runner] = []

    def start(home: Path, *, user: int | None = None) -> Runner:
        runners.append(Runner(home, user))
        return runners[-1]

    yield start
    for runner in runners:
        runner.kill()
