"""The audit log's work behind the scenes: the sequencer, checkpoints, and a daily inspection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import structlog
from sqlalchemy.exc import SQLAlchemyError

from popoff.audit import inspection, service
from workers.base import application, transaction

log = structlog.get_logger()

PAUSE_SECONDS = 0.2
"""How long the sequencer rests when nothing waits: an entry has its place in the chain well within a second."""
TROUBLE_SECONDS = 1.0


@contextlib.contextmanager
def sequencing(stop: threading.Event) -> Iterator[None]:
    """Run a sequencer beside the block, until the block ends or `stop` is set.

    Any number of processes may: an advisory lock lets one of them work at a time.
    """
    over = threading.Event()
    thread = threading.Thread(target=_sequence, args=(stop, over), name="sequencer", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sequence(stop: threading.Event, over: threading.Event) -> None:
    while not (stop.is_set() or over.is_set()):
        over.wait(_step())


def _step() -> float:
    """Chain what waits, in one transaction; returns how long to rest."""
    try:
        with application().app_context(), transaction():
            return 0.0 if service.chain_committed() else PAUSE_SECONDS
    except SQLAlchemyError as error:
        log.warning("sequencer_waits", error=type(error).__name__)
    except Exception:  # whatever it is, the log must go on once it is mended
        log.exception("sequencer_failed")
    return TROUBLE_SECONDS


def checkpoint() -> None:
    """Sign the head of the log. Run twice, the second time finds it signed."""
    with transaction():
        service.checkpoint()


def inspect() -> None:
    """Read and hash the whole log again. Anything it finds is a matter for people, at once."""
    with transaction():
        report = inspection.inspect()
    for problem in report.problems:
        log.error("audit_damaged", problem=problem)
    log.info("audit_inspected", entries=report.entries, problems=len(report.problems))
