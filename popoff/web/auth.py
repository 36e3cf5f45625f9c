"""Who a request speaks for: a token in `Authorization` (Token or Bearer), or a browser session."""

from __future__ import annotations

import structlog
from flask import g, request
from flask_login import LoginManager, UserMixin, current_user

from popoff.accounts import queries as accounts
from popoff.accounts import rules, service
from popoff.accounts.rules import Permission
from popoff.accounts.service import Device, Principal
from popoff.kernel import clock
from popoff.kernel.errors import Forbidden, Unauthenticated
from popoff.web.access import PUBLIC

login_manager = LoginManager()
login_manager.login_view = "site.login"


class BrowserUser(UserMixin):
    """What Flask-Login keeps of a person who signed in on a page."""

    def __init__(self, principal: Principal):
        self.principal = principal
        self.id = principal.user_id

    def get_id(self) -> str:
        return str(self.principal.user_id)


@login_manager.user_loader
def load_browser_user(user_id: str) -> BrowserUser | None:
    user = accounts.by_id(int(user_id))
    gone = (
        user is None or user.deletion_requested_at is not None or rules.is_suspended(user.suspended_until, clock.now())
    )
    if user is None or gone:
        return None
    return BrowserUser(Principal(user.id, user.username, user.role, token_id=0))


def authorize(rule: str, *, api: bool) -> None:
    """Hold a request to its route's rule and note who makes it. Raises Unauthenticated, Forbidden.

    API routes take tokens only: a cookie that a browser sends by itself never acts on the API's behalf.
    """
    principal = _from_token(required=rule != PUBLIC) if api else _from_session()
    g.principal = principal
    if rule == PUBLIC:
        return
    if principal is None:
        raise Unauthenticated
    structlog.contextvars.bind_contextvars(user_id=principal.user_id)
    if not rules.permits(principal.role, Permission(rule)):
        raise Forbidden("Access denied.")


def _from_token(*, required: bool) -> Principal | None:
    secret = sent_token()
    if secret is None:
        return None
    try:
        return service.authenticate(secret)
    except Unauthenticated:
        if required:
            raise
        return None


def sent_token() -> str | None:
    """The token of the request: `Authorization: Token x` or `Bearer x`."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in ("token", "bearer") and secret.strip():
        return secret.strip()
    return None


def _from_session() -> Principal | None:
    return current_user.principal if current_user.is_authenticated else None


def me() -> Principal:
    """The person the request speaks for. Raises Unauthenticated."""
    principal: Principal | None = g.get("principal")
    if principal is None:
        raise Unauthenticated
    return principal


def device() -> Device:
    """Where the request comes from."""
    return Device(name=request.headers.get("User-Agent", ""), address=request.remote_addr or "")
