"""Domain errors to HTTP: the one table, and the one shape of an error answer.

The body carries a stable `code`, the sentence under every name the phone app looks for (`message`, `error`,
`detail`, and `non_field_errors` or the list of the field at fault), and the request id. What nobody expected
becomes a 500 that says nothing of our insides; the log has the rest.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, g, render_template, request
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from popoff.adapters.storage import LengthRequired
from popoff.kernel import errors
from popoff.web.responses import json_response

log = structlog.get_logger()

STATUS: dict[type[errors.DomainError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.TooMany: 429,
    errors.Unavailable: 503,
    LengthRequired: 411,
}

_HTTP_CODES = {
    400: "malformed_request",
    404: "no_such_route",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def status_of(error: errors.DomainError) -> int:
    """The HTTP status of the nearest family in STATUS."""
    return next(STATUS[family] for family in type(error).__mro__ if family in STATUS)


def install(app: Flask) -> None:
    app.register_error_handler(errors.DomainError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _database_away)
    app.register_error_handler(Exception, _unexpected)


def _answer(status: int, code: str, message: str, field: str | None = None, **details: Any) -> Response:
    if not request.path.startswith("/api/") and request.accept_mimetypes.best == "text/html":
        page = render_template("error.html", status=status, message=message, request_id=g.get("request_id", ""))
        return Response(page, status, mimetype="text/html")
    body: dict[str, Any] = {
        "code": code,
        "message": message,
        "error": message,
        "detail": message,
        "request_id": g.get("request_id", ""),
        **details,
    }
    body[field or "non_field_errors"] = [message]
    return json_response(body, status)


def _domain_error(error: errors.DomainError) -> Response:
    details = {key: value for key, value in error.details.items() if key != "fields"}
    answer = _answer(status_of(error), error.error_code, error.text, error.field, **details)
    if "fields" in error.details:
        answer = json_response(
            {
                "code": error.error_code,
                "message": error.text,
                "error": error.text,
                "detail": error.text,
                "request_id": g.get("request_id", ""),
                **error.details["fields"],
            },
            status_of(error),
        )
    if isinstance(error, errors.TooMany) and "retry_after" in error.details:
        answer.headers["Retry-After"] = str(error.details["retry_after"])
    if isinstance(error, errors.Unauthenticated):
        answer.headers["WWW-Authenticate"] = "Token"
    return answer


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or 300 <= status < 400:
        return error.get_response()  # type: ignore[return-value]
    answer = _answer(status, _HTTP_CODES.get(status, "http_error"), error.name)
    if status == 405 and getattr(error, "valid_methods", None):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return answer


def _database_away(error: DBAPIError) -> Response:
    log.error("database_away", error=type(error).__name__, reason=str(getattr(error, "orig", error))[:300])
    answer = _answer(503, "unavailable", errors.Unavailable.message)
    answer.headers["Retry-After"] = "2"
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected_error", error=type(error).__name__)
    return _answer(500, "internal_error", "Something went wrong on our side.")
