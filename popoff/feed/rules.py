"""Decisions of the feed: what a person likes, how posts rank for them, and why one is shown. Pure.

Shapes: n candidates, k interests, d = 256 numbers a vector; vectors are unit rows or zero rows (posts
without words). Ages are seconds, watch times milliseconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import IntFlag, StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.ranking.selection import Offer, Rules
from models_ml.ranking.tables import NOBODY
from popoff.feed.categories import OTHER, short_name

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

# Interests. The threshold and the learning rate are those of the first PopOff.
MATCH_COSINE = 0.55
LEARNING_RATE = 0.1
MERGE_COSINE = 0.85
MAX_INTERESTS = 12
INTEREST_HALF_LIFE = timedelta(days=30)
OPENING_SIGNAL = 0.1
"""Weaker signals strengthen an interest, but do not open one."""
FORGOTTEN_SHARE = 0.005
TRACE = 1e-9

# What an engagement says, and what somebody says of themselves.
CHOSEN = 0.5
SKIPPED, REPORTED = -0.3, -0.6
WHOLE_MS = 30_000
"""Watching half a minute of a long video says as much as watching a short one whole."""

# Ranking. The three weights are those of the first PopOff, and so is the scale: rank_score is in 0..1.
INTEREST_WEIGHT, ENGAGEMENT_WEIGHT, RECENCY_WEIGHT = 0.6, 0.2, 0.2
FOLLOWED_BONUS = 0.1
SHARE_DAMPING = 0.3
LIKE, COMMENT, SHARE = 1.0, 1.5, 2.0
PRIOR_RATE, PRIOR_VIEWS = 0.08, 25.0
RECENCY_HALF_LIFE_S = 3 * 86400.0

# Selection: see `models_ml.ranking.selection.Rules`.
EXPLORATION = 0.15
TEMPERATURE = 0.04
PER_AUTHOR = 2
PER_CATEGORY_SHARE = 0.6
FRESH_VIEWS = 50
FRESH_AGE_S = 2 * 86400.0

# The promise to each new post: so many people see it, whom it fits, while it is young.
PROMISED = 30
PROMISE_ENDS = timedelta(days=7)

# Reasons.
TELLING_INTEREST = 35.0
TITLE_LENGTH = 40


@dataclass(frozen=True, slots=True, eq=False)
class Interest:
    """One group of liked posts: a unit vector (d,), and how much each category added to its weight.

    The weight is the sum of the tallies, in videos fully enjoyed.
    """

    vector: Vectors
    tallies: Mapping[str, float]

    @property
    def weight(self) -> float:
        return math.fsum(self.tallies.values())

    @property
    def label(self) -> str:
        """The category that added most."""
        return max(self.tallies, key=lambda label: (self.tallies[label], label))


def signal(
    watch_ms: float, duration_ms: float, *, liked: bool, commented: bool, viewed_comments: bool, shared: bool = False
) -> float:
    """What one engagement says about a person's taste, SKIPPED (-0.3) .. 1.

    Watching alone goes from -0.3 (nothing seen) through 0 (a quarter) to 0.6 (all of it, or WHOLE_MS of a
    longer video); acting adds 0.4 for a like, 0.3 for a comment, 0.4 for a share, 0.1 for reading comments.
    Who acts has not skipped. A duration of 0 is unknown.
    """
    whole = min(duration_ms, WHOLE_MS) if duration_ms > 0 else WHOLE_MS
    watched = float(np.interp(watch_ms / whole, (0.0, 0.25, 1.0), (SKIPPED, 0.0, 0.6)))
    acted = 0.4 * liked + 0.3 * commented + 0.4 * shared + 0.1 * viewed_comments
    return min(1.0, (max(0.0, watched) if acted else watched) + acted)


def observe(
    interests: Sequence[Interest],
    vector: Vectors,
    strength: float,
    category: str,
    *,
    elapsed: timedelta = timedelta(),
) -> list[Interest]:
    """The interests after one engagement of `strength` (-1..1) with a post (vector (d,)), heaviest first.

    `elapsed` is the time since the last engagement: weights halve every INTEREST_HALF_LIFE, so that after a
    break the new counts for more. The nearest interest with a cosine of at least MATCH_COSINE takes the post
    up: its vector moves by LEARNING_RATE x strength of the way, and it gains `strength`; without one the post
    opens an interest of its own. What is gained fades everything before by LEARNING_RATE x strength: no
    weight passes 10, and after ten enjoyed videos of something new any past has 0.9 ** 10 = 0.35 of its
    weight. A negative strength takes weight from the matched interest and moves it away, and opens none.
    Interests nearer than MERGE_COSINE become one; those below FORGOTTEN_SHARE of all weight, and the lightest
    over MAX_INTERESTS, are dropped. A zero vector teaches nothing.
    """
    strength = max(-1.0, min(1.0, strength))
    aged = 0.5 ** (max(timedelta(), elapsed) / INTEREST_HALF_LIFE)
    current = [interest for interest in (_scaled(i, aged) for i in interests) if interest.tallies]
    point = _unit(vector)
    if strength != 0 and point.any():
        cosines = [float(interest.vector @ point) for interest in current]
        nearest = int(np.argmax(cosines)) if cosines else -1
        matched = nearest >= 0 and cosines[nearest] >= MATCH_COSINE
        if strength < 0 and matched:
            current[nearest] = _disappointed(current[nearest], point, -strength)
        elif strength > 0 and (matched or strength >= OPENING_SIGNAL):
            current = [_scaled(interest, 1 - LEARNING_RATE * strength) for interest in current]
            if matched:
                current[nearest] = _pleased(current[nearest], point, strength, category)
            else:
                current.append(Interest(point, {category: strength}))
    return _heaviest(_merged([interest for interest in current if interest.tallies]))


def shares(interests: Sequence[Interest]) -> Floats:
    """Part of each interest in all weight (k,), > 0, summing to 1."""
    raw = np.array([interest.weight for interest in interests], dtype=np.float64)
    return raw / raw.sum() if raw.size else raw


def preferences(interests: Sequence[Interest]) -> dict[str, float]:
    """Category label -> part of all weight, largest first, summing to 1; empty without history."""
    sums: Counter[str] = Counter()
    for interest in interests:
        sums.update(interest.tallies)
    total = math.fsum(sums.values())
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return {label: tally / total for label, tally in ordered}


def pack(interests: Sequence[Interest]) -> tuple[bytes, list[dict[str, Any]]]:
    """For storing: the vectors (k, d) as little-endian float32, and for each interest its tallies as JSON."""
    rows = np.array([interest.vector for interest in interests], dtype="<f4")
    return rows.tobytes(), [{"tallies": dict(interest.tallies)} for interest in interests]


def unpack(vectors: bytes, groups: Sequence[Mapping[str, Any]]) -> list[Interest]:
    """What `pack` stored. Raises ValueError when the two do not belong together."""
    rows = np.frombuffer(vectors, dtype="<f4").reshape(len(groups), -1) if groups else ()
    return [
        Interest(np.array(row, dtype=np.float32), dict(group["tallies"]))
        for row, group in zip(rows, groups, strict=True)
    ]


def _scaled(interest: Interest, factor: float) -> Interest:
    """With all tallies times `factor`, and without those that are not worth keeping."""
    return replace(interest, tallies={k: v * factor for k, v in interest.tallies.items() if v * factor > TRACE})


def _pleased(interest: Interest, point: Vectors, strength: float, category: str) -> Interest:
    step = LEARNING_RATE * strength
    tallies = {**interest.tallies, category: interest.tallies.get(category, 0.0) + strength}
    return replace(interest, vector=_unit(interest.vector + step * (point - interest.vector)), tallies=tallies)


def _disappointed(interest: Interest, point: Vectors, strength: float) -> Interest:
    away = _unit(interest.vector - LEARNING_RATE * strength * point)
    return replace(_scaled(interest, 1 - 0.5 * strength), vector=away)


def _merged(interests: list[Interest]) -> list[Interest]:
    """Interests with every pair nearer than MERGE_COSINE made one, weighted by weight, nearest pair first."""
    merged = list(interests)
    while len(merged) > 1:
        matrix = np.stack([interest.vector for interest in merged])
        cosines = np.triu(matrix @ matrix.T, k=1)
        left, right = (int(i) for i in np.unravel_index(np.argmax(cosines), cosines.shape))
        if cosines[left, right] < MERGE_COSINE:
            break
        other, one = merged.pop(right), merged[left]
        tallies = Counter(one.tallies)
        tallies.update(other.tallies)
        vector = _unit(one.weight * one.vector + other.weight * other.vector)
        merged[left] = Interest(vector, dict(tallies))
    return merged


def _heaviest(interests: list[Interest]) -> list[Interest]:
    least = FORGOTTEN_SHARE * math.fsum(interest.weight for interest in interests)
    kept = [interest for interest in interests if interest.weight >= least]
    return sorted(kept, key=lambda interest: -interest.weight)[:MAX_INTERESTS]


def _unit(vector: npt.NDArray[Any]) -> Vectors:
    wide = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(wide))
    return (wide / length if length > 0 else wide).astype(np.float32)


class Source(IntFlag):
    """Where a candidate came from; one post may come from several."""

    INTEREST = 1
    FOLLOWED = 2
    POPULAR = 4
    FRESH = 8
    PROPOSED = 16
    RANDOM = 32
    OWED = 64


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Posts that may be shown, as parallel arrays of n. Raises ValueError when their lengths differ."""

    post_ids: Indices
    author_ids: Indices
    vectors: Vectors  # (n, d)
    categories: Sequence[str]
    age_s: Floats
    views: Indices
    likes: Indices
    comments: Indices
    shares: Indices
    followed: npt.NDArray[np.bool_]  # by the person the feed is for
    sources: Indices  # bits of Source

    def __post_init__(self) -> None:
        if len({len(getattr(self, f.name)) for f in fields(self)}) != 1:
            raise ValueError("candidate arrays differ in length")

    def __len__(self) -> int:
        return len(self.post_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Arrays (n,): rank_score 0..1, interest_score 0..100, and what they are made of."""

    rank_score: Floats
    interest_score: Floats
    engagement: Floats  # engagement_rate
    recency: Floats  # 0..1
    nearest: Indices  # which interest counted; -1 without interests


def interest_scores(vectors: Vectors, interests: Sequence[Interest]) -> tuple[Floats, Indices]:
    """How well posts (n, d) fit a person, 0..100, and the interest (n,) that says so (-1 without interests).

    The largest of cosine x (share / largest share) ** SHARE_DAMPING over the interests: the main interest
    counts in full, one with a tenth of its weight counts half.
    """
    if not interests:
        return np.zeros(len(vectors)), np.full(len(vectors), -1, dtype=np.int64)
    share = shares(interests)
    matrix = np.stack([interest.vector for interest in interests])
    fit = (vectors @ matrix.T).astype(np.float64) * (share / share.max()) ** SHARE_DAMPING
    return 100.0 * np.clip(fit.max(axis=1), 0.0, 1.0), fit.argmax(axis=1).astype(np.int64)


def engagement_rate(views: Indices, likes: Indices, comments: Indices, shares: Indices) -> Floats:
    """Weighted engagements a view (n,), > 0, as if PRIOR_VIEWS more views at PRIOR_RATE had been seen.

    So one like on the first view does not beat a hundred likes on a thousand views.
    """
    acts = LIKE * likes + COMMENT * comments + SHARE * shares
    rate: Floats = (acts + PRIOR_RATE * PRIOR_VIEWS) / (np.maximum(views, 0) + PRIOR_VIEWS)
    return rate


def recency(age_s: Floats) -> Floats:
    """1 for a new post, halving every RECENCY_HALF_LIFE_S (n,)."""
    fresh: Floats = 0.5 ** (np.maximum(age_s, 0.0) / RECENCY_HALF_LIFE_S)
    return fresh


def rank(candidates: Candidates, interests: Sequence[Interest]) -> Ranked:
    """Scores of all candidates for a person.

    rank_score = 0.6 x interest_score / 100 + 0.2 x rate / (rate + PRIOR_RATE) + 0.2 x recency, and
    FOLLOWED_BONUS for creators the person follows; at most 1. A post as engaging as most has half of 0.2.
    """
    interest, nearest = interest_scores(candidates.vectors, interests)
    rate = engagement_rate(candidates.views, candidates.likes, candidates.comments, candidates.shares)
    fresh = recency(candidates.age_s)
    score = (
        INTEREST_WEIGHT * interest / 100.0
        + ENGAGEMENT_WEIGHT * rate / (rate + PRIOR_RATE)
        + RECENCY_WEIGHT * fresh
        + FOLLOWED_BONUS * candidates.followed
    )
    return Ranked(np.minimum(score, 1.0), interest, rate, fresh, nearest)


def owed(candidates: Candidates) -> npt.NDArray[np.bool_]:
    """Which posts the places that explore are for (n,): those promised a first audience, and of the posts found by
    chance those that few have seen."""
    by_chance = (candidates.sources & int(Source.RANDOM)) != 0
    promised = (candidates.sources & int(Source.OWED)) != 0
    line: npt.NDArray[np.bool_] = np.logical_or(promised, by_chance & (candidates.views < FRESH_VIEWS))
    return line


def relearnt(ranked: Ranked, candidates: Candidates, log_odds: npt.NDArray[np.floating], usual: float) -> Ranked:
    """The same with what a trained ranker says in place of the three weights, on the scale of rank_score.

    `log_odds` (n,): of being liked next, nan where it says nothing and the weights stay; `usual`: those of a candidate
    of which nothing speaks for or against, which gets 0.5. Followed creators have their bonus here, too.
    """
    learnt = 1.0 / (1.0 + np.exp(usual - np.asarray(log_odds, dtype=np.float64)))
    learnt = np.minimum(learnt + FOLLOWED_BONUS * candidates.followed, 1.0)
    return replace(ranked, rank_score=np.where(np.isnan(log_odds), ranked.rank_score, learnt))


def offer(candidates: Candidates, ranked: Ranked, spared: Floats | None = None) -> Offer:
    """What pages are selected from; what is in no category is of no topic. `spared`: see `aversion.spared`."""
    labels, topics = np.unique(np.array(candidates.categories, dtype=object).astype(str), return_inverse=True)
    topics = np.where(labels[topics] == OTHER, NOBODY, topics) if len(labels) else topics
    return Offer(ranked.rank_score, candidates.author_ids, topics, owed(candidates), spared)


def selection(per_author: int, following_only: bool) -> Rules:
    """What a page keeps to: of followed creators alone everything is shown, and nothing explores."""
    return Rules(
        explore=0.0 if following_only else EXPLORATION,
        temperature=TEMPERATURE,
        per_creator=per_author,
        topic_share=PER_CATEGORY_SHARE,
    )


class Kind(StrEnum):
    """Why a post is shown; impressions are counted by it."""

    WATCHED = "watched"
    INTEREST = "interest"
    FOLLOWING = "following"
    POPULAR = "popular"
    FRESH = "fresh"
    EXPLORE = "explore"


@dataclass(frozen=True, slots=True)
class Cause:
    """A post that somebody met and that speaks for another: its caption, and how they took it."""

    caption: str
    user: str
    liked: bool
    to_the_end: bool

    @property
    def text(self) -> str:
        """A sentence for the person."""
        title = f"“{_short(self.caption)}”" if self.caption.strip() else f"a video of {self.user}"
        if self.liked:
            return f"Because you liked {title}"
        return f"Because you watched {title} to the end" if self.to_the_end else f"Because you watched {title}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a post is shown; `label` is the category of the interest where it has one, or who made the post."""

    kind: Kind
    label: str | None = None
    cause: Cause | None = None
    new: bool = False

    def about(self, user: str) -> Reason:
        """The same, naming who made the post where that is the reason."""
        return replace(self, label=user) if self.kind is Kind.FOLLOWING else self

    @property
    def text(self) -> str:
        """A sentence for the person."""
        if self.cause is not None:
            return self.cause.text
        if self.kind is Kind.INTEREST and self.label:
            return f"Because you like {short_name(self.label)}"
        if self.kind is Kind.FOLLOWING and self.label:
            return f"{'New from' if self.new else 'From'} {self.label}, whom you follow"
        return {
            Kind.WATCHED: "Like what you have watched",
            Kind.INTEREST: "Like what you have watched",
            Kind.FOLLOWING: "You follow this creator",
            Kind.POPULAR: "Popular today",
            Kind.FRESH: "New on PopOff",
            Kind.EXPLORE: "Something different",
        }[self.kind]


def reason(
    candidates: Candidates,
    ranked: Ranked,
    interests: Sequence[Interest],
    row: int,
    *,
    explored: bool = False,
    cause: Cause | None = None,
) -> Reason:
    """The one reason for the post in a row of the candidates; `cause`: what the person met that speaks for it."""
    if explored:
        return _unfamiliar(candidates, row)
    if candidates.followed[row]:
        return Reason(Kind.FOLLOWING, new=bool(candidates.age_s[row] < FRESH_AGE_S))
    if cause is not None:
        return Reason(Kind.WATCHED, cause=cause)
    if ranked.interest_score[row] >= TELLING_INTEREST:
        interest = interests[int(ranked.nearest[row])]
        label = candidates.categories[row] if candidates.categories[row] in interest.tallies else interest.label
        return Reason(Kind.INTEREST, None if label == OTHER else label)
    if ranked.engagement[row] > PRIOR_RATE and candidates.views[row] >= FRESH_VIEWS:
        return Reason(Kind.POPULAR)
    return _unfamiliar(candidates, row)


def _unfamiliar(candidates: Candidates, row: int) -> Reason:
    return Reason(Kind.FRESH if candidates.age_s[row] < FRESH_AGE_S else Kind.EXPLORE)


def _short(caption: str) -> str:
    words = " ".join(caption.split())
    return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1].rstrip() + "…"
