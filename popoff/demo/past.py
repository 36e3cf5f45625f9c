"""When things happened in the demo: everybody has been here for a week."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from popoff.kernel import clock

OPENING = 8
"""Days since the platform opened: people came on the first of them, clips on the second."""


def midnight(days_ago: int = 0) -> datetime:
    """The beginning of a day (UTC)."""
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


@contextlib.contextmanager
def on(days_ago: int, hour: float = 12) -> Iterator[None]:
    """For the length of a `with` block it is that hour of a day before today, and time goes on from there.

    No day ago is now, whatever the hour.
    """
    then = midnight(days_ago) + timedelta(hours=hour) if days_ago else clock.now()
    with clock.shifted(then - clock.now()):
        yield
