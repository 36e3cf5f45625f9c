"""Decisions about comments and watch time. Pure."""

from __future__ import annotations

from popoff.kernel.errors import Invalid
from popoff.media.rules import clean_text

COMMENT_LENGTH = 1000
MIN_VIEW_MS = 1000
"""A view counts after one second."""
MAX_LOOPS = 20
"""A short video may loop while it is on the screen; past this many times nobody is looking."""


def check_comment(text: str) -> str:
    """Raises Invalid (codes `empty_comment`, `too_long`)."""
    cleaned = clean_text(text)
    if not cleaned:
        raise Invalid("Comment cannot be empty.", code="empty_comment")
    if len(cleaned) > COMMENT_LENGTH:
        raise Invalid(f"Comments have at most {COMMENT_LENGTH} characters.", code="too_long")
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
