"""Folders of runs: there while the run lives, gone soon after, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from workers import scratch

HOLD = """
import sys, time
import config
from pathlib import Path
from workers import scratch
config.use(config.Settings(home=Path(sys.argv[1])))
with scratch.private_folder() as folder:
    (folder / "half a film").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with config.override(home=tmp_path):
        yield tmp_path


@pytest.fixture
def other_run(home: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run in another process, and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE, text=True, cwd=config.PROJECT
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def left(home: Path) -> list[Path]:
    return list((home / "work").iterdir())


def test_a_folder_is_empty_private_and_gone_after_the_run(home: Path) -> None:
    with scratch.private_folder() as folder:
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
    assert left(home) == []


def test_a_folder_is_gone_after_a_run_that_failed(home: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch.private_folder():
        raise ZeroDivisionError
    assert left(home) == []


def test_runs_side_by_side_do_not_see_one_another(other_run: tuple[object, Path]) -> None:
    with scratch.private_folder() as one, scratch.private_folder() as two:
        scratch.sweep()
        assert one.is_dir() and two.is_dir() and one != two
        assert other_run[1].is_dir()


@pytest.mark.parametrize("how", ["another run", "a sweep"])
def test_what_a_killed_run_left_is_swept_at_once(
    home: Path, other_run: tuple[subprocess.Popen[str], Path], how: str
) -> None:
    process, folder = other_run
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "half a film").exists()
    if how == "a sweep":
        scratch.sweep()
    else:
        with scratch.private_folder():
            assert not folder.exists()
    assert left(home) == []


def test_sweeping_before_the_first_run_is_nothing(home: Path) -> None:
    scratch.sweep()
    assert not (home / "work").exists()
