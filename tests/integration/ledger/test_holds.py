"""Holds: money that stays where it is and cannot be spent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from popoff.kernel.errors import Conflict, Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.ledger import queries, service
from popoff.ledger.queries import Balance
from popoff.ledger.rules import Account, HoldState, InsufficientFunds, Kind
from tests.support.ledger import BANK, MINT, grant, has, new_key, pay, wallet

ADA, BELA = wallet(1), wallet(2)
PAYOUT = Account(Kind.PAYOUTS, 1)


def hold(amount: int, key: str | None = None, until: datetime | None = None, account: Account = ADA) -> queries.Hold:
    return service.hold(key or new_key(), account, Minor(amount), "flagged", until)


@pytest.fixture(autouse=True)
def _funds(books: None) -> None:
    grant(1, 100)


def test_what_is_held_stays_but_cannot_be_spent() -> None:
    held = hold(60)
    assert (held.state, held.account, held.reason) == (HoldState.OPEN, ADA, "flagged")
    assert queries.balance(ADA) == Balance(Minor(100), Minor(60))
    with pytest.raises(InsufficientFunds):
        pay(ADA, BELA, 41)
    pay(ADA, BELA, 40)
    assert queries.balance(ADA).available == 0


def test_no_more_can_be_held_than_there_is() -> None:
    hold(60)
    for amount, account in ((41, ADA), (1, wallet(404))):
        with pytest.raises(InsufficientFunds):
            hold(amount, account=account)
    hold(40)
    assert [entry.amount for entry in queries.open_holds(ADA)] == [60, 40]


@pytest.mark.parametrize("amount", [0, -5])
def test_something_is_held(amount: int) -> None:
    with pytest.raises(Invalid):
        hold(amount)


def test_minting_accounts_hold_nothing() -> None:
    with pytest.raises(ValueError, match="no end"):
        hold(5, account=MINT)


def test_a_released_hold_can_be_spent_again_and_is_released_once() -> None:
    held = hold(60)
    assert not service.release(held.id).replayed
    assert service.release(held.id).replayed
    assert queries.balance(ADA) == Balance(Minor(100), Minor(0))
    assert queries.hold(held.id).state is HoldState.RELEASED
    with pytest.raises(Conflict) as refusal:
        service.capture(held.id, new_key(), BELA)
    assert refusal.value.error_code == "hold_released"


def test_a_captured_hold_moves_to_its_destination_once() -> None:
    held = hold(60)
    pay(ADA, BELA, 40)
    moved = service.capture(held.id, "capture", PAYOUT, reference="payout:1")
    assert (moved.amount, moved.hold_id, moved.memo, moved.reference) == (60, held.id, "flagged", "payout:1")
    assert queries.balance(ADA) == Balance()
    assert has(PAYOUT) == 60
    assert service.capture(held.id, "capture", PAYOUT).replayed
    for refused, code in (
        (lambda: service.capture(held.id, "capture", BANK), "idempotency_conflict"),
        (lambda: service.capture(held.id, new_key(), PAYOUT), "hold_captured"),
        (lambda: service.release(held.id), "hold_captured"),
    ):
        with pytest.raises(Conflict) as refusal:
            refused()
        assert refusal.value.error_code == code
    assert has(PAYOUT) == 60


def test_a_capture_under_a_key_of_another_request_leaves_the_hold_open() -> None:
    held = hold(60)
    pay(ADA, BELA, 1, key="taken")
    with pytest.raises(Conflict):
        service.capture(held.id, "taken", PAYOUT)
    assert queries.hold(held.id).state is HoldState.OPEN
    assert queries.balance(ADA).held == 60


def test_a_captured_transfer_can_be_reversed() -> None:
    moved = service.capture(hold(60).id, new_key(), PAYOUT)
    service.reverse(new_key(), moved.id, "the bank refused")
    assert queries.balance(ADA) == Balance(Minor(100), Minor(0))


def test_holding_again_under_the_same_key_holds_nothing_more() -> None:
    first = hold(60, key="hold", until=datetime(2030, 1, 1, tzinfo=UTC))
    again = hold(60, key="hold", until=datetime(2031, 1, 1, tzinfo=UTC))
    assert again.replayed
    assert (again.id, again.until) == (first.id, first.until)
    for other in (lambda: hold(61, key="hold"), lambda: hold(60, key="hold", account=grant(2, 60))):
        with pytest.raises(Conflict) as refusal:
            other()
        assert refusal.value.error_code == "idempotency_conflict"
    assert queries.balance(ADA).held == 60


def test_overdue_holds_are_named_and_hold_on() -> None:
    due = datetime(2030, 1, 1, tzinfo=UTC)
    held, _, closed = hold(10, until=due), hold(10), hold(10, until=due)
    service.release(closed.id)
    assert queries.overdue_holds(due - timedelta(seconds=1)) == []
    assert [entry.id for entry in queries.overdue_holds(due)] == [held.id]
    assert queries.balance(ADA).held == 20


@pytest.mark.parametrize("act", [service.release, lambda id_: service.capture(id_, new_key(), BELA)])
def test_only_holds_that_there_are_can_end(act: object) -> None:
    with pytest.raises(NotFound) as refusal:
        act(10**9)  # type: ignore[operator]
    assert refusal.value.error_code == "hold_not_found"
