"""Puts limits on itself and becomes another program: `python -I -S confine.py SETTINGS PROGRAM ARGUMENT...`.

Run as a file by `workers.sandbox`: it needs nothing but the standard library, and setting limits here, in a fresh
interpreter, keeps our code out of the moment after the fork of a process that has threads.
SETTINGS is JSON: `parent` (process id that must be alive), `cpu_seconds`, `memory_bytes`, `file_bytes`,
`open_files`, `niceness`. Ends with status 121 when it cannot confine itself: then nothing runs.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

CANNOT_CONFINE = 121

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
# Thread stacks and the arenas of malloc reserve addresses that are never touched. RLIMIT_DATA counts what can
# be written, which is the real limit; the address space gets this much more.
_RESERVED_ADDRESSES = 4 * 1024**3


def main() -> None:
    settings = json.loads(sys.argv[1])
    program = sys.argv[2:]
    try:
        confine(settings)
    except OSError as error:
        print(f"cannot confine: {error}", file=sys.stderr)  # noqa: T201 - read by the parent for its log
        os._exit(CANNOT_CONFINE)
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


def confine(settings: dict[str, Any]) -> None:
    """Apply the limits to this process. Raises OSError when the kernel refuses one that must hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    _leave_the_network(libc)
    _require(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, settings["memory_bytes"]),
        (resource.RLIMIT_AS, settings["memory_bytes"] + _RESERVED_ADDRESSES),
        (resource.RLIMIT_FSIZE, settings["file_bytes"]),
        (resource.RLIMIT_NOFILE, settings["open_files"]),
    ):
        _lower(limit, value)
    # The soft limit ends it with SIGXCPU, which the parent can tell from other deaths.
    _lower(resource.RLIMIT_CPU, settings["cpu_seconds"], slack=5)
    os.nice(settings["niceness"])
    # Python ignores these; the program after us must not inherit that.
    for name in (signal.SIGXFSZ, signal.SIGPIPE):
        signal.signal(name, signal.SIG_DFL)
    _require(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != settings["parent"]:
        raise OSError("the parent died before")


def _lower(limit: int, value: int, slack: int = 0) -> None:
    """Set a limit, or keep the one that is there when that is lower."""
    _, ceiling = resource.getrlimit(limit)
    if ceiling != resource.RLIM_INFINITY:
        value = min(value, ceiling)
    hard = value + slack if ceiling == resource.RLIM_INFINITY else min(value + slack, ceiling)
    resource.setrlimit(limit, (value, hard))


def _leave_the_network(libc: ctypes.CDLL) -> None:
    """An own, empty network where the kernel lets us. Where not, the protocol whitelist still holds."""
    if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _require(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


if __name__ == "__main__":
    main()
