"""A process that dies between two statements, for tests of histories that must come out right whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from popoff.kernel.db import db


class Crash(Exception):
    """The process died."""


class Fuse:
    """Once lit, it makes the process die before or after one of its next statements."""

    def __init__(self) -> None:
        self._left: int | None = None

    @contextlib.contextmanager
    def lit(self, statements: int | None) -> Iterator[None]:
        """Die after so many moments (each statement has two: before it is sent, and after) within the block.

        None: not at all. Everything the block did is gone then, as a crash leaves it.
        """
        try:
            with db.session.begin_nested():
                db.session.connection()
                self._left = statements
                yield
                self._left = None
        except Crash:
            db.session.expire_all()
            raise
        finally:
            self._left = None

    def burn(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """Savepoints stand for transactions here: they work, or all is over anyway."""
        if self._left is not None and not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            self._left -= 1
            if self._left < 0:
                self._left = None
                raise Crash

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Let it hear of the statements of this application, for the length of the block."""
        moments = ("before_cursor_execute", "after_cursor_execute")
        for moment in moments:
            sa.event.listen(db.engine, moment, self.burn)
        yield
        for moment in moments:
            sa.event.remove(db.engine, moment, self.burn)
