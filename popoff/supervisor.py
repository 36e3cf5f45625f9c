"""Keeps a set of programs running: starts them, starts again what died, stops them in order.

`supervise` is what `popoff run` ends in. Each program runs in a session of its own, so that Ctrl-C in a terminal
reaches the runner alone, which then stops the programs one after the other. Nothing may outlive the runner:

- a program is told by the kernel when the runner died (`die_with_parent`);
- a small watchdog process notices the same by the end of a pipe and ends whatever is left, grandchildren in other
  sessions included. It knows them by a mark in their environment.

Only the standard library is used, and this file also runs as a script: that is the watchdog.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

log = logging.getLogger("popoff.supervisor")

FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0  # seconds before a program that died is started again
SETTLED = 60.0  # seconds of life after which a death counts as the first one again
WATCHDOG_GRACE = 3.0  # seconds between the asking and the killing once the runner is gone
ONE_KEYPRESS = 0.5  # seconds in which further signals belong to the first: shells and make pass the same Ctrl-C on
MARK = "POPOFF_RUN"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    """A program to keep running. `env` is set on top of the runner's own environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 10.0


def supervise(
    programs: Sequence[Program],
    *,
    on_ready: Callable[[], None] | None = None,
    is_ready: Callable[[], bool] | None = None,
    each_second: Callable[[], None] | None = None,
    hold_fds: Collection[int] = (),
) -> int:
    """Run `programs` until SIGINT, SIGTERM or SIGHUP, then stop them, the last one first.

    `on_ready` is called once: when `is_ready` (asked five times a second) says so, or as soon as all programs are
    started. `each_second` is called about once a second, and at once when any child process of the runner died.
    The watchdog keeps `hold_fds` open (a lock, say) until nothing of this run is left.
    A second signal kills what still runs. Call it from the main thread.
    Returns the exit code: 0 after an orderly stop, 1 when a second signal cut it short.
    """
    run = _Run(programs)
    with _Signals() as signals, _watchdog(run.token, hold_fds):
        try:
            run.start_due()
            while not signals.received:
                if on_ready and (is_ready is None or is_ready()):
                    on_ready()
                    on_ready = None
                if each_second:
                    each_second()
                run.start_due()
                signals.wait(min(run.seconds_to_next_start(), 0.2 if on_ready else 1.0))
        finally:
            orderly = run.stop(signals)
    return 0 if orderly else 1


def die_with_parent(signum: int = signal.SIGTERM) -> Callable[[], None]:
    """What a child process calls to get `signum` when this process dies (Linux; elsewhere it does nothing).

    Made for `preexec_fn`, which runs after the change of user (a change of user would undo it).
    The kernel takes the starting *thread* for the parent: start long-lived children from the main thread.
    """
    parent = os.getpid()

    def arrange() -> None:
        if _libc is None:
            return
        _libc.prctl(PR_SET_PDEATHSIG, int(signum))
        if os.getppid() != parent:  # it died before the kernel knew of our wish
            os._exit(1)

    return arrange


class _Run:
    """The programs of one `supervise` call and what became of them."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.token = secrets.token_hex(8)
        self.children = [_Child(program, f"{self.token}/{number}/") for number, program in enumerate(programs)]

    def start_due(self) -> None:
        """Note who died, and start whoever is due."""
        for child in self.children:
            child.notice_death()
            if child.process is None and child.due <= time.monotonic():
                child.start()

    def seconds_to_next_start(self) -> float:
        waiting = [child.due - time.monotonic() for child in self.children if child.process is None]
        return max(0.0, min(waiting, default=LONGEST_DELAY))

    def stop(self, signals: _Signals) -> bool:
        """Stop every child, the last one first. Returns whether nobody cut it short by a second signal."""
        for child in reversed(self.children):
            if not child.stop(signals):
                log.warning("asked again to stop: killing what still runs")
                _end(_marked(self.token), 0)
                for other in self.children:
                    other.kill()
                return False
        return True


class _Child:
    """One program: its present process, or when to start the next one."""

    def __init__(self, program: Program, mark: str) -> None:
        self.program, self.mark = program, mark
        self.process: subprocess.Popen[bytes] | None = None
        self.due = self.started = 0.0
        self.delay = FIRST_DELAY

    def start(self) -> None:
        self.started = time.monotonic()
        try:
            self.process = subprocess.Popen(
                list(self.program.argv),
                env={**os.environ, **self.program.env, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent(self.program.stop_signal),
            )
        except OSError as error:
            self._wait_before_next(f"cannot be started ({error})")
        else:
            log.info("%s started, process %d", self.program.name, self.process.pid)

    def notice_death(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        code = self.process.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self.kill()
        self._wait_before_next(how)

    def _wait_before_next(self, how: str) -> None:
        now = time.monotonic()
        wait, self.delay = delays(self.delay, now - self.started)
        self.due = now + wait
        log.warning("%s %s; starting it again in %g s", self.program.name, how, wait)

    def stop(self, signals: _Signals) -> bool:
        """Ask the program to end, wait for it, and kill it when its time is up. False: a second signal came."""
        if self.process is None:
            return True
        self.process.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + self.program.grace_seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if signals.insisted:
                return False
            signals.wait(min(1.0, deadline - time.monotonic()))
        if self.process.poll() is None:
            log.warning("%s did not stop within %g s: killing it", self.program.name, self.program.grace_seconds)
        self.kill()
        return True

    def kill(self) -> None:
        """Kill the program, if it still runs, and whatever it left behind."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
        _end(_marked(self.mark), 0)


def delays(delay: float, lived: float) -> tuple[float, float]:
    """Seconds to wait after a death when `delay` was planned and the program `lived` so long, and the next plan."""
    wait = FIRST_DELAY if lived >= SETTLED else delay
    return wait, min(wait * 2, LONGEST_DELAY)


class _Signals:
    """Counts the signals that ask the runner to stop, and wakes it for them and for every dead child."""

    def __init__(self) -> None:
        self.received = 0
        self.insisted = False
        self._first = 0.0

    def __enter__(self) -> _Signals:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM), self._asked)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
            handlers[signal.SIGHUP] = self._asked
        handlers[signal.SIGCHLD] = lambda *_: None  # a handler there must be, or nothing wakes
        self._before = {signum: signal.signal(signum, handler) for signum, handler in handlers.items()}
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._reader.close()
        self._writer.close()

    def _asked(self, _signum: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.received:
            self._first = now
        elif now - self._first > ONE_KEYPRESS:
            self.insisted = True
        self.received += 1

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, or until a signal comes."""
        readable, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        if readable:
            with contextlib.suppress(BlockingIOError):
                while self._reader.recv(4096):
                    pass


@contextlib.contextmanager
def _watchdog(token: str, hold_fds: Collection[int]) -> Iterator[None]:
    """A process that ends every process of the run `token` once this one closed its end of the pipe, or died."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).resolve()), token],
        stdin=subprocess.PIPE,
        pass_fds=tuple(hold_fds),
        start_new_session=True,
    )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WATCHDOG_GRACE * 2)


def _marked(mark: str) -> Callable[[], list[int]]:
    """A search for the processes whose environment carries a mark that begins so (Linux; none elsewhere)."""
    needle = f"\0{MARK}={mark}".encode()

    def search() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if needle in b"\0" + path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    return search


def _end(search: Callable[[], list[int]], grace: float) -> None:
    """Ask what `search` finds to end, and kill what is still there after `grace` seconds (0: kill at once)."""
    deadline = time.monotonic() + grace
    asked: set[int] = set()
    while (pids := search()) and time.monotonic() < deadline + WATCHDOG_GRACE:
        patient = time.monotonic() < deadline
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                if not patient:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
        asked.update(pids)
        time.sleep(0.05)


def _watch(token: str) -> None:
    """The watchdog: wait for the runner's end of the pipe to close, then end what it left behind."""
    sys.stdin.buffer.read()
    _end(_marked(token), WATCHDOG_GRACE)


if __name__ == "__main__":
    _watch(sys.argv[1])
