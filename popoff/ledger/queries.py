"""Reads of the ledger: balances, histories, statements, and the proof that the books are right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.kernel.money import Minor
from popoff.kernel.paging import decode_cursor, encode_cursor
from popoff.ledger.models import LedgerAccount, LedgerEntry, LedgerHold, LedgerTransfer
from popoff.ledger.rules import Account, HoldState, Kind

PAGE = 50


@dataclass(frozen=True, slots=True)
class Balance:
    """What is in an account, and how much of it is held."""

    total: Minor = Minor(0)
    held: Minor = Minor(0)

    @property
    def available(self) -> Minor:
        return Minor(self.total - self.held)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money that has moved. `replayed`: it had done so before this request, which changed nothing."""

    id: int
    key: str
    reference: str
    memo: str
    amount: Minor
    created_at: datetime
    reverses_id: int | None = None
    hold_id: int | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    id: int
    key: str
    account: Account
    amount: Minor
    reason: str
    until: datetime | None
    state: HoldState
    created_at: datetime
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of an account's history; `amount` is below zero for what left it."""

    transfer_id: int
    amount: Minor
    balance_after: Minor
    reference: str
    memo: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    lines: list[Line]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """An account from `start` up to, and without, `end`: opening - debits + credits = closing."""

    account: Account
    start: datetime
    end: datetime
    opening: Minor
    debits: Minor
    credits: Minor
    closing: Minor
    lines: list[Line]


def account_of(kind: str, owner_id: int) -> Account:
    """The account that a row names."""
    return Account(Kind(kind), owner_id or None)


def account_with(account_id: int) -> Account:
    """The account with this id, which there is."""
    row = db.session.execute(
        sa.select(LedgerAccount.kind, LedgerAccount.owner_id).where(LedgerAccount.id == account_id)
    ).one()
    return account_of(row.kind, row.owner_id)


def is_account(account: Account) -> sa.ColumnElement[bool]:
    """SQL: the row of `ledger_accounts` is this one."""
    return sa.and_(LedgerAccount.kind == account.kind, LedgerAccount.owner_id == (account.owner_id or 0))


def named(accounts: Iterable[Account]) -> sa.ColumnElement[bool]:
    """SQL: the row of `ledger_accounts` is one of these."""
    names = list(accounts)
    return sa.tuple_(LedgerAccount.kind, LedgerAccount.owner_id).in_(
        sa.select(
            sa.func.unnest(sa.cast([account.kind for account in names], sa.ARRAY(sa.Text))),
            sa.func.unnest(sa.cast([account.owner_id or 0 for account in names], sa.ARRAY(sa.BigInteger))),
        )
    )


def balance(account: Account) -> Balance:
    """Nothing at all for an account that was never used."""
    return balances([account])[account]


def balances(accounts: Iterable[Account]) -> dict[Account, Balance]:
    """The balance of each of these accounts."""
    found = dict.fromkeys(accounts, Balance())
    rows = db.session.execute(
        sa.select(LedgerAccount.kind, LedgerAccount.owner_id, LedgerAccount.balance, LedgerAccount.held).where(
            named(found)
        )
    )
    found.update((account_of(kind, owner), Balance(Minor(total), Minor(held))) for kind, owner, total, held in rows)
    return found


def totals() -> dict[Kind, Balance]:
    """The money in all accounts of each kind; over all kinds the totals sum to zero."""
    sums = dict.fromkeys(Kind, Balance())
    rows = db.session.execute(
        sa.select(LedgerAccount.kind, sa.func.sum(LedgerAccount.balance), sa.func.sum(LedgerAccount.held)).group_by(
            LedgerAccount.kind
        )
    )
    sums.update((Kind(kind), Balance(Minor(int(total)), Minor(int(held)))) for kind, total, held in rows)
    return sums


def entries(account: Account, cursor: str | None = None, limit: int = PAGE) -> Page:
    """The history of an account, the newest first. Raises Invalid (code `invalid_cursor`).

    Cursors count within the account, so that they tell nothing about others.
    """
    statement = _lines(account).add_columns(LedgerEntry.seq).order_by(LedgerEntry.seq.desc()).limit(limit + 1)
    if cursor:
        statement = statement.where(LedgerEntry.seq < decode_cursor(cursor, int)[0])
    rows = db.session.execute(statement).all()
    more = len(rows) > limit
    return Page(
        lines=[_line(row) for row in rows[:limit]],
        next_cursor=encode_cursor([rows[limit - 1].seq]) if more else None,
    )


def statement(account: Account, start: datetime, end: datetime) -> Statement:
    """What happened in an account between two moments, the oldest first.

    The opening balance is counted back from the present one, so the latest statements are the quickest.
    """
    since = (
        sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount), 0))
        .where(LedgerEntry.account_id == LedgerAccount.id, LedgerEntry.created_at >= start)
        .scalar_subquery()
    )
    opening = int(db.session.scalar(sa.select(LedgerAccount.balance - since).where(is_account(account))) or 0)
    rows = db.session.execute(
        _lines(account).where(LedgerEntry.created_at >= start, LedgerEntry.created_at < end).order_by(LedgerEntry.seq)
    )
    lines = [_line(row) for row in rows]
    debits = -sum(line.amount for line in lines if line.amount < 0)
    credits_ = sum(line.amount for line in lines if line.amount > 0)
    return Statement(
        account=account,
        start=start,
        end=end,
        opening=Minor(opening),
        debits=Minor(debits),
        credits=Minor(credits_),
        closing=Minor(opening - debits + credits_),
        lines=lines,
    )


def transfer(transfer_id: int) -> Transfer:
    """Raises NotFound (code `transfer_not_found`)."""
    row = db.session.scalars(sa.select(LedgerTransfer).where(LedgerTransfer.id == transfer_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such transfer.", code="transfer_not_found")
    return transfer_of(row)


def is_reversed(transfer_id: int) -> bool:
    """Whether what this transfer moved was given back."""
    return bool(db.session.scalar(sa.select(sa.exists().where(LedgerTransfer.reverses_id == transfer_id))))


def legs(transfer_id: int) -> dict[Account, Minor]:
    """What a transfer did to each account."""
    rows = db.session.execute(
        sa.select(LedgerAccount.kind, LedgerAccount.owner_id, LedgerEntry.amount)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .where(LedgerEntry.transfer_id == transfer_id)
        .order_by(LedgerEntry.account_id)
    )
    return {account_of(kind, owner): Minor(amount) for kind, owner, amount in rows}


def hold(hold_id: int) -> Hold:
    """Raises NotFound (code `hold_not_found`)."""
    found = _holds(LedgerHold.id == hold_id)
    if not found:
        raise NotFound("There is no such hold.", code="hold_not_found")
    return found[0]


def open_holds(account: Account) -> list[Hold]:
    """What is held in an account, the oldest first."""
    return _holds(is_account(account), LedgerHold.state == HoldState.OPEN)


def overdue_holds(moment: datetime) -> list[Hold]:
    """Open holds whose `until` has passed. They hold on: whoever made them decides."""
    return _holds(LedgerHold.state == HoldState.OPEN, LedgerHold.until <= moment)


def _holds(*conditions: sa.ColumnElement[bool]) -> list[Hold]:
    rows = db.session.execute(
        sa.select(LedgerHold, LedgerAccount.kind, LedgerAccount.owner_id)
        .join(LedgerAccount, LedgerAccount.id == LedgerHold.account_id)
        .where(*conditions)
        .order_by(LedgerHold.id)
        .execution_options(populate_existing=True)
    )
    return [
        Hold(
            id=row.id,
            key=row.key,
            account=account_of(kind, owner_id),
            amount=Minor(row.amount),
            reason=row.reason,
            until=row.until,
            state=HoldState(row.state),
            created_at=row.created_at,
        )
        for row, kind, owner_id in rows
    ]


def transfer_of(row: LedgerTransfer, *, replayed: bool = False) -> Transfer:
    return Transfer(
        id=row.id,
        key=row.key,
        reference=row.reference,
        memo=row.memo,
        amount=Minor(row.amount),
        created_at=row.created_at,
        reverses_id=row.reverses_id,
        hold_id=row.hold_id,
        replayed=replayed,
    )


def _lines(account: Account) -> sa.Select[int, int, int, str, str, datetime]:
    return (
        sa.select(
            LedgerEntry.transfer_id,
            LedgerEntry.amount,
            LedgerEntry.balance_after,
            LedgerTransfer.reference,
            LedgerTransfer.memo,
            LedgerEntry.created_at,
        )
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .join(LedgerTransfer, LedgerTransfer.id == LedgerEntry.transfer_id)
        .where(is_account(account))
    )


def _line(row: sa.Row[int, int, int, str, str, datetime] | sa.Row[int, int, int, str, str, datetime, int]) -> Line:
    return Line(
        transfer_id=row[0],
        amount=Minor(row[1]),
        balance_after=Minor(row[2]),
        reference=row[3],
        memo=row[4],
        created_at=row[5],
    )
