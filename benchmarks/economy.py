"""A made-up economy for benchmarks: people with money, posts, views, scores, gifts, and the books of all that.

Written by the database itself with its triggers off, so that a million gifts take a minute; what it writes passes the
same checks as what the services write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from popoff.kernel import clock
from popoff.rewards import rules

SPAN = timedelta(days=30)
GRANT = 10**9
"""What each giver has before their first gift, in minor units."""


@dataclass(frozen=True)
class Size:
    """How much of what. Creators are the first people, givers (as many, at least a hundred) those after them."""

    creators: int
    posts: int
    gifts: int
    views: int

    @property
    def givers(self) -> int:
        return max(100, self.creators)

    @property
    def people(self) -> int:
        return self.creators + self.givers


def period() -> tuple[datetime, datetime]:
    """The period of everything that is made up: thirty days up to midnight."""
    end = rules.day_start(clock.now())
    return end - SPAN, end


_PEOPLE = (
    """
    INSERT INTO users (username, username_key, email, email_key, password_hash, role)
    SELECT name, name, name || '@example.org', name || '@example.org', '!',
           CASE WHEN n <= %(creators)s THEN 'creator' ELSE 'consumer' END
      FROM (SELECT n, 'person' || n AS name FROM generate_series(1, %(people)s) AS n) AS person
    """,
    """
    INSERT INTO uploads (id, user_id, kind, claimed, created_at)
    SELECT 'upload-' || n, 1 + n %% %(creators)s, 'single', true, %(start)s FROM generate_series(1, %(posts)s) AS n
    """,
    """
    INSERT INTO posts (user_id, upload_id, description, stage, progress, source_key, playable_at, created_at)
    SELECT 1 + n %% %(creators)s, 'upload-' || n, 'Post ' || n, 'ready', 100, 'sources/' || n, %(start)s, %(start)s
      FROM generate_series(1, %(posts)s) AS n
    """,
    """
    INSERT INTO engagement_scores (post_id, score, model, likes, shares, comments, views, watch_ms, length_ms,
                                   reputation, scored_at)
    SELECT n, 100 * random(), 'engagement-1', 0, 0, 0, 0, 0, 0, 0, %(start)s FROM generate_series(1, %(posts)s) AS n
    """,
    """
    INSERT INTO quality_scores (post_id, score, model, parts, inputs, scored_at)
    SELECT n, 100 * random(), 'quality-1', '{}', '{}', %(start)s FROM generate_series(1, %(posts)s) AS n
    """,
)
_WATCHING = """
INSERT INTO views (user_id, post_id, watch_ms, first_at, last_at)
SELECT 1 + floor(%(people)s * random())::bigint, 1 + floor(%(posts)s * power(random(), 2))::bigint,
       1000 + floor(60000 * random())::bigint, moment, moment
  FROM (SELECT %(start)s + %(span)s * random() AS moment FROM generate_series(1, %(views)s)) AS made
    ON CONFLICT DO NOTHING
"""
# Popular posts get more views (above) and gifts by the same law; the books continue from grants by the mint.
_GIVING = (
    """
    CREATE TEMPORARY TABLE given AS
    SELECT %(givers)s + row_number() OVER (ORDER BY moment) AS id, giver_id, posts.user_id AS creator_id, post_id,
           amount, moment
      FROM (SELECT 1 + %(creators)s + floor(%(givers)s * random())::bigint AS giver_id,
                   1 + floor(%(posts)s * power(random(), 2))::bigint AS post_id,
                   10 + floor(990 * random())::bigint AS amount, %(start)s + %(span)s * random() AS moment
              FROM generate_series(1, %(gifts)s)) AS made JOIN posts ON posts.id = post_id
    """,
    """
    CREATE TEMPORARY TABLE moved AS
    SELECT giver - %(creators)s AS id, 'mint' AS kind, 0::bigint AS owner_id, -%(grant)s AS amount, %(start)s AS moment
      FROM generate_series(%(creators)s + 1, %(people)s) AS giver
    UNION ALL SELECT giver - %(creators)s, 'wallet', giver, %(grant)s, %(start)s
      FROM generate_series(%(creators)s + 1, %(people)s) AS giver
    UNION ALL SELECT id, 'wallet', giver_id, -amount, moment FROM given
    UNION ALL SELECT id, 'gifts', creator_id, amount, moment FROM given
    """,
    """
    INSERT INTO ledger_transfers (id, key, fingerprint, reference, memo, amount, legs, created_at)
    SELECT id, 'made-up:' || id, md5(id::text), '', '', amount, 2, moment FROM moved WHERE amount > 0 ORDER BY id
    """,
    """
    INSERT INTO ledger_accounts (kind, owner_id, balance, entries)
    SELECT kind, owner_id, sum(amount), count(*) FROM moved GROUP BY kind, owner_id ORDER BY kind, owner_id
    """,
    """
    INSERT INTO ledger_entries (account_id, seq, transfer_id, amount, balance_after, created_at)
    SELECT account.id, row_number() OVER line, moved.id, amount, sum(amount) OVER line, moment
      FROM moved JOIN ledger_accounts AS account USING (kind, owner_id)
    WINDOW line AS (PARTITION BY account.id ORDER BY moved.id)
    """,
    """
    INSERT INTO gifts (id, public_id, giver_id, creator_id, post_id, amount, created_at)
    SELECT id, left(md5(id::text), 24), giver_id, creator_id, post_id, amount, moment FROM given ORDER BY id
    """,
    "SELECT setval(pg_get_serial_sequence('ledger_transfers', 'id'), %(givers)s + %(gifts)s)",
    "DROP TABLE given, moved",
)


def fill(connection: psycopg.Connection, size: Size) -> None:
    """Fill an empty, migrated database whose role is a superuser; the same each time. Leaves it vacuumed."""
    start, end = period()
    values = {
        **vars(size),
        "givers": size.givers,
        "people": size.people,
        "start": start,
        "span": end - start,
        "grant": GRANT,
    }
    connection.execute("SET session_replication_role = replica")
    connection.execute("SELECT setseed(0.5)")
    with psycopg.ClientCursor(connection) as cursor:
        for statement in (*_PEOPLE, _WATCHING, *_GIVING):
            cursor.execute(statement, values)
    connection.execute("RESET session_replication_role")
    connection.commit()
    settle(connection)


def settle(connection: psycopg.Connection) -> None:
    """Let the database do now what it would do some time later."""
    connection.autocommit = True
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
