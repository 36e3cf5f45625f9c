"""What people write: cleaned, and no longer than somebody reads."""

from __future__ import annotations

import unicodedata

from popoff.kernel.errors import Invalid

REASON_LENGTH = 500
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def clean(text: str) -> str:
    """Text as it is stored: composed, without control characters (newlines stay) and outer white space.

    A NUL would be refused by PostgreSQL, and bidirectional overrides let text pose as something else.
    """
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        char
        for char in composed
        if char == "\n" or (unicodedata.category(char) not in ("Cc", "Cs") and char not in _BIDI)
    ).strip()


def bounded(text: str, most: int, field: str) -> str:
    """`text`, cleaned; it may be empty. Raises Invalid (code `too_long`) when it has more than `most` characters."""
    cleaned = clean(text)
    if len(cleaned) > most:
        raise Invalid(f"{field.capitalize()}s have at most {most} characters.", code="too_long", field=field)
    return cleaned


def reason(text: str) -> str:
    """Why somebody did what they did. Raises Invalid (codes `empty_reason`, `too_long`)."""
    cleaned = bounded(text, REASON_LENGTH, "reason")
    if not cleaned:
        raise Invalid("Say why.", code="empty_reason", field="reason")
    return cleaned
