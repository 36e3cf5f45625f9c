"""What the ranker is told of a post for a person at a moment. What is unknown is nan, which trees tell from zero."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models_ml.ranking.candidates import SPANS, Visit, creators, peers
from models_ml.ranking.candidates.pool import SOURCES
from models_ml.ranking.memory import Memory
from models_ml.ranking.people import WINDOW
from models_ml.ranking.tables import NOBODY, Floats, Ints, looked_up, products
from models_ml.ranking.trends import HALF_LIVES, HOUR

PAIRS = ("next", "near", "lift", "taste", "topic")
DOUBT = 0.5
"""Events of which nothing is known that each average holds."""
MOOD = 5
"""The latest events whose mean gain tells how well it goes."""
NAMES = (
    *(f"{pair}_{kind}" for pair in PAIRS for kind in ("faded", "sum", "most", "last", "lately")),
    "support",
    "peers_sum",
    "peers_mean",
    "peers_most",
    "peers_share",
    "peers_latest",
    "peers_lately_sum",
    "peers_lately_mean",
    *(f"trend_{life / HOUR:g}h" for life in HALF_LIVES[:-1]),
    "likes",
    "rise",
    "age_hours",
    "quiet_hours",
    "appeal",
    "creator",
    "creator_posts",
    "disliked_taste",
    "duration",
    "duration_apart",
    *(f"{space}_{kind}_{span}" for space in ("taste", "topic") for kind in ("leaning", "taken") for span in SPANS),
    "history",
    "usual_likes",
    "usual_age",
    "idle_hours",
    "mood",
    "age_apart",
    "likes_apart",
    *(f"from_{source.name}" for source in SOURCES),
)
LATELY = 2 * HOUR
"""A session: likes count for less by half after this time."""

Matrix = npt.NDArray[np.float32]


def describe(memory: Memory, visit: Visit, posts: Ints, marks: npt.NDArray) -> Matrix:
    """Features in the order of NAMES, shape (posts, features)."""
    liked = visit.liked
    following = memory.next.among(liked, posts, memory.slots)
    around = memory.near.among(liked, posts, memory.slots)
    popular = memory.liked[posts]
    taste, topic = (_alike(space, visit, posts) for space in (memory.taste, memory.topic))
    total = np.maximum(memory.near.total[liked], 1.0)[:, None]
    pairs = (
        following / np.maximum(memory.next.total[liked], 1.0)[:, None],
        around / total,
        around / np.sqrt(total * np.maximum(memory.near.total[posts], 1.0)),
        taste.liked,
        topic.liked,
    )
    columns: list[npt.NDArray | float] = [column for pair in pairs for column in _over_history(pair, visit)]
    columns.append((around > 0).sum(axis=0))
    columns.extend(_of_peers(memory, visit, posts))
    counts = memory.trends.at(posts, visit.now)
    columns.extend(np.log1p(counts[:, window]) for window in range(len(HALF_LIVES) - 1))
    columns.append(np.log1p(popular))
    columns.append(counts[:, 2] / (counts[:, 4] + 0.1))
    columns.append((visit.now - memory.born[posts]) / HOUR)
    columns.append((visit.now - memory.latest[posts]) / HOUR)
    columns.append((popular + 1) / (memory.shown[posts] + 2))
    columns.extend(_of_creators(memory, visit, posts))
    columns.append(taste.disliked.max(axis=0) if len(visit.disliked) else np.full(len(posts), np.nan))
    columns.extend(_of_duration(memory, visit, posts))
    columns.extend(row for space in (taste, topic) for row in _leaning(space))
    history, usual_likes, usual_age, idle, mood = _of_person(memory, visit)
    columns.extend((history, usual_likes, usual_age, idle, mood))
    columns.append(np.log1p(np.maximum((visit.now - memory.born[posts]) / HOUR, 0)) - usual_age)
    columns.append(np.log1p(popular) - usual_likes)
    columns.extend((marks >> bit) & 1 for bit in range(len(SOURCES)))
    found = np.empty((len(columns), len(posts)), dtype=np.float32)
    for row, column in enumerate(columns):
        found[row] = column
    return np.ascontiguousarray(found.T)


class Alike(NamedTuple):
    """Cosines of posts with what a person liked, shape (liked, posts), and disliked; and with their leanings, over
    events that fade (SPANS), shape (spans, posts): the sum of fading x (gain - LIKED) x cosine, of fading x cosine."""

    liked: Floats
    disliked: Floats
    leaning: Floats
    met: Floats


def _alike(space: Floats, visit: Visit, posts: Ints) -> Alike:
    """One product for all, with vectors that stand for all events at once, so that the cost does not grow with them."""
    met, leanings = visit.leanings
    weights = np.concatenate([leanings, visit.fading(len(met))])
    rows = space[visit.liked], space[visit.disliked], products(weights, space[met].T)
    found = products(np.concatenate(rows), space[posts])
    ends = np.cumsum([len(rows[0]), len(rows[1]), len(leanings)])
    return Alike(*np.split(found, ends))


def _over_history(pair: npt.NDArray, visit: Visit) -> list[npt.NDArray]:
    """What the links of each post to the person's likes come to, in several ways."""
    if not len(visit.liked):
        return [np.full(pair.shape[1], np.nan)] * 5
    lately = np.exp2((visit.times - visit.now) / LATELY).astype(np.float32)
    weights = np.stack([visit.importance, np.ones_like(lately), lately])
    faded, summed, late = products(weights, pair.T)
    return [faded, summed, pair.max(axis=0), pair[0], late]


def _of_peers(memory: Memory, visit: Visit, posts: Ints) -> list[npt.NDArray]:
    """What those who liked each post last have in common with this person: in sum, on average, at most; how many of
    them have anything; the sum of the last three; sum and average where common likes of late count for more."""
    if not len(visit.liked):
        return [np.full(len(posts), np.nan)] * 7
    people, shared = peers.common(memory, visit)
    closeness, fans = memory.closeness, np.ascontiguousarray(memory.fans[posts].T)
    links = []
    for common in shared.T:
        closeness[people] = common
        links.append(closeness[fans])
        closeness[people] = 0.0
    summed, late = links[0].sum(axis=0), links[1].sum(axis=0)
    number = np.maximum((fans != NOBODY).sum(axis=0), 1)
    share = (links[0] > 0).sum(axis=0) / number
    return [summed, summed / number, links[0].max(axis=0), share, links[0][:3].sum(axis=0), late, late / number]


def _of_creators(memory: Memory, visit: Visit, posts: Ints) -> list[npt.NDArray]:
    """What the person thinks of each post's creator, and how many posts that one made."""
    made_by = memory.creator[posts]
    if not len(memory.output):
        return [np.full(len(posts), np.nan)] * 2
    unknown = made_by == NOBODY
    felt = looked_up(*creators.warmth(memory, visit), made_by, memory.slots)
    return [np.where(unknown, np.nan, felt), np.where(unknown, np.nan, memory.output[made_by])]


def _of_duration(memory: Memory, visit: Visit, posts: Ints) -> list[npt.NDArray]:
    duration = np.log1p(memory.duration[posts])
    usual = np.log1p(memory.duration[visit.liked])
    usual = usual[~np.isnan(usual)]
    apart = duration - usual.mean() if len(usual) else np.full(len(posts), np.nan)
    return [duration, apart]


def _leaning(space: Alike) -> list[npt.NDArray]:
    """How well posts like each of these were taken, in sum and on average."""
    return [*space.leaning, *(space.leaning / (np.maximum(space.met, 0) + DOUBT))]


def _of_person(memory: Memory, visit: Visit) -> tuple[float, float, float, float, float]:
    """Events so far, mean log likes and mean log age in hours of what they liked when they did, hours since then, and
    the mean gain of the latest events."""
    gains = visit.person.latest()[1][:MOOD]
    mood = float(gains.mean()) if len(gains) else np.nan
    if not len(visit.liked):
        return 0.0, np.nan, np.nan, np.nan, mood
    usual = float(np.log1p(memory.liked[visit.liked]).mean())
    ages = np.log1p(np.maximum(visit.times - memory.born[visit.liked], 0) / HOUR)
    return (
        float(min(len(visit.person.posts), WINDOW)),
        usual,
        float(ages.mean()),
        float(visit.now - visit.times[0]) / HOUR,
        mood,
    )
