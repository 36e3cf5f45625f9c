"""Folders for one run of a job: private, gone afterwards, and gone soon when the run was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import config


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder for the length of a `with` block. A lock on it, which dies with us, tells that we use it."""
    root = work_root()
    root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with _locked(root):  # nobody sweeps between the making and the locking
            _sweep(root)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=root))
            stack.enter_context(_locked(folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def sweep() -> None:
    """Remove what killed runs left."""
    root = work_root()
    if root.is_dir():
        with _locked(root):
            _sweep(root)


def work_root() -> Path:
    return config.current().home / "work"


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        with contextlib.suppress(BlockingIOError, FileNotFoundError), _locked(folder, wait=False):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Raises BlockingIOError when another has it and we do not wait."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
