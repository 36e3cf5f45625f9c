"""What a ledger is made of, and what a transfer amounts to. Pure: no database, no clock."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from popoff.kernel.errors import Conflict, Invalid
from popoff.kernel.money import MAX_MINOR, Minor, positive

LONGEST_KEY = 200
LONGEST_TEXT = 500


class Kind(StrEnum):
    """What an account is for."""

    WALLET = "wallet"
    """What a person can spend."""
    GIFTS = "gifts"
    """Gifts to a creator, until their period closes."""
    AD_POOL = "ad_pool"
    CREATOR_FUND = "creator_fund"
    PAYOUTS = "payouts"
    """A person's money on its way to their bank."""
    PLATFORM = "platform"
    MINT = "mint"
    """Where granted money comes from."""
    BANK = "bank"
    """The world outside: what was paid in, less what was paid out."""


PERSONAL = frozenset({Kind.WALLET, Kind.GIFTS, Kind.PAYOUTS})
"""One account for each person; of every other kind there is one."""

MINTING = frozenset({Kind.MINT, Kind.BANK})
"""These go below zero, by exactly what all others have."""


class HoldState(StrEnum):
    OPEN = "open"
    RELEASED = "released"
    CAPTURED = "captured"


@dataclass(frozen=True, slots=True)
class Account:
    """The name of an account. It exists from its first use; people are known by their ids only."""

    kind: Kind
    owner_id: int | None = None

    def __post_init__(self) -> None:
        fits = self.owner_id is not None and self.owner_id > 0 if self.kind in PERSONAL else self.owner_id is None
        if not fits:
            raise ValueError(f"an account of kind {self.kind} cannot belong to {self.owner_id}")


@dataclass(frozen=True, slots=True)
class Move:
    """An amount above zero that leaves `debit` and arrives at `credit`. Raises Invalid (code `invalid_amount`)."""

    debit: Account
    credit: Account
    amount: Minor

    def __post_init__(self) -> None:
        positive(self.amount)
        if self.debit == self.credit:
            raise Invalid("Money cannot be moved to where it is.", code="same_account")


Legs = Mapping[Account, int]
"""What a transfer does to each account it touches: never zero, and zero in sum."""


class InsufficientFunds(Invalid):
    """`account` has less to spend than was asked of it (its balance without what is held).

    The account and the amounts stay out of the answer: it may be somebody else's.
    """

    code = "insufficient_funds"
    message = "There is not enough money for this."

    def __init__(self, account: Account):
        super().__init__()
        self.account = account


def net(moves: Iterable[Move]) -> Legs:
    """One leg for each account, whatever the number of moves that touch it.

    Raises Invalid: code `invalid_amount` for more than the ledger can hold, `nothing_moves` when all cancels out.
    """
    sums: Counter[Account] = Counter()
    for move in moves:
        sums[move.debit] -= move.amount
        sums[move.credit] += move.amount
    legs = {account: amount for account, amount in sums.items() if amount}
    if not legs:
        raise Invalid("This would move no money.", code="nothing_moves")
    if volume(legs) > MAX_MINOR:
        raise Invalid("This is more money than there can be.", code="invalid_amount", field="amount")
    return legs


def volume(legs: Legs) -> Minor:
    """How much changes hands."""
    return Minor(sum(amount for amount in legs.values() if amount > 0))


def fingerprint(*request: str | int | None) -> str:
    """64 hexadecimal digits that tell one request from another under the same key."""
    return hashlib.sha256(json.dumps(request, separators=(",", ":")).encode()).hexdigest()


def check_words(key: str, *texts: str) -> None:
    """Raises Invalid: code `invalid_key` or `invalid_text`."""
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid(f"A key has 1 to {LONGEST_KEY} visible characters.", code="invalid_key", field="key")
    if any(len(text) > LONGEST_TEXT or "\0" in text for text in texts):
        raise Invalid(f"Use at most {LONGEST_TEXT} characters.", code="invalid_text")


def key_conflict() -> Conflict:
    """A key that was used before stands for that one request."""
    return Conflict("This key was used for another request.", code="idempotency_conflict")


def quoted(names: Sequence[str]) -> str:
    """`'a', 'b'`: a list of our own words for SQL that takes no parameters."""
    return ", ".join(f"'{name}'" for name in names)
