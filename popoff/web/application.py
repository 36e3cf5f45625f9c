"""The Flask application class: what happens around every request, in this order.

request id → who may call → rate limit → handler, all in one transaction → answer with security headers.
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from popoff.adapters.storage import base_url_var
from popoff.web import access, auth, limits, metrics
from popoff.web.transaction import transaction

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_UNLIMITED = frozenset({"static", "restx_doc.static", "site.healthz", "site.readyz", "site.metrics"})
API_BODY_BYTES = 1024**2

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {media}; "
    "media-src 'self' blob: {media}; connect-src 'self' {media}; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class PopOff(Flask):
    """Flask with one transaction a request, and no route without an access rule."""

    def dispatch_request(self) -> Any:
        if request.routing_exception is not None or request.method == "OPTIONS":
            return super().dispatch_request()
        rule = access.rule_of(self, request.endpoint or "", request.method)
        with transaction():
            auth.authorize(rule, api=request.path.startswith("/api/"))
            if request.endpoint not in _UNLIMITED:
                limits.check_request()
            return super().dispatch_request()


def install(app: Flask) -> None:
    """Hook the edge into `app`."""
    app.before_request(_begin)
    app.after_request(_end)
    proxies = config.current().trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]


def _begin() -> None:
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    base_url_var.set(config.current().public_url.rstrip("/") or request.url_root.rstrip("/"))


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    response.headers["X-Request-Id"] = g.get("request_id", "")
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    policy = CONTENT_POLICY.format(media=config.current().s3_endpoint_url)
    response.headers.setdefault("Content-Security-Policy", policy)
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    if config.current().production and request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    metrics.observe(request, response, seconds)
    if request.endpoint not in _UNLIMITED:
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
        )
    return response
