"""SQL: what a person does not want in their feed: posts, creators, words."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql

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
        sa.select(_PATTERN.label("pattern"))
        .select_from(MutedWord)
        .where(MutedWord.user_id == user_id)
        .cte("muted")
        .prefix_with("MATERIALIZED")
    )
    pattern = sa.select(made.c.pattern).scalar_subquery()
    return sa.case((pattern.is_not(None), _TEXT.regexp_match(pattern)), else_=sa.false())


def _folded(text: _Text) -> sa.ColumnElement[str]:
    """As `words.normal`, and also without the differences that only some writers make: ß, ς, ſ, ı."""
    composed = sa.func.lower(sa.func.normalize(text, sa.literal_column("NFKC")))
    return sa.func.translate(sa.func.replace(composed, "ß", "ss"), "ςſı" + UNSEEN, "σsi")


def _pattern(word: _Text) -> sa.ColumnElement[str]:
    """A regular expression that finds any of the words, with the edges that each must have; NULL without words.

    Words with the same edges share these: edges are large, and each text is read the slower the larger the whole is.
    Spaces may be _ - or # in a text.
    """
    literal = sa.func.regexp_replace(_folded(word), r"([^[:alnum:]\s])", r"\\\1", "g")
    body = sa.func.replace(literal, " ", r"[\s#_-]+")
    begins = sa.and_(word.regexp_match(f"^{_LETTER}"), sa.not_(word.regexp_match(f"^[{UNSPACED}]")))
    ends = sa.and_(word.regexp_match(f"{_LETTER}$"), sa.not_(word.regexp_match(f"[{UNSPACED}{SUFFIXED}]$")))
    kinds = [
        (sa.and_(begins, ends), f"(?:^|{_EDGE})(?:", f")(?:$|{_EDGE})"),
        (sa.and_(begins, sa.not_(ends)), f"(?:^|{_EDGE})(?:", ")"),
        (sa.and_(sa.not_(begins), ends), "(?:", f")(?:$|{_EDGE})"),
        (sa.not_(sa.or_(begins, ends)), "(?:", ")"),
    ]
    parts = [before + sa.func.string_agg(body, "|").filter(kind) + after for kind, before, after in kinds]
    return sa.func.nullif(sa.func.concat_ws("|", *parts), "")


def _ready(expression: sa.ColumnElement[str]) -> sa.ColumnClause[str]:
    """The same as finished SQL: what never changes need not be put together for each page."""
    compiled = expression.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    return sa.literal_column(str(compiled), sa.Text())


_TEXT = _ready(_folded(sa.func.concat_ws(_BETWEEN, Post.description, sa.func.array_to_string(Post.tags, _BETWEEN))))
_PATTERN = _ready(_pattern(MutedWord.word))
