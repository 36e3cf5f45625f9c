"""Writes of the ledger: money moves in transfers, waits in holds, and comes back by reversals.

Every write has a key. The same request under the same key gives the first answer again (`replayed`), whenever
it comes; another request under that key is a Conflict. A key belongs to the whole ledger, so callers put what it
is for, and whose it is, in front of what a client sent: `gift:7:<key of the client>`.

Nobody deadlocks: whoever moves money first opens the accounts that are missing (in one order), then locks all
accounts concerned (by their ids). A transaction that makes several transfers calls `lock` with all their
accounts before the first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from popoff.kernel import clock
from popoff.kernel.db import db, execute_sql, one_line
from popoff.kernel.errors import Conflict
from popoff.kernel.money import Minor, positive
from popoff.ledger import queries, rules
from popoff.ledger.models import MINTS, LedgerAccount, LedgerHold, LedgerTransfer
from popoff.ledger.queries import Hold, Transfer
from popoff.ledger.rules import MINTING, Account, HoldState, InsufficientFunds, Kind, Legs, Move

# One statement locks, checks, and writes a transfer with its entries; the trigger on entries moves the balances.
# It writes nothing when an account is missing or short of funds, when the key was used before, or when its premise does
# not hold. Nothing is locked before all accounts are there: whoever opens one waits for nobody who waits for them.
_POST = f"""
WITH {{premise}}, legs AS MATERIALIZED (
    SELECT leg.*, CASE WHEN amount < 0 THEN seen END AS seen FROM premise CROSS JOIN
           unnest(%(kinds)s::text[], %(owners)s::bigint[], %(amounts)s::bigint[])
        AS leg (kind, owner_id, amount)
), due AS MATERIALIZED (
    SELECT account.id, balance, entries, amount, seen <> entries AS stale,
           amount < 0 AND balance - held + amount < 0 AND NOT ({MINTS}) AS short
      FROM legs JOIN ledger_accounts AS account USING (kind, owner_id)
     WHERE (SELECT count(*) FROM legs JOIN ledger_accounts USING (kind, owner_id)) = %(legs)s::integer
     ORDER BY account.id FOR UPDATE OF account
), verdict AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM legs) AND bool_or(stale) IS NOT TRUE AS holds, count(*) > 0 AS all_known,
           min(id) FILTER (WHERE short) AS short_id
      FROM due
), transfer AS (
    INSERT INTO ledger_transfers
           (key, fingerprint, reference, memo, amount, legs, reverses_id, hold_id, created_at)
    SELECT %(key)s, %(fingerprint)s, %(reference)s, %(memo)s, %(amount)s::bigint, %(legs)s::integer,
           %(reverses_id)s::bigint, %(hold_id)s::bigint, %(now)s::timestamptz
      FROM verdict WHERE holds AND all_known AND short_id IS NULL
    ON CONFLICT DO NOTHING
    RETURNING id
), entries AS (
    INSERT INTO ledger_entries (account_id, seq, transfer_id, amount, balance_after, created_at)
    SELECT due.id, due.entries + 1, transfer.id, due.amount, due.balance + due.amount, %(now)s::timestamptz
      FROM transfer CROSS JOIN due
){{rows}}
SELECT verdict.*, given.* FROM verdict LEFT JOIN {{gives}} AS given ON true
"""  # noqa: S608 - made of our own constants


@dataclass(frozen=True, slots=True)
class Joint:
    """What another room reads and writes in the statement of a transfer: one round trip, and all of it or nothing.

    `premise` is common table expressions, the last of them named `premise`: it has one row while the transfer is right,
    and none otherwise; its `seen` is how many entries the debited account had when that was judged (NULL: no matter).
    `rows` are more of them, which insert `FROM transfer`, whose one row has its `id`; what the one named `gives`
    returns, an `id` among it, comes back. All in the driver's SQL. It may use `amount`, `reference` and `now` of the
    transfer; its own `values` have other names.
    """

    premise: str = "premise AS (SELECT CAST(NULL AS bigint) AS seen)"
    rows: tuple[str, ...] = ()
    gives: str = "transfer"
    values: Mapping[str, Any] = field(default_factory=dict)


_ALONE = Joint()

MANY = 8
"""Of more legs some account is likely to be new: better opened first than found missing by the whole statement."""

_OPEN = sa.text("""
INSERT INTO ledger_accounts (kind, owner_id)
SELECT kind, owner_id FROM unnest(CAST(:kinds AS text[]), CAST(:owners AS bigint[])) AS named (kind, owner_id)
 WHERE NOT EXISTS (SELECT FROM ledger_accounts AS a WHERE a.kind = named.kind AND a.owner_id = named.owner_id)
 ORDER BY kind, owner_id
ON CONFLICT DO NOTHING
""")


class Declined(Exception):
    """The premise of a transfer does not hold, or its account has moved on since. Nothing has been written."""


def account(kind: Kind, owner_id: int | None = None) -> Account:
    """The account of a person, or the platform's one of this kind; it needs no opening."""
    return Account(kind, owner_id)


def transfer(key: str, moves: Sequence[Move], *, fingerprint: str, reference: str, memo: str = "") -> Transfer:
    """Make all of these moves, or none. `reference` says what for, `memo` what a person should read.

    `fingerprint` (see `rules.fingerprint`) tells requests apart that come under one key. After a refusal the
    transaction goes on, and nothing has moved. Raises InsufficientFunds, Conflict (`idempotency_conflict`), Invalid.
    """
    return _post(rules.net(moves), key, fingerprint, reference, memo)[0]


def transfer_jointly(
    joint: Joint, key: str, moves: Sequence[Move], *, fingerprint: str, reference: str, memo: str = ""
) -> tuple[Transfer, sa.Row[Any]]:
    """`transfer` in one statement with what another room says, and what that gives.

    Raises Declined, after which the transaction goes on: whoever is told so finds out why, or calls `lock` and judges
    again. A replayed transfer has written, and gives, nothing.
    """
    return _post(rules.net(moves), key, fingerprint, reference, memo, joint=joint)


def reverse(key: str, transfer_id: int, reason: str) -> Transfer:
    """Give back what a transfer moved, all of it; each transfer once, and no reversal.

    Raises NotFound (`transfer_not_found`), InsufficientFunds when it was spent meanwhile, Conflict
    (`already_reversed`, `not_reversible`, `idempotency_conflict`), Invalid.
    """
    original = queries.transfer(transfer_id)
    if original.reverses_id is not None:
        raise Conflict("A reversal cannot be reversed.", code="not_reversible")
    back = {account: -amount for account, amount in queries.legs(transfer_id).items()}
    mark = rules.fingerprint("reverse", transfer_id, reason)
    return _post(back, key, mark, original.reference, reason, reverses_id=transfer_id)[0]


def hold(key: str, account: Account, amount: Minor, reason: str, until: datetime | None = None) -> Hold:
    """Keep an amount from being spent, until it is released or captured; `until` says when somebody should look.

    Raises InsufficientFunds, Conflict (`idempotency_conflict`), Invalid.
    """
    rules.check_words(key, reason)
    if account.kind in MINTING:
        raise ValueError("there is no end of what a minting account has")
    mark = rules.fingerprint("hold", account.kind, account.owner_id, positive(amount), reason)
    lock(account)
    earlier = _earlier_hold(key, mark)
    if earlier is not None:
        return earlier
    if queries.balance(account).available < amount:
        raise InsufficientFunds(account)
    values = {"key": key, "fingerprint": mark, "amount": amount, "reason": reason, "until": until}
    own_id = sa.select(LedgerAccount.id).where(queries.is_account(account)).scalar_subquery()
    added = db.session.scalar(
        insert(LedgerHold)
        .values(account_id=own_id, created_at=clock.now(), **values)
        .on_conflict_do_nothing()
        .returning(LedgerHold.id)
    )
    if added is None:  # the key was taken meanwhile, and for another account: this one we have locked
        raise rules.key_conflict()
    return queries.hold(added)


def release(hold_id: int) -> Hold:
    """End a hold; what it held can be spent again. Released before, it is `replayed`.

    Raises NotFound (`hold_not_found`), Conflict (`hold_captured`).
    """
    lock(queries.hold(hold_id).account)
    held = queries.hold(hold_id)
    if held.state is HoldState.RELEASED:
        return replace(held, replayed=True)
    _close(held, HoldState.RELEASED)
    return replace(held, state=HoldState.RELEASED)


def capture(hold_id: int, key: str, credit: Account, *, reference: str = "", memo: str = "") -> Transfer:
    """End a hold by moving what it held to `credit`.

    Raises NotFound (`hold_not_found`), Conflict (`hold_released`, `hold_captured`, `idempotency_conflict`), Invalid.
    """
    held = queries.hold(hold_id)
    legs = rules.net([Move(held.account, credit, held.amount)])
    mark = rules.fingerprint("capture", hold_id, credit.kind, credit.owner_id)
    lock(held.account, credit)
    earlier = _earlier(key, mark)
    if earlier is not None:
        return earlier
    with db.session.begin_nested():
        _close(queries.hold(hold_id), HoldState.CAPTURED)
        return _post(legs, key, mark, reference, memo or held.reason, hold_id=hold_id)[0]


def lock(*accounts: Account) -> None:
    """Open and lock these accounts until the transaction ends, in the order that everybody takes."""
    db.session.execute(_OPEN, _names(accounts))
    db.session.execute(
        sa.select(LedgerAccount.id).where(queries.named(accounts)).order_by(LedgerAccount.id).with_for_update()
    )


def _names(accounts: Sequence[Account]) -> dict[str, list[str] | list[int]]:
    return {
        "kinds": [account.kind.value for account in accounts],
        "owners": [account.owner_id or 0 for account in accounts],
    }


def _post(
    legs: Legs,
    key: str,
    mark: str,
    reference: str,
    memo: str,
    *,
    reverses_id: int | None = None,
    hold_id: int | None = None,
    joint: Joint = _ALONE,
) -> tuple[Transfer, sa.Row[Any]]:
    rules.check_words(key, reference, memo)
    now, amount = clock.now(), rules.volume(legs)
    values = {
        **joint.values,
        **_names(list(legs)),
        "amounts": list(legs.values()),
        "legs": len(legs),
        "key": key,
        "fingerprint": mark,
        "reference": reference,
        "memo": memo,
        "amount": amount,
        "reverses_id": reverses_id,
        "hold_id": hold_id,
        "now": now,
    }
    statement = _statement(joint.premise, joint.rows, joint.gives)
    if len(legs) > MANY:
        db.session.execute(_OPEN, _names(list(legs)))
    posted = execute_sql(statement, values).one()
    if posted.holds and not posted.all_known:
        db.session.execute(_OPEN, _names(list(legs)))
        posted = execute_sql(statement, values).one()
    if posted.id is not None:
        return Transfer(posted.id, key, reference, memo, amount, now, reverses_id, hold_id), posted
    if not posted.holds:
        raise Declined
    earlier = _earlier(key, mark)
    if earlier is not None:
        return earlier, posted
    if reverses_id is not None and queries.is_reversed(reverses_id):
        raise Conflict("This transfer was reversed before.", code="already_reversed")
    raise InsufficientFunds(queries.account_with(posted.short_id))


@functools.lru_cache(maxsize=32)
def _statement(premise: str, rows: tuple[str, ...], gives: str) -> str:
    return one_line(_POST.format(premise=premise, rows="".join(f", {row}" for row in rows), gives=gives))


def _earlier(key: str, mark: str) -> Transfer | None:
    """The transfer that this request has made before. Raises Conflict when it was another request."""
    row = db.session.scalars(sa.select(LedgerTransfer).where(LedgerTransfer.key == key)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != mark:
        raise rules.key_conflict()
    return queries.transfer_of(row, replayed=True)


def _earlier_hold(key: str, mark: str) -> Hold | None:
    row = db.session.scalars(sa.select(LedgerHold).where(LedgerHold.key == key)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != mark:
        raise rules.key_conflict()
    return replace(queries.hold(row.id), replayed=True)


def _close(held: Hold, state: HoldState) -> None:
    """Whoever has locked the account of a hold is alone with it."""
    if held.state is not HoldState.OPEN:
        raise Conflict("This hold has ended.", code=f"hold_{held.state}")
    db.session.execute(
        sa.update(LedgerHold)
        .where(LedgerHold.id == held.id)
        .values(state=state, closed_at=clock.now())
        .execution_options(synchronize_session=False)
    )
