"""Who may call a route. Every route says so; one that does not cannot be called, and a test fails for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Flask

from popoff.accounts.rules import Permission

Handler = TypeVar("Handler", bound=Callable[..., object])

PUBLIC = "public"
"""Anybody, signed in or not."""

_OPEN_ENDPOINTS = frozenset({"static", "restx_doc.static", "api.specs"})
"""Endpoints of libraries, which we cannot decorate: files and the API description."""


class AccessNotDeclared(RuntimeError):
    """A route without a rule."""


def public(handler: Handler) -> Handler:
    """Anybody may call this."""
    handler.__access__ = PUBLIC  # type: ignore[attr-defined]
    return handler


def needs(permission: Permission) -> Callable[[Handler], Handler]:
    """Only people whose role has this permission may call this."""

    def declare(handler: Handler) -> Handler:
        handler.__access__ = permission  # type: ignore[attr-defined]
        return handler

    return declare


signed_in = needs(Permission.USE)
"""Everybody who is signed in."""


def takes_cookie(app: Flask, endpoint: str) -> bool:
    """Whether the token may come in a cookie: the resources of the creator economy say so (`takes_cookie = True`)."""
    view_class = getattr(app.view_functions[endpoint], "view_class", None)
    return bool(getattr(view_class, "takes_cookie", False))


def rule_of(app: Flask, endpoint: str, method: str) -> str:
    """PUBLIC or a Permission. Raises AccessNotDeclared."""
    if endpoint in _OPEN_ENDPOINTS:
        return PUBLIC
    view = app.view_functions[endpoint]
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        name = "get" if method == "HEAD" and not hasattr(view_class, "head") else method.lower()
        view = getattr(view_class, name, view)
    rule = getattr(view, "__access__", None)
    if rule is None:
        raise AccessNotDeclared(f"{method} {endpoint} does not declare who may call it")
    return str(rule)
