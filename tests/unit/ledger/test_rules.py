"""What a transfer amounts to, and what is refused before the database hears of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.errors import Invalid
from popoff.kernel.money import MAX_MINOR, Minor, positive, to_minor, to_text
from popoff.ledger import rules
from popoff.ledger.rules import PERSONAL, Account, Kind, Move

ADA, BELA, CHEN = (Account(Kind.WALLET, person) for person in (1, 2, 3))
MINT = Account(Kind.MINT)


@pytest.mark.parametrize("kind", Kind)
def test_personal_accounts_have_an_owner_and_others_have_none(kind: Kind) -> None:
    fits, misfit = (7, None) if kind in PERSONAL else (None, 7)
    assert Account(kind, fits).owner_id == fits
    with pytest.raises(ValueError, match=kind.value):
        Account(kind, misfit)


@pytest.mark.parametrize("owner", [0, -1])
def test_nobody_is_not_a_person(owner: int) -> None:
    with pytest.raises(ValueError, match="wallet"):
        Account(Kind.WALLET, owner)


@pytest.mark.parametrize("amount", [0, -1, -(10**9), MAX_MINOR + 1, 1.0, 0.5, float("nan"), float("inf"), True, "5"])
def test_only_whole_amounts_above_zero_move(amount: object) -> None:
    with pytest.raises(Invalid) as refusal:
        Move(MINT, ADA, amount)  # type: ignore[arg-type]
    assert refusal.value.error_code == "invalid_amount"


def test_money_does_not_move_to_where_it_is() -> None:
    with pytest.raises(Invalid) as refusal:
        Move(ADA, Account(Kind.WALLET, 1), Minor(5))
    assert refusal.value.error_code == "same_account"


def test_moves_through_one_account_make_one_leg() -> None:
    assert rules.net([Move(ADA, BELA, Minor(70)), Move(ADA, CHEN, Minor(30)), Move(BELA, CHEN, Minor(20))]) == {
        ADA: -100,
        BELA: 50,
        CHEN: 50,
    }


def test_an_account_that_only_passes_money_on_has_no_leg() -> None:
    assert rules.net([Move(ADA, BELA, Minor(5)), Move(BELA, CHEN, Minor(5))]) == {ADA: -5, CHEN: 5}


@pytest.mark.parametrize("moves", [[], [Move(ADA, BELA, Minor(5)), Move(BELA, ADA, Minor(5))]])
def test_a_transfer_moves_something(moves: list[Move]) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.net(moves)
    assert refusal.value.error_code == "nothing_moves"


def test_a_transfer_moves_no_more_than_there_can_be() -> None:
    most = Minor(MAX_MINOR)
    with pytest.raises(Invalid) as refusal:
        rules.net([Move(MINT, ADA, most), Move(MINT, BELA, Minor(1))])
    assert refusal.value.error_code == "invalid_amount"


people = st.sampled_from([MINT, ADA, BELA, CHEN])
some_moves = st.lists(
    st.tuples(people, people, st.integers(1, 10**9)).filter(lambda move: move[0] != move[1]), min_size=1, max_size=12
)


@given(some_moves)
def test_legs_sum_to_zero_and_are_what_the_moves_say(drawn: list[tuple[Account, Account, int]]) -> None:
    moves = [Move(debit, credit, Minor(amount)) for debit, credit, amount in drawn]
    try:
        legs = rules.net(moves)
    except Invalid:
        legs = {}
    assert sum(legs.values()) == 0
    assert 0 not in legs.values()
    for account in (MINT, ADA, BELA, CHEN):
        arrived = sum(move.amount for move in moves if move.credit == account)
        left = sum(move.amount for move in moves if move.debit == account)
        assert legs.get(account, 0) == arrived - left
    assert rules.volume(legs) == sum(abs(amount) for amount in legs.values()) / 2


def test_a_fingerprint_does_not_run_its_parts_together() -> None:
    requests = [("a", "bc"), ("ab", "c"), ("abc",), ("a", "b", "c"), ("a", "bc", None), (1, 23), (12, 3), ("1", 23)]
    assert len({rules.fingerprint(*request) for request in requests}) == len(requests)
    assert rules.fingerprint("gift", 7, None) == rules.fingerprint("gift", 7, None)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\0b", "a\nb"])
def test_keys_are_words_of_some_length(key: str) -> None:
    with pytest.raises(Invalid) as refusal:
        rules.check_words(key)
    assert refusal.value.error_code == "invalid_key"


@pytest.mark.parametrize("text", ["x" * 501, "a\0b"])
def test_texts_are_what_the_database_can_keep(text: str) -> None:
    rules.check_words("key", "", "two\nlines")
    with pytest.raises(Invalid) as refusal:
        rules.check_words("key", "fine", text)
    assert refusal.value.error_code == "invalid_text"


def test_a_refusal_for_lack_of_funds_does_not_say_how_much_there_is() -> None:
    refusal = rules.InsufficientFunds(ADA)
    assert (refusal.error_code, refusal.account, refusal.details) == ("insufficient_funds", ADA, {})


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (5, "0.05"), (1250, "12.50"), (-5, "-0.05"), (-1999, "-19.99"), (10**15, "1" + "0" * 13 + ".00")],
)
def test_amounts_as_text(amount: int, text: str) -> None:
    assert to_text(Minor(amount)) == text
    assert to_minor(text) == amount


def test_a_positive_amount_names_the_field_that_is_not() -> None:
    assert positive(Minor(1)) == 1
    with pytest.raises(Invalid) as refusal:
        positive(Minor(0), "price")
    assert refusal.value.field == "price"
