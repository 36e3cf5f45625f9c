"""What looks wrong about a gift, and what may be done about a flag. Pure: no database, no clock, no settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from popoff.kernel import words
from popoff.kernel.errors import Conflict, Forbidden
from popoff.kernel.money import Minor, to_text

SEND = "send_gift"
GIFT_ACTIONS = (SEND, "potential_gaming")
"""Entries about one gift: their subject is its id."""
NOTED_ACTIONS = ("suspicious_gifting", "potential_gaming")
"""Entries that are conspicuous by themselves."""

DESCRIPTION_LENGTH = 5000


class FlagState(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"
    CONFIRMED = "confirmed"


class CaseState(StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    UPHELD = "upheld"


class SubjectKind(StrEnum):
    """What a report can be about."""

    PERSON = "person"
    CONTENT = "content"
    GIFT = "gift"
    ENTRY = "entry"


class Rule(StrEnum):
    """Why an entry was flagged: by people, by a model, or by one of the rules below."""

    STAFF = "staff"
    REPORT = "report"
    MODEL = "model"
    VELOCITY = "velocity"
    UNUSUAL_AMOUNT = "unusual_amount"
    REPEAT_GIFTING = "repeat_gifting"
    RECIPROCITY = "reciprocity"
    STRUCTURING = "structuring"
    DRAIN_AFTER_GRANT = "drain_after_grant"
    YOUNG_ACCOUNTS = "young_accounts"


HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
CONTEXT = timedelta(days=30)
"""How far back a giver's own past is read."""

HOURLY_GIFTS = 30
HOURLY_GIFTS_TO_ONE = 10
PAST_GIFTS = 5
"""Gifts it takes to know what is usual for somebody."""
TIMES_THE_MEAN, TIMES_THE_MAXIMUM = 10, 2
UNUSUAL_FROM = Minor(5_000)
RECIPROCAL_FROM = Minor(1_000)
NEAR_LIMIT, AT_LIMIT = 90, 95
"""Percent of the daily limit."""
NEAR_LIMIT_DAYS = 3
SPLIT_GIFTS = 5
RING = 5
"""Givers to one creator with the same thing in common that are no chance any more."""
GRANT_PART = 80
"""Percent of a grant that goes to one creator within a day."""
YOUNG = DAY
YOUNG_FROM = Minor(10_000)
"""Accounts younger than a day, and what they give to one creator together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GiftFacts:
    """One gift, and what was around it. Amounts in minor units; every span ends with the gift and includes it.

    `past_*`: the giver's gifts until an hour before. `near_limit_days`: days of the week on which the giver gave
    nearly all that is allowed. `forth`, `back`: what these two gave each other lately. `granted`: what the giver was
    granted within a day before; `granted_givers`: how many lately gave to this creator within a day of a grant.
    `young`: whether the giver's account was; `young_givers`, `young_total`: how many such gave to this creator lately,
    and how much.
    """

    entry_id: str
    gift_id: str
    amount: int
    hour_count: int = 1
    hour_to_creator: int = 1
    day_count: int = 1
    day_total: int = 0
    day_to_creator: int = 0
    past_count: int = 0
    past_mean: float = 0.0
    past_max: int = 0
    near_limit_days: int = 0
    forth: int = 0
    back: int = 0
    granted: int = 0
    granted_givers: int = 0
    young: bool = False
    young_givers: int = 0
    young_total: int = 0


class Finding(NamedTuple):
    """A rule that a gift breaks, and a sentence that says how. Numbers only, no names."""

    rule: str
    reason: str


Judge = Callable[[GiftFacts, Minor], Sequence[Finding]]
"""Says what is wrong with a gift, given the daily limit."""


def judge(gift: GiftFacts, daily_limit: Minor) -> list[Finding]:
    """Everything that looks wrong about a gift; nothing at all for most of them."""
    return [*_pace(gift), *_size(gift), *_between_two(gift), *_rings(gift), *_around_limits(gift, daily_limit)]


def _pace(gift: GiftFacts) -> Iterator[Finding]:
    if gift.hour_count >= HOURLY_GIFTS:
        yield Finding(Rule.VELOCITY, f"The giver made {gift.hour_count} gifts within an hour.")
    if gift.hour_to_creator >= HOURLY_GIFTS_TO_ONE:
        yield Finding(
            Rule.REPEAT_GIFTING, f"The giver made {gift.hour_to_creator} gifts to this creator within an hour."
        )


def _size(gift: GiftFacts) -> Iterator[Finding]:
    knows = gift.past_count >= PAST_GIFTS and gift.amount >= UNUSUAL_FROM
    if knows and gift.amount >= TIMES_THE_MEAN * gift.past_mean and gift.amount >= TIMES_THE_MAXIMUM * gift.past_max:
        yield Finding(
            Rule.UNUSUAL_AMOUNT,
            f"{_money(gift.amount)} is {gift.amount / gift.past_mean:.0f} times the mean of the giver's "
            f"{gift.past_count} gifts before, of which the largest was {_money(gift.past_max)}.",
        )


def _between_two(gift: GiftFacts) -> Iterator[Finding]:
    less, more = sorted((gift.forth, gift.back))
    if less >= RECIPROCAL_FROM and 2 * less >= more:
        yield Finding(
            Rule.RECIPROCITY,
            f"Within a week the two gave each other {_money(gift.forth)} and {_money(gift.back)}.",
        )


def _rings(gift: GiftFacts) -> Iterator[Finding]:
    drained = gift.granted > 0 and 100 * gift.day_to_creator >= GRANT_PART * gift.granted
    if drained and gift.granted_givers >= RING:
        yield Finding(
            Rule.DRAIN_AFTER_GRANT,
            f"{gift.granted_givers} people gave to this creator within a day of a grant; this one "
            f"{_money(gift.day_to_creator)} of {_money(gift.granted)}.",
        )
    if gift.young and gift.young_givers >= RING and gift.young_total >= YOUNG_FROM:
        yield Finding(
            Rule.YOUNG_ACCOUNTS,
            f"{gift.young_givers} accounts younger than a day gave this creator {_money(gift.young_total)} together.",
        )


def _around_limits(gift: GiftFacts, limit: Minor) -> Iterator[Finding]:
    if 100 * gift.day_total >= NEAR_LIMIT * limit and gift.near_limit_days >= NEAR_LIMIT_DAYS:
        yield Finding(
            Rule.STRUCTURING,
            f"On {gift.near_limit_days} days of a week the giver came within {100 - NEAR_LIMIT} % of the daily limit.",
        )
    elif gift.day_count >= SPLIT_GIFTS and 100 * gift.day_total >= AT_LIMIT * limit:
        yield Finding(
            Rule.STRUCTURING,
            f"{gift.day_count} gifts of one day add up to {_money(gift.day_total)}, just under the limit.",
        )


def _money(amount: int) -> str:
    return to_text(Minor(amount))


# decisions


def check_outcome(state: FlagState, outcome: FlagState, *, decided_by: int | None, by: int) -> None:
    """Open flags are cleared or confirmed; a confirmed one may be cleared by another person than who confirmed it.

    Raises Conflict (code `flag_decided`), Forbidden (code `four_eyes`).
    """
    if outcome is FlagState.OPEN or (state, outcome) not in _OUTCOMES:
        raise Conflict(f"This flag is {state}.", code="flag_decided", state=state.value)
    if state is FlagState.CONFIRMED and decided_by == by:
        raise Forbidden("Somebody else has to take this back.", code="four_eyes")


_OUTCOMES = frozenset(
    {
        (FlagState.OPEN, FlagState.CLEARED),
        (FlagState.OPEN, FlagState.CONFIRMED),
        (FlagState.CONFIRMED, FlagState.CLEARED),
    }
)


def check_impartial(names: Sequence[str | None], me: str) -> None:
    """Nobody decides about their own money: `names` are those with a part in it. Raises Forbidden (`own_matter`)."""
    if me in names:
        raise Forbidden("Somebody without a part in this has to decide.", code="own_matter")


def check_description(text: str) -> str:
    """Raises Invalid (code `too_long`)."""
    return words.bounded(text, DESCRIPTION_LENGTH, "description")


_SHAPES = (
    (re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), (SubjectKind.PERSON, SubjectKind.CONTENT)),
    (re.compile(r"[0-9a-f]{24}"), (SubjectKind.GIFT,)),
    (re.compile(r"[0-9A-Z]{26}"), (SubjectKind.ENTRY,)),
)


def kinds_of(subject: str) -> tuple[SubjectKind, ...]:
    """What an id can be one of, by its shape; nothing for what is no id of ours."""
    return next((kinds for shape, kinds in _SHAPES if shape.fullmatch(subject)), ())
