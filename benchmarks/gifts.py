"""How many gifts a second, and do they take longer when the audit log grows?

    python -m benchmarks.gifts [--gifts 100] [--rounds 20] [--entries 1000 1000000] [--quick]

One person after the other gives through `gifts.give`, each gift in a transaction of its own, in an embedded PostgreSQL
as durable as by default. The baseline is a bare transaction of the same database driver with the same four row writes:
two balances of accounts updated, a gift and an entry of a log inserted, by prepared statements; in plain tables which
have the indexes that ours are read by, and no trigger, no check and no key of another table. The target is at least 0.5
of its gifts a second; and with 1,000,000 entries in the audit log a gift is to take at most 1.2 times as long as with
1,000. Each creator has had a gift before. The entries are in the chain, as they are in real life some seconds after
the gift; nothing is being chained while gifts are measured. All are measured in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import sqlalchemy as sa
from flask import Flask

from benchmarks import audit_log, economy, harness, places
from benchmarks.economy import Size
from benchmarks.harness import Sample, milliseconds
from popoff.accounts import queries as accounts
from popoff.accounts.models import User
from popoff.embedded import Services
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import service as ledger
from popoff.ledger.rules import Account, Kind
from popoff.media.models import Post
from popoff.rewards import gifts
from popoff.web.transaction import transaction

SHARE_TARGET, GROWTH_TARGET = 0.5, 1.2
CREATORS = 1000
AMOUNT = Minor(5)

BARE_TABLES = """
CREATE TABLE bare_accounts (id bigint PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE bare_gifts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, public_id text NOT NULL,
    giver_id bigint NOT NULL, creator_id bigint NOT NULL, post_id bigint NOT NULL, amount bigint NOT NULL,
    created_at timestamptz NOT NULL);
CREATE TABLE bare_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, public_id text NOT NULL,
    time timestamptz NOT NULL, action text NOT NULL, actor text NOT NULL, subject text NOT NULL, amount bigint NOT NULL,
    data json NOT NULL);
CREATE UNIQUE INDEX ON bare_gifts (public_id);
CREATE INDEX ON bare_gifts (giver_id, created_at);
CREATE INDEX ON bare_gifts (creator_id, created_at);
CREATE INDEX ON bare_gifts USING brin (created_at);
CREATE UNIQUE INDEX ON bare_log (public_id);
CREATE INDEX ON bare_log (action, id);
CREATE INDEX ON bare_log (actor, id);
CREATE INDEX ON bare_log (subject, id);
INSERT INTO bare_accounts SELECT n, 1000000000 FROM generate_series(1, %d) AS n
"""
PAY = "UPDATE bare_accounts SET balance = balance - %s WHERE id = %s"
RECEIVE = "UPDATE bare_accounts SET balance = balance + %s WHERE id = %s"
GIFT = """INSERT INTO bare_gifts (public_id, giver_id, creator_id, post_id, amount, created_at)
          VALUES (%s, %s, %s, %s, %s, now())"""
NOTE = """INSERT INTO bare_log (public_id, time, action, actor, subject, amount, data)
          VALUES (%s, now(), 'send_gift', %s, %s, %s, %s)"""


@dataclass(frozen=True)
class Pair:
    """A giver and a post, as the service and as the baseline knows them."""

    giver_id: int
    creator_id: int
    post_id: int
    creator_ref: UUID
    content_ref: UUID


class Place:
    """A platform with so many entries in its audit log."""

    def __init__(self, app: Flask, entries: int, address: str):
        self.app, self.entries, self.address = app, entries, address
        self._dice = random.Random(2)
        creator = sa.orm.aliased(User)
        with app.app_context(), transaction():
            posts = db.session.execute(
                sa.select(Post.id, Post.user_id, creator.public_id, Post.public_id).join(
                    creator, creator.id == Post.user_id
                )
            ).all()
        self._posts = [(row[0], row[1], row[2], row[3]) for row in posts]

    def begin(self) -> None:
        """Each creator has had a gift: the first one finds out who they are, and opens an account for them."""
        creators = {creator_id: creator_ref for _, creator_id, creator_ref, _ in self._posts}
        with self.app.app_context(), transaction():
            ledger.lock(*(Account(Kind.GIFTS, creator_id) for creator_id in creators))
            for creator_ref in creators.values():
                accounts.id_of(creator_ref)

    def pairs(self, count: int) -> list[Pair]:
        chosen = []
        for _ in range(count):
            post_id, creator_id, creator_ref, content_ref = self._dice.choice(self._posts)
            giver_id = CREATORS + 1 + self._dice.randrange(CREATORS)
            chosen.append(Pair(giver_id, creator_id, post_id, creator_ref, content_ref))
        return chosen

    def give(self, count: int) -> Sample:
        """So many gifts through the service."""
        pairs = self.pairs(count)

        def call() -> None:
            for pair in pairs:
                with transaction():
                    gifts.give(pair.giver_id, pair.creator_ref, pair.content_ref, AMOUNT)

        with self.app.app_context():
            return harness.measure(call)

    def bare(self, connection: psycopg.Connection, count: int) -> Sample:
        """So many bare transactions."""
        pairs = self.pairs(count)

        def call() -> None:
            for pair in pairs:
                _write(connection, pair, self._dice.randbytes(12).hex())
                connection.commit()

        return harness.measure(call)


def _write(connection: psycopg.Connection, pair: Pair, public_id: str) -> None:
    words = f"{pair.giver_id:032x}", f'{{"creator":"{pair.creator_id:032x}"}}'
    connection.execute(PAY, (AMOUNT, pair.giver_id), prepare=True)
    connection.execute(RECEIVE, (AMOUNT, pair.creator_id), prepare=True)
    connection.execute(GIFT, (public_id, pair.giver_id, pair.creator_id, pair.post_id, AMOUNT), prepare=True)
    connection.execute(NOTE, (public_id, words[0], public_id, AMOUNT, words[1]), prepare=True)


@contextlib.contextmanager
def place(services: Services, entries: int) -> Iterator[Place]:
    """People with money, posts, and an audit log of so many entries in a database of its own."""
    name = f"gifts_{entries}"
    address = places.address(services, name)
    with places.application(services, name) as app:
        with psycopg.connect(address) as connection:
            economy.fill(connection, Size(CREATORS, 10 * CREATORS, gifts=0, views=0))
        with psycopg.connect(address) as connection:
            audit_log.fill(connection, entries)
            connection.execute(BARE_TABLES % (2 * CREATORS))
            connection.commit()
            economy.settle(connection)
        place = Place(app, entries, address)
        place.begin()
        yield place


def run(entries: Sequence[int], count: int, rounds: int, results: Path | None) -> tuple[float, float]:
    """Measure `rounds` rounds of `count` gifts, print, note in `results` (None: nowhere).

    Returns the gifts a second as a part of the baseline's, and how many times as long one takes in the longest log.
    """
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(places.services())
        small, *_, large = [stack.enter_context(place(services, number)) for number in sorted(entries)]
        connection = stack.enter_context(psycopg.connect(small.address))
        calls: dict[str, Callable[[], Sample]] = {
            "bare": lambda: small.bare(connection, count),
            "small": lambda: small.give(count),
            "large": lambda: large.give(count),
        }
        harness.interleave(calls, 2)  # plans are made, pages are read
        medians = harness.interleave(calls, rounds)
    share = medians["bare"].wall / medians["small"].wall
    growth = medians["large"].wall / medians["small"].wall
    names = {
        "bare": "a bare transaction (the baseline)",
        "small": f"a gift, {small.entries:,} entries in the audit log",
        "large": f"a gift, {large.entries:,} entries in the audit log",
    }
    print(f"Gifts one after the other, medians of {rounds} rounds of {count}\n")
    rows = [
        (names[name], milliseconds(s.wall / count), milliseconds(s.cpu / count), f"{count / s.wall:.0f}")
        for name, s in medians.items()
    ]
    print(harness.table(["what", "ms each", "of it our CPU", "a second"], rows))
    print(f"\n{share:.2f} of the baseline's gifts a second (target: at least {SHARE_TARGET})")
    print(f"{growth:.2f} times as long with {large.entries:,} entries (target: at most {GROWTH_TARGET})")
    if results is not None:
        each = {name: [round(s.wall / count, 6), round(s.cpu / count, 6)] for name, s in medians.items()}
        figures = {"entries": [small.entries, large.entries], "rounds": rounds, "share": share, "growth": growth}
        harness.record("gifts", {**figures, "seconds_each": each}, results)
    return share, growth


def main() -> None:
    parser = argparse.ArgumentParser(description="How many gifts a second, also with a long audit log?")
    parser.add_argument("--entries", type=int, nargs=2, default=[1_000, 1_000_000], help="audit logs to compare")
    parser.add_argument("--gifts", type=int, default=100, help="gifts in a round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="at most 100,000 entries and five rounds")
    parser.add_argument("--results", type=Path, default=harness.RESULTS, help="file to append the figures to")
    chosen = parser.parse_args()
    entries, rounds = chosen.entries, chosen.rounds
    if chosen.quick:
        entries, rounds = [min(number, 100_000) for number in entries], min(rounds, 5)
    run(entries, chosen.gifts, rounds, chosen.results)


if __name__ == "__main__":
    main()
