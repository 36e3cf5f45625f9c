"""People and their roles."""

from __future__ import annotations

import sys

import click

from popoff.accounts import service as accounts
from popoff.accounts.rules import Role
from popoff.commands.base import platform, say
from popoff.web.transaction import transaction

ROLES = click.Choice([role.value for role in Role])


def _from_input(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return sys.stdin.readline().rstrip("\r\n") if value == "-" else value


@click.group()
def user() -> None:
    """People and their roles."""


@user.command()
@click.option("--role", type=ROLES, default=Role.CONSUMER.value)
@click.option("--username", required=True)
@click.option("--email", required=True)
@click.option(
    "--password",
    prompt=True,
    hide_input=True,
    confirmation_prompt=True,
    callback=_from_input,
    help="Asked for when it is not given; - reads a line of standard input.",
)
def create(role: str, username: str, email: str, password: str) -> None:
    """Add a person with a role."""
    with platform(), transaction():
        made = accounts.register(username, email, password, role=Role(role))
    say(f"{made.username} has the role {made.role}")


@user.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
def set_role(name: str, role: str) -> None:
    """Give NAME (a username or an email) another ROLE."""
    with platform(), transaction():
        changed = accounts.set_role(name, Role(role))
    say(f"{changed.username} has the role {changed.role}")
