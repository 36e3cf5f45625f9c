"""One body in the three encodings that clients choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ENCODINGS = ("multipart", "data", "json")
"""What the phone app sends, what a form on a page sends, what programs send."""


def encoded(encoding: str, body: Mapping[str, object]) -> dict[str, Any]:
    """Arguments for the test client. Lists are sent as repeated fields; None is left out of forms."""
    if encoding == "json":
        return {"json": dict(body)}
    fields = {name: value for name, value in body.items() if value is not None}
    return {"data": fields, **({"content_type": "multipart/form-data"} if encoding == "multipart" else {})}
