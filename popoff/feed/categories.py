"""The categories people see: one label a post, from the lexicon of topics."""

from __future__ import annotations

from collections.abc import Sequence

from popoff.adapters.insight import topics
from popoff.adapters.insight.text import PostText, passages

OTHER = topics.OTHER
CATEGORIES: tuple[str, ...] = (*topics.LABELS, OTHER)


def categorise(description: str, tags: Sequence[str] = (), transcript: str = "") -> str:
    """The label in CATEGORIES that the words speak of most; OTHER when they speak of none."""
    found = topics.topics(topics.concepts(passages(PostText(description, tags, transcript))))
    return next(iter(found), OTHER)


def short_name(label: str) -> str:
    """A label as the phone app shows it, without the words in parentheses: `Comedy (jokes, ...)` is Comedy."""
    return label.split(" (", 1)[0]
