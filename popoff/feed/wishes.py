"""What people do not want in their feed: reads and writes. Every write may be repeated and says if it changed anything.

Only the feed leaves out what is muted: profiles, search and comments stay as they are, and nobody learns of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from popoff.accounts.models import User
from popoff.accounts.rules import username_key
from popoff.feed import words
from popoff.feed.models import Dismissal, MutedCreator, MutedWord
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import advisory_lock, db, delete_once, insert_once
from popoff.kernel.errors import Conflict, Invalid
from popoff.media import queries as media
from popoff.social.queries import reachable_account, reachable_post

WORDS_LOCK = 0x3A17
"""The space of our advisory locks: a person mutes words one after another, or two at once could pass the limit."""


def dismiss(user_id: int, post_id: int) -> bool:
    """Never show this post to this person again. Raises NotFound (code `post_not_found`)."""
    reachable_post(user_id, post_id, hold=True)
    return insert_once(Dismissal, user_id=user_id, post_id=post_id)


def take_back(user_id: int, post_id: int) -> bool:
    """Lift a dismissal, be the post there for them now or not. Raises NotFound for a post that never was."""
    lifted = delete_once(Dismissal, Dismissal.user_id == user_id, Dismissal.post_id == post_id)
    if not lifted and media.by_id(post_id) is None:
        raise media.not_found()
    return lifted


def mute_word(user_id: int, word: str) -> bool:
    """Raises Invalid (code `invalid_word`), and Conflict (code `too_many_words`) after words.MAX_WORDS, or
    words.MAX_CHARACTERS in all of them."""
    wanted = words.normal(word)
    advisory_lock(WORDS_LOCK, user_id % 2**31)
    kept = db.session.scalars(sa.select(MutedWord.word).where(MutedWord.user_id == user_id)).all()
    characters = sum(len(word) for word in kept) + len(wanted)
    if wanted not in kept and (len(kept) >= words.MAX_WORDS or characters > words.MAX_CHARACTERS):
        told = f"You can mute {words.MAX_WORDS} words, of {words.MAX_CHARACTERS} characters together. Unmute one first."
        raise Conflict(told, code="too_many_words")
    return insert_once(MutedWord, user_id=user_id, word=wanted)


def unmute_word(user_id: int, word: str) -> bool:
    """Raises Invalid (code `invalid_word`)."""
    return delete_once(MutedWord, MutedWord.user_id == user_id, MutedWord.word == words.normal(word))


def mute_creator(user_id: int, username: str) -> bool:
    """Raises Invalid (code `mute_self`), NotFound (code `user_not_found`)."""
    creator = reachable_account(user_id, username).id
    if creator == user_id:
        raise Invalid("You cannot mute yourself.", code="mute_self")
    return insert_once(MutedCreator, user_id=user_id, creator_id=creator)


def unmute_creator(user_id: int, username: str) -> bool:
    """Be the person visible now or not. Raises NotFound (code `user_not_found`), as `mute_creator` does."""
    named = sa.select(User.id).where(User.username_key == username_key(username)).scalar_subquery()
    lifted = delete_once(MutedCreator, MutedCreator.user_id == user_id, MutedCreator.creator_id == named)
    if not lifted:
        reachable_account(user_id, username)
    return lifted


def mutes(user_id: int) -> dict[str, list[dict[str, Any]]]:
    """Muted words and creators, the latest first."""
    return {
        "words": _told(
            sa.select(MutedWord.word, MutedWord.created_at.label("muted_at"))
            .where(MutedWord.user_id == user_id)
            .order_by(MutedWord.created_at.desc(), MutedWord.word)
        ),
        "creators": _told(
            sa.select(User.username, MutedCreator.created_at.label("muted_at"))
            .join(User, User.id == MutedCreator.creator_id)
            .where(MutedCreator.user_id == user_id)
            .order_by(MutedCreator.created_at.desc(), User.username)
        ),
    }


def export(user_id: int) -> dict[str, list[dict[str, Any]]]:
    """All that a person wished."""
    dismissed = sa.select(Dismissal.post_id, Dismissal.created_at).where(Dismissal.user_id == user_id)
    return {"not_interested": _told(dismissed.order_by(Dismissal.created_at.desc())), **mutes(user_id)}


def _told(statement: sa.Executable) -> list[dict[str, Any]]:
    return [
        {key: rfc3339(value) if isinstance(value, datetime) else value for key, value in row.items()}
        for row in db.session.execute(statement).mappings()
    ]
