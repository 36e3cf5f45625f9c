"""Reads of the social domain: who reaches whom, post cards, comments, profiles, search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.accounts import queries as accounts
from popoff.accounts.models import User
from popoff.accounts.queries import is_visible
from popoff.accounts.rules import username_key
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.paging import decode_cursor, encode_cursor
from popoff.media import queries as media
from popoff.media.models import Post
from popoff.social.models import AccountCounters, Block, Comment, Follow, Like, PostCounters, Share, View

COMMENTS_PAGE = 100
SEARCH_LIMIT = 50
PROFILE_POSTS = 200


def blocked_either_way(viewer_id: int, author: sa.ColumnElement[int] | orm.InstrumentedAttribute[int]) -> sa.Exists:
    """SQL: one of the two has blocked the other."""
    return sa.exists().where(
        sa.or_(
            sa.and_(Block.blocker_id == viewer_id, Block.blocked_id == author),
            sa.and_(Block.blocker_id == author, Block.blocked_id == viewer_id),
        )
    )


def is_blocked(viewer_id: int, other_id: int) -> bool:
    """Whether one of the two has blocked the other."""
    return bool(db.session.scalar(sa.select(blocked_either_way(viewer_id, sa.literal(other_id)))))


def reachable_post(viewer_id: int, post_id: int, *, hold: bool = False) -> Post:
    """A post this person may see and act on; with `hold` its row stays until the transaction ends.

    Raises NotFound (code `post_not_found`).
    """
    statement = (
        sa.select(Post)
        .join(User, User.id == Post.user_id)
        .where(Post.id == post_id, media.is_shown(), is_visible(), sa.not_(blocked_either_way(viewer_id, Post.user_id)))
    )
    found = db.session.scalars(held(statement) if hold else statement).one_or_none()
    if found is None:
        raise media.not_found()
    return found


def reachable_content(viewer_id: int, public_id: UUID) -> Post:
    """A post that this person may know of, films kept elsewhere among them; one's own in every stage.

    Raises NotFound (code `post_not_found`).
    """
    for_all = sa.and_(media.is_public(), is_visible(), sa.not_(blocked_either_way(viewer_id, Post.user_id)))
    own = sa.and_(Post.user_id == viewer_id, Post.deleted_at.is_(None))
    found = db.session.scalars(
        sa.select(Post).join(User, User.id == Post.user_id).where(Post.public_id == public_id, sa.or_(own, for_all))
    ).one_or_none()
    if found is None:
        raise media.not_found()
    return found


def held(posts: sa.Select[Any]) -> sa.Select[Any]:
    """Keep the selected posts from being erased, and nothing else about them from being changed.

    Whoever adds or removes what people did with posts holds the posts first, then changes its rows, and its
    counters last: as everybody takes locks in this order, and those of a kind by their ids, nobody deadlocks.
    """
    return posts.order_by(Post.id).with_for_update(read=True, key_share=True, of=Post)


def reachable_account(viewer_id: int, username: str) -> User:
    """A person whom the viewer may see; blocked either way they do not exist. Raises NotFound."""
    found = db.session.scalars(
        sa.select(User).where(
            User.username_key == username_key(username),
            is_visible(),
            sa.not_(blocked_either_way(viewer_id, User.id)),
        )
    ).one_or_none()
    if found is None:
        raise accounts.user_not_found()
    return found


def reachable_person(viewer_id: int, public_id: UUID) -> User:
    """The same by their public id."""
    found = db.session.scalars(
        sa.select(User).where(
            User.public_id == public_id, is_visible(), sa.not_(blocked_either_way(viewer_id, User.id))
        )
    ).one_or_none()
    if found is None:
        raise accounts.user_not_found()
    return found


def comment_not_found() -> NotFound:
    return NotFound("Comment not found.", code="comment_not_found")


def is_following(follower_id: int, followee_id: int) -> bool:
    return bool(
        db.session.scalar(
            sa.select(sa.exists().where(Follow.follower_id == follower_id, Follow.followee_id == followee_id))
        )
    )


def comments(viewer_id: int, post_id: int, cursor: str | None, limit: int = COMMENTS_PAGE) -> dict[str, Any]:
    """Comments of a post, newest first, without those of people blocked either way. Raises NotFound, Invalid."""
    reachable_post(viewer_id, post_id)
    statement = (
        sa.select(Comment.id, User.username, Comment.text, Comment.created_at)
        .join(User, User.id == Comment.user_id)
        .where(Comment.post_id == post_id, is_visible(), sa.not_(blocked_either_way(viewer_id, Comment.user_id)))
        .order_by(Comment.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        statement = statement.where(Comment.id < decode_cursor(cursor, int)[0])
    rows = db.session.execute(statement).all()
    return {
        "comments": [
            {"id": row.id, "user": row.username, "comment": row.text, "created_at": rfc3339(row.created_at)}
            for row in rows[:limit]
        ],
        "next_cursor": encode_cursor([rows[limit - 1].id]) if len(rows) > limit else None,
    }


def cards(viewer_id: int, post_ids: Sequence[int]) -> list[dict[str, Any]]:
    """What the phone app shows of each post, in the order of `post_ids`; lengths in ms, sizes in bytes.

    Which posts a person may see was decided before; posts that went away meanwhile are left out.
    """
    liked = sa.exists().where(Like.post_id == Post.id, Like.user_id == viewer_id)
    rows = db.session.execute(
        sa.select(
            Post.id, Post.user_id, Post.upload_id, User.username, Post.description, Post.tags, Post.source_key,
            Post.source_bytes, Post.thumbnail_key, Post.width, Post.height, Post.duration_ms, Post.created_at,
            sa.func.coalesce(PostCounters.likes, 0).label("likes"),
            sa.func.coalesce(PostCounters.comments, 0).label("comments"),
            sa.func.coalesce(PostCounters.views, 0).label("views"),
            liked.label("liked"),
        )
        .join(User, User.id == Post.user_id)
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .where(Post.id == sa.any_(sa.cast(list(post_ids), sa.ARRAY(sa.BigInteger))), media.is_shown())
    ).all()  # fmt: skip
    by_id = {row.id: row for row in rows}
    return [_card(by_id[post_id]) for post_id in post_ids if post_id in by_id]


def _card(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": row.username,
        "link": media.play_link(row.user_id, row.upload_id),
        "thumbnail_link": media.image_link(row.thumbnail_key),
        "file_path": row.source_key,
        "thumbnail_path": row.thumbnail_key or "",
        "file_size": row.source_bytes,
        "width": row.width or 0,
        "height": row.height or 0,
        "duration": row.duration_ms or 0,
        "length": row.duration_ms or 0,
        "description": row.description,
        "tags": row.tags,
        "likes": row.likes,
        "comments": row.comments,
        "views": row.views,
        "liked": row.liked,
        "created_at": rfc3339(row.created_at),
    }


def profile(viewer_id: int, username: str) -> dict[str, Any]:
    """A person and their newest posts; an empty name means oneself. Raises NotFound."""
    user = reachable_account(viewer_id, username) if username else db.session.get_one(User, viewer_id)
    post_ids = db.session.scalars(
        sa.select(Post.id)
        .where(Post.user_id == user.id, media.is_shown())
        .order_by(Post.id.desc())
        .limit(PROFILE_POSTS)
    ).all()
    account = accounts_of(viewer_id, [user.id])[0]
    return {
        "username": user.username,
        "total_likes": account["total_likes"],
        "total_followers": account["num_followers"],
        "total_posts": account["total_posts"],
        "is_following": account["is_following"],
        "posts": [{**card, "interest_score": 0.0} for card in cards(viewer_id, post_ids)],
    }


def accounts_of(viewer_id: int, user_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of people as the app lists them, in the order of `user_ids`."""
    wanted = sa.cast(list(user_ids), sa.ARRAY(sa.BigInteger))
    posts = (
        sa.select(
            Post.user_id,
            sa.func.count().label("total_posts"),
            sa.func.coalesce(sa.func.sum(PostCounters.likes), 0).label("total_likes"),
        )
        .outerjoin(PostCounters, PostCounters.post_id == Post.id)
        .where(Post.user_id == sa.any_(wanted), media.is_shown())
        .group_by(Post.user_id)
        .subquery()
    )
    following = sa.exists().where(Follow.follower_id == viewer_id, Follow.followee_id == User.id)
    rows = db.session.execute(
        sa.select(
            User.id,
            User.username,
            sa.func.coalesce(AccountCounters.followers, 0).label("num_followers"),
            sa.func.coalesce(posts.c.total_likes, 0).label("total_likes"),
            sa.func.coalesce(posts.c.total_posts, 0).label("total_posts"),
            following.label("is_following"),
        )
        .outerjoin(AccountCounters, AccountCounters.user_id == User.id)
        .outerjoin(posts, posts.c.user_id == User.id)
        .where(User.id == sa.any_(wanted))
    ).all()
    by_id = {row.id: row for row in rows}
    return [
        {
            "username": by_id[user_id].username,
            "num_followers": by_id[user_id].num_followers,
            "total_likes": int(by_id[user_id].total_likes),
            "total_posts": by_id[user_id].total_posts,
            "is_following": by_id[user_id].is_following,
        }
        for user_id in user_ids
        if user_id in by_id
    ]


def following(viewer_id: int, cursor: str | None, limit: int = 200) -> dict[str, Any]:
    """The people somebody follows, the latest followed first (what the app's `get_followers` shows)."""
    statement = (
        sa.select(Follow.followee_id, Follow.created_at)
        .join(User, User.id == Follow.followee_id)
        .where(Follow.follower_id == viewer_id, is_visible())
        .order_by(Follow.created_at.desc(), Follow.followee_id.desc())
        .limit(limit + 1)
    )
    if cursor:
        at, last_id = decode_cursor(cursor, float, int)
        statement = statement.where(
            sa.tuple_(sa.extract("epoch", Follow.created_at), Follow.followee_id)
            < sa.tuple_(sa.literal(at), sa.literal(last_id))
        )
    rows = db.session.execute(statement).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "accounts": accounts_of(viewer_id, [row.followee_id for row in rows[:limit]]),
        "next_cursor": encode_cursor([last.created_at.timestamp(), last.followee_id]) if last else None,
    }


def search(viewer_id: int, text: str, limit: int = SEARCH_LIMIT) -> list[dict[str, Any]]:
    """People whose name holds `text`: names that begin with it first, then the most followed."""
    key = username_key(text.strip())
    escaped = key.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    found = db.session.scalars(
        sa.select(User.id)
        .outerjoin(AccountCounters, AccountCounters.user_id == User.id)
        .where(
            User.username_key.like(f"%{escaped}%"),
            User.id != viewer_id,
            is_visible(),
            sa.not_(blocked_either_way(viewer_id, User.id)),
        )
        .order_by(
            User.username_key.like(f"{escaped}%").desc(),
            sa.func.coalesce(AccountCounters.followers, 0).desc(),
            User.username_key,
        )
        .limit(limit)
    ).all()
    return accounts_of(viewer_id, found)


def blocked_accounts(viewer_id: int) -> list[dict[str, Any]]:
    """The people somebody has blocked, so that they can be unblocked."""
    names = db.session.scalars(
        sa.select(User.username)
        .join(Block, Block.blocked_id == User.id)
        .where(Block.blocker_id == viewer_id)
        .order_by(User.username_key)
    ).all()
    return [{"username": name} for name in names]


def export(user_id: int) -> dict[str, Any]:
    """Everything this domain holds of a person."""

    def rows(statement: sa.Executable) -> list[dict[str, Any]]:
        return [
            {key: rfc3339(value) if isinstance(value, datetime) else value for key, value in row.items()}
            for row in db.session.execute(statement).mappings()
        ]

    return {
        "likes": rows(sa.select(Like.post_id, Like.created_at).where(Like.user_id == user_id)),
        "shares": rows(sa.select(Share.post_id, Share.created_at).where(Share.user_id == user_id)),
        "comments": rows(
            sa.select(Comment.id, Comment.post_id, Comment.text, Comment.created_at).where(Comment.user_id == user_id)
        ),
        "views": rows(
            sa.select(
                View.post_id, View.watch_ms, View.commented, View.viewed_comments, View.first_at, View.last_at
            ).where(View.user_id == user_id)
        ),
        "follows": rows(
            sa.select(User.username, Follow.created_at)
            .join(User, User.id == Follow.followee_id)
            .where(Follow.follower_id == user_id)
        ),
        "followers": rows(
            sa.select(User.username, Follow.created_at)
            .join(User, User.id == Follow.follower_id)
            .where(Follow.followee_id == user_id, is_visible())
        ),
        "blocks": rows(
            sa.select(User.username, Block.created_at)
            .join(User, User.id == Block.blocked_id)
            .where(Block.blocker_id == user_id)
        ),
    }
