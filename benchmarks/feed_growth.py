"""Does a page of the feed take longer when the catalogue grows?

    python -m benchmarks.feed_growth [--posts 1000 10000] [--seen 50] [--rounds 40] [--quick]

Fills one database for each size in an embedded PostgreSQL of its own and asks both, in turns, for
`GET /api/media/get_feed/?batch_size=5` through the application in this process, for a person with learnt interests
and SEEN watched posts. The baseline is the smallest catalogue; the target is a ratio of at most 1.5. Beside it
stands the old way: load every post as an object, score it, sort.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import sqlalchemy as sa
from flask import Flask

from benchmarks import catalogue, harness, places
from benchmarks.harness import Sample, milliseconds
from popoff.accounts.models import User
from popoff.embedded import Services
from popoff.feed import queries, rules, service
from popoff.feed.models import PostVector
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.media.models import Post
from popoff.social import service as social
from popoff.social.models import PostCounters, View
from popoff.web.transaction import transaction

BATCH = 5
TARGET = 1.5
WARM_UP = 5
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Place:
    """One catalogue behind an application of its own, and the person who reads it."""

    app: Flask
    posts: int
    token: str
    user_id: int

    def feed(self) -> Sample:
        """One page through HTTP, as the phone app asks for it."""
        client = self.app.test_client()

        def call() -> None:
            answer = client.get(
                f"/api/media/get_feed/?batch_size={BATCH}", headers={"Authorization": f"Token {self.token}"}
            )
            if len(answer.get_json()["feed"]) != BATCH:
                raise RuntimeError(f"the feed gave no full page: {answer.text[:500]}")

        return harness.measure(call, self.backends())

    def old_way(self) -> Sample:
        """The page of a backend that loads every post and sorts."""

        def call() -> None:
            with self.app.app_context(), transaction():
                best_of_all_posts(self.user_id)

        return harness.measure(call, self.backends())

    def scans(self) -> list[str]:
        """The indexes and whole tables that the plan of a page reads, by name."""
        sent: list[tuple[str, object]] = []

        def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            if "allowed" in statement and not sent:
                sent.append((statement, parameters))

        with self.app.app_context(), transaction():
            sa.event.listen(db.engine, "before_cursor_execute", note)
            service.page(self.user_id, BATCH)
            sa.event.remove(db.engine, "before_cursor_execute", note)
            statement, parameters = sent[0]
            plan = "\n".join(
                line for (line,) in db.session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
            )
        found = re.findall(r"Index (?:Only )?Scan (?:Backward )?using (\w+)|Seq Scan on (\w+)", plan)
        return sorted({index or f"all of {table}" for index, table in found})

    def backends(self) -> list[int]:
        """Ids of the database processes that serve this application."""
        with self.app.app_context(), db.engine.connect() as connection:
            name = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = :kind"
            return list(connection.scalars(sa.text(name), {"kind": "client backend"}))


def best_of_all_posts(user_id: int) -> list[Post]:
    """The five best posts by the same score, found by looking at each."""
    interests = queries.interests(user_id)
    seen = set(db.session.scalars(sa.select(View.post_id).where(View.user_id == user_id)))
    now = clock.now()
    scored: list[tuple[float, Post]] = []
    rows = db.session.execute(
        sa.select(Post, PostVector, PostCounters)
        .join(User, User.id == Post.user_id)
        .outerjoin(PostVector, PostVector.post_id == Post.id)
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .where(Post.user_id != user_id, Post.deleted_at.is_(None))
    )
    for post, indexed, counted in rows:
        if post.id in seen:
            continue
        vector = np.zeros(256) if indexed is None else np.asarray(indexed.vector)
        fit = max((float(interest.vector @ vector) for interest in interests), default=0.0)
        acts = (counted.likes + 1.5 * counted.comments) / max(counted.views, 1) if counted else 0.0
        fresh = 0.5 ** ((now - post.playable_at).total_seconds() / rules.RECENCY_HALF_LIFE_S)
        scored.append((0.6 * fit + 0.2 * acts + 0.2 * fresh, post))
    return [post for _, post in sorted(scored, key=lambda pair: -pair[0])[:BATCH]]


@contextlib.contextmanager
def place(services: Services, posts: int, seen: int) -> Iterator[Place]:
    """A catalogue of `posts` in a database of its own."""
    name = f"feed_{posts}"
    with places.application(services, name) as app:
        with psycopg.connect(places.address(services, name)) as connection:
            catalogue.fill(connection, posts, people=max(50, posts // 10))
        yield Place(app, posts, *_reader(app, seen))


def _reader(app: Flask, seen: int) -> tuple[str, int]:
    """Token and id of somebody who follows ten people and watched `seen` posts, mostly of three categories."""
    form = {"username": "reader", "email": "reader@example.org", "password": PASSWORD}
    token = app.test_client().post("/api/auth/register/", data=form).get_json()["token"]
    dice = np.random.default_rng(7)
    with transaction():
        service.refresh_trending()
        user_id = db.session.scalars(sa.select(User.id).where(User.username == "reader")).one()
        for number in dice.choice(np.arange(1, 51), size=10, replace=False):
            social.follow(user_id, f"person{number}", True)
        liked = _posts_to_watch(seen)
    with clock.shifted(timedelta(minutes=1)), transaction():
        for post_id in liked:
            watched = social.record_view(user_id, post_id, 20.0)
            service.learn(user_id, post_id, watch_ms=watched, liked=True)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    return token, user_id


def _posts_to_watch(count: int) -> Sequence[int]:
    """The most viewed posts of the three commonest categories."""
    common = sa.select(PostVector.category).group_by(PostVector.category).order_by(sa.func.count().desc()).limit(3)
    return db.session.scalars(
        sa.select(PostVector.post_id)
        .join(PostCounters, PostCounters.post_id == PostVector.post_id)
        .where(PostVector.category.in_(common))
        .order_by(PostCounters.views.desc(), PostVector.post_id)
        .limit(count)
    ).all()


def run(sizes: Sequence[int], seen: int, rounds: int, results: Path | None) -> float:
    """Measure, print, note in `results` (None: nowhere); the growth of the feed's time between the extreme sizes."""
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(places.services())
        read = [stack.enter_context(place(services, size, seen)) for size in sorted(sizes)]
        calls: dict[str, Callable[[], Sample]] = {f"feed {p.posts:,}": p.feed for p in read}
        old = {f"old way {p.posts:,}": p.old_way for p in read}
        for call in [*calls.values()] * WARM_UP:
            call()
        medians = harness.interleave(calls, rounds) | harness.interleave(old, max(1, rounds // 10))
        largest = read[-1].scans()
    growth = _print(medians, [f"{p.posts:,}" for p in read], seen)
    print(f"  at {read[-1].posts:,} posts a page reads {', '.join(largest)}")
    if results is not None:
        figures = {name: [round(value, 6) for value in vars(sample).values()] for name, sample in medians.items()}
        harness.record("feed_growth", {"seen": seen, "rounds": rounds, "growth": growth, "medians": figures}, results)
    return growth


def _print(medians: dict[str, Sample], sizes: Sequence[str], seen: int) -> float:
    print(f"One page of {BATCH} for a person who has seen {seen} posts, medians in milliseconds\n")
    rows = [
        (name, *(milliseconds(value) for value in (s.wall, s.cpu, s.served, s.cpu + s.served)))
        for name, s in medians.items()
    ]
    print(harness.table(["posts", "passed", "CPU web", "CPU database", "CPU both"], rows))

    def ratio(field: Callable[[Sample], float], what: str) -> float:
        return field(medians[f"{what} {sizes[-1]}"]) / field(medians[f"{what} {sizes[0]}"])

    def both(sample: Sample) -> float:
        return sample.cpu + sample.served

    growth = ratio(lambda s: s.wall, "feed")
    print(f"\nfrom {sizes[0]} posts (the baseline) to {sizes[-1]}:")
    print(f"  feed     {growth:.2f} times as long, {ratio(both, 'feed'):.2f} times the CPU (target: at most {TARGET})")
    print(f"  old way  {ratio(lambda s: s.wall, 'old way'):.2f} times as long, {ratio(both, 'old way'):.2f} the CPU")
    faster = medians[f"old way {sizes[-1]}"].wall / medians[f"feed {sizes[-1]}"].wall
    print(f"  at {sizes[-1]} posts the feed is {faster:.0f} times as quick as the old way")
    return growth


def main() -> None:
    parser = argparse.ArgumentParser(description="Does a page of the feed take longer when the catalogue grows?")
    parser.add_argument("--posts", type=int, nargs="+", default=[1_000, 10_000], help="sizes to compare")
    parser.add_argument("--seen", type=int, default=50, help="posts the person has watched")
    parser.add_argument("--rounds", type=int, default=60, help="pages measured at each size")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="file to append the figures to")
    chosen = parser.parse_args()
    run(chosen.posts, chosen.seen, min(chosen.rounds, 20) if chosen.quick else chosen.rounds, chosen.results)


if __name__ == "__main__":
    main()
