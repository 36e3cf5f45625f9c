"""Money: integer minor units inside, JSON numbers with two decimals outside."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NewType

from popoff.kernel.errors import Invalid

Minor = NewType("Minor", int)
"""An amount in minor units (cents)."""

MAX_MINOR = 10**15


def to_minor(amount: str | int | float | Decimal, field: str = "amount") -> Minor:
    """`12.5` -> 1250. Raises Invalid for NaN, infinities, fractions of a cent and amounts past 10^13.

    Floats are read by their shortest decimal form, which is what the JSON said.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise Invalid("This is not an amount of money.", code="invalid_amount", field=field) from None
    if not value.is_finite() or abs(value) * 100 > MAX_MINOR:
        raise Invalid("This is not an amount of money.", code="invalid_amount", field=field)
    minor = value * 100
    if minor != minor.to_integral_value():
        raise Invalid("Amounts have at most two decimals.", code="invalid_amount", field=field)
    return Minor(int(minor))


def to_json(amount: Minor) -> float:
    """1250 -> 12.5, exact to the cent for every amount `to_minor` accepts."""
    return amount / 100
