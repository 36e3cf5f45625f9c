"""What a period is about: gifts, views, watch time and scores of every post, in a few statements for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.rewards import rules
from popoff.rewards.rules import Late, LateKind, Owed, PostInput
from popoff.scoring import rules as scoring

# Views are of this period when their first second is; watch time is what no period has counted yet, of views that
# are in this period or in one before. Neither counts where people watch themselves. (Of <@ the planner expects hardly
# a row, whatever the times are; of the function that it stands for, a third.)
_COLLECT = sa.text("""
WITH covered AS MATERIALIZED (
    SELECT range_agg(time) AS times
      FROM (SELECT tstzrange(starts_at, ends_at) AS time FROM reward_periods WHERE frozen_at IS NOT NULL
            UNION ALL SELECT tstzrange(CAST(:start AS timestamptz), CAST(:end AS timestamptz))) AS known
), given AS (
    SELECT post_id, creator_id, sum(amount) AS gifts, count(*) AS gift_count
      FROM gifts
     WHERE created_at >= :start AND created_at < :end
       AND id <> ALL (CAST(:held AS bigint[]))
       AND NOT EXISTS (SELECT FROM gift_holds WHERE gift_id = gifts.id)
       AND NOT EXISTS (SELECT FROM gift_reversals WHERE gift_id = gifts.id)
     GROUP BY post_id, creator_id
), seen AS (
    SELECT posts.id AS post_id, posts.user_id AS creator_id, sum(watch_ms) AS watch_ms,
           count(*) FILTER (WHERE first_at >= :start AND first_at < :end) AS views
      FROM views JOIN posts ON posts.id = views.post_id AND posts.user_id <> views.user_id
     WHERE first_at < :end AND multirange_contains_elem((SELECT times FROM covered), first_at)
     GROUP BY posts.id
), counted AS (
    SELECT post_id, sum(watch_ms) AS watch_ms FROM reward_lines GROUP BY post_id
), known AS (
    SELECT coalesce(given.post_id, seen.post_id) AS post_id, coalesce(given.creator_id, seen.creator_id) AS creator_id,
           coalesce(gifts, 0)::bigint AS gifts, coalesce(gift_count, 0) AS gift_count, coalesce(views, 0) AS views,
           greatest(coalesce(seen.watch_ms, 0) - coalesce(counted.watch_ms, 0), 0)::bigint AS watch_ms
      FROM given FULL JOIN seen ON seen.post_id = given.post_id AND seen.creator_id = given.creator_id
      LEFT JOIN counted ON counted.post_id = seen.post_id
)
SELECT known.post_id, known.creator_id, known.gifts, known.views, known.watch_ms,
       coalesce((posts.playable_at IS NOT NULL OR posts.link IS NOT NULL) AND posts.visibility = 'public'
                AND posts.deleted_at IS NULL AND users.deletion_requested_at IS NULL
                AND (users.suspended_until IS NULL OR users.suspended_until <= :now), false) AS eligible,
       known.gift_count, engagement.score AS engagement, quality.score AS quality,
       CASE WHEN engagement.model = quality.model THEN quality.model
            ELSE engagement.model || '+' || quality.model END AS model
  FROM known LEFT JOIN posts ON posts.id = known.post_id LEFT JOIN users ON users.id = posts.user_id
  LEFT JOIN engagement_scores AS engagement ON engagement.post_id = known.post_id
  LEFT JOIN quality_scores AS quality ON quality.post_id = known.post_id
 WHERE gifts > 0 OR known.views > 0 OR known.watch_ms > 0
 ORDER BY known.post_id
""")

_RELEASES = sa.text("""
SELECT gifts.id, gifts.post_id, gifts.creator_id, gifts.amount
  FROM gift_holds JOIN gifts ON gifts.id = gift_holds.gift_id
 WHERE gifts.id <> ALL (CAST(:held AS bigint[]))
   AND NOT EXISTS (SELECT FROM gift_reversals WHERE gift_reversals.gift_id = gifts.id)
   AND NOT EXISTS (SELECT FROM reward_late_lines AS late WHERE late.gift_id = gifts.id AND late.kind = 'release')
 ORDER BY gifts.id
""")

_OWED = sa.text("""
SELECT gifts.id, gifts.post_id, gifts.creator_id, (gift_reversals.owed + coalesce(sum(late.amount), 0))::bigint AS owed
  FROM gift_reversals JOIN gifts ON gifts.id = gift_reversals.gift_id
  LEFT JOIN reward_late_lines AS late ON late.gift_id = gifts.id AND late.kind = 'reversal'
 WHERE gift_reversals.owed > 0
   AND (CAST(:creator_id AS bigint) IS NULL OR gift_reversals.creator_id = :creator_id)
 GROUP BY gifts.id, gift_reversals.owed
HAVING gift_reversals.owed + coalesce(sum(late.amount), 0) > 0
 ORDER BY gifts.id
""")


class Counted(NamedTuple):
    """What counts of one post, and the scores behind its `post.score` (hundredths) with the model that gave them."""

    post: PostInput
    gift_count: int
    engagement: int | None
    quality: int | None
    model: str | None


def collect(start: datetime, end: datetime, held: Collection[int], min_views: int) -> list[Counted]:
    """Every post about which something counts between `start` and `end`, in the order of their ids.

    `held`: gifts that are left out, besides those that are held or reversed already.
    """
    rows = db.session.execute(_COLLECT, {"start": start, "end": end, "held": sorted(held), "now": clock.now()})
    found = []
    for post_id, creator_id, gifts, views, watch_ms, eligible, gift_count, engagement, quality, model in rows.all():
        if eligible and views >= max(min_views, 1) and engagement is not None and quality is not None:
            score = rules.hundredths(scoring.overall(engagement, quality))
            scores = (gift_count, rules.hundredths(engagement), rules.hundredths(quality), model)
        else:
            score, scores = None, (gift_count, None, None, None)
        found.append(Counted(PostInput(post_id, creator_id, gifts, views, watch_ms, score, eligible), *scores))
    return found


def releases(held: Collection[int], gift_share: int) -> list[Late]:
    """Gifts that earlier periods left out, and that nothing holds any more."""
    rows = db.session.execute(_RELEASES, {"held": sorted(held)})
    return [
        Late(row.id, row.post_id, row.creator_id, LateKind.RELEASE, row.amount,
             rules.creators_part(Minor(row.amount), gift_share))
        for row in rows
    ]  # fmt: skip


def owed(creator_id: int | None = None) -> list[Owed]:
    """What creators (or one of them) still have to give back of gifts that were reversed after they were paid."""
    return [Owed(*row) for row in db.session.execute(_OWED, {"creator_id": creator_id})]


def digest(counted: Iterable[Counted]) -> str:
    """SHA-256 over the inputs of a period, in the order of post ids: 64 hexadecimal digits."""
    seal = hashlib.sha256()
    for one in counted:
        seal.update("|".join("" if value is None else str(value) for value in (*one.post, *one[1:])).encode() + b"\n")
    return seal.hexdigest()
