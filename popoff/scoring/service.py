"""Writes of the scoring domain. Each may be repeated: a score is the present one, worked out of what is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.adapters import jobs
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.scoring import queries, rules
from popoff.scoring.models import EngagementScore, QualityScore, Reputation
from popoff.scoring.rules import Film, QualityInputs, Scorer
from popoff.social.queries import held


def ask(post_id: int) -> None:
    """Have a post scored anew, soon; asked again before it was, it is scored once."""
    jobs.stage("scoring.rescore", unique_key=f"score:{post_id}", post_id=post_id)


def rescore(post_ids: Sequence[int]) -> None:
    """Score engagement and quality of these posts; those that are gone are skipped."""
    rescore_engagement(post_ids)
    rescore_quality(post_ids)


def rescore_engagement(post_ids: Sequence[int], scorer: Scorer = rules.RULES) -> None:
    """Score the engagement of these posts from what people did, and first count what is due of their creators.

    The rules, which stand in while no trained model is to be had, leave alone what a trained one has scored.
    """
    there = _hold(post_ids)
    for user_id in queries.due_reputations(there):
        _count_reputation(user_id)
    inputs = queries.engagement_inputs(there)
    counted, scored, now = queries.counted(there), scorer.score(inputs), clock.now()
    rows = [
        {
            "post_id": post_id,
            "score": scored[post_id].score,
            "reasons": list(scored[post_id].reasons),
            "model": scorer.model,
            "inputs": asdict(inputs[post_id]),
            "scored_at": now,
            **counted[post_id],
        }
        for post_id in sorted(inputs)
    ]
    _store(EngagementScore, rows, queries.scored_by_rules() if scorer.model == rules.MODEL else None)


def rescore_quality(post_ids: Sequence[int]) -> None:
    """Score the quality of these posts from what is stored of them; where the film was not measured, say so."""
    _judge(queries.quality_inputs(_hold(post_ids)))


def note_film(post_id: int, film: Film) -> None:
    """Keep what a trained model made of the film of a post, and score its quality by it."""
    inputs = queries.quality_inputs(_hold([post_id]))
    _judge({post_id: replace(measured, film=film) for post_id, measured in inputs.items()})


def note_in_vain(post_id: int, model: str) -> None:
    """Keep that a version of the trained model could not watch the film of a post, and is not to be asked again."""
    inputs = queries.quality_inputs(_hold([post_id]))
    _judge({post_id: replace(measured, film=rules.in_vain(measured, model)) for post_id, measured in inputs.items()})


def _judge(posts: Mapping[int, QualityInputs]) -> None:
    now = clock.now()
    rows: list[dict[str, Any]] = []
    for post_id, inputs in sorted(posts.items()):
        judged = rules.quality(inputs)
        rows.append(
            {
                "post_id": post_id,
                "score": judged.score,
                "reason": judged.reason,
                "model": "+".join([rules.MODEL, *([inputs.film.model] if inputs.film else [])]),
                "parts": {name: asdict(part) for name, part in judged.parts.items()},
                "inputs": queries.as_json(inputs),
                "scored_at": now,
            }
        )
    _store(QualityScore, rows)


def _hold(post_ids: Sequence[int]) -> Sequence[int]:
    """Those of the posts that are there, kept from being erased until the transaction ends."""
    return db.session.scalars(held(sa.select(Post.id).where(Post.id.in_(post_ids), Post.deleted_at.is_(None)))).all()


def _store(
    model: type[EngagementScore] | type[QualityScore],
    rows: list[dict[str, Any]],
    may_go: sa.ColumnElement[bool] | None = None,
) -> None:
    """Put the rows in the place of those that were there, or only of those that `may_go`; by rising post id, so that
    nobody deadlocks."""
    if not rows:
        return
    statement = insert(model).values(rows)
    fresh = {name: statement.excluded[name] for name in rows[0] if name != "post_id"}
    db.session.execute(statement.on_conflict_do_update(index_elements=["post_id"], set_=fresh, where=may_go))


def _count_reputation(user_id: int) -> None:
    statement = insert(Reputation).values(user_id=user_id, people=queries.count_people(user_id), counted_at=clock.now())
    fresh = {"people": statement.excluded.people, "counted_at": statement.excluded.counted_at}
    db.session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=fresh))
