"""What the embedded servers have in common: accounts, launching, waiting, explaining, stopping, reviving."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, ClassVar

from popoff.embedded import host
from popoff.embedded.host import StartFailed
from popoff.supervisor import die_with_parent

log = logging.getLogger("popoff.embedded")

START_SECONDS = 120.0  # a database that recovers from a crash may take its time
STOP_SECONDS = 30.0
LEFTOVER_SECONDS = 15.0
REVIVE_SECONDS = 5.0
LOG_BYTES = 5 * 1024**2


class PortTaken(StartFailed):
    """Another program listens there."""


class Service:
    """An embedded server: its address, and its life. After the first start it keeps its port."""

    name: ClassVar[str]
    package: ClassVar[str]  # the wheel with its programs
    parts: ClassVar[Sequence[str]]  # what of the wheel the programs need, relative to site-packages
    data_name: ClassVar[str]
    setting: ClassVar[str]  # which names a server of one's own instead
    stop_signal: ClassVar[int]

    def __init__(self, home: Path, folder: str, *, fast: bool = False) -> None:
        self.home, self.folder, self.fast = home, home / folder, fast
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._next_revival = 0.0

    @property
    def data(self) -> Path:
        return self.folder / self.data_name

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start, ending first what a killed runner may have left of this server. Raises StartFailed."""
        if self.alive:
            return
        self._wanted = True
        with host.in_words(self.home):
            host.make_folder(self.folder)
            self.account = host.choose_account(self.data, self.home)
            self.site = host.reachable_site(self.package, self.parts, self.account)
            self._prepare()
            self._end_leftovers()
            self._launch_somewhere()

    def stop(self) -> None:
        """Stop cleanly; harmless when it does not run."""
        self._wanted = False
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop within %g s: killing it", self.name, STOP_SECONDS)
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """The power cut, for tests of faults: SIGKILL, nothing is flushed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def revive(self) -> None:
        """Start again, on its port, a server that died by itself (not one that was stopped); at most every 5 s."""
        if not self._wanted or self.alive or time.monotonic() < self._next_revival:
            return
        self._next_revival = time.monotonic() + REVIVE_SECONDS
        log.warning("%s ended by itself: starting it again", self.name)
        try:
            self.start()
        except StartFailed as failure:
            log.error("%s", failure)

    # what each server does in its own way

    @property
    def url(self) -> str:
        """Where it answers, with the password in it."""
        raise NotImplementedError

    def _prepare(self) -> None:
        raise NotImplementedError

    def _command(self, data: str, port: int) -> tuple[list[str], bytes | None]:
        """The command line, and what to hand over on standard input."""
        raise NotImplementedError

    def _is_ready(self, port: int) -> bool:
        raise NotImplementedError

    # launching

    @property
    def mark(self) -> str:
        """Stands in the command line of every process of this server: tells whose it is without any rights on it."""
        status = self.data.stat()
        return "popoff." + hashlib.sha256(f"{status.st_dev}:{status.st_ino}".encode()).hexdigest()[:16]

    def _launch_somewhere(self) -> None:
        """On the port it had; the first time on a free one, which another program may snatch meanwhile."""
        for port in [self.port] if self.port else [host.free_port() for _ in range(5)]:
            try:
                self._launch(port)
            except PortTaken:
                continue
            self.port = port
            return
        raise StartFailed(f"{self.name} cannot start because another program took its port {port}: start again.")

    def _launch(self, port: int) -> None:
        with self._open_log() as server_log:
            beginning = server_log.tell()
            with self._data_argument(self.data) as (data, fds):
                argv, given = self._command(data, port)
                self.process = self._spawn(argv, self.stop_signal, fds, server_log, given)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                self.process = None
                with (self.folder / "server.log").open("rb") as written:
                    written.seek(beginning)
                    raise self._explain(written.read().decode(errors="replace"))
            time.sleep(0.01)

    def _spawn(
        self, argv: list[str], death_signal: int, fds: tuple[int, ...], output: IO[bytes] | int, given: bytes | None
    ) -> subprocess.Popen[bytes]:
        """A process of this server, run as `account`, with little of our environment, that dies with us."""
        account = self.account
        try:
            process = subprocess.Popen(
                argv,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                pass_fds=fds,
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
                start_new_session=True,
                preexec_fn=die_with_parent(death_signal),
            )
        except OSError as error:
            if account and error.errno in (errno.EPERM, errno.EINVAL):
                raise StartFailed(
                    f"{self.name} must not run as root and this container allows no other user: "
                    f"start PopOff as an ordinary user, or set {self.setting} to a server of your own."
                ) from error
            raise
        if given is not None and output is not subprocess.PIPE:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(given)
        return process

    @contextlib.contextmanager
    def _data_argument(self, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """How to name `folder` to a process of this server, and the descriptors it needs for that."""
        if self.account is None:
            yield str(folder), ()
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)

    def _open_log(self) -> IO[bytes]:
        path = self.folder / "server.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        opened = path.open("ab")
        host.own_like_parent(path)
        return opened

    def _explain(self, output: str) -> StartFailed:
        """The sentence for what the server wrote before it gave up."""
        if "Address already in use" in output:
            return PortTaken(f"{self.name} found its port taken by another program: start again.")
        if "No space left on device" in output:
            return host.disk_full(self.home)
        if library := re.search(r"loading shared libraries: (\S+):", output):
            return StartFailed(
                f"{self.name} needs the system library {library[1]}: "
                f"install it, or set {self.setting} to a server of your own."
            )
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r"FATAL|PANIC|rror|could not", line)] or lines or ["no word"]
        return StartFailed(f"{self.name} did not start ({telling[0]}): see {self.folder / 'server.log'}.")

    # what a killed runner left

    def _end_leftovers(self) -> None:
        """End the processes of this server that outlived a former runner, so that nobody else holds its data."""
        asked: set[int] = set()
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while leftovers := host.marked_processes(self.mark):
            late = time.monotonic() > deadline
            if time.monotonic() > deadline + LEFTOVER_SECONDS:
                raise StartFailed(f"A former {self.name} (process {min(leftovers)}) cannot be ended: end it and retry.")
            for pid, is_main in leftovers.items():
                with contextlib.suppress(ProcessLookupError):
                    if late:
                        os.kill(pid, signal.SIGKILL)
                    elif is_main and pid not in asked:
                        log.info("ending a %s left by a former run, process %d", self.name, pid)
                        os.kill(pid, self.stop_signal)
            asked.update(leftovers)
            time.sleep(0.02)

    # the password

    def _password(self) -> str:
        return (self.folder / "password").read_text().strip()

    def _keep_password(self, password: str) -> None:
        host.write_private(self.folder / "password", password)
