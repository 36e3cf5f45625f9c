"""A worker that stands still at a chosen moment of closing a period, so that its test can kill it just there."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.rewards import rules
from workers import rewards
from workers.base import application

BATCH = 2
FOLDER = "STALLS"
"""The environment variable that names the folder of a worker's `Stalls`."""


class Stalls:
    """What test and worker tell each other, through a folder."""

    def __init__(self, folder: Path):
        self._chosen, self._reached = folder / "chosen", folder / "reached"

    def choose(self, moment: int) -> None:
        """Stand still before the statement or commit of that number, counted from the beginning of the job."""
        self._reached.unlink(missing_ok=True)
        self._chosen.write_text(str(moment))

    def reached(self) -> int | None:
        """The process that stands still, if it has come so far."""
        return int(self._reached.read_text()) if self._reached.exists() else None

    def stand_still(self, moment: int) -> None:
        """In the worker: for ever, if the moment is the chosen one."""
        if moment == int(self._chosen.read_text()):
            written = self._reached.with_suffix(".new")
            written.write_text(str(os.getpid()))
            written.rename(self._reached)
            while True:
                signal.pause()


def install() -> None:
    """Let this worker process, and the work horses that it forks, do as `Stalls` say; batches are small."""
    if FOLDER not in os.environ:
        return
    stalls, moments, close = Stalls(Path(os.environ[FOLDER])), itertools.count(1), rewards.close
    begun = False

    def watched(period_id: int) -> None:
        nonlocal begun
        begun = True
        close(period_id)

    def pass_moment(*_: object) -> None:
        if begun:
            stalls.stand_still(next(moments))

    rules.BATCH = BATCH
    rewards.close = watched
    with application().app_context():
        for event in ("before_cursor_execute", "commit"):
            sa.event.listen(db.engine, event, pass_moment)
