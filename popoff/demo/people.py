"""Who is there."""

from __future__ import annotations

from collections.abc import Mapping

from popoff.accounts import queries as accounts
from popoff.accounts import service
from popoff.accounts.models import User
from popoff.accounts.rules import Role
from popoff.demo.past import OPENING, on

PASSWORD = "popoff-demo-1"  # noqa: S105 - known to everybody on purpose, and only on embedded databases
CREATORS = ("ada", "bela", "chen", "dina")
VIEWERS = ("eve", "farid", "gus", "hana")
STAFF = {"boss": Role.ADMIN, "mo": Role.MODERATOR}
ROLES: Mapping[str, Role] = {**dict.fromkeys((*CREATORS, *VIEWERS), Role.CONSUMER), **STAFF}
SIGN_INS = "ada (creator), eve (viewer), mo (moderator) or boss (admin)"
MARK = "hana"
"""Comes last: with her the demo is whole."""


def exists(name: str) -> bool:
    return accounts.by_login(_address(name)) is not None


def _address(name: str) -> str:
    return f"{name}@demo.example"


def register() -> None:
    """Everybody who is not there yet, but for the mark."""
    with on(OPENING):
        for name in ROLES:
            if name != MARK and not exists(name):
                _register(name)


def register_mark() -> None:
    with on(OPENING):
        _register(MARK)


def _register(name: str) -> None:
    service.register(name, _address(name), PASSWORD, role=ROLES[name])


def everybody() -> dict[str, User]:
    """People by their names."""
    return {name: accounts.visible_by_username(name) for name in ROLES}
