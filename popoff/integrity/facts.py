"""What the scan measures: each gift of a time against what was around it, read from the log alone.

The log names people by pseudonyms, and so do we here; only how old an account is comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

import config
from popoff.accounts.models import User
from popoff.audit import rules as audit_rules
from popoff.audit import service as audit
from popoff.integrity import rules
from popoff.integrity.rules import GiftFacts
from popoff.kernel import clock
from popoff.kernel.db import db

MOST = 200_000
"""Gifts that one scan looks at: the latest ones."""

# Ids of entries sort by time, so their index finds the entries of a time. Everything is joined by hashing: a scan
# reads each entry a few times, however many there are.
_FACTS = sa.text("""
WITH fresh AS MATERIALIZED (
    SELECT DISTINCT actor AS giver, data->>'creator' AS creator FROM audit_entries
     WHERE action = :send AND public_id >= :fresh_from AND public_id < :until
), gift AS MATERIALIZED (
    SELECT id, public_id, subject, time, amount, actor AS giver, data->>'creator' AS creator,
           date_trunc('day', time AT TIME ZONE 'UTC') AS day
      FROM audit_entries
     WHERE action = :send AND public_id >= :context_from AND public_id < :until
       AND actor IN (SELECT giver FROM fresh)
), measured AS MATERIALIZED (
    SELECT gift.*,
           count(*) OVER last_hour AS hour_count, count(*) OVER pair_hour AS hour_to_creator,
           count(*) OVER day_so_far AS day_count, sum(amount) OVER day_so_far AS day_total,
           sum(amount) OVER pair_day AS day_to_creator, sum(amount) OVER pair_week AS forth,
           count(*) OVER past AS past_count, avg(amount) OVER past AS past_mean, max(amount) OVER past AS past_max
      FROM gift
    WINDOW last_hour AS (PARTITION BY giver ORDER BY time RANGE BETWEEN '1 hour' PRECEDING AND CURRENT ROW),
           pair_hour AS (PARTITION BY giver, creator ORDER BY time RANGE BETWEEN '1 hour' PRECEDING AND CURRENT ROW),
           pair_day AS (PARTITION BY giver, creator ORDER BY time RANGE BETWEEN '1 day' PRECEDING AND CURRENT ROW),
           pair_week AS (PARTITION BY giver, creator ORDER BY time RANGE BETWEEN '7 days' PRECEDING AND CURRENT ROW),
           day_so_far AS (PARTITION BY giver, day ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
           past AS (PARTITION BY giver ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND '1 hour' PRECEDING)
), days AS (
    SELECT giver, day, sum(near_limit) OVER (
               PARTITION BY giver ORDER BY day RANGE BETWEEN '6 days' PRECEDING AND CURRENT ROW) AS near_limit_days
      FROM (SELECT giver, day, CAST(sum(amount) >= :near_limit AS integer) AS near_limit
              FROM gift GROUP BY giver, day) AS totals
), back AS (
    SELECT actor AS creator, data->>'creator' AS giver, sum(amount) AS amount FROM audit_entries
     WHERE action = :send AND public_id >= :week_from AND public_id < :until
       AND (data->>'creator', actor) IN (SELECT giver, creator FROM fresh)
     GROUP BY 1, 2
), granted AS MATERIALIZED (
    SELECT data->>'wallet' AS giver, time, amount FROM audit_entries
     WHERE action = 'wallet_grant' AND public_id >= :day_from AND public_id < :until
), granted_before AS (
    SELECT measured.public_id, sum(granted.amount) AS amount
      FROM measured JOIN granted ON granted.giver = measured.giver
       AND measured.time BETWEEN granted.time AND granted.time + interval '1 day'
     GROUP BY 1
), arrived AS MATERIALIZED (
    SELECT actor AS giver, data->>'creator' AS creator, time, amount FROM audit_entries
     WHERE action = :send AND public_id >= :day_from AND public_id < :until
       AND data->>'creator' IN (SELECT creator FROM fresh)
), young AS MATERIALIZED (
    SELECT * FROM unnest(CAST(:young AS text[]), CAST(:joined AS timestamptz[])) AS known (giver, joined)
), young_to AS (
    SELECT creator, count(DISTINCT giver) AS givers, sum(amount) AS amount
      FROM arrived JOIN young USING (giver) WHERE time < joined + interval '1 day' GROUP BY creator
), granted_to AS (
    SELECT creator, count(DISTINCT giver) AS givers
      FROM arrived JOIN granted USING (giver)
     WHERE arrived.time BETWEEN granted.time AND granted.time + interval '1 day' GROUP BY creator
)
SELECT measured.public_id AS entry_id, measured.subject AS gift_id, measured.amount, hour_count, hour_to_creator,
       day_count, day_total::bigint AS day_total, day_to_creator::bigint AS day_to_creator, forth::bigint AS forth,
       coalesce(back.amount, 0)::bigint AS back,
       past_count, coalesce(past_mean, 0)::float AS past_mean, coalesce(past_max, 0) AS past_max,
       coalesce(near_limit_days, 0) AS near_limit_days,
       coalesce(granted_before.amount, 0)::bigint AS granted,
       coalesce(granted_to.givers, 0) AS granted_givers,
       coalesce(young_to.givers, 0) AS young_givers, coalesce(young_to.amount, 0)::bigint AS young_total,
       coalesce(measured.time < joined + interval '1 day', false) AS young
  FROM measured
  LEFT JOIN days USING (giver, day)
  LEFT JOIN back USING (giver, creator)
  LEFT JOIN granted_before ON granted_before.public_id = measured.public_id
  LEFT JOIN granted_to USING (creator)
  LEFT JOIN young_to USING (creator)
  LEFT JOIN young USING (giver)
 WHERE measured.public_id >= :fresh_from ORDER BY measured.public_id DESC LIMIT :most
""")


def of_gifts(since: datetime, until: datetime) -> Iterator[GiftFacts]:
    """The gifts made from `since` up to, and without, `until`, the latest first."""
    bounds = {
        "fresh_from": since,
        "until": until,
        "day_from": since - rules.DAY,
        "week_from": since - rules.WEEK,
        "context_from": since - rules.CONTEXT,
    }
    values: dict[str, Any] = {name: audit_rules.public_id(moment, bytes(10)) for name, moment in bounds.items()}
    values |= {
        "send": rules.SEND,
        "near_limit": config.current().daily_gift_limit * rules.NEAR_LIMIT // 100,
        "most": MOST,
    }
    db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    young = _young(since)
    values |= {"young": list(young), "joined": list(young.values())}
    for row in _measured(values):
        yield GiftFacts(**row)


def _measured(values: Mapping[str, Any]) -> sa.MappingResult:
    """The rows, as they come.

    The planner knows nothing of how much comes out of each part, and would loop over one for every row of another.
    A cursor keeps its plan, so what follows in this transaction is planned as ever.
    """
    db.session.execute(sa.text("SET LOCAL enable_nestloop = off"))
    rows = db.session.execute(_FACTS, values, execution_options={"yield_per": 2000}).mappings()
    db.session.execute(sa.text("SET LOCAL enable_nestloop = on"))
    return rows


def _young(since: datetime) -> dict[str, datetime]:
    """When accounts were opened that were young at `since` or later, by pseudonym."""
    rows = db.session.execute(
        sa.select(User.id, User.created_at).where(User.created_at > since - rules.YOUNG, User.created_at <= clock.now())
    )
    return {audit.pseudonym(user_id): created_at for user_id, created_at in rows}
