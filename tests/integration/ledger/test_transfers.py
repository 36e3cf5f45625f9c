"""Transfers, their keys, and their reversals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from popoff.kernel import clock
from popoff.kernel.errors import Conflict, Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.ledger import queries, service
from popoff.ledger.rules import Account, InsufficientFunds, Kind, Move
from tests.support.ledger import MINT, PLATFORM, grant, has, new_key, pay, wallet

ADA, BELA, CHEN = wallet(1), wallet(2), wallet(3)


def test_money_leaves_one_account_and_arrives_at_another() -> None:
    grant(1, 1000)
    with clock.at(datetime(2026, 5, 1, tzinfo=UTC)):
        moved = service.transfer("k", [Move(ADA, BELA, Minor(300))], fingerprint="f", reference="gift:x", memo="Thanks")
    assert (has(ADA), has(BELA), has(MINT)) == (700, 300, -1000)
    assert moved.created_at == datetime(2026, 5, 1, tzinfo=UTC)
    assert not moved.replayed
    assert queries.transfer(moved.id) == moved
    assert queries.legs(moved.id) == {ADA: -300, BELA: 300}


def test_a_transfer_of_many_moves_is_all_or_nothing() -> None:
    grant(1, 100)
    moves = [Move(ADA, BELA, Minor(60)), Move(ADA, PLATFORM, Minor(10)), Move(BELA, CHEN, Minor(20))]
    service.transfer(new_key(), moves, fingerprint="f", reference="split")
    assert [has(account) for account in (ADA, BELA, CHEN, PLATFORM)] == [30, 40, 20, 10]
    with pytest.raises(InsufficientFunds) as refusal:
        service.transfer(new_key(), moves, fingerprint="f", reference="split")
    assert refusal.value.account == ADA
    assert [has(account) for account in (ADA, BELA, CHEN, PLATFORM)] == [30, 40, 20, 10]


def test_a_thousand_accounts_are_paid_at_once() -> None:
    pay(MINT, Account(Kind.AD_POOL), 500_500)
    moves = [Move(Account(Kind.AD_POOL), wallet(person), Minor(person)) for person in range(1, 1001)]
    service.transfer(new_key(), moves, fingerprint="f", reference="period")
    assert has(Account(Kind.AD_POOL)) == 0
    assert [has(wallet(person)) for person in (1, 500, 1000)] == [1, 500, 1000]


@pytest.mark.parametrize("amount", [101, 10**15])
def test_nobody_spends_more_than_they_have(amount: int) -> None:
    grant(1, 100)
    with pytest.raises(InsufficientFunds):
        pay(ADA, BELA, amount)
    assert (has(ADA), has(BELA)) == (100, 0)
    pay(ADA, BELA, 100)
    assert (has(ADA), has(BELA)) == (0, 100)


def test_an_account_that_was_never_used_has_nothing_to_spend() -> None:
    with pytest.raises(InsufficientFunds):
        pay(wallet(404), BELA, 1)


@pytest.mark.parametrize("kind", [Kind.PLATFORM, Kind.AD_POOL, Kind.CREATOR_FUND])
def test_pools_spend_only_what_they_have(kind: Kind) -> None:
    with pytest.raises(InsufficientFunds):
        pay(Account(kind), ADA, 1)


@pytest.mark.parametrize("kind", [Kind.MINT, Kind.BANK])
def test_money_comes_from_accounts_that_go_below_zero(kind: Kind) -> None:
    pay(Account(kind), ADA, 70)
    assert has(Account(kind)) == -70


def test_a_transaction_goes_on_after_a_refusal() -> None:
    grant(1, 100)
    for refused in (lambda: pay(ADA, BELA, 200), lambda: pay(wallet(404), wallet(405), 1)):
        with pytest.raises(InsufficientFunds):
            refused()
    pay(ADA, BELA, 100)
    assert has(BELA) == 100


def test_the_same_request_under_the_same_key_gets_the_first_answer() -> None:
    grant(1, 100)
    first = pay(ADA, BELA, 100, key="once")
    again = pay(ADA, BELA, 100, key="once")
    assert again.replayed
    assert again.id == first.id
    assert (has(ADA), has(BELA)) == (0, 100)


def test_another_request_under_the_same_key_is_a_conflict() -> None:
    grant(1, 100)
    pay(ADA, BELA, 10, key="once")
    for other in (lambda: pay(ADA, BELA, 11, key="once"), lambda: pay(ADA, wallet(77), 10, key="once")):
        with pytest.raises(Conflict) as refusal:
            other()
        assert refusal.value.error_code == "idempotency_conflict"
    assert (has(ADA), has(BELA)) == (90, 10)


def test_a_refused_request_does_not_use_up_its_key() -> None:
    with pytest.raises(InsufficientFunds):
        pay(ADA, BELA, 10, key="later")
    grant(1, 10)
    assert not pay(ADA, BELA, 10, key="later").replayed


@pytest.mark.parametrize("words", [("", "", ""), ("x" * 201, "", ""), ("k", "r" * 501, ""), ("k", "", "a\0b")])
def test_words_that_cannot_be_kept_are_refused(words: tuple[str, str, str]) -> None:
    key, reference, memo = words
    with pytest.raises(Invalid):
        service.transfer(key, [Move(MINT, ADA, Minor(1))], fingerprint="f", reference=reference, memo=memo)


def test_a_reversal_gives_everything_back() -> None:
    grant(1, 100)
    moves = [Move(ADA, BELA, Minor(60)), Move(ADA, CHEN, Minor(40))]
    moved = service.transfer(new_key(), moves, fingerprint="f", reference="gift:y")
    back = service.reverse(new_key(), moved.id, "Sent by mistake")
    assert (has(ADA), has(BELA), has(CHEN)) == (100, 0, 0)
    assert (back.reverses_id, back.reference, back.memo) == (moved.id, "gift:y", "Sent by mistake")
    assert queries.legs(back.id) == {ADA: 100, BELA: -60, CHEN: -40}


def test_a_transfer_is_reversed_once() -> None:
    grant(1, 100)
    moved = pay(ADA, BELA, 50)
    grant(2, 500)
    first = service.reverse("undo", moved.id, "why")
    assert service.reverse("undo", moved.id, "why").id == first.id
    with pytest.raises(Conflict) as refusal:
        service.reverse(new_key(), moved.id, "why")
    assert refusal.value.error_code == "already_reversed"
    with pytest.raises(Conflict) as refusal:
        service.reverse("undo", moved.id, "for another reason")
    assert refusal.value.error_code == "idempotency_conflict"
    assert has(ADA) == 100


def test_a_reversal_is_not_reversed() -> None:
    grant(1, 100)
    back = service.reverse(new_key(), pay(ADA, BELA, 50).id, "why")
    with pytest.raises(Conflict) as refusal:
        service.reverse(new_key(), back.id, "why")
    assert refusal.value.error_code == "not_reversible"


def test_what_was_spent_meanwhile_cannot_be_given_back() -> None:
    grant(1, 100)
    moved = pay(ADA, BELA, 50)
    pay(BELA, CHEN, 1)
    with pytest.raises(InsufficientFunds) as refusal:
        service.reverse(new_key(), moved.id, "why")
    assert refusal.value.account == BELA


def test_only_transfers_that_there_are_can_be_reversed() -> None:
    with pytest.raises(NotFound) as refusal:
        service.reverse(new_key(), 10**9, "why")
    assert refusal.value.error_code == "transfer_not_found"


def test_what_a_large_transfer_needs_does_not_burden_small_ones(session: sa.orm.Session) -> None:
    """A connection keeps its plans: one made for thousands of legs must not read whole tables for two."""

    def whole_tables_read() -> int:
        counted = (
            "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname IN ('ledger_accounts', 'ledger_entries')"
        )
        return int(session.scalar(sa.text(counted)) or 0)

    grant(1, 100)
    for _ in range(3):
        moves = [Move(MINT, wallet(person), Minor(1)) for person in range(1000, 4000)]
        session.execute(sa.text("ANALYZE ledger_accounts, ledger_transfers, ledger_entries"))  # plans are made anew
        service.transfer(new_key(), moves, fingerprint="f", reference="large")
    before = whole_tables_read()
    for _ in range(12):
        pay(ADA, BELA, 1)
    assert whole_tables_read() == before
