"""Decisions about reports. Pure."""

from __future__ import annotations

import enum


class CaseState(enum.StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    REMOVED = "removed"


def hides(distinct_new_reporters: int, threshold: int) -> bool:
    """Whether so many people are enough to hide a post until it was reviewed.

    Only reports since the last review count: a post found fine cannot be hidden again by the same people.
    """
    return distinct_new_reporters >= threshold
