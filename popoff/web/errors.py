"""Domain errors to HTTP: the one table, and the one shape of an error answer.

The body carries a stable `code`, the sentence under every name the phone app looks for (`message`, `error`,
`detail`, and `non_field_errors` or the list of the field at fault), and the request id. What nobody expected
becomes a 500 that says nothing of our insides; the log has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask, Response, g, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from popoff.adapters.storage import LengthRequired
from popoff.kernel import errors
from popoff.web.responses import is_api, json_response

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


_ACCESS = {
    "not_authenticated": "MISSING_ACCESS_TOKEN",
    "invalid_token": "INVALID_ACCESS_TOKEN",
    "account_suspended": "INVALID_ACCESS_TOKEN",
    "forbidden": "FORBIDDEN",
}
"""What the creator economy's clients look for in `status` where access is refused."""


def status_of(error: errors.DomainError) -> int:
    """The HTTP status of the nearest family in STATUS."""
    return next(STATUS[family] for family in type(error).__mro__ if family in STATUS)


def headers_of(error: errors.DomainError) -> dict[str, str]:
    """What the answer's header says about it: when to come back, how to identify oneself."""
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Token"}
    return {"Retry-After": str(error.details["retry_after"])} if "retry_after" in error.details else {}


def install(app: Flask) -> None:
    app.register_error_handler(errors.DomainError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _form_expired)
    app.register_error_handler(DataError, _not_storable)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _database_away)
    app.register_error_handler(Exception, _unexpected)


def _answer(
    http_status: int, code: str, message: str, fields: Mapping[str, list[str]] | None = None, **details: Any
) -> Response:
    if wants_page():
        page = render_template("error.html", status=http_status, message=message, request_id=g.request_id)
        return Response(page, http_status, mimetype="text/html")
    return json_response(
        {
            **details,
            **(fields or {"non_field_errors": [message]}),
            "code": code,
            "message": message,
            "error": message,
            "detail": message,
            "request_id": g.request_id,
        },
        http_status,
    )


def wants_page() -> bool:
    """Whether somebody looks at a browser, rather than a program at an answer."""
    return not is_api() and request.accept_mimetypes.best == "text/html"


def _domain_error(error: errors.DomainError) -> Response:
    if isinstance(error, errors.Unauthenticated) and wants_page() and request.method == "GET":
        return redirect(url_for("site.login", next=request.full_path.rstrip("?")))  # type: ignore[return-value]
    details = dict(error.details)
    if isinstance(error, errors.Unauthenticated | errors.Forbidden) and error.error_code in _ACCESS:
        details["status"] = _ACCESS[error.error_code]
    fields = details.pop("fields", {error.field: [error.text]} if error.field else None)
    answer = _answer(status_of(error), error.error_code, error.text, fields, **details)
    answer.headers.update(headers_of(error))
    return answer


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or 300 <= status < 400:
        return error.get_response()  # type: ignore[return-value]
    answer = _answer(status, _HTTP_CODES.get(status, "http_error"), error.name)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return answer


def _form_expired(_error: CSRFError) -> Response:
    return _answer(400, "form_expired", "This page was open for too long. Please load it again.")


def _not_storable(error: DataError) -> Response:
    """Checks at the edge keep such values out; the answer to one they miss is a refusal all the same."""
    log.error("value_not_storable", error=type(error.orig).__name__, exc_info=error)
    return _answer(400, "invalid", errors.Invalid.message)


def _database_away(error: SQLAlchemyError) -> Response:
    log.error("database_away", error=type(error).__name__, reason=str(getattr(error, "orig", error))[:300])
    answer = _answer(503, "unavailable", errors.Unavailable.message)
    answer.headers["Retry-After"] = "2"
    return answer


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected_error", error=type(error).__name__)
    return _answer(500, "internal_error", "Something went wrong on our side.")
