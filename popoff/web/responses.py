"""Answers as bytes: orjson writes them, because marshalling through RESTX costs more than the whole query."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request


def is_api() -> bool:
    """Whether this request is for the API, which speaks JSON and knows no sessions."""
    return request.path == "/api" or request.path.startswith("/api/")


def json_response(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), status, mimetype="application/json")


def message(text: str, status: int = 200, **more: Any) -> Response:
    """`{"message": text, ...}`: what the app shows verbatim."""
    return json_response({"message": text, **more}, status)
