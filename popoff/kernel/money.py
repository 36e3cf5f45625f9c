"""Money: integer minor units inside, JSON numbers with two decimals outside."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import NewType

from popoff.kernel.errors import Invalid

Minor = NewType("Minor", int)
"""An amount in minor units (cents)."""

MAX_MINOR = 10**15
_CENT = Decimal("0.01")
_EXACT = Context(prec=28, traps=[Inexact, InvalidOperation])
"""Arithmetic that refuses to round, and has no room for amounts that nobody owns."""


def to_minor(amount: str | int | float | Decimal, field: str = "amount") -> Minor:
    """`12.5` -> 1250. Raises Invalid for NaN, infinities, fractions of a cent and amounts past 10^13.

    Floats are read by their shortest decimal form, which is what the JSON said.
    """
    not_money = Invalid("This is not an amount of money.", code="invalid_amount", field=field)
    try:
        value = Decimal(str(amount)).quantize(_CENT, context=_EXACT)
    except Inexact:
        raise Invalid("Amounts have at most two decimals.", code="invalid_amount", field=field) from None
    except InvalidOperation:
        raise not_money from None
    if not value.is_finite() or abs(value) * 100 > MAX_MINOR:
        raise not_money
    return Minor(int(value * 100))


def to_json(amount: Minor) -> float:
    """1250 -> 12.5, exact to the cent for every amount `to_minor` accepts."""
    return amount / 100
