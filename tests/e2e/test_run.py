"""What a newcomer sees: one command, an address to open, people to sign in as; again tomorrow; and not only as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import config
from popoff import demo
from popoff.demo import clips
from popoff.embedded.host import NOBODY, Account, can_read, free_port
from tests.support import faults, live

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Platform]:
    """The first run of somebody who has set nothing."""
    platform = live.start(tmp_path_factory.mktemp("newcomer") / "home", POPOFF_DEMO="")
    try:
        platform.wait_ready(120)
        yield platform
    finally:
        faults.kill_all(platform.home)


def wait_for(platform: live.Platform, line: str, *, after: int = 0) -> str:
    """The log from character `after` on, once it has `line`."""
    deadline = time.monotonic() + 60
    while line not in (log := platform.log.read_text()[after:]):
        assert platform.process.poll() is None and time.monotonic() < deadline, log
        time.sleep(0.1)
    return log


def sign_in(platform: live.Platform, name: str) -> dict[str, str]:
    form = {"username": name, "password": demo.PASSWORD}
    answer = httpx.post(f"{platform.base_url}/api/auth/login/", data=form).raise_for_status()
    return {"Authorization": f"Token {answer.json()['token']}"}


def test_the_first_run_tells_where_to_go_and_nothing_that_is_no_use(newcomer: live.Platform) -> None:
    lines = wait_for(newcomer, "Stop with Ctrl-C.").splitlines()
    assert lines[0] == f"PopOff keeps its data in {newcomer.home}"
    assert "PopOff is running" in lines
    assert f"  pages    {newcomer.base_url}/" in lines
    (demo_line,) = [line for line in lines if line.startswith("  demo ")]
    assert demo.PASSWORD in demo_line
    start = lines[: lines.index("PopOff is running")]
    said = [line for line in start if line]
    assert len(said) == len(set(said)), "no line comes twice"
    assert "  9 of 9 clips can be played" in said
    assert not [line for line in said if "warning" in line or "error" in line or "Traceback" in line]
    assert len([line for line in said if "[info" not in line]) < 20, "and what workers say is of their jobs"


def test_the_demo_can_be_signed_in_to_and_watched(newcomer: live.Platform) -> None:
    feed = httpx.get(f"{newcomer.base_url}/api/media/get_feed/", headers=sign_in(newcomer, "hana")).json()["feed"]
    assert feed
    playlist = httpx.get(feed[0]["link"]).raise_for_status().text
    assert playlist.startswith("#EXTM3U")
    mine = httpx.get(f"{newcomer.base_url}/api/media/get_user_posts/", headers=sign_in(newcomer, "ada")).json()
    assert len(mine["posts"]) == 3
    assert httpx.get(f"{newcomer.base_url}/").status_code == 200


def test_the_second_run_is_quick_and_keeps_the_data(newcomer: live.Platform) -> None:
    assert newcomer.stop() == 0
    assert faults.processes_of(newcomer.home) == []
    written = len(newcomer.log.read_text())
    again = live.start(newcomer.home, int(newcomer.base_url.rpartition(":")[2]), POPOFF_DEMO="")
    newcomer.process = again.process
    again.wait_ready(60)
    said = wait_for(again, "Stop with Ctrl-C.", after=written)
    assert "Loading the demo" not in said
    assert "sign in as" in said
    mine = httpx.get(f"{again.base_url}/api/media/get_user_posts/", headers=sign_in(again, "ada")).json()
    assert len(mine["posts"]) == 3


# as an ordinary user

ORDINARY = Account(NOBODY, NOBODY)
NEEDED = ("popoff", "workers", "models_ml", "migrations", "config.py", "wsgi.py")


@pytest.fixture
def ordinary_folder() -> Iterator[Path]:
    """A folder of an ordinary user with a copy of the project, as far as it runs."""
    with tempfile.TemporaryDirectory(prefix="popoff-ordinary-") as name:
        folder = Path(name)
        for part in NEEDED:
            source, target = config.PROJECT / part, folder / "project" / part
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        yield folder


def ordinary_python(folder: Path) -> Path:
    """A virtualenv of an ordinary user with our packages; skips when no interpreter here can be shared."""
    packages = Path(sysconfig.get_paths()["purelib"])
    if not can_read(packages, ORDINARY):
        pytest.skip(f"an ordinary user may not read {packages}")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "venv" / "bin" / version
    for place in (sys.base_prefix, "/usr", "/usr/local"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            run_as_ordinary_user(folder, f"{place}/bin/{version}", "-m", "venv", "--without-pip", folder / "venv")
            own = folder / "venv" / "lib" / version / "site-packages"
            (own / "popoff.pth").write_text(f"{folder / 'project'}\n{packages}\n")
            # redis asks for this package before Python 3.11.3, and we never use it
            (own / "async_timeout.py").write_text("timeout = None\n")
            run_as_ordinary_user(folder, python, "-c", "import popoff.cli")
            return python
    pytest.skip(f"an ordinary user has no {version} here that our packages fit")


def run_as_ordinary_user(folder: Path, *command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, env={}, **ordinary(folder))


def ordinary(folder: Path) -> dict[str, Any]:
    return {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": folder / "project"}


@pytest.mark.skipif(os.geteuid() != 0, reason="every test runs as an ordinary user already")
def test_an_ordinary_user_runs_it_all_too(ordinary_folder: Path, tmp_path: Path) -> None:
    python = ordinary_python(ordinary_folder)
    port = free_port()
    home = ordinary_folder / "data"
    log = tmp_path / "ordinary.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "popoff.cli", "run"],
            env={"POPOFF_HOME": str(home), "PORT": str(port), "POPOFF_DEMO": "off"},
            **ordinary(ordinary_folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    platform = live.Platform(f"http://127.0.0.1:{port}", home, log, process)
    try:
        platform.wait_ready(60)
        assert faults.owners_of(home) == {NOBODY}
        visitor = faults.Visitor(platform.base_url, "ada")
        clip = tmp_path / "clip.mp4"
        clips.draw(clips.CLIPS[6], clip)
        post_id = visitor.post(clip)
        faults.until(lambda: visitor.stage(post_id) == "ready", 40, "the post of an ordinary user")
        assert platform.stop() == 0
        assert faults.processes_of(home) == []
    finally:
        faults.kill_all(home)
