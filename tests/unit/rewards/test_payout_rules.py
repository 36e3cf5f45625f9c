from __future__ import annotations

import pytest

from popoff.kernel.errors import Conflict, Invalid
from popoff.kernel.money import to_minor
from popoff.rewards import bank, rules
from popoff.rewards.rules import PayoutState


@pytest.mark.parametrize(
    "amount", [float("nan"), float("inf"), "NaN", "1e400", 0.001, "12.345", 1e30, "", "ten"], ids=str
)
def test_what_is_no_amount_of_whole_cents_is_refused(amount: object) -> None:
    with pytest.raises(Invalid) as refused:
        to_minor(amount)  # type: ignore[arg-type]
    assert refused.value.error_code == "invalid_amount"


@pytest.mark.parametrize("iban", ["DE89 3704 0044 0532 0130 00", "gb82west12345698765432", "NO9386011117947"])
def test_ibans_are_kept_in_their_plain_form(iban: str) -> None:
    assert rules.check_iban(iban) == iban.replace(" ", "").upper()


@pytest.mark.parametrize(
    "iban", ["", "DE89370400440532013001", "8937040044053201", "DE89 3704", "ÄÖ89370400440532013000"]
)
def test_wrong_ibans_are_refused(iban: str) -> None:
    with pytest.raises(Invalid):
        rules.check_iban(iban)


@pytest.mark.parametrize("last", [PayoutState.FAILED, PayoutState.REVERSED])
@pytest.mark.parametrize("wanted", PayoutState)
def test_a_payout_that_gave_its_money_back_goes_nowhere(last: PayoutState, wanted: PayoutState) -> None:
    with pytest.raises(Conflict):
        rules.check_step(last, wanted)


@pytest.mark.parametrize("now", [PayoutState.PENDING, PayoutState.HELD])
def test_nothing_is_paid_before_it_is_approved(now: PayoutState) -> None:
    with pytest.raises(Conflict):
        rules.check_step(now, PayoutState.PAID)


@pytest.mark.parametrize("cell", ["=1+1", "+SUM(A1)", "@cmd", "-2+3"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert bank.plain_cell(cell) == f"'{cell}"


def test_amounts_below_zero_stay_numbers() -> None:
    assert bank.plain_cell("-12.50") == "-12.50"


def test_names_for_the_bank_are_in_letters_it_takes() -> None:
    assert bank.sepa("Zoë Müßig & Söhne <x>") == "Zoe Mussig + Sohne .x."
