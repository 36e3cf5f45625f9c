"""The one shape of a refusal."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.test import TestResponse

INSIDES = re.compile(r"traceback|File \"|\.py|psycopg|sqlalchemy|SELECT |hunter2|[a-z]Error\b")
"""Words that would tell of our insides; tests plant `hunter2` in what must not get out."""


def assert_refusal(answer: TestResponse, status: int, code: str | None = None) -> dict[str, Any]:
    """The body of a refusal in the one shape that all of them have."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body: dict[str, Any] = answer.json or {}
    assert code is None or body["code"] == code, body
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", body["code"])
    assert body["message"] and body["message"] == body["error"] == body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    named = [value for value in body.values() if isinstance(value, list)]
    assert named and all(isinstance(sentence, str) for value in named for sentence in value)
    assert not INSIDES.search(answer.text), answer.text
    return body
