"""Who a request speaks for: a token in `Authorization` (Token or Bearer), or a browser session.

The resources of the creator economy (`takes_cookie`) also take the token from the cookie `X-Access-Token`, which
`signup` and `login` by email hand out to who sends JSON; the phone app never gets one. A browser sends cookies by
itself, so what another site makes it send must not act: the cookie is `SameSite=Strict` and out of reach of scripts,
and where it is all that identifies a request that may change something, that request has to

- come from our own pages, as far as the browser says where from (`Origin`, `Sec-Fetch-Site`), and
- have a body in JSON, or none: a form on another page cannot send JSON.

A token in `Authorization` wins over the cookie, because it was sent on purpose; nothing of this concerns it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from flask import Flask, Request, Response, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

import config
from popoff.accounts import rules, service
from popoff.accounts.rules import Permission
from popoff.accounts.service import Device, Principal
from popoff.adapters.storage import base_url
from popoff.kernel.errors import Forbidden, Unauthenticated
from popoff.web.access import PUBLIC

login_manager = LoginManager()

COOKIE = "X-Access-Token"
_COOKIE_PATH = "/api"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class PageSessions(SecureCookieSessionInterface):
    """Only pages have sessions: the API and media links neither read nor send theirs, nor vary by it."""

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


def give_cookie(response: Response, secret: str) -> Response:
    """Hand a token to a browser, for the resources that take it from there."""
    settings = config.current()
    response.headers["Authorization"] = f"Bearer {secret}"
    response.set_cookie(
        COOKIE,
        secret,
        max_age=settings.token_days * 86_400,
        path=_COOKIE_PATH,
        secure=settings.production or request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


def take_cookie(response: Response) -> Response:
    """Have the browser forget the cookie, if it sent one."""
    if COOKIE in request.cookies:
        response.delete_cookie(COOKIE, path=_COOKIE_PATH, httponly=True, samesite="Strict")
    return response


def authorize(rule: str, *, api: bool, cookie: bool = False) -> None:
    """Hold a request to its route's rule and note who makes it. Raises Unauthenticated, Forbidden.

    API routes take tokens only. With `cookie` the token may come in one, and refusals are worded as the creator
    economy's clients know them.
    """
    g.principal = _from_token(rule, cookie) if api else getattr(current_user, "principal", None)
    if rule == PUBLIC:
        return
    if cookie and g.principal is None:
        raise Unauthenticated("Missing access token")
    principal = me()
    structlog.contextvars.bind_contextvars(user_id=principal.user_id)
    if not rules.permits(principal.role, Permission(rule)):
        raise Forbidden("Access denied" if cookie else "Access denied.")


def _from_token(rule: str, cookie: bool) -> Principal | None:
    """On public routes a token that works no more is as good as none. Raises Unauthenticated, Forbidden."""
    secret = _api_token(cookie)
    if secret is None:
        return None
    try:
        return service.authenticate(secret)
    except Unauthenticated as refused:
        if rule == PUBLIC:
            return None
        if cookie and refused.error_code == "invalid_token":
            raise Unauthenticated("Invalid access token", code=refused.error_code) from refused
        raise


def _api_token(cookie: bool) -> str | None:
    """The token an API request identifies itself with. Raises Forbidden (code `cross_site_request`)."""
    secret = _sent_token()
    if secret is None and cookie:
        secret = request.cookies.get(COOKIE) or None
        if secret is not None and request.method not in _SAFE_METHODS and not _is_of_our_pages():
            raise Forbidden("With a cookie, requests come from our own pages and in JSON.", code="cross_site_request")
    return secret


def _is_of_our_pages() -> bool:
    """Whether another site's page cannot have had the browser send this."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    ours = {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in (base_url(), request.host_url)}
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    return (origin is None or origin in ours) and site in ("same-origin", "none") and (request.is_json or not has_body)


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
