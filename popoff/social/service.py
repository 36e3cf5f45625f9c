"""Writes of the social domain. Every function may be repeated: a second identical call changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.accounts import queries as accounts
from popoff.accounts.models import User
from popoff.accounts.rules import username_key
from popoff.kernel import clock
from popoff.kernel.db import Base, db, delete_once, insert_once
from popoff.kernel.errors import Invalid
from popoff.media.models import Post
from popoff.social import queries, rules
from popoff.social.models import AccountCounters, Block, Comment, Follow, Like, PostCounters, Share, View


def _count_post(post_id: int, **deltas: int) -> None:
    """Add to the counters of one post, which may have none yet."""
    table = PostCounters.__table__
    statement = insert(PostCounters).values(post_id=post_id, **{name: max(by, 0) for name, by in deltas.items()})
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["post_id"], set_={name: table.c[name] + by for name, by in deltas.items()}
        )
    )


def _uncount(counters: type[Base], losses: Mapping[int, Counter[str]]) -> None:
    """Take from many counters, in the order of their ids."""
    table = counters.__table__
    key, *names = table.columns.keys()
    statement = (
        sa.update(table)  # type: ignore[arg-type]
        .where(table.c[key] == sa.bindparam("id"))
        .values({name: table.c[name] - sa.bindparam(f"lost_{name}") for name in names})
    )
    rows = [{"id": id_, **{f"lost_{name}": losses[id_][name] for name in names}} for id_ in sorted(losses)]
    if rows:
        db.session.execute(statement, rows)


def set_like(user_id: int, post_id: int, liked: bool) -> bool:
    """Like or unlike (a state, not a toggle). True when that changed anything. Raises NotFound."""
    queries.reachable_post(user_id, post_id, hold=True)
    if liked:
        changed = insert_once(Like, post_id=post_id, user_id=user_id)
    else:
        changed = delete_once(Like, Like.post_id == post_id, Like.user_id == user_id)
    if changed:
        _count_post(post_id, likes=1 if liked else -1)
    return changed


def share(user_id: int, post_id: int) -> bool:
    """Note that a person passed a post on; counted once a person. Raises NotFound."""
    queries.reachable_post(user_id, post_id, hold=True)
    added = insert_once(Share, post_id=post_id, user_id=user_id)
    if added:
        _count_post(post_id, shares=1)
    return added


def add_comment(user_id: int, post_id: int, text: str) -> Comment:
    """Raises Invalid (`empty_comment`, `too_long`) before anything is counted, and NotFound."""
    checked = rules.check_comment(text)
    queries.reachable_post(user_id, post_id, hold=True)
    comment = Comment(post_id=post_id, user_id=user_id, text=checked, created_at=clock.now())
    db.session.add(comment)
    db.session.flush()
    _count_post(post_id, comments=1)
    return comment


def delete_comment(user_id: int, comment_id: int) -> None:
    """Take back a comment of one's own, or one under one's own post. Raises NotFound (`comment_not_found`)."""
    post_id = db.session.scalar(
        queries.held(
            sa.select(Post.id)
            .join(Comment, Comment.post_id == Post.id)
            .where(Comment.id == comment_id, sa.or_(Comment.user_id == user_id, Post.user_id == user_id))
        )
    )
    if post_id is None or not delete_once(Comment, Comment.id == comment_id):
        raise queries.comment_not_found()
    _count_post(post_id, comments=-1)


def record_view(
    user_id: int, post_id: int, watch_seconds: float, *, commented: bool = False, viewed_comments: bool = False
) -> int:
    """Add watch time; the milliseconds that counted. The first second makes it a view, once a person and post.

    Raises NotFound.
    """
    post = queries.reachable_post(user_id, post_id, hold=True)
    now = clock.now()
    view = db.session.get(View, (user_id, post_id), with_for_update=True, populate_existing=True)
    elapsed_ms = int((now - view.last_at).total_seconds() * 1000) if view else None
    counted = rules.counted_watch_ms(watch_seconds, post.duration_ms or 0, elapsed_ms)
    if counted < rules.MIN_VIEW_MS and view is None:
        return 0
    statement = insert(View).values(
        user_id=user_id,
        post_id=post_id,
        watch_ms=counted,
        commented=commented,
        viewed_comments=viewed_comments,
        first_at=now,
        last_at=now,
    )
    # Two first reports at once: the later one finds the row it waited for, and adds nothing to the views.
    is_first: bool = db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["user_id", "post_id"],
            set_={
                "watch_ms": View.watch_ms + (counted if view else 0),
                "commented": sa.or_(View.commented, statement.excluded.commented),
                "viewed_comments": sa.or_(View.viewed_comments, statement.excluded.viewed_comments),
                "last_at": now,
            },
        ).returning(sa.literal_column("(xmax = 0)"))
    ).scalar_one()
    if is_first or view:
        _count_post(post_id, views=1 if is_first else 0, watch_ms=counted)
    else:
        counted = 0
    return counted


def follow(user_id: int, username: str, wanted: bool | None = None) -> bool:
    """Follow, unfollow, or toggle when `wanted` is None (the phone app's only way). True: follows now.

    Toggles of the same pair queue behind one another, so their number alone decides the outcome.
    Raises Invalid (code `follow_self`), NotFound.
    """
    other = queries.reachable_account(user_id, username).id
    if other == user_id:
        raise Invalid("You cannot follow yourself.", code="follow_self")
    _lock_counters([user_id, other])
    if queries.is_blocked(user_id, other):  # since we looked
        raise accounts.user_not_found()
    pair = (Follow.follower_id == user_id, Follow.followee_id == other)
    if wanted is None:
        wanted = not queries.is_following(user_id, other)
    if wanted:
        changed = insert_once(Follow, follower_id=user_id, followee_id=other)
    else:
        changed = delete_once(Follow, *pair)
    if changed:
        _count_follow(user_id, other, 1 if wanted else -1)
    return wanted


def _lock_counters(user_ids: Iterable[int]) -> None:
    """Lock the counters of these people, who may have none yet, in the order of their ids."""
    ids = sa.cast(sorted(set(user_ids)), sa.ARRAY(sa.BigInteger))
    missing = insert(AccountCounters).from_select(["user_id"], sa.select(sa.func.unnest(ids)))
    db.session.execute(missing.on_conflict_do_nothing())
    db.session.execute(
        sa.select(AccountCounters.user_id)
        .where(AccountCounters.user_id == sa.any_(ids))
        .order_by(AccountCounters.user_id)
        .with_for_update()
    )


def _count_follow(follower_id: int, followee_id: int, delta: int) -> None:
    counters = sa.update(AccountCounters)
    db.session.execute(
        counters.where(AccountCounters.user_id == follower_id).values(following=AccountCounters.following + delta)
    )
    db.session.execute(
        counters.where(AccountCounters.user_id == followee_id).values(followers=AccountCounters.followers + delta)
    )


def block(user_id: int, username: str) -> bool:
    """Block somebody: each disappears for the other, and neither follows the other any more.

    True when that is new. Raises Invalid (code `block_self`), NotFound.
    """
    other = accounts.visible_by_username(username).id
    if other == user_id:
        raise Invalid("You cannot block yourself.", code="block_self")
    _lock_counters([user_id, other])
    added = insert_once(Block, blocker_id=user_id, blocked_id=other)
    for follower, followee in ((user_id, other), (other, user_id)):
        if delete_once(Follow, Follow.follower_id == follower, Follow.followee_id == followee):
            _count_follow(follower, followee, -1)
    return added


def unblock(user_id: int, username: str) -> bool:
    """True when there was a block to lift, be the person visible now or not. Raises NotFound."""
    named = sa.select(User.id).where(User.username_key == username_key(username)).scalar_subquery()
    if delete_once(Block, Block.blocker_id == user_id, Block.blocked_id == named):
        return True
    accounts.visible_by_username(username)
    return False


def forget_engagement(user_id: int) -> None:
    """Likes, shares, comments and watching history of a person go, and out of the counts with them."""
    kinds = (Like, Share, Comment, View)
    touched = sa.union(*(sa.select(kind.post_id).where(kind.user_id == user_id) for kind in kinds)).subquery()
    db.session.execute(queries.held(sa.select(Post.id).where(Post.id.in_(sa.select(touched.c.post_id)))))
    losses: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for kind, counter in ((Like, "likes"), (Share, "shares"), (Comment, "comments")):
        for post_id in db.session.scalars(_deleted(kind, user_id).returning(kind.post_id)):
            losses[post_id][counter] += 1
    for post_id, watch_ms in db.session.execute(_deleted(View, user_id).returning(View.post_id, View.watch_ms)):
        losses[post_id].update(views=1, watch_ms=watch_ms)
    _uncount(PostCounters, losses)


def _deleted(kind: type[Like | Share | Comment | View], user_id: int) -> sa.Delete:
    return sa.delete(kind).where(kind.user_id == user_id).execution_options(synchronize_session=False)


def forget(user_id: int) -> None:
    """Everything between a person and others goes, and out of the counts with it; their own posts are media's."""
    forget_engagement(user_id)
    theirs = sa.or_(Follow.follower_id == user_id, Follow.followee_id == user_id)
    pairs = db.session.execute(sa.select(Follow.follower_id, Follow.followee_id).where(theirs)).all()
    _lock_counters({user_id, *(person for pair in pairs for person in pair)})
    losses: defaultdict[int, Counter[str]] = defaultdict(Counter)
    gone = sa.delete(Follow).where(theirs).returning(Follow.follower_id, Follow.followee_id)
    for follower, followee in db.session.execute(gone):
        losses[follower]["following"] += 1
        losses[followee]["followers"] += 1
    _uncount(AccountCounters, losses)
    db.session.execute(sa.delete(Block).where(sa.or_(Block.blocker_id == user_id, Block.blocked_id == user_id)))


_TRUE_COUNTS: dict[type[Base], str] = {
    PostCounters: """
        SELECT p.id AS post_id, coalesce(l.n, 0) AS likes, coalesce(c.n, 0) AS comments, coalesce(s.n, 0) AS shares,
               coalesce(v.n, 0) AS views, coalesce(v.watch_ms, 0) AS watch_ms
        FROM posts p
        LEFT JOIN (SELECT post_id, count(*) n FROM likes GROUP BY 1) l ON l.post_id = p.id
        LEFT JOIN (SELECT post_id, count(*) n FROM comments GROUP BY 1) c ON c.post_id = p.id
        LEFT JOIN (SELECT post_id, count(*) n FROM shares GROUP BY 1) s ON s.post_id = p.id
        LEFT JOIN (SELECT post_id, count(*) n, sum(watch_ms) watch_ms FROM views GROUP BY 1) v ON v.post_id = p.id
    """,
    AccountCounters: """
        SELECT u.id AS user_id, coalesce(a.n, 0) AS followers, coalesce(b.n, 0) AS following
        FROM users u
        LEFT JOIN (SELECT followee_id, count(*) n FROM follows GROUP BY 1) a ON a.followee_id = u.id
        LEFT JOIN (SELECT follower_id, count(*) n FROM follows GROUP BY 1) b ON b.follower_id = u.id
    """,
}


def repair_counters() -> int:
    """Recount everything and mend what differs. Returns how many rows were wrong: 0 unless someone meddled.

    Nobody waits for it: one statement sees rows and counters of the same moment, and only a counter that differs
    is locked and counted again.
    """
    db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    return sum(_mend(counters, true_counts) for counters, true_counts in _TRUE_COUNTS.items())


def _mend(counters: type[Base], true_counts: str) -> int:
    table, (key, *names) = counters.__tablename__, counters.__table__.columns.keys()
    kept, true = (", ".join(pattern.format(n) for n in names) for pattern in ("coalesce(c.{}, 0)", "t.{}"))
    # every name in these statements is one of our own tables and columns
    differing = sa.text(
        f"SELECT t.{key} FROM ({true_counts}) t LEFT JOIN {table} c ON c.{key} = t.{key} "  # noqa: S608
        f"WHERE ({kept}) IS DISTINCT FROM ({true}) ORDER BY 1"
    )
    lock = sa.text(
        f"INSERT INTO {table} ({key}) VALUES (:id) ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}"  # noqa: S608
    )
    correct = sa.text(
        f"UPDATE {table} c SET ({', '.join(names)}) = ROW({true}) FROM ({true_counts}) t "  # noqa: S608
        f"WHERE c.{key} = :id AND t.{key} = :id AND ({kept}) IS DISTINCT FROM ({true})"
    )
    wrong = 0
    for id_ in db.session.scalars(differing).all():
        db.session.execute(lock, {"id": id_})
        wrong += db.session.execute(correct, {"id": id_}).rowcount  # type: ignore[attr-defined]
    return wrong
