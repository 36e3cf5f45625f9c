"""The proof that the books are right, from the rows themselves. Whoever can switch triggers off is found here."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.ledger.models import MINTS

NAMED = 20
"""How many examples of each kind of problem are named."""


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` for programs, `subject` the row at fault, `text` for people."""

    code: str
    subject: str
    text: str


# code, what is wrong, and a query for the subjects of which that is true
_CHECKS = (
    (
        "not_balanced",
        "the sum over all accounts is not zero",
        "SELECT 'ledger' FROM ledger_accounts HAVING sum(balance) <> 0",
    ),
    (
        "below_zero",
        "has less than nothing, or less than is held of it",
        f"SELECT 'account ' || id FROM ledger_accounts WHERE held <> 0 AND ({MINTS})"  # noqa: S608
        f" OR held < 0 OR held > balance AND NOT ({MINTS})",
    ),
    (
        "balance_differs",
        "its balance is not the sum of its entries, or they have no account",
        """SELECT 'account ' || coalesce(id, account_id) FROM ledger_accounts FULL JOIN (
               SELECT account_id, sum(amount) AS total, count(*) AS number FROM ledger_entries GROUP BY account_id
           ) AS entry ON account_id = id
           WHERE (balance, entries) IS DISTINCT FROM (coalesce(total, 0), coalesce(number, 0))""",
    ),
    (
        "history_broken",
        "an entry does not continue the one before it",
        """SELECT DISTINCT 'account ' || account_id FROM (
               SELECT account_id, seq, amount, balance_after, row_number() OVER line AS place,
                      lag(balance_after, 1, CAST(0 AS bigint)) OVER line AS balance_before
                 FROM ledger_entries WINDOW line AS (PARTITION BY account_id ORDER BY seq)
           ) AS entry WHERE seq <> place OR balance_before + amount <> balance_after""",
    ),
    (
        "held_differs",
        "what is held is not the sum of its open holds",
        """SELECT 'account ' || id FROM ledger_accounts LEFT JOIN (
               SELECT account_id, sum(amount) AS total FROM ledger_holds WHERE state = 'open' GROUP BY account_id
           ) AS hold ON account_id = id
           WHERE held <> coalesce(total, 0)""",
    ),
    (
        "transfer_not_balanced",
        "its entries do not sum to zero, are not what it says, or have no transfer",
        """SELECT 'transfer ' || coalesce(id, transfer_id) FROM ledger_transfers AS transfer FULL JOIN (
               SELECT transfer_id, sum(amount) AS net, count(*) AS number,
                      sum(amount) FILTER (WHERE amount > 0) AS moved
                 FROM ledger_entries GROUP BY transfer_id
           ) AS entry ON transfer_id = id
           WHERE (net, moved, number) IS DISTINCT FROM (0, transfer.amount, legs)""",
    ),
    (
        "reversal_differs",
        "it does not give back what the other transfer moved",
        """SELECT 'transfer ' || id FROM ledger_transfers AS reversal WHERE reverses_id IS NOT NULL AND EXISTS (
               SELECT FROM (SELECT * FROM ledger_entries WHERE transfer_id = reversal.id) AS back
               FULL JOIN (SELECT * FROM ledger_entries WHERE transfer_id = reversal.reverses_id) AS forth
                    USING (account_id)
               WHERE back.amount IS DISTINCT FROM -forth.amount
           )""",
    ),
    (
        "hold_differs",
        "it is captured without the transfer that says so, or the other way about",
        """SELECT 'hold ' || hold.id FROM ledger_holds AS hold
           LEFT JOIN ledger_transfers AS transfer ON transfer.hold_id = hold.id
           WHERE (state = 'captured') <> (transfer.id IS NOT NULL) OR transfer.amount <> hold.amount""",
    ),
    (
        "guard_missing",
        "this guard of the database is gone, or off",
        """SELECT 'trigger ' || name FROM unnest(CAST(:guards AS text[])) AS name WHERE NOT EXISTS (
               SELECT FROM pg_trigger WHERE tgname = name AND tgenabled IN ('O', 'A')
                  AND tgrelid IN (CAST('ledger_accounts' AS regclass), CAST('ledger_transfers' AS regclass),
                                  CAST('ledger_entries' AS regclass), CAST('ledger_holds' AS regclass))
           )""",
    ),
)

GUARDS = (
    "ledger_accounts_no_change",
    "ledger_accounts_no_removal",
    "ledger_accounts_no_renaming",
    "ledger_accounts_open_empty",
    "ledger_entries_no_change",
    "ledger_entries_post",
    "ledger_holds_begin_open",
    "ledger_holds_close_once",
    "ledger_holds_count",
    "ledger_holds_no_removal",
    "ledger_transfers_balance",
    "ledger_transfers_no_change",
)


def check() -> list[Problem]:
    """Everything that is wrong with the books; an empty list when nothing is.

    Each question is one statement, so that transfers made meanwhile do not look like faults. Reads every entry,
    for as long as that takes.
    """
    db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    return [
        Problem(code, subject, text)
        for code, text, query in _CHECKS
        for subject in db.session.scalars(sa.text(f"{query} LIMIT {NAMED}"), {"guards": list(GUARDS)})
    ]
