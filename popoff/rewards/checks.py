"""The proof that rewards and ledger say the same, from the rows of both."""

from __future__ import annotations

import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.ledger.checks import NAMED, Problem

# code, what is wrong, and a query for the subjects of which that is true
_CHECKS = (
    (
        "statement_differs",
        "a statement is not the sum of its lines",
        """
        SELECT 'statement ' || statement.public_id FROM reward_statements AS statement
          LEFT JOIN (SELECT period_id, creator_id, sum(gifts) AS gifts, sum(gift_reward) AS gift_reward,
                            sum(ad_revenue) AS ad_revenue, sum(fund_reward) AS fund_reward
                       FROM reward_lines GROUP BY 1, 2) AS line USING (period_id, creator_id)
          LEFT JOIN (SELECT period_id, creator_id, sum(amount) AS late
                       FROM reward_late_lines GROUP BY 1, 2) AS late USING (period_id, creator_id)
         WHERE (statement.gifts, statement.gift_reward, statement.ad_revenue, statement.fund_reward, statement.late)
            <> (coalesce(line.gifts, 0), coalesce(line.gift_reward, 0), coalesce(line.ad_revenue, 0),
                coalesce(line.fund_reward, 0), coalesce(late.late, 0))
        """,
    ),
    (
        "line_unpaid",
        "a line has no statement",
        """
        SELECT 'period ' || period_id || ', creator ' || creator_id
          FROM (SELECT period_id, creator_id FROM reward_lines UNION
                SELECT period_id, creator_id FROM reward_late_lines) AS line
         WHERE NOT EXISTS (SELECT FROM reward_statements AS statement WHERE statement.period_id = line.period_id
                              AND statement.creator_id = line.creator_id)
        """,
    ),
    (
        "pool_differs",
        "what a pool has paid and what it carries on are not what was in it",
        """
        SELECT 'period ' || public_id FROM reward_periods AS period
          LEFT JOIN (SELECT period_id, sum(ad_revenue) AS ads, sum(fund_reward) AS fund
                       FROM reward_lines GROUP BY 1) AS paid ON paid.period_id = period.id
         WHERE frozen_at IS NOT NULL
           AND (coalesce(ads, 0) + ad_carried_out <> (2 * ad_pool * ad_share + 100) / 200 + ad_carried_in OR
                coalesce(fund, 0) + fund_carried_out <> (2 * creator_fund * fund_share + 100) / 200 + fund_carried_in)
        """,
    ),
    (
        "gift_in_no_period",
        "a gift is of no period, though later ones were closed: close one over its time",
        """
        SELECT 'gift ' || public_id FROM gifts
         WHERE created_at < (SELECT max(starts_at) FROM reward_periods WHERE frozen_at IS NOT NULL)
           AND NOT EXISTS (SELECT FROM reward_periods AS period
                            WHERE gifts.created_at >= starts_at AND gifts.created_at < ends_at)
           AND NOT EXISTS (SELECT FROM gift_reversals WHERE gift_id = gifts.id)
        """,
    ),
    (
        "payment_differs",
        "the ledger has not paid what the statement says",
        """
        SELECT 'statement ' || statement.public_id FROM reward_statements AS statement
          JOIN reward_periods AS period ON period.id = statement.period_id
          LEFT JOIN (SELECT transfer.reference, account.owner_id, sum(entry.amount) AS paid
                       FROM ledger_transfers AS transfer
                       JOIN ledger_entries AS entry ON entry.transfer_id = transfer.id
                       JOIN ledger_accounts AS account ON account.id = entry.account_id AND account.kind = 'wallet'
                      WHERE transfer.key LIKE 'period:%' GROUP BY 1, 2) AS ledger
            ON ledger.reference = period.public_id AND ledger.owner_id = statement.creator_id
         WHERE coalesce(paid, 0) <> CASE WHEN statement.batch < period.batches_paid THEN statement.total ELSE 0 END
        """,
    ),
    (
        "escrow_differs",
        "an escrow does not hold the gifts that no statement has settled",
        """
        SELECT 'creator ' || coalesce(expected.creator_id, account.owner_id)
          FROM (SELECT creator_id, sum(amount) AS amount FROM (
                    SELECT creator_id, amount FROM gifts
                    UNION ALL
                    SELECT gifts.creator_id, -gifts.amount FROM gift_reversals
                      JOIN gifts ON gifts.id = gift_reversals.gift_id
                      JOIN ledger_transfers AS back ON back.id = gift_reversals.transfer_id
                     WHERE back.reverses_id IS NOT NULL
                    UNION ALL
                    SELECT creator_id, -gifts FROM reward_statements AS statement
                      JOIN reward_periods AS period ON period.id = statement.period_id
                     WHERE batch < batches_paid
                    UNION ALL
                    SELECT late.creator_id, -late.gross FROM reward_late_lines AS late
                      JOIN reward_statements AS statement USING (period_id, creator_id)
                      JOIN reward_periods AS period ON period.id = late.period_id
                     WHERE batch < batches_paid) AS flow GROUP BY 1) AS expected
          FULL JOIN (SELECT owner_id, balance FROM ledger_accounts WHERE kind = 'gifts') AS account
            ON account.owner_id = expected.creator_id
         WHERE coalesce(expected.amount, 0) <> coalesce(account.balance, 0)
        """,
    ),
    (
        "payouts_differ",
        "the money on its way is not that of the payouts that are open",
        """
        SELECT 'person ' || coalesce(expected.user_id, account.owner_id)
          FROM (SELECT user_id, sum(amount) AS amount FROM payouts
                 WHERE state IN ('pending', 'held', 'approved') GROUP BY 1) AS expected
          FULL JOIN (SELECT owner_id, balance FROM ledger_accounts WHERE kind = 'payouts') AS account
            ON account.owner_id = expected.user_id
         WHERE coalesce(expected.amount, 0) <> coalesce(account.balance, 0)
        """,
    ),
    (
        "payout_differs",
        "a payout is not what the ledger has moved for it",
        """
        SELECT 'payout ' || payout.public_id FROM payouts AS payout
          JOIN ledger_transfers AS asked ON asked.id = payout.transfer_id
          LEFT JOIN ledger_transfers AS paid ON paid.id = payout.paid_transfer_id
         WHERE (payout.amount, payout.public_id) <> (asked.amount, asked.reference) OR payout.amount <> paid.amount
            OR (payout.state IN ('failed', 'reversed'))
            <> EXISTS (SELECT FROM ledger_transfers AS back WHERE back.reverses_id = asked.id)
        """,
    ),
    (
        "guard_missing",
        "this guard of the database is gone, or off",
        """
        SELECT 'trigger ' || name || ' on ' || place
          FROM (VALUES ('gifts', 'after_closing'), ('gifts', 'append_only'), ('gift_holds', 'append_only'),
                       ('gift_reversals', 'append_only'), ('reward_lines', 'append_only'),
                       ('reward_statements', 'append_only'), ('reward_late_lines', 'append_only'),
                       ('reward_periods', 'no_removal'), ('reward_periods', 'step')) AS guard (place, name)
         WHERE NOT EXISTS (SELECT FROM pg_trigger
                            WHERE tgrelid = CAST(place AS regclass) AND tgname = name AND tgenabled IN ('O', 'A'))
        """,
    ),
)


def check() -> list[Problem]:
    """What does not agree; nothing when all is well. Reads everything: for `popoff doctor` and for tests."""
    return [
        Problem(code, subject, text)
        for code, text, query in _CHECKS
        for subject in db.session.scalars(sa.text(query + f" ORDER BY 1 LIMIT {NAMED}"))
    ]
