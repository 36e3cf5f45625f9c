"""Jobs of the feed. Each may run twice: it writes the same answer again."""

from __future__ import annotations

from popoff.feed import service
from workers.base import transaction


def refresh_trending() -> None:
    """Work out anew which posts do well now, and which are owed an audience still."""
    with transaction():
        service.refresh_trending()
    with transaction():
        service.release_promises()
