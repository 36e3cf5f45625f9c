"""Runs one program on hostile input: limited, alone in a folder, without our environment, dead when we are.

The limits are set by `workers/confine.py` in the child. What must hold everywhere: CPU time, memory, size of each
file, open files, no core dump, no new privileges, wall clock, an environment without the parent's secrets. An own
empty network is taken where the kernel permits it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from popoff.media.failures import FailureCode, MediaFailure
from workers import confine

_STDERR_KEPT = 8 * 1024
_STDOUT_MOST = 1024 * 1024
_NO_MEMORY = ("Cannot allocate memory", "MemoryError", "malloc of size", "bad_alloc")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one child may take. `cpu_seconds` counts all its threads; `file_bytes` holds for each file it writes."""

    cpu_seconds: int
    wall_seconds: float
    memory_bytes: int
    file_bytes: int = 256 * 1024**2
    open_files: int = 256
    niceness: int = 5


@dataclass(frozen=True)
class Finished:
    """How a child ended. `returncode` is negative for a signal; `stderr` is its end, for the log only."""

    returncode: int
    stdout: bytes
    stderr: str


def run(
    program: Sequence[str], *, folder: Path, limits: Limits, on_progress: Callable[[float], None] | None = None
) -> Finished:
    """Run `program` (an absolute path and its arguments) in `folder` and wait for it.

    With `on_progress`, standard output is read as ffmpeg's `-progress pipe:1`, and the function is called in this
    thread with the seconds of output made so far; when it raises, the child is killed and the error goes on.
    Otherwise up to 1 MiB of standard output is returned.
    Raises MediaFailure: `timeout`, `resource_limit`, or `encode_failed` when the child could not be confined.
    """
    reader = _Progress(on_progress) if on_progress else _Collected()
    errors = _Tail()
    deadline = time.monotonic() + limits.wall_seconds
    child = subprocess.Popen(
        _confined(program, limits),
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with child:
        try:
            _pump(child, reader.feed, errors.feed, deadline)
            _wait(child.pid, deadline)
        finally:
            # The child is not reaped yet, so its id, and that of its group, is still its own.
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    finished = Finished(child.returncode, reader.kept(), errors.text())
    _judge(finished)
    return finished


def _confined(program: Sequence[str], limits: Limits) -> list[str]:
    settings = {
        "parent": os.getpid(),
        "cpu_seconds": limits.cpu_seconds,
        "memory_bytes": limits.memory_bytes,
        "file_bytes": limits.file_bytes,
        "open_files": limits.open_files,
        "niceness": limits.niceness,
    }
    return [sys.executable, "-I", "-S", str(Path(confine.__file__).resolve()), json.dumps(settings), *program]


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}


def _pump(
    child: subprocess.Popen[bytes],
    on_output: Callable[[bytes], None],
    on_error: Callable[[bytes], None],
    deadline: float,
) -> None:
    """Hand on what the child writes until it closes both pipes."""
    assert child.stdout is not None and child.stderr is not None
    with selectors.DefaultSelector() as pipes:
        pipes.register(child.stdout, selectors.EVENT_READ, on_output)
        pipes.register(child.stderr, selectors.EVENT_READ, on_error)
        while pipes.get_map():
            ready = pipes.select(timeout=_remaining(deadline))
            for key, _ in ready:
                chunk = os.read(key.fd, 64 * 1024)
                if chunk:
                    key.data(chunk)
                else:
                    pipes.unregister(key.fileobj)


def _wait(pid: int, deadline: float) -> None:
    """Wait for the end of a child without reaping it."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(min(0.01, _remaining(deadline)))


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise MediaFailure(FailureCode.TIMEOUT, "the wall clock ran out")
    return left


def _judge(finished: Finished) -> None:
    """Raise for ends that have the same meaning whatever ran."""
    if finished.returncode in (-signal.SIGXCPU, -signal.SIGXFSZ):
        raise MediaFailure(FailureCode.RESOURCE_LIMIT, f"ended by signal {-finished.returncode}: {finished.stderr}")
    if finished.returncode != 0 and any(sign in finished.stderr for sign in _NO_MEMORY):
        raise MediaFailure(FailureCode.RESOURCE_LIMIT, finished.stderr)
    if finished.returncode == confine.CANNOT_CONFINE:
        raise MediaFailure(FailureCode.ENCODE_FAILED, finished.stderr)


class _Collected:
    """Standard output, up to a limit."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > _STDOUT_MOST:
            raise MediaFailure(FailureCode.RESOURCE_LIMIT, "too much output")

    def kept(self) -> bytes:
        return bytes(self._bytes)


class _Progress:
    """Turns the lines of `-progress` into seconds done."""

    def __init__(self, on_progress: Callable[[float], None]) -> None:
        self._on_progress = on_progress
        self._line = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._line = (self._line[-1024:] + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b"=")
            # `N/A` before the first frame, and small negative values before the first key frame is out
            if name == b"out_time_us" and value.strip().isdigit():
                self._on_progress(int(value) / 1_000_000)

    def kept(self) -> bytes:
        return b""


class _Tail:
    """The end of standard error."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, chunk: bytes) -> None:
        self._bytes = (self._bytes + chunk)[-_STDERR_KEPT:]

    def text(self) -> str:
        return self._bytes.decode("utf-8", "replace")
