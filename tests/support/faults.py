"""Breaking a running platform, and visiting it meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import config
from popoff.embedded import Postgres, Redis, host

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Process:
    """A process of a platform: `name` is the program's (`web`, `worker-media-1` ...), or empty."""

    pid: int
    name: str
    parent: int


def processes_of(home: Path) -> list[Process]:
    """Everything that runs for the data folder `home`: runner, programs, their children, embedded servers."""
    return [*_with_home(home), *(Process(pid, "", 0) for mark in _marks(home) for pid in host.marked_processes(mark))]


def owners_of(home: Path) -> set[int]:
    """The user ids that these processes run as; one that ended since it was found (a database backend) has none."""
    owners = set()
    for process in processes_of(home):
        with contextlib.suppress(FileNotFoundError):
            owners.add(Path(f"/proc/{process.pid}").stat().st_uid)
    return owners


def _with_home(home: Path) -> list[Process]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                continue
            pairs = (entry.partition(b"=") for entry in (folder / "environ").read_bytes().split(b"\0"))
            variables = {name.decode(): value.decode() for name, _, value in pairs}
            at_work = (folder / "cwd").readlink().is_relative_to(home)  # ffmpeg and the prober
            if variables.get("POPOFF_HOME") == str(home) or at_work:
                status = (folder / "status").read_text()
                parent = int(status.partition("PPid:")[2].split()[0])
                found.append(Process(int(folder.name), variables.get("POPOFF_PROGRAM", ""), parent))
    return found


def _marks(home: Path) -> list[str]:
    return [service.mark for service in (Postgres(home), Redis(home)) if service.data.exists()]


def main_process(home: Path, name: str) -> int:
    """The process that the supervisor started for a program."""
    named = {process.pid: process for process in _with_home(home) if process.name == name}
    return next(pid for pid, process in named.items() if process.parent not in named)


def family(home: Path, name: str) -> set[int]:
    return {process.pid for process in _with_home(home) if process.name == name}


def postgres_pid(home: Path) -> int:
    return int((home / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


def redis_pid(home: Path) -> int:
    (pid,) = host.marked_processes(Redis(home).mark)
    return pid


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs for the length of a `with` block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill_all(home: Path) -> None:
    """The power cut: no process gets to do anything more."""
    while found := processes_of(home):
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.02)


def run_to_end(home: Path, *, seconds: float = 30, **environment: str) -> tuple[int, str]:
    """`popoff run` where it is expected to end by itself: exit code and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "popoff.cli", "run"],
        env={**os.environ, "POPOFF_HOME": str(home), "POPOFF_DEMO": "off", **environment},
        cwd=config.PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        text=True,
    )
    return done.returncode, done.stdout


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until `condition` holds; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.1)
    return value


class Visitor:
    """A person with a phone: every answer is timed, and a connection that breaks is an answer, too."""

    def __init__(self, base_url: str, username: str):
        self.client = httpx.Client(base_url=base_url, timeout=15)
        self.username = username
        self.slowest = 0.0
        form = {"username": username, "email": f"{username}@people.example", "password": PASSWORD}
        answer = self.send("POST", "/api/auth/register/", data=form)
        if answer.status_code == 400:
            answer = self.send("POST", "/api/auth/login/", data={"username": username, "password": PASSWORD})
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Token {answer.json()['token']}"

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Status 0 when there was no answer."""
        started = time.monotonic()
        try:
            return self.client.request(method, url, **options)
        except httpx.TransportError:
            return httpx.Response(0)
        finally:
            self.slowest = max(self.slowest, time.monotonic() - started)

    def upload(self, clip: Path) -> str:
        """Upload a file by its presigned link; its path for `post`."""
        data = clip.read_bytes()
        form = {"fileName": "clip.mp4", "fileType": "video/mp4", "file_size": len(data)}
        ticket = self.send("POST", "/api/media/upload/", data=form)
        assert ticket.status_code == 200, ticket.text
        headers = {"Content-Type": "video/mp4", "Authorization": ""}
        sent = self.send("PUT", ticket.json()["video_url"], content=data, headers=headers)
        assert sent.status_code == 200, sent.text
        return str(ticket.json()["video_file_path"])

    def post(self, clip: Path, description: str = "") -> int:
        """Upload and post; the id of the post."""
        form = {"file_path": self.upload(clip), "description": description}
        answer = self.send("POST", "/api/media/post/", data=form)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def status(self, post_id: int) -> dict[str, Any]:
        answer = self.send("GET", f"/api/media/post/{post_id}/")
        return answer.json() if answer.status_code == 200 else {"stage": ""}

    def stage(self, post_id: int) -> str:
        return str(self.status(post_id)["stage"])

    def comment(self, post_id: int, text: str) -> int:
        """The status of the answer."""
        form = {"video_id": post_id, "comment": text}
        return self.send("POST", "/api/post/add_comment/", data=form).status_code

    def like(self, post_id: int, liked: bool = True) -> int:
        form = {"video_id": post_id, "like": str(liked).lower()}
        return self.send("POST", "/api/post/like/", data=form).status_code

    def comments(self, post_id: int) -> list[str]:
        """All of them, page by page."""
        found: list[str] = []
        query: dict[str, Any] = {"video_id": post_id}
        while True:
            page = json.loads(self.send("GET", "/api/post/get_comments/", params=query).text)
            found += [comment["comment"] for comment in page["comments"]]
            if not page.get("next_cursor"):
                return found
            query["cursor"] = page["next_cursor"]
