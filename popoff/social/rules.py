"""Decisions about comments and watch time. Pure."""

from __future__ import annotations

from popoff.kernel import words
from popoff.kernel.errors import Invalid

COMMENT_LENGTH = 1000
MIN_VIEW_MS = 1000
"""A view counts after one second."""
MAX_LOOPS = 20
"""A short video may loop while it is on the screen; past this many times nobody is looking."""


def check_comment(text: str) -> str:
    """Raises Invalid (codes `empty_comment`, `too_long`)."""
    cleaned = words.bounded(text, COMMENT_LENGTH, "comment")
    if not cleaned:
        raise Invalid("Comment cannot be empty.", code="empty_comment")
    return cleaned


def counted_watch_ms(claimed_seconds: float, duration_ms: int, elapsed_ms: int | None) -> int:
    """Milliseconds of watch time that can be true.

    At most MAX_LOOPS rounds of the video, and at most the time that has passed since the person's last report
    on it (None: this is the first), so that sending a report twice does not count twice.
    """
    longest = MAX_LOOPS * max(duration_ms, MIN_VIEW_MS)
    if elapsed_ms is not None:
        longest = min(longest, elapsed_ms)
    return max(0, min(int(min(claimed_seconds * 1000, 1e12)), longest))
