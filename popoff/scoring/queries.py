"""Reads of the scoring domain: stored scores, and what new ones are worked out of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from popoff.adapters.insight import PostText, topics
from popoff.adapters.insight.text import passages
from popoff.adapters.insight.text import words as words_of
from popoff.adapters.jobs import Job
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post, Upload
from popoff.media.rules import Stage, UploadKind, Visibility
from popoff.scoring import rules, words
from popoff.scoring.models import EngagementScore, QualityScore, Reputation
from popoff.scoring.rules import EngagementInputs, Film, Part, QualityInputs
from popoff.social.models import Comment, Like, PostCounters, Share, View

NOT_YET = "it has not been looked at yet"

COUNTED = ("likes", "shares", "comments", "views", "watch_ms")
"""What both the counters of a post and the inputs of its engagement score are made of."""

_NOW: dict[str, sa.ColumnElement[Any]] = {
    **{name: sa.func.coalesce(getattr(PostCounters, name), 0) for name in COUNTED},
    "length_ms": sa.func.coalesce(Post.duration_ms, 0),
    "reputation": sa.func.coalesce(Reputation.people, 0),
}
"""What is counted of a post, as it is now."""

RECOUNT_AFTER = timedelta(hours=1)
"""A creator's reputation is counted again after this."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a post is worth. `overall` is None, with a reason, unless both halves are scored."""

    post_id: int
    engagement: float | None = None
    quality: float | None = None
    engagement_model: str = ""
    quality_model: str = ""
    reason: str | None = NOT_YET

    @property
    def overall(self) -> float | None:
        if self.engagement is None or self.quality is None:
            return None
        return rules.overall(self.engagement, self.quality)


@dataclass(frozen=True, slots=True)
class StoredEngagement:
    """`scored_at` is None for a score that was worked out just now, because none is stored yet."""

    score: float
    model: str
    inputs: EngagementInputs
    scored_at: datetime | None
    reasons: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class StoredQuality:
    """`scored_at` is None where nothing is stored yet: then this was worked out just now."""

    score: float | None
    reason: str | None
    parts: Mapping[str, Part]
    model: str
    inputs: Mapping[str, Any]
    scored_at: datetime | None


def overall(post_ids: Sequence[int]) -> dict[int, Score]:
    """The stored scores of each of these posts; one that was never scored says so."""
    wanted = sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))
    scores = {post_id: Score(post_id) for post_id in post_ids}
    rows = db.session.execute(
        sa.select(
            sa.func.coalesce(EngagementScore.post_id, QualityScore.post_id).label("post_id"),
            EngagementScore.score.label("engagement"),
            sa.func.coalesce(EngagementScore.model, "").label("engagement_model"),
            QualityScore.score.label("quality"),
            sa.func.coalesce(QualityScore.model, "").label("quality_model"),
            QualityScore.reason,
        )
        .join(QualityScore, QualityScore.post_id == EngagementScore.post_id, full=True)
        .where(
            sa.or_(EngagementScore.post_id == sa.any_(wanted), QualityScore.post_id == sa.any_(wanted)),
        )
    ).mappings()
    for row in rows:
        both = row["engagement"] is not None and row["quality"] is not None
        scores[row["post_id"]] = Score(**{**row, "reason": None if both else row["reason"] or NOT_YET})
    return scores


def averages(user_ids: Sequence[int]) -> dict[int, tuple[float, float]]:
    """Each person's mean engagement and mean quality over their posts that have both; 0 without any."""
    rows = db.session.execute(
        sa.select(Post.user_id, sa.func.avg(EngagementScore.score), sa.func.avg(QualityScore.score))
        .join(EngagementScore, EngagementScore.post_id == Post.id)
        .join(QualityScore, QualityScore.post_id == Post.id)
        .where(
            Post.user_id == sa.any_(sa.cast(list(user_ids), sa.ARRAY(sa.BigInteger))),
            Post.deleted_at.is_(None),
            Post.visibility == Visibility.PUBLIC.value,
            QualityScore.score.is_not(None),
        )
        .group_by(Post.user_id)
    ).all()
    return dict.fromkeys(user_ids, (0.0, 0.0)) | {row[0]: (float(row[1]), float(row[2])) for row in rows}


def engagement(post_id: int) -> StoredEngagement:
    """The stored engagement score of a post; worked out on the way, and not stored, where there is none yet.

    Raises KeyError for a post that does not exist.
    """
    return engagements([post_id])[post_id]


def engagements(post_ids: Sequence[int]) -> dict[int, StoredEngagement]:
    """The same for many posts."""
    rows = _rows(sa.select(EngagementScore).where(EngagementScore.post_id.in_(post_ids)))
    found = {
        row.post_id: StoredEngagement(
            row.score,
            row.model,
            EngagementInputs(**row.inputs),
            row.scored_at,
            row.reasons,
        )
        for row in rows
    }
    for post_id, inputs in engagement_inputs([id_ for id_ in post_ids if id_ not in found]).items():
        found[post_id] = StoredEngagement(rules.engagement(inputs), rules.MODEL, inputs, None)
    return found


def quality(post_id: int) -> StoredQuality:
    """The stored quality of a post; worked out on the way, and not stored, where there is none yet.

    Raises KeyError for a post that does not exist.
    """
    return qualities([post_id])[post_id]


def qualities(post_ids: Sequence[int]) -> dict[int, StoredQuality]:
    """The same for many posts."""
    rows = _rows(sa.select(QualityScore).where(QualityScore.post_id.in_(post_ids)))
    found = {
        row.post_id: StoredQuality(
            row.score,
            row.reason,
            {name: Part(**row.parts[name]) for name in rules.PARTS},
            row.model,
            row.inputs,
            row.scored_at,
        )
        for row in rows
    }
    for post_id, inputs in quality_inputs([id_ for id_ in post_ids if id_ not in found]).items():
        judged = rules.quality(inputs)
        found[post_id] = StoredQuality(judged.score, judged.reason, judged.parts, rules.MODEL, as_json(inputs), None)
    return found


def _rows(statement: sa.Select[Any]) -> Sequence[Any]:
    """Rows as they are stored now, whatever this session has read of them before."""
    return db.session.scalars(statement.execution_options(populate_existing=True)).all()


# --- what scores are worked out of ----------------------------------------------------------------------------------


def counted(post_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """The counters of these posts as they are now, with their length and their creator's reputation."""
    rows = db.session.execute(
        sa.select(Post.id, *(now.label(name) for name, now in _NOW.items()))
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .outerjoin(Reputation, Reputation.user_id == Post.user_id)
        .where(Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))))
    ).mappings()
    return {row["id"]: {name: row[name] for name in _NOW} for row in rows}


def engagement_inputs(post_ids: Sequence[int]) -> dict[int, EngagementInputs]:
    """What people other than their creators did with these posts until now, each person once."""
    if not post_ids:
        return {}
    own_view = sa.select(View.watch_ms).where(View.post_id == Post.id, View.user_id == Post.user_id).scalar_subquery()
    commented = sa.select(sa.func.count(Comment.user_id.distinct())).where(
        Comment.post_id == Post.id, Comment.user_id != Post.user_id
    )
    without_own = {
        **_NOW,
        "likes": _NOW["likes"] - _did_themselves(Like),
        "shares": _NOW["shares"] - _did_themselves(Share),
        "comments": commented.scalar_subquery(),
        "views": _NOW["views"] - sa.case((own_view.is_not(None), 1), else_=0),
        "watch_ms": _NOW["watch_ms"] - sa.func.coalesce(own_view, 0),
    }
    rows = db.session.execute(
        sa.select(
            Post.id,
            _age_hours().label("age_hours"),
            *(sa.func.greatest(each, 0).label(name) for name, each in without_own.items()),
        )
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .outerjoin(Reputation, Reputation.user_id == Post.user_id)
        .where(Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))))
    ).mappings()
    return {
        row["id"]: EngagementInputs(
            **{name: int(row[name]) for name in _NOW}, age_hours=round(float(row["age_hours"]), 3)
        )
        for row in rows
    }


def _did_themselves(kind: type[Like] | type[Share]) -> sa.ColumnElement[Any]:
    """1 for a post that its creator liked or shared, else 0."""
    did = sa.select(kind.user_id).where(kind.post_id == Post.id, kind.user_id == Post.user_id).exists()
    return sa.case((did, 1), else_=0)


def _age_hours() -> sa.ColumnElement[Any]:
    """Hours since a post could first be played, or since it was received; at most STEADY_HOURS."""
    since = sa.func.extract("epoch", clock.now() - sa.func.coalesce(Post.playable_at, Post.created_at)) / 3600
    return sa.func.least(sa.func.greatest(since, 0.0), float(rules.STEADY_HOURS))


def quality_inputs(post_ids: Sequence[int]) -> dict[int, QualityInputs]:
    """What is stored of these posts."""
    if not post_ids:
        return {}
    rows = db.session.execute(
        sa.select(Post, Upload.kind, QualityScore.inputs["film"])
        .join(Upload, Upload.id == Post.upload_id)
        .outerjoin(QualityScore, QualityScore.post_id == Post.id)
        .where(Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))))
        .execution_options(populate_existing=True)
    ).all()
    return {post.id: _measured(post, kind, Film(**film) if film else None) for post, kind, film in rows}


def written(post: Post) -> str:
    """A digest of what people wrote about a post."""
    return hashlib.sha256(json.dumps([post.title, post.description, post.tags]).encode()).hexdigest()


def encoded(post: Post) -> str:
    """A digest of what is known of a post's renditions; made again, they differ at least in their bytes."""
    return hashlib.sha256(json.dumps(post.renditions, sort_keys=True).encode()).hexdigest()


def _measured(post: Post, upload_kind: str, film: Film | None) -> QualityInputs:
    text = "\n".join(part for part in (post.title, post.description) if part)
    told = [*words_of(text), *(word for tag in post.tags for word in words_of(tag))]
    everything = "\n".join((text, *post.tags))
    said = topics.topics(topics.concepts(passages(PostText(text, tuple(post.tags)))))
    facts, sound = post.source_facts, post.loudness or {}
    duration_ms = post.duration_ms or 0
    return QualityInputs(
        missing=_missing(post, upload_kind),
        removed=post.visibility == Visibility.REMOVED.value,
        words=len(told),
        distinct_words=len(set(told)),
        topics={label: round(strength, 6) for label, strength in said.items()},
        unwanted=words.unwanted(everything),
        shouted=words.shouted(text),
        links=words.links(everything),
        width=post.width or 0,
        height=post.height or 0,
        frame_rate=_number(facts.get("frame_rate")) or 0.0,
        variable_frame_rate=bool(facts.get("variable_frame_rate")),
        bits_per_second=post.source_bytes * 8000 / duration_ms if duration_ms else 0.0,
        has_audio=bool(facts.get("has_audio")),
        loudness=_number(sound.get("integrated")),
        loudness_range=_number(sound.get("range")),
        true_peak=_number(sound.get("true_peak")),
        duration_ms=duration_ms,
        written=written(post),
        encoded=encoded(post),
        film=film,
    )


def _missing(post: Post, upload_kind: str) -> str:
    """Why the film of a post was not measured; empty when it was."""
    if upload_kind == UploadKind.LINK.value:
        return "the film is kept elsewhere, and was not measured"
    if post.stage == Stage.FAILED.value:
        return "the film could not be processed"
    if post.playable_at is None or post.duration_ms is None:
        return "the film is still being processed"
    return ""


def _number(value: object) -> float | None:
    """A finite number, or nothing: what was measured of silence may be infinite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def as_json(inputs: QualityInputs) -> dict[str, Any]:
    """The inputs as they are kept beside a score."""
    return asdict(inputs)


# --- what is due ----------------------------------------------------------------------------------------------------


def moved(after_id: int, limit: int, model: str) -> Sequence[int]:
    """Posts past `after_id` whose engagement `model` is to score (again), by rising id: never scored, scored by
    another, a count that has moved by more than MOVED of what it was, or an age by more than AGED.

    For the rules none is due that a trained model has scored: they would not store it.
    """
    due = sa.or_(
        EngagementScore.model != model,
        *(
            sa.func.abs(now - getattr(EngagementScore, name)) > rules.MOVED * getattr(EngagementScore, name)
            for name, now in _NOW.items()
        ),
        _age_hours() > 1 + (1 + rules.AGED) * EngagementScore.inputs["age_hours"].as_float(),
    )
    if model == rules.MODEL:
        due = sa.and_(due, scored_by_rules())
    return db.session.scalars(
        sa.select(Post.id)
        .outerjoin(EngagementScore, EngagementScore.post_id == Post.id)
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .outerjoin(Reputation, Reputation.user_id == Post.user_id)
        .where(
            Post.id > after_id,
            Post.deleted_at.is_(None),
            sa.or_(Post.playable_at.is_not(None), Post.link.is_not(None)),
            sa.or_(EngagementScore.post_id.is_(None), due),
        )
        .order_by(Post.id)
        .limit(limit)
    ).all()


def scored_by_rules() -> sa.ColumnElement[bool]:
    """SQL: whether a stored engagement score is by the rules, in whatever version."""
    return EngagementScore.model.startswith("rules-")


def unjudged(after_id: int, limit: int) -> Sequence[int]:
    """Posts past `after_id` that are ready and whose quality was never scored, or by another model, by rising id."""
    return db.session.scalars(
        sa.select(Post.id)
        .outerjoin(QualityScore, QualityScore.post_id == Post.id)
        .where(
            Post.id > after_id,
            Post.deleted_at.is_(None),
            Post.stage == Stage.READY.value,
            sa.or_(QualityScore.post_id.is_(None), _version(1) != rules.MODEL),
        )
        .order_by(Post.id)
        .limit(limit)
    ).all()


def unwatched(model: str, limit: int) -> Sequence[int]:
    """Posts with a film that this version of the trained model was not tried on as it is now, the oldest first.

    Those that are on their way to be watched are left out.
    """
    shown, now = QualityScore.inputs["film"], QualityScore.inputs
    changed = [shown[name].astext.is_distinct_from(now[name].astext) for name in rules.SHOWN]
    on_the_way = sa.exists().where(
        Job.name == "scoring.film",
        Job.state.in_(["ready", "running"]),
        Job.args["post_id"].as_integer() == Post.id,
    )
    return db.session.scalars(
        sa.select(Post.id)
        .join(QualityScore, QualityScore.post_id == Post.id)
        .where(
            Post.deleted_at.is_(None),
            Post.stage == Stage.READY.value,
            Post.playable_at.is_not(None),
            sa.func.jsonb_array_length(Post.renditions) > 0,
            sa.or_(_version(2) != model, *changed),
            sa.not_(on_the_way),
        )
        .order_by(Post.id)
        .limit(limit)
    ).all()


def _version(place: int) -> sa.Function[str]:
    """Of a stored quality: 1 for the version of the rules, 2 for that of the model that was tried, empty for none."""
    return sa.func.split_part(QualityScore.model, "+", place)


def due_reputations(post_ids: Sequence[int]) -> Sequence[int]:
    """The creators of these posts whose reputation was not counted lately, by rising id."""
    return db.session.scalars(
        sa.select(Post.user_id)
        .outerjoin(Reputation, Reputation.user_id == Post.user_id)
        .where(
            Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))),
            sa.or_(Reputation.user_id.is_(None), Reputation.counted_at < clock.now() - RECOUNT_AFTER),
        )
        .distinct()
        .order_by(Post.user_id)
    ).all()


def count_people(creator_id: int) -> int:
    """How many people have liked, shared or commented on what somebody posted, without themselves."""
    acted = sa.union(
        *(
            sa.select(kind.user_id).join(Post, Post.id == kind.post_id).where(Post.user_id == creator_id)
            for kind in (Like, Share, Comment)
        )
    ).subquery()
    return db.session.scalar(sa.select(sa.func.count()).where(acted.c.user_id != creator_id)) or 0
