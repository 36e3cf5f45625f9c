"""Writes of the scoring domain. Each may be repeated: a score is the present one, worked out of what is there now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.scoring import queries, rules
from popoff.scoring.models import EngagementScore, QualityScore, Reputation
from popoff.social.queries import held


def rescore(post_ids: Sequence[int]) -> None:
    """Score engagement and quality of these posts; those that are gone are skipped."""
    rescore_engagement(post_ids)
    rescore_quality(post_ids)


def rescore_engagement(post_ids: Sequence[int]) -> None:
    """Score the engagement of these posts from their counters, and first count what is due of their creators."""
    there = _hold(post_ids)
    for user_id in queries.due_reputations(there):
        _count_reputation(user_id)
    now = clock.now()
    rows = [
        {
            "post_id": post_id,
            "score": rules.engagement(inputs),
            "model": rules.MODEL,
            "scored_at": now,
            **{name: getattr(inputs, name) for name in inputs.__dataclass_fields__},
        }
        for post_id, inputs in sorted(queries.engagement_inputs(there).items())
    ]
    _store(EngagementScore, rows)


def rescore_quality(post_ids: Sequence[int]) -> None:
    """Score the quality of these posts from what is stored of them; where the film was not measured, say so."""
    now = clock.now()
    rows: list[dict[str, Any]] = []
    for post_id, inputs in sorted(queries.quality_inputs(_hold(post_ids)).items()):
        judged = rules.quality(inputs)
        rows.append(
            {
                "post_id": post_id,
                "score": judged.score,
                "reason": judged.reason,
                "model": rules.MODEL,
                "parts": {name: asdict(part) for name, part in judged.parts.items()},
                "inputs": queries.as_json(inputs),
                "scored_at": now,
            }
        )
    _store(QualityScore, rows)


def _hold(post_ids: Sequence[int]) -> Sequence[int]:
    """Those of the posts that are there, kept from being erased until the transaction ends."""
    return db.session.scalars(held(sa.select(Post.id).where(Post.id.in_(post_ids), Post.deleted_at.is_(None)))).all()


def _store(model: type[EngagementScore] | type[QualityScore], rows: list[dict[str, Any]]) -> None:
    """Put the rows in the place of those that were there; by rising post id, so that nobody deadlocks."""
    if not rows:
        return
    statement = insert(model).values(rows)
    fresh = {name: statement.excluded[name] for name in rows[0] if name != "post_id"}
    db.session.execute(statement.on_conflict_do_update(index_elements=["post_id"], set_=fresh))


def _count_reputation(user_id: int) -> None:
    statement = insert(Reputation).values(user_id=user_id, people=queries.count_people(user_id), counted_at=clock.now())
    fresh = {"people": statement.excluded.people, "counted_at": statement.excluded.counted_at}
    db.session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=fresh))
