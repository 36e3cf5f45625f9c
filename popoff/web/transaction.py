"""The one place of the web side that commits: a request is a transaction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from popoff.adapters import jobs
from popoff.kernel.db import db
from popoff.kernel.errors import DomainError


@contextlib.contextmanager
def transaction() -> Iterator[None]:
    """Commit what the block did and send its jobs; roll everything back when it raises.

    Errors that say `keeps_changes` are committed before they go on (a refused login stays counted).
    """
    try:
        yield
    except DomainError as error:
        if error.keeps_changes:
            _commit()
        else:
            _roll_back()
        raise
    except BaseException:
        _roll_back()
        raise
    _commit()


def _commit() -> None:
    try:
        db.session.commit()
    except BaseException:
        _roll_back()
        raise
    jobs.send_staged()


def _roll_back() -> None:
    db.session.rollback()
    jobs.forget_staged()
