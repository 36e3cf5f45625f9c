"""What the counters should say, recounted from the rows one by one and by other means than the repair job's."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import sqlalchemy as sa

from popoff.kernel.db import Base, db
from popoff.social.models import AccountCounters, Comment, Follow, Like, PostCounters, Share, View

Counts = dict[int, dict[str, int]]


def counted() -> tuple[Counts, Counts]:
    """(post id -> counters, user id -> counters) as they are kept; rows of zeros are left out."""
    return _kept(PostCounters, "post_id"), _kept(AccountCounters, "user_id")


def recounted() -> tuple[Counts, Counts]:
    """The same, from the rows."""
    posts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    people: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for kind, name in ((Like, "likes"), (Comment, "comments"), (Share, "shares"), (View, "views")):
        for post_id in db.session.scalars(sa.select(kind.post_id)):
            posts[post_id][name] += 1
    for post_id, watch_ms in db.session.execute(sa.select(View.post_id, View.watch_ms)):
        posts[post_id]["watch_ms"] += watch_ms
    for follower, followee in db.session.execute(sa.select(Follow.follower_id, Follow.followee_id)):
        people[follower]["following"] += 1
        people[followee]["followers"] += 1
    return _plain(posts), _plain(people)


def assert_exact() -> None:
    """Every counter equals its rows."""
    kept, true = counted(), recounted()
    assert kept == true


def _kept(model: type[Base], key: str) -> Counts:
    rows: Any = db.session.execute(sa.select(model.__table__)).mappings()
    return _plain({row[key]: {name: row[name] for name in row if name != key} for row in rows})


def _plain(counts: Any) -> Counts:
    named = {key: {name: n for name, n in values.items() if n} for key, values in counts.items()}
    return {key: values for key, values in named.items() if values}
