"""Balances, histories and statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from popoff.kernel import clock
from popoff.kernel.errors import Invalid
from popoff.kernel.money import Minor
from popoff.kernel.paging import decode_cursor
from popoff.ledger import queries, service
from popoff.ledger.queries import Balance
from popoff.ledger.rules import Account, Kind
from tests.support.ledger import BANK, MINT, grant, new_key, pay, wallet

ADA, BELA = wallet(1), wallet(2)
MAY = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def test_an_unused_account_has_nothing_and_no_history() -> None:
    assert queries.balance(ADA) == Balance()
    assert queries.entries(ADA).lines == []
    empty = queries.statement(ADA, MAY, MAY + DAY)
    assert (empty.opening, empty.closing, empty.lines) == (0, 0, [])


def test_many_balances_come_at_once() -> None:
    grant(1, 100)
    service.hold(new_key(), ADA, Minor(30), "why")
    assert queries.balances([ADA, BELA, MINT]) == {
        ADA: Balance(Minor(100), Minor(30)),
        BELA: Balance(),
        MINT: Balance(Minor(-100), Minor(0)),
    }
    assert queries.balances([]) == {}


def test_totals_by_kind_sum_to_zero() -> None:
    grant(1, 100)
    grant(2, 50)
    pay(BANK, Account(Kind.AD_POOL), 1000)
    service.hold(new_key(), ADA, Minor(30), "why")
    totals = queries.totals()
    assert totals[Kind.WALLET] == Balance(Minor(150), Minor(30))
    assert totals[Kind.AD_POOL].total == 1000
    assert (totals[Kind.MINT].total, totals[Kind.BANK].total) == (-150, -1000)
    assert totals[Kind.GIFTS] == Balance()
    assert sum(balance.total for balance in totals.values()) == 0


def test_pages_of_a_history_run_from_the_newest_to_the_first_without_gap_or_repeat() -> None:
    for amount in range(1, 8):
        grant(1, amount)
        grant(2, 1)
    seen, cursor = [], None
    while True:
        page = queries.entries(ADA, cursor, limit=3)
        seen += page.lines
        cursor = page.next_cursor
        if cursor is None:
            break
        grant(1, 1000)  # what comes meanwhile does not shift the pages
    assert [line.amount for line in seen] == [7, 6, 5, 4, 3, 2, 1]
    assert [line.balance_after for line in seen] == [28, 21, 15, 10, 6, 3, 1]


def test_a_cursor_tells_nothing_about_others() -> None:
    for _ in range(20):
        grant(2, 5)
    grant(1, 5)
    grant(1, 5)
    cursor = queries.entries(ADA, limit=1).next_cursor
    assert decode_cursor(str(cursor), int) == (2,)
    with pytest.raises(Invalid):
        queries.entries(ADA, "nonsense")


def test_a_line_says_what_it_was_for() -> None:
    grant(1, 100)
    moved = pay(ADA, BELA, 30)
    service.reverse(new_key(), moved.id, "Sent by mistake")
    back, sent, _ = queries.entries(ADA).lines
    assert (sent.transfer_id, sent.amount, sent.balance_after, sent.reference) == (moved.id, -30, 70, "test")
    assert (back.amount, back.balance_after, back.memo) == (30, 100, "Sent by mistake")


def test_a_statement_covers_its_days_and_adds_up() -> None:
    for day, amount in ((-1, 100), (0, 20), (1, 7), (2, 3), (31, 1)):
        with clock.at(MAY + day * DAY):
            grant(1, amount)
    with clock.at(MAY + 3 * DAY):
        pay(ADA, BELA, 45)
    of_may = queries.statement(ADA, MAY, MAY + 31 * DAY)
    assert (of_may.opening, of_may.credits, of_may.debits, of_may.closing) == (100, 30, 45, 85)
    assert [line.amount for line in of_may.lines] == [20, 7, 3, -45]
    of_june = queries.statement(ADA, MAY + 31 * DAY, MAY + 61 * DAY)
    assert (of_june.opening, of_june.closing) == (of_may.closing, 86)


def test_a_statement_adds_up_when_clocks_of_two_hosts_differ() -> None:
    with clock.at(MAY + timedelta(seconds=1)):
        grant(1, 5)
    with clock.at(MAY - timedelta(seconds=1)):
        grant(1, 10)
    before, after = queries.statement(ADA, MAY - DAY, MAY), queries.statement(ADA, MAY, MAY + DAY)
    assert (before.opening, before.closing, after.opening, after.closing) == (0, 10, 10, 15)
