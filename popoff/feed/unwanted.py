"""SQL: what a person does not want in their feed: posts, creators, words."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import orm

from popoff.feed.models import Dismissal, MutedCreator, MutedWord
from popoff.feed.words import MARKS, SUFFIXED, UNSEEN, UNSPACED
from popoff.media.models import Post

_Text = sa.ColumnElement[str] | orm.InstrumentedAttribute[str]

_BETWEEN = " | "
"""Stands between caption and tags, so that no phrase is found across them."""
_LETTER = f"[[:alnum:]{MARKS}]"
_EDGE = f"[^[:alnum:]{MARKS}]|[{UNSPACED}]"


def unwanted(user_id: int) -> sa.ColumnElement[bool]:
    """SQL: this person dismissed the post, or muted its creator or a word in its caption or tags.

    It asks two indexes about each post, and for the words one index once a statement.
    """
    # OFFSET 0 has the index asked about each post that is looked at, rather than all wishes read beforehand.
    dismissed = sa.select(Dismissal.post_id).where(Dismissal.user_id == user_id, Dismissal.post_id == Post.id).offset(0)
    muted = (
        sa.select(MutedCreator.creator_id)
        .where(MutedCreator.user_id == user_id, MutedCreator.creator_id == Post.user_id)
        .offset(0)
    )
    return sa.or_(dismissed.exists(), muted.exists(), _speaks_of_muted(user_id))


def _speaks_of_muted(user_id: int) -> sa.ColumnElement[bool]:
    """All words make one pattern; where there is none, no text is looked at."""
    made = (
        sa.select(sa.func.string_agg(_pattern(MutedWord.word), "|").label("pattern"))
        .where(MutedWord.user_id == user_id)
        .cte("muted")
        .prefix_with("MATERIALIZED")
    )
    pattern = sa.select(made.c.pattern).scalar_subquery()
    text = sa.func.concat_ws(_BETWEEN, Post.description, sa.func.array_to_string(Post.tags, _BETWEEN))
    return sa.case((pattern.is_not(None), _folded(text).regexp_match(pattern)), else_=sa.false())


def _folded(text: _Text) -> sa.ColumnElement[str]:
    """As `words.normal`, and also without the differences that only some writers make: ß, ς, ſ, ı."""
    composed = sa.func.lower(sa.func.normalize(text, sa.literal_column("NFKC")))
    return sa.func.translate(sa.func.replace(composed, "ß", "ss"), "ςſı" + UNSEEN, "σsi")


def _pattern(word: _Text) -> sa.ColumnElement[str]:
    """A regular expression that finds the word, with the edges that it must have. Spaces may be _ - or # in a text."""
    literal = sa.func.regexp_replace(_folded(word), r"([^[:alnum:]\s])", r"\\\1", "g")
    body = sa.func.replace(literal, " ", r"[\s#_-]+")
    spaced = sa.and_(word.regexp_match(f"^{_LETTER}"), sa.not_(word.regexp_match(f"^[{UNSPACED}]")))
    ends = sa.and_(word.regexp_match(f"{_LETTER}$"), sa.not_(word.regexp_match(f"[{UNSPACED}{SUFFIXED}]$")))
    return sa.case((spaced, f"(?:^|{_EDGE})"), else_="") + body + sa.case((ends, f"(?:$|{_EDGE})"), else_="")
