"""The whole platform as a newcomer starts it: `popoff run` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import config
from popoff.embedded.host import free_port

START_SECONDS = 90
STOP_SECONDS = 40


@dataclass
class Platform:
    """A running platform: where it answers, where its data is, and the process of its runner."""

    base_url: str
    home: Path
    log: Path
    process: subprocess.Popen[bytes]

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /readyz; (0, {}) when nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.base_url}/readyz", timeout=3) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, {}

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while self.readiness()[0] != 200:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the platform is not ready: {self.readiness()}\n{self.tail()}")
            time.sleep(0.2)

    def wait_said(self, words: str, since: int, seconds: float = START_SECONDS) -> None:
        """Wait until its log holds `words` after its first `since` characters."""
        deadline = time.monotonic() + seconds
        while words not in (said := self.log.read_text(errors="replace")[since:]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the platform does not say {words!r}:\n{said}")
            time.sleep(0.1)

    def tail(self, characters: int = 6000) -> str:
        return self.log.read_text(errors="replace")[-characters:]

    def services(self) -> dict[str, Any]:
        """Addresses of the embedded servers while it runs."""
        return json.loads((self.home / "run" / "services.json").read_text())

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Ask it to stop and wait; its exit code."""
        self.process.send_signal(signum)
        return self.process.wait(STOP_SECONDS)


def start(home: Path, port: int | None = None, **environment: str) -> Platform:
    """Start the platform without waiting for it. The demo is off unless POPOFF_DEMO is given."""
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home.parent / f"{home.name}.log"
    engines = ("DATABASE_URL", "REDIS_URL", "S3_BUCKET")
    inherited = {name: value for name, value in os.environ.items() if name not in engines}
    settings: Mapping[str, str] = {
        **inherited,
        "POPOFF_HOME": str(home),
        "PORT": str(port),
        "POPOFF_DEMO": "off",
        "RATE_LIMIT": "1000000/minute",
        "SIGNUP_RATE_LIMIT": "1000000/minute",
        **environment,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "popoff.cli", "run"],
            env=dict(settings),
            cwd=config.PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Platform(f"http://127.0.0.1:{port}", home, log, process)


@contextlib.contextmanager
def run(folder: Path, **environment: str) -> Iterator[Platform]:
    """A ready platform for the length of a `with` block."""
    platform = start(folder / "home", **environment)
    try:
        platform.wait_ready()
        yield platform
    finally:
        if platform.process.poll() is None:
            try:
                platform.stop()
            except subprocess.TimeoutExpired:
                platform.process.kill()
                raise
