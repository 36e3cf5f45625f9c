"""Who a request speaks for: a token in `Authorization` (Token or Bearer), or a browser session."""

from __future__ import annotations

import structlog
from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from popoff.accounts import rules, service
from popoff.accounts.rules import Permission
from popoff.accounts.service import Device, Principal
from popoff.kernel.errors import Forbidden, Unauthenticated
from popoff.web.access import PUBLIC

login_manager = LoginManager()


class PageSessions(SecureCookieSessionInterface):
    """Only pages have sessions: the API and media links neither read nor send cookies, nor vary by them."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(("/api/", "/media/")):
            return self.make_null_session(app)
        return super().open_session(app, request)


class SignedIn(UserMixin):
    """What Flask-Login keeps of a browser: its token, so that browsers are listed, revoked and expire as devices do."""

    def __init__(self, secret: str) -> None:
        self.id = secret
        self.principal = service.authenticate(secret)


@login_manager.user_loader
def _load(secret: str) -> SignedIn | None:
    try:
        return SignedIn(secret)
    except Unauthenticated:
        return None


def open_session(secret: str) -> None:
    """Sign the browser in with a token of its own, in a new session, so that none can be planted beforehand."""
    session.clear()
    login_user(SignedIn(secret))


def close_session() -> None:
    """Sign the browser out; its token is worth nothing any more."""
    if g.principal is not None:
        service.sign_out(g.principal)
    logout_user()
    session.clear()


def authorize(rule: str, *, api: bool) -> None:
    """Hold a request to its route's rule and note who makes it. Raises Unauthenticated, Forbidden.

    API routes take tokens only: a cookie that a browser sends by itself never acts on the API's behalf.
    """
    g.principal = _from_token(rule) if api else getattr(current_user, "principal", None)
    if rule == PUBLIC:
        return
    principal = me()
    structlog.contextvars.bind_contextvars(user_id=principal.user_id)
    if not rules.permits(principal.role, Permission(rule)):
        raise Forbidden("Access denied.")


def _from_token(rule: str) -> Principal | None:
    """On public routes a token that works no more is as good as none. Raises Unauthenticated."""
    secret = _sent_token()
    if secret is None:
        return None
    try:
        return service.authenticate(secret)
    except Unauthenticated:
        if rule != PUBLIC:
            raise
        return None


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
