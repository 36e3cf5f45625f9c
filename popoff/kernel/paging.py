"""Opaque cursors: a page says where the next one starts, and nothing else can be read into it."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence

from popoff.kernel.errors import Invalid

CursorValue = str | int | float


def encode_cursor(values: Sequence[CursorValue]) -> str:
    """The sort values of the last row of a page as one URL-safe word."""
    packed = json.dumps(list(values), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def decode_cursor(cursor: str, *types: type[CursorValue]) -> tuple[CursorValue, ...]:
    """The values `encode_cursor` took, checked against the expected `types`.

    Raises Invalid (code `invalid_cursor`) for anything that we did not hand out in this form.
    """
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True))
    except (binascii.Error, ValueError, UnicodeError):
        values = None
    if (
        not isinstance(values, list)
        or len(values) != len(types)
        or not all(_fits(value, expected) for value, expected in zip(values, types, strict=True))
    ):
        raise Invalid("This cursor is not valid.", code="invalid_cursor", field="cursor")
    return tuple(values)


def _fits(value: object, expected: type[CursorValue]) -> bool:
    """Whether `value` is of this type, and one that the database can compare with."""
    if type(value) is not expected:
        return False
    if isinstance(value, str):
        return value.isprintable()
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)
