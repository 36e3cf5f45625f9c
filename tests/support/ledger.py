"""Money for tests: wallets, grants, payments, and the word of the database that the books are right."""

from __future__ import annotations

import itertools

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import checks, queries, service
from popoff.ledger.queries import Transfer
from popoff.ledger.rules import Account, Kind, Move

MINT, BANK, PLATFORM = Account(Kind.MINT), Account(Kind.BANK), Account(Kind.PLATFORM)

_keys = itertools.count(1)


def wallet(person: int) -> Account:
    return Account(Kind.WALLET, person)


def new_key() -> str:
    """A key that no test has used."""
    return f"test:{next(_keys)}"


def pay(debit: Account, credit: Account, amount: int, key: str | None = None, fingerprint: str = "") -> Transfer:
    """One move, under a key of its own unless told otherwise."""
    move = Move(debit, credit, Minor(amount))
    fingerprint = fingerprint or f"{debit}{credit}{amount}"
    return service.transfer(key or new_key(), [move], fingerprint=fingerprint, reference="test")


def grant(person: int, amount: int) -> Account:
    """The wallet of a person, with so much more in it."""
    pay(MINT, wallet(person), amount)
    return wallet(person)


def has(account: Account) -> int:
    """The balance of an account, cents."""
    return queries.balance(account).total


def prove() -> None:
    """Nothing is wrong with the books, now that the transaction could end here."""
    db.session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    assert checks.check() == []
    db.session.execute(sa.text("SET CONSTRAINTS ALL DEFERRED"))
