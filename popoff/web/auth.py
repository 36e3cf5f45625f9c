"""Who a request speaks for: a token in `Authorization` (Token or Bearer), or a browser session."""

from __future__ import annotations

import structlog
from flask import g, request, session

from popoff.accounts import rules, service
from popoff.accounts.rules import Permission
from popoff.accounts.service import Device, Principal
from popoff.kernel.errors import Forbidden, Unauthenticated
from popoff.web.access import PUBLIC

_IN_SESSION = "device"


def open_session(secret: str) -> None:
    """Sign the browser in with a token of its own, in a new session, so that none can be planted beforehand."""
    session.clear()
    session[_IN_SESSION] = secret


def close_session() -> None:
    """Sign the browser out; its token is worth nothing any more."""
    if g.principal is not None:
        service.sign_out(g.principal)
    session.clear()


def authorize(rule: str, *, api: bool) -> None:
    """Hold a request to its route's rule and note who makes it. Raises Unauthenticated, Forbidden.

    API routes take tokens only: a cookie that a browser sends by itself never acts on the API's behalf.
    """
    secret = _sent_token() if api else session.get(_IN_SESSION)
    if secret is not None:
        try:
            g.principal = service.authenticate(secret)
        except Unauthenticated:
            if rule != PUBLIC:
                raise
    if rule == PUBLIC:
        return
    principal = me()
    structlog.contextvars.bind_contextvars(user_id=principal.user_id)
    if not rules.permits(principal.role, Permission(rule)):
        raise Forbidden("Access denied.")


def _sent_token() -> str | None:
    """The token of the request: `Authorization: Token x` or `Bearer x`."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() in ("token", "bearer") else None


def me() -> Principal:
    """The person the request speaks for. Raises Unauthenticated."""
    principal: Principal | None = g.principal
    if principal is None:
        raise Unauthenticated
    return principal


def device() -> Device:
    """Where the request comes from."""
    return Device(name=request.headers.get("User-Agent", ""), address=request.remote_addr or "")
