"""Sessions of the feed: page after page without repeats, and a log of what stood where.

A session is a person's way through their feed; its cursor says which session and how far. Every place of every page is
noted when the page is made, in one statement, and marked as seen when the person had it before their eyes: the app says
so by the token of the place, or tells how the post was watched. Told twice is told once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.feed import experiments, service
from popoff.feed.models import Impression
from popoff.feed.service import Page
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import advisory_lock, db
from popoff.kernel.errors import Invalid
from popoff.kernel.paging import decode_cursor, encode_cursor

SESSIONS_LOCK = 0x5E55
"""The space of our advisory locks: pages of a session are made one after another, or two at once would be alike."""
KEPT = timedelta(days=90)
"""How long impressions are kept one by one, for learning and for their reasons."""
LONGEST = 100_000
"""Places of a session; no honest one comes near, and a cursor that says more was not handed out here."""


def next_page(
    user_id: int,
    batch_size: int,
    *,
    cursor: str | None = None,
    exclude: Sequence[int] = (),
    following_only: bool = False,
) -> dict[str, Any]:
    """The next posts of a session, a new one without a cursor: `feed`, `exhausted`, `next_cursor`.

    Each post has the token of its place as `impression`. Raises Invalid (code `invalid_cursor`).
    """
    session_id, position = _opened(cursor) if cursor else (uuid4(), 0)
    before = _shown(user_id, session_id) if cursor else []
    trial = None if following_only else experiments.running()
    page = service.choose(
        user_id,
        batch_size,
        exclude=[*exclude, *before],
        following_only=following_only,
        ranker=trial.ranker_for(user_id) if trial else "",
    )
    page_id = uuid4()
    note(user_id, session_id, page_id, position, page)
    tokens = {place.post_id: _token(page_id, position + row) for row, place in enumerate(page.places)}
    items = [{**item, "impression": tokens[item["id"]]} for item in service.shown(user_id, page.places)]
    return {
        "feed": items,
        "exhausted": len(page.places) < batch_size,
        "next_cursor": encode_cursor([session_id.hex, position + len(page.places)]),
    }


def note(user_id: int, session_id: UUID, page_id: UUID, position: int, page: Page) -> None:
    """Write down what a page shows, from this position of its session on."""
    now = clock.now()
    rows = [
        {
            "page_id": page_id,
            "position": position + row,
            "session_id": session_id,
            "user_id": user_id,
            "post_id": place.post_id,
            "source": place.reason.kind.value,
            "ranker": page.ranker,
            "pool": place.pool,
            "served_at": now,
        }
        for row, place in enumerate(page.places)
    ]
    if rows:
        db.session.execute(insert(Impression).values(rows))


def note_seen(user_id: int, tokens: Sequence[str]) -> int:
    """The person had these places before their eyes; how many that is news of. Places of others count for nothing.

    Raises Invalid (code `invalid_cursor`) for what is no token, and then nothing is counted.
    """
    places = sorted({_opened(token) for token in tokens})  # who locks rows in order does not deadlock
    if not places:
        return 0
    told = sa.func.unnest(
        sa.cast([page_id for page_id, _ in places], sa.ARRAY(sa.Uuid())),
        sa.cast([position for _, position in places], sa.ARRAY(sa.BigInteger)),
    ).table_valued("page_id", "position").render_derived("told")  # fmt: skip
    return _mark(
        Impression.user_id == user_id, Impression.page_id == told.c.page_id, Impression.position == told.c.position
    )


def note_watched(user_id: int, post_id: int) -> None:
    """The person met a post: wherever it was last shown to them, they saw it there."""
    latest = (
        sa.select(Impression.page_id, Impression.position)
        .where(Impression.user_id == user_id, Impression.post_id == post_id)
        .order_by(Impression.served_at.desc())
        .limit(1)
        .subquery()
    )
    _mark(Impression.page_id == latest.c.page_id, Impression.position == latest.c.position)


_TALLY = """
    WITH old AS (
        SELECT page_id, position FROM impressions WHERE served_at < :before LIMIT :most
    ), gone AS (
        DELETE FROM impressions USING old
        WHERE impressions.page_id = old.page_id AND impressions.position = old.position
        RETURNING post_id, source, seen_at
    ), told AS (
        INSERT INTO impression_tallies (post_id, source, served, seen)
        SELECT post_id, source, count(*), count(seen_at) FROM gone JOIN posts ON posts.id = post_id
        GROUP BY post_id, source ORDER BY post_id, source
        ON CONFLICT (post_id, source) DO UPDATE SET
            served = impression_tallies.served + excluded.served, seen = impression_tallies.seen + excluded.seen
    )
    SELECT count(*) FROM gone
"""


def tally(most: int = 50_000) -> int:
    """Impressions that are too old to be learnt from become numbers, so many of them; how many there were.

    In one statement, so that none counts twice.
    """
    return db.session.scalar(sa.text(_TALLY), {"before": clock.now() - KEPT, "most": most}) or 0


def export(user_id: int) -> list[dict[str, Any]]:
    """What was shown to a person of late, the latest first."""
    rows = db.session.execute(
        sa.select(Impression.post_id, Impression.source, Impression.served_at, Impression.seen_at)
        .where(Impression.user_id == user_id)
        .order_by(Impression.served_at.desc(), Impression.position)
    )
    return [
        {
            "post_id": row.post_id,
            "source": row.source,
            "served_at": rfc3339(row.served_at),
            "seen_at": rfc3339(row.seen_at) if row.seen_at else None,
        }
        for row in rows
    ]


def forget(user_id: int) -> None:
    """What was shown to a person is no longer known to have been shown to them."""
    db.session.execute(sa.delete(Impression).where(Impression.user_id == user_id))


def _mark(*which: sa.ColumnElement[bool]) -> int:
    marked = sa.update(Impression).where(Impression.seen_at.is_(None), *which).values(seen_at=clock.now())
    return int(db.session.execute(marked, execution_options={"synchronize_session": False}).rowcount)  # type: ignore[attr-defined]


def _shown(user_id: int, session_id: UUID) -> Sequence[int]:
    """The posts that a session has shown already; its next page waits for us. Raises Invalid when it is not this
    person's."""
    advisory_lock(SESSIONS_LOCK, session_id.int % 2**31)
    rows = db.session.execute(
        sa.select(Impression.user_id, Impression.post_id).where(Impression.session_id == session_id)
    ).all()
    if any(row.user_id != user_id for row in rows):
        raise _not_valid()
    return [row.post_id for row in rows]


def _token(page_id: UUID, position: int) -> str:
    return encode_cursor([page_id.hex, position])


def _opened(token: str) -> tuple[UUID, int]:
    """What `encode_cursor` packed: of a cursor its session and the next place, of a token its page and place."""
    word, position = decode_cursor(token, str, int)
    try:
        found = UUID(hex=str(word))
    except ValueError:
        raise _not_valid() from None
    if not 0 <= int(position) <= LONGEST:
        raise _not_valid()
    return found, int(position)


def _not_valid() -> Invalid:
    return Invalid("This cursor is not valid.", code="invalid_cursor", field="cursor")
