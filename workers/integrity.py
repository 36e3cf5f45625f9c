"""The recurring look at what came into the audit log. Run twice, the second time finds it flagged."""

from __future__ import annotations

import structlog

from popoff.integrity import service
from workers.base import transaction

log = structlog.get_logger()


def scan() -> None:
    """Flag what looks wrong among the gifts since the last scan."""
    with transaction():
        result = service.scan_new()
    if result.raised:
        log.warning("gifts_flagged", count=result.count, raised=result.raised)
