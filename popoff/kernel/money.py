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
    text = str(amount)
    if not text.isascii() or "_" in text:  # which Decimal reads as Python does, and people do not write
        raise not_money
    try:
        value = Decimal(text).quantize(_CENT, context=_EXACT)
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


def positive(amount: Minor, field: str = "amount") -> Minor:
    """`amount` itself. Raises Invalid (code `invalid_amount`) unless it is whole, above zero, and not past 10^13."""
    if type(amount) is not int or not 0 < amount <= MAX_MINOR:
        raise Invalid(
            "The amount must be more than zero, and one that there can be.", code="invalid_amount", field=field
        )
    return amount


def to_text(amount: Minor) -> str:
    """1250 -> `12.50`, for files that people and banks read."""
    whole, cents = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole}.{cents:02}"
