"""Decisions about reports. Pure."""

from __future__ import annotations

import enum

from popoff.kernel.errors import Invalid
from popoff.media.rules import clean_text

REASON_LENGTH = 500


class CaseState(enum.StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    REMOVED = "removed"


def check_reason(text: str) -> str:
    """Raises Invalid (codes `empty_reason`, `too_long`)."""
    cleaned = clean_text(text)
    if not cleaned:
        raise Invalid("Say what is wrong with it.", code="empty_reason")
    if len(cleaned) > REASON_LENGTH:
        raise Invalid(f"Reasons have at most {REASON_LENGTH} characters.", code="too_long")
    return cleaned


def hides(distinct_new_reporters: int, threshold: int) -> bool:
    """Whether so many people are enough to hide a post until it was reviewed.

    Only reports since the last review count: a post found fine cannot be hidden again by the same people.
    """
    return distinct_new_reporters >= threshold
