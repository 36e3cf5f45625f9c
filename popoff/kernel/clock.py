"""The one place that reads the clock, so that tests can stand still or travel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_offset = timedelta()
_frozen: datetime | None = None


def now() -> datetime:
    """The present moment, UTC, timezone-aware."""
    return _frozen if _frozen is not None else datetime.now(UTC) + _offset


def timestamp() -> float:
    """Seconds since 1970-01-01 UTC."""
    return now().timestamp()


@contextlib.contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Stand still at `moment` for the length of a `with` block."""
    global _frozen
    before, _frozen = _frozen, moment
    try:
        yield
    finally:
        _frozen = before


@contextlib.contextmanager
def shifted(by: timedelta) -> Iterator[None]:
    """Run `by` later than the real time for the length of a `with` block."""
    global _offset
    before, _offset = _offset, _offset + by
    try:
        yield
    finally:
        _offset = before


def to_milliseconds(moment: datetime) -> datetime:
    """`moment` without what `rfc3339` does not tell: who reads it can name the same moment."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
