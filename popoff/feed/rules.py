"""Decisions of the feed: what a person likes, how posts rank for them, which are shown and why. Pure.

Shapes: n candidates, k interests, d = 256 numbers a vector; vectors are unit rows or zero rows (posts
without words). Ages are seconds, watch times milliseconds. The only chance is in the generator passed to `select`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import IntFlag, StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

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

# What an engagement says.
SKIPPED, REPORTED, NOT_INTERESTED = -0.3, -0.6, -0.6
WHOLE_MS = 30_000
"""Watching half a minute of a long video says as much as watching a short one whole."""

# Ranking. The three weights are those of the first PopOff, and so is the scale: rank_score is in 0..1.
INTEREST_WEIGHT, ENGAGEMENT_WEIGHT, RECENCY_WEIGHT = 0.6, 0.2, 0.2
FOLLOWED_BONUS = 0.1
SHARE_DAMPING = 0.3
LIKE, COMMENT, SHARE = 1.0, 1.5, 2.0
PRIOR_RATE, PRIOR_VIEWS = 0.08, 25.0
RECENCY_HALF_LIFE_S = 3 * 86400.0

# Selection.
EXPLORATION = 0.15
TEMPERATURE = 0.04
POOL_FACTOR = 6
PER_AUTHOR = 2
PER_CATEGORY_SHARE = 0.6
FRESH_VIEWS = 50
FRESH_AGE_S = 2 * 86400.0
LOOK_AHEAD = 3
TELLING_INTEREST = 35.0


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
    COWATCHED = 16
    RANDOM = 32


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


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Positions in the candidates, in the order to show (b,), and which of them explore (b,)."""

    positions: Indices
    explored: npt.NDArray[np.bool_]


def select(
    candidates: Candidates,
    rank_score: Floats,
    batch_size: int,
    rng: np.random.Generator,
    *,
    exploration: float = EXPLORATION,
    temperature: float = TEMPERATURE,
    per_author: int = PER_AUTHOR,
    after_author: int | None = None,
) -> Selection:
    """A batch of min(batch_size, n) different candidates, in the order to show them.

    A part `exploration` of the batch (rounded by chance, so that it holds on average for small batches) goes
    to posts that had little audience, the fewer views the likelier. The rest is drawn without replacement
    from the best POOL_FACTOR x batch_size by adding Gumbel noise to rank_score / temperature (Kool et al.
    2019; the same as weighted sampling with weights exp(rank_score / temperature)). A batch holds at most
    `per_author` posts of an author and PER_CATEGORY_SHARE of one category, as long as others are left; two
    neighbours have different authors where any order allows it, also beside `after_author`, who made the
    last post shown before, and different categories where it costs little.
    """
    size = max(0, min(batch_size, len(candidates)))
    if size == 0:
        return Selection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
    noise = rng.gumbel(size=(2, len(candidates)))
    batch = _Batch(candidates, per_author, math.ceil(PER_CATEGORY_SHARE * size))

    slots = int(exploration * size + rng.random())
    rarely_seen = np.flatnonzero(_is_rarely_seen(candidates))
    by_need = noise[0] - np.log1p(candidates.views)
    batch.fill(rarely_seen[np.argsort(-by_need[rarely_seen], kind="stable")], min(slots, size), strictly=True)
    explored = set(batch.chosen)

    by_score = np.argsort(-rank_score, kind="stable")
    pool, rest = np.split(by_score, [POOL_FACTOR * size])
    drawn = pool[np.argsort(-(rank_score[pool] / temperature + noise[1, pool]), kind="stable")]
    batch.fill(np.concatenate([drawn, rest]), size)

    best = [i for i in batch.chosen if i not in explored]
    for i in batch.chosen[: len(explored)]:
        best.insert(int(rng.integers(min(1, len(best)), len(best) + 1)), i)
    order = _spread(best, candidates, after_author)
    return Selection(np.array(order, dtype=np.int64), np.array([i in explored for i in order], dtype=np.bool_))


class _Batch:
    """Positions chosen so far, within the limits of authors and categories."""

    def __init__(self, candidates: Candidates, per_author: int, per_category: int):
        self.chosen: list[int] = []
        self._candidates = candidates
        self._per_author, self._per_category = per_author, per_category
        self._authors: Counter[int] = Counter()
        self._categories: Counter[str] = Counter()

    def fill(self, order: Indices, size: int, *, strictly: bool = False) -> None:
        """Choose in this order until there are `size`; unless `strictly`, limits give way when nothing else is left."""
        limits: list[Callable[[int], bool]] = [lambda i: self._author_has_room(i) and self._category_has_room(i)]
        if not strictly:
            limits += [self._author_has_room, lambda _: True]
        taken = set(self.chosen)
        for allows in limits:
            for i in order.tolist():
                if len(self.chosen) >= size:
                    return
                if i not in taken and allows(i):
                    taken.add(i)
                    self._choose(i)

    def _choose(self, i: int) -> None:
        self.chosen.append(i)
        self._authors[int(self._candidates.author_ids[i])] += 1
        self._categories[self._candidates.categories[i]] += 1

    def _author_has_room(self, i: int) -> bool:
        return self._authors[int(self._candidates.author_ids[i])] < self._per_author

    def _category_has_room(self, i: int) -> bool:
        category = self._candidates.categories[i]
        return category == OTHER or self._categories[category] < self._per_category


def _is_rarely_seen(candidates: Candidates) -> npt.NDArray[np.bool_]:
    owed: npt.NDArray[np.bool_] = (candidates.sources & int(Source.FRESH)) != 0
    return np.logical_or(owed, candidates.views < FRESH_VIEWS)


def _spread(chosen: Sequence[int], candidates: Candidates, after_author: int | None) -> list[int]:
    """The same positions in about the same order, with neighbours of different authors and categories."""
    left = list(chosen)
    authors = {i: int(candidates.author_ids[i]) for i in left}
    counts = Counter(authors.values())
    order: list[int] = []
    author, category = after_author, None
    while left:
        fitting = [i for i in left if authors[i] != author and _leaves_a_way(counts, authors[i], len(left))]
        if not fitting:
            others = [i for i in left if authors[i] != author] or left
            fitting = [max(others, key=lambda i: counts[authors[i]])]
        ahead = fitting[:LOOK_AHEAD]
        nxt = next((i for i in ahead if candidates.categories[i] != category), fitting[0])
        left.remove(nxt)
        order.append(nxt)
        author, category = authors[nxt], candidates.categories[nxt]
        counts[author] -= 1
    return order


def _leaves_a_way(counts: Counter[int], author: int, left: int) -> bool:
    """Whether, with a post of `author` shown next, the others can follow without two neighbours of one author."""
    after = left - 1
    return counts[author] - 1 <= after // 2 and all(
        count <= (after + 1) // 2 for other, count in counts.items() if other != author
    )


class Kind(StrEnum):
    """Why a post is shown."""

    INTEREST = "interest"
    FOLLOWING = "following"
    POPULAR = "popular"
    FRESH = "fresh"
    EXPLORE = "explore"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a post is shown; `label` is the category of the interest, when the interest has one."""

    kind: Kind
    label: str | None = None

    @property
    def text(self) -> str:
        """A sentence for the person."""
        if self.kind is Kind.INTEREST:
            return f"Because you like {short_name(self.label)}" if self.label else "Like what you have watched"
        return {
            Kind.FOLLOWING: "You follow this creator",
            Kind.POPULAR: "Popular right now",
            Kind.FRESH: "New on PopOff",
            Kind.EXPLORE: "Something different",
        }[self.kind]


def reasons(
    candidates: Candidates, ranked: Ranked, interests: Sequence[Interest], selection: Selection
) -> list[Reason]:
    """One reason for each selected post, in the order of the selection."""
    return [
        _explored(candidates, i) if explored else _reason(candidates, ranked, interests, i)
        for i, explored in zip(selection.positions.tolist(), selection.explored.tolist(), strict=True)
    ]


def _explored(candidates: Candidates, i: int) -> Reason:
    return Reason(Kind.FRESH if candidates.age_s[i] < FRESH_AGE_S else Kind.EXPLORE)


def _reason(candidates: Candidates, ranked: Ranked, interests: Sequence[Interest], i: int) -> Reason:
    if candidates.followed[i]:
        return Reason(Kind.FOLLOWING)
    if ranked.interest_score[i] >= TELLING_INTEREST:
        interest = interests[int(ranked.nearest[i])]
        label = candidates.categories[i] if candidates.categories[i] in interest.tallies else interest.label
        return Reason(Kind.INTEREST, None if label == OTHER else label)
    if ranked.engagement[i] > PRIOR_RATE and candidates.views[i] >= FRESH_VIEWS:
        return Reason(Kind.POPULAR)
    return _explored(candidates, i)
