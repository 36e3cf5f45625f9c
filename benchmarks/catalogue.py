"""A made-up catalogue for benchmarks: captions of all our topics, people, follows, and engagement by a power law.

Written with COPY, so that 10,000 posts with 200,000 views take seconds. The same seed gives the same catalogue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from importlib import resources

import numpy as np
import psycopg
from psycopg import sql

from popoff.adapters.insight import PostText, insight
from popoff.feed.categories import categorise
from popoff.kernel import clock

VIEWS_PER_POST = 20
FOLLOWS_PER_PERSON = 15
LIKES, COMMENTS, SHARES = 0.12, 0.03, 0.02
"""Parts of all views that go with one."""

SPAN = timedelta(days=90)
_FILLER = ("today", "my", "new", "first", "best", "ever", "watch", "this", "with", "us", "how", "little", "one", "day")


def captions(count: int, dice: np.random.Generator) -> list[PostText]:
    """Captions that each speak of one topic, in words of its lexicon and others; topics are not equally common."""
    lexicon = [words for words in _keywords() if words]
    common = 1.0 / np.arange(1, len(lexicon) + 1) ** 0.5
    chosen = dice.choice(len(lexicon), size=count, p=common / common.sum())
    return [_caption(lexicon[topic], dice) for topic in chosen]


def _caption(words: Sequence[str], dice: np.random.Generator) -> PostText:
    said = [*dice.choice(words, size=dice.integers(1, 4)), *dice.choice(_FILLER, size=dice.integers(3, 8))]
    dice.shuffle(said)
    return PostText(" ".join(said), tuple(dice.choice(words, size=dice.integers(0, 3), replace=False)))


def _keywords() -> list[list[str]]:
    """Plain English-looking keywords of each topic."""
    topics: list[list[str]] = []
    text = resources.files("popoff.adapters.insight").joinpath("topics.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            topics.append([])
        elif line and not line.startswith(("#", "~")):
            words = (word.strip(" *") for word in line.split(",")[:3])
            topics[-1].extend(word for word in words if word.isascii() and word)
    return topics


def fill(connection: psycopg.Connection, posts: int, *, people: int, seed: int = 1) -> None:
    """Fill an empty, migrated database; numbers of people and posts start at 1. Commits and runs ANALYZE."""
    dice = np.random.default_rng(seed)
    now = clock.now()
    _people(connection, people)
    _posts(connection, posts, people, now, dice)
    _follows(connection, people, dice)
    _engagement(connection, posts, people, now, dice)
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM ANALYZE")


def _copy(connection: psycopg.Connection, table: str, columns: str, rows: Iterable[Sequence[object]]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns.split()))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _people(connection: psycopg.Connection, people: int) -> None:
    names = [f"person{number}" for number in range(1, people + 1)]
    rows = ((name, name, f"{name}@example.org", f"{name}@example.org", "!") for name in names)
    _copy(connection, "users", "username username_key email email_key password_hash", rows)


def _posts(connection: psycopg.Connection, posts: int, people: int, now: datetime, dice: np.random.Generator) -> None:
    texts = captions(posts, dice)
    authors = (1 + (people * dice.power(0.6, posts)).astype(int).clip(0, people - 1)).tolist()
    moments = [now - SPAN * part for part in sorted(dice.random(posts).tolist(), reverse=True)]
    lengths = dice.integers(5_000, 60_000, posts).tolist()
    uploads = ((f"upload-{i}", authors[i], "single", True, moments[i]) for i in range(posts))
    _copy(connection, "uploads", "id user_id kind claimed created_at", uploads)
    rows = (
        (authors[i], f"upload-{i}", texts[i].description, list(texts[i].tags), moments[i], "ready", 100,
         f"users/{authors[i]}/upload-{i}/source", 5_000_000, moments[i], 540, 960, lengths[i])
        for i in range(posts)
    )  # fmt: skip
    columns = "user_id upload_id description tags created_at stage progress source_key source_bytes"
    _copy(connection, "posts", f"{columns} playable_at width height duration_ms", rows)
    provider = insight()
    vectors = provider.embed_posts(texts)
    indexed = (
        (i + 1, str(vectors[i].tolist()), categorise(texts[i].description, texts[i].tags), provider.model)
        for i in range(posts)
    )
    _copy(connection, "post_vectors", "post_id vector category model", indexed)


def _follows(connection: psycopg.Connection, people: int, dice: np.random.Generator) -> None:
    def pairs() -> Iterator[tuple[int, int]]:
        for follower in range(1, people + 1):
            followed = 1 + (people * dice.power(0.6, FOLLOWS_PER_PERSON)).astype(int).clip(0, people - 1)
            yield from ((follower, int(person)) for person in np.unique(followed) if person != follower)

    _copy(connection, "follows", "follower_id followee_id", pairs())


def _engagement(
    connection: psycopg.Connection, posts: int, people: int, now: datetime, dice: np.random.Generator
) -> None:
    """Views with popularity by a power law, likes and the rest among those who viewed; then the counters."""
    worth = dice.pareto(1.2, posts) + 0.05
    viewed = 1 + dice.choice(posts, size=posts * VIEWS_PER_POST, p=worth / worth.sum())
    viewers = 1 + dice.integers(0, people, size=len(viewed))
    views = sorted(set(zip(viewers.tolist(), viewed.tolist(), strict=True)))
    moments = [now - SPAN * part for part in (dice.random(len(views)) ** 2).tolist()]
    watched = dice.integers(1_000, 40_000, size=len(views)).tolist()
    rows = ((*views[i], watched[i], moments[i], moments[i]) for i in range(len(views)))
    _copy(connection, "views", "user_id post_id watch_ms first_at last_at", rows)
    for table, part in (("likes", LIKES), ("shares", SHARES), ("comments", COMMENTS)):
        chosen = np.flatnonzero(dice.random(len(views)) < part).tolist()
        text = ("Nice one",) if table == "comments" else ()
        acts = ((*views[i], moments[i], *text) for i in chosen)
        _copy(connection, table, "user_id post_id created_at" + (" text" if text else ""), acts)
    connection.execute(
        """
        INSERT INTO post_counters (post_id, views, watch_ms, likes, shares, comments)
        SELECT post_id, count(*), sum(watch_ms),
               (SELECT count(*) FROM likes l WHERE l.post_id = v.post_id),
               (SELECT count(*) FROM shares s WHERE s.post_id = v.post_id),
               (SELECT count(*) FROM comments c WHERE c.post_id = v.post_id)
        FROM views v GROUP BY post_id
        """
    )
