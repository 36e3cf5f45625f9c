from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.kernel.errors import Invalid
from popoff.kernel.money import MAX_MINOR, Minor, to_json, to_minor


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        (0, 0),
        (12.5, 1250),
        ("12.50", 1250),
        (0.29, 29),
        (-0.01, -1),
        (Decimal("3.140"), 314),
        ("1e3", 100_000),
        (10**13, MAX_MINOR),
        ("9999999999999.99", MAX_MINOR - 1),
        ("1." + "0" * 200, 100),
    ],
)
def test_amounts_become_whole_cents(amount: str | float | Decimal, minor: int) -> None:
    assert to_minor(amount) == minor


@pytest.mark.parametrize(
    "amount",
    ["", "x", "1_0", "\u0661", "\uff11", "nan", "snan", "inf", "-Infinity", True, "0x10", 0.005, "1.001",
     "0." + "0" * 40 + "1", "1e-999999", 10**13 + 1, -(10**13) - 1, "1e27", "1e999999", "1e9999999999999999999",
     float("nan"), "10000000000000.001"],
)  # fmt: skip
def test_what_is_no_amount_is_refused(amount: str | float) -> None:
    with pytest.raises(Invalid) as refused:
        to_minor(amount, "gift")
    assert (refused.value.error_code, refused.value.field) == ("invalid_amount", "gift")


@given(st.integers(-MAX_MINOR, MAX_MINOR))
def test_every_amount_survives_the_way_out_and_back(minor: int) -> None:
    assert to_minor(to_json(Minor(minor))) == minor
