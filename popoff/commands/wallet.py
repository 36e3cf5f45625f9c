"""Wallets."""

from __future__ import annotations

import click

import config
from popoff.accounts import queries as accounts
from popoff.commands.base import platform, say
from popoff.kernel.money import Minor, to_minor, to_text
from popoff.ledger import queries as ledger
from popoff.ledger.rules import Account, Kind
from popoff.rewards import topups
from popoff.web.transaction import transaction


class Amount(click.ParamType):
    """An amount of money, such as 12.50."""

    name = "amount"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Minor:
        return to_minor(str(value))


@click.group()
def wallet() -> None:
    """Wallets."""


@wallet.command()
@click.argument("user")
@click.argument("amount", type=Amount())
@click.option("--reason", required=True, help="What for; the person reads it.")
@click.option("--key", help="The same grant under the same key is made once.")
def grant(user: str, amount: Minor, reason: str, key: str | None) -> None:
    """Give USER (a username or an email) AMOUNT to spend. It can be given away, not paid out."""
    with platform(), transaction():
        person = accounts.by_login(user)
        if person is None:
            raise accounts.user_not_found()
        topups.grant(person.id, amount, by=None, reason=reason, key=key)
        balance = ledger.balance(Account(Kind.WALLET, person.id))
    currency = config.current().currency
    say(f"{person.username} was granted {to_text(amount)} {currency} and has {to_text(balance.total)} {currency}")
