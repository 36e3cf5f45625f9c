"""The Flask application class: what happens around every request, in this order.

request id → who may call → rate limit → handler, all in one transaction → answer with security headers.

There are no CORS headers on purpose: the phone app is not a browser, and our pages are of the API's own origin, so
no other site's scripts have business here. Only playback links may be read from anywhere (`blueprints/store.py`).
"""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

import config
from popoff.adapters.storage import base_url_var
from popoff.web import access, auth, limits, metrics
from popoff.web.responses import is_api
from popoff.web.transaction import transaction

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_QUIET = frozenset(
    {"static", "restx_doc.static", "site.healthz", "site.readyz", "site.metrics_page", "store.get", "store.play"}
)
"""Not worth a line in the log each time; the links of the store hold grants, which do not belong there either."""
_BARE = _QUIET | {"store.put"}
"""Open to all, whoever they are and however often: a package goes up in a thousand signed PUTs."""

API_BODY_BYTES = 1024**2
FORM_PARTS = 2000
"""Fields of a form: every file of an HLS package is one."""

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
            if rule != access.PUBLIC or request.endpoint not in _BARE:
                self._admit(rule)
            return super().dispatch_request()

    def _admit(self, rule: str) -> None:
        """Who is it, may they, and is it not too often? Raises Unauthenticated, Forbidden, TooMany."""
        try:
            auth.authorize(rule, api=is_api(), cookie=access.takes_cookie(self, request.endpoint or ""))
        finally:
            limits.check_request()


def install(app: Flask) -> None:
    """Hook the edge into `app`."""
    app.config["MAX_FORM_PARTS"] = FORM_PARTS
    app.before_request_funcs.setdefault(None, []).insert(0, _begin)  # even a request that CSRF stops has an id
    app.after_request(_end)
    proxies = config.current().trusted_proxies
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]


def _begin() -> None:
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
    g.started = time.perf_counter()
    g.principal = None
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    base_url_var.set(config.current().public_url.rstrip("/") or request.url_root.rstrip("/"))
    if "\0" in request.path or any(
        isinstance(value, int) and value >= 2**63 for value in (request.view_args or {}).values()
    ):
        raise NotFound  # the database knows neither such texts nor such numbers


def _end(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    response.headers["X-Request-Id"] = g.request_id
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", CONTENT_POLICY.format(media=_media_origin()))
    if is_api():
        response.headers.setdefault("Cache-Control", "no-store")
    if config.current().production and request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    metrics.observe(request, response, seconds)
    if request.endpoint not in _QUIET:
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
        )
    return response


def _media_origin() -> str:
    """Where a bucket's objects come from, for the content policy; nothing for the folder store, which is us."""
    settings = config.current()
    if not settings.s3_bucket:
        return ""
    return settings.s3_endpoint_url or "https://*.amazonaws.com"
