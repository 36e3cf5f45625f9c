"""Looks at what came into the audit log. Run twice, the second time finds it flagged."""

from __future__ import annotations

import structlog

from popoff.audit import service as audit
from popoff.integrity import history, queries, rules, service
from popoff.kernel import clock
from workers import suspicion
from workers.base import transaction

log = structlog.get_logger()

MOST, MOST_AT_ONCE = 200_000, 20_000
"""Gifts that the model is told of: by the scan, and for a look at a gift that was just made."""


def scan() -> None:
    """Flag what looks wrong among the gifts since the last scan; by the model among those of two weeks."""
    now = clock.now()
    with transaction():
        last = queries.last_scan()
        past = history.read(MOST)
    suspected: suspicion.Findings = {}
    if past.gifts and (last is None or past.gifts[-1].time >= last - service.OVERLAP):
        suspected = suspicion.of_past(past, now - 2 * rules.WEEK)
    with transaction():
        result = service.scan_new(suspected)
    if result.raised:
        log.warning("gifts_flagged", count=result.count, raised=result.raised)


def check(giver_id: int) -> None:
    """Flag what the model finds wrong with the gifts that somebody has made within a day."""
    giver, now = audit.pseudonym(giver_id), clock.now()
    with transaction():
        past = history.read(MOST_AT_ONCE)
    suspected = suspicion.of_giver(past, giver, now - rules.DAY)
    if not suspected:
        return
    with transaction():
        raised = service.suspect(suspected)
    if raised:
        log.warning("gifts_flagged", raised=raised)
