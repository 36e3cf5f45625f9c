"""The machine the embedded servers stand on: users, folders, programs, processes, ports, the runner's lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
READABLE_COPIES = Path("/var/cache/popoff")
HANDOVER_SECONDS = 20.0


class StartFailed(RuntimeError):
    """A part of the platform cannot start. The message is one sentence for the operator: what, and what to do."""


@dataclass(frozen=True)
class Account:
    """The user a server runs as when we are root."""

    uid: int
    gid: int


def disk_full(path: Path) -> StartFailed:
    return StartFailed(f"The disk that holds {path} is full: make room, or set POPOFF_HOME to a folder elsewhere.")


@contextlib.contextmanager
def in_words(home: Path) -> Iterator[None]:
    """Say what the operating system refused as a StartFailed."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(home) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StartFailed(
                f"PopOff, run by user id {os.geteuid()}, may not use {error.filename or home}: "
                f"give that user the right, or set POPOFF_HOME to another folder."
            ) from error
        raise


# users and folders


def choose_account(data: Path, home: Path) -> Account | None:
    """Whom to run a server as: None (ourselves) unless we are root.

    As root: the owner of the data, so that it stays readable; else the owner of the data folder, so that a checkout
    of an ordinary user stays theirs; else nobody. Making a database takes a user that has a name.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    owner = home.stat()
    with contextlib.suppress(KeyError):
        if owner.st_uid != 0 and pwd.getpwuid(owner.st_uid):
            return Account(owner.st_uid, owner.st_gid)
    with contextlib.suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    return Account(NOBODY, NOBODY)


def make_folder(path: Path) -> None:
    """Make `path` unless it is there, closed to others and owned like its parent."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    own_like_parent(path)


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner can read, in one step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False) as file:
        file.write(text)
    own_like_parent(Path(file.name))
    Path(file.name).replace(path)


def own_like_parent(path: Path) -> None:
    """What root makes in somebody's folder is to be theirs."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def give(data: Path, account: Account | None) -> None:
    """Make `data` belong to the user the server runs as. Raises StartFailed when it is another ordinary user's."""
    owner = data.stat().st_uid
    if account is None:
        if owner != os.geteuid():
            raise StartFailed(
                f"{data} belongs to user id {owner} and PopOff runs as {os.geteuid()}: "
                f"run it as it was run before, or set POPOFF_HOME to another folder."
            )
    elif owner == 0:
        for folder, _, files in os.walk(data):
            for name in (".", *files):
                os.chown(Path(folder, name), account.uid, account.gid, follow_symlinks=False)


# programs


def site_of(package: str) -> Path:
    """The folder the files of an installed package lie in."""
    try:
        return Path(str(importlib.metadata.distribution(package).locate_file("")))
    except importlib.metadata.PackageNotFoundError as error:
        raise StartFailed(
            f"The package {package} is not installed: `make run` installs it; "
            f"or set DATABASE_URL and REDIS_URL to servers of your own."
        ) from error


def reachable_site(package: str, parts: Sequence[str], account: Account | None) -> Path:
    """The site-packages folder from which `account` can run a package, of which it needs `parts`.

    That is where it is installed, unless a virtualenv under /root or a strict umask closes it: then it is a copy
    that root keeps in /var/cache/popoff.
    """
    site = site_of(package)
    if account is None or all(can_read(site / part, account) for part in parts):
        return site
    copy = READABLE_COPIES / f"{package}-{importlib.metadata.version(package)}"
    if not copy.exists():
        READABLE_COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix="making-", dir=READABLE_COPIES))
        for part in parts:
            (making / part).parent.mkdir(parents=True, exist_ok=True)
            copy_part = shutil.copytree if (site / part).is_dir() else shutil.copy2
            copy_part(site / part, making / part)
        for path in (making, *making.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            making.rename(copy)
        except OSError:  # another start was quicker
            shutil.rmtree(making)
    return copy


def can_read(path: Path, account: Account) -> bool:
    """Whether `account`, with no other groups, may pass every folder above `path` and read it, by the mode bits."""
    path = path.resolve()
    return _allows(path, account, 0o5 if path.is_dir() or os.access(path, os.X_OK) else 0o4) and all(
        _allows(parent, account, 0o1) for parent in path.parents
    )


def _allows(path: Path, account: Account, wanted: int) -> bool:
    status = path.stat()
    shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
    return (status.st_mode >> shift) & wanted == wanted


# processes and ports


def marked_processes(mark: str) -> dict[int, bool]:
    """Processes that show `mark` in their command line, and whether each is a main one (Linux; none elsewhere)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if mark.encode() in line:
                found[int(path.parent.name)] = not line.startswith(b"postgres: ")
    return found


def free_port() -> int:
    """A port of the loopback address that nobody uses just now.

    It lies below the ports that systems hand to outgoing connections (from 32768 on), any of which could take it
    before a server does, or while that server is started again.
    """
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


# the runner's lock


@contextlib.contextmanager
def only_runner(home: Path) -> Iterator[int]:
    """Hold the data folder for the length of a `with` block; yields the descriptor that carries the lock.

    Raises StartFailed when a living runner has it. When the runner is dead and only its watchdog still holds the
    lock, waits until that has cleaned up.
    """
    descriptor = os.open(home / "run" / "runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + HANDOVER_SECONDS
        while not _locked(descriptor):
            holder = os.pread(descriptor, 20, 0).decode().strip()
            if not holder or Path("/proc", holder).exists() or time.monotonic() > deadline:
                raise StartFailed(
                    f"PopOff already runs on {home}{f' (process {holder})' if holder else ''}: "
                    f"stop it first, or set POPOFF_HOME and PORT to run a second one."
                )
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
