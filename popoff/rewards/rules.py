"""Decisions about gifts, rewards and payouts. Pure: whole cents in, whole cents out, no rounding of sums."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from popoff.kernel.errors import Conflict, Invalid
from popoff.kernel.money import MAX_MINOR, Minor

REPEAT_WINDOW = timedelta(hours=1)
"""A second gift of one person on one post within this time is noted."""

BATCH = 300
"""Statements that are paid by one transfer."""

SCORE_SCALE = 100
"""Scores are kept in hundredths, as whole numbers: what they weigh can be counted again by anybody."""


class PeriodState(StrEnum):
    CLOSING = "closing"
    """Its end is fixed; its inputs are not read yet."""
    FROZEN = "frozen"
    """Inputs and statements are written; they are being paid."""
    CLOSED = "closed"


class LateKind(StrEnum):
    RELEASE = "release"
    """A gift of an earlier period, held then and cleared since."""
    REVERSAL = "reversal"
    """The creator's part of a gift that was paid before it was reversed; below zero."""


class TopUpState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class PayoutState(StrEnum):
    PENDING = "pending"
    HELD = "held"
    APPROVED = "approved"
    PAID = "paid"
    FAILED = "failed"
    REVERSED = "reversed"


_NEXT: Mapping[PayoutState, frozenset[PayoutState]] = {
    PayoutState.PENDING: frozenset({PayoutState.HELD, PayoutState.APPROVED, PayoutState.FAILED}),
    PayoutState.HELD: frozenset({PayoutState.HELD, PayoutState.PENDING, PayoutState.APPROVED, PayoutState.FAILED}),
    PayoutState.APPROVED: frozenset({PayoutState.HELD, PayoutState.PAID, PayoutState.FAILED}),
    PayoutState.PAID: frozenset({PayoutState.REVERSED}),
    PayoutState.FAILED: frozenset(),
    PayoutState.REVERSED: frozenset(),
}
"""Failed and reversed payouts have given their money back: a new request starts over."""

COMMITTED = (PayoutState.PENDING, PayoutState.HELD, PayoutState.APPROVED, PayoutState.PAID)
"""States in which the money of a payout is gone from the wallet."""


def check_step(now: PayoutState, wanted: PayoutState) -> PayoutState:
    """Raises Conflict (code `payout_state`)."""
    if wanted not in _NEXT[now]:
        raise Conflict(f"A payout that is {now} cannot become {wanted}.", code="payout_state", state=now.value)
    return wanted


# gifts


def check_daily_limit(given_today: Minor, amount: Minor, limit: Minor) -> None:
    """Raises Invalid (code `daily_limit_exceeded`)."""
    if given_today + amount > limit:
        raise Invalid("Daily gift limit exceeded", code="daily_limit_exceeded", field="amount")


def day_start(moment: datetime) -> datetime:
    """Midnight, in the moment's own zone (UTC everywhere in this house)."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


# shares


def part(amount: Minor, percent: int) -> Minor:
    """So many percent of an amount, to the nearest cent (half a cent counts up)."""
    return Minor((2 * amount * percent + 100) // 200)


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split in proportion to `weights` (none below zero), in whole numbers that sum to exactly `total`.

    Everybody gets their share rounded down; what is left goes, one each, to the largest remainders, and among
    equal ones to whoever comes first. Nothing at all when no weight is above zero.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    shares, remainders = [0] * len(weights), [0] * len(weights)
    for index, weight in enumerate(weights):
        shares[index], remainders[index] = divmod(total * weight, whole)
    left = total - sum(shares)
    if left:
        order = sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)  # stable
        for index in order[:left]:
            shares[index] += 1
    return shares


@dataclass(frozen=True, slots=True)
class Terms:
    """What a period pays, kept with it. Shares are percent; `*_carried` is the creators', left by earlier periods."""

    ad_pool: Minor
    creator_fund: Minor
    gift_share: int
    ad_share: int
    fund_share: int
    min_views: int
    ad_carried: Minor = Minor(0)
    fund_carried: Minor = Minor(0)

    @property
    def ad_funding(self) -> Minor:
        """What this period adds to the creators' part of the advertisement pool."""
        return part(self.ad_pool, self.ad_share)

    @property
    def fund_funding(self) -> Minor:
        return part(self.creator_fund, self.fund_share)

    @property
    def ads(self) -> Minor:
        """What there is to share out."""
        return Minor(self.ad_funding + self.ad_carried)

    @property
    def fund(self) -> Minor:
        return Minor(self.fund_funding + self.fund_carried)


def check_terms(terms: Terms) -> Terms:
    """Raises Invalid (codes `invalid_amount`, `invalid_share`)."""
    for pool in (terms.ad_pool, terms.creator_fund):
        if type(pool) is not int or not 0 <= pool <= MAX_MINOR:
            raise Invalid("A pool is an amount of money, or nothing.", code="invalid_amount")
    if not all(0 <= share <= 100 for share in (terms.gift_share, terms.ad_share, terms.fund_share)):
        raise Invalid("A share is between 0 and 100 percent.", code="invalid_share")
    return terms


class PostInput(NamedTuple):
    """What counts of one post in one period. `score`: overall, in hundredths; None without one.

    `eligible`: it shares in the pools (everybody may see it, and its author).
    """

    post_id: int
    creator_id: int
    gifts: int
    views: int
    watch_ms: int
    score: int | None
    eligible: bool


class PostReward(NamedTuple):
    """What one post earned, in minor units."""

    post_id: int
    creator_id: int
    gifts: int
    ads: int
    fund: int

    @property
    def total(self) -> Minor:
        return Minor(self.gifts + self.ads + self.fund)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets what, in the order of post ids, and what nobody was eligible for."""

    rewards: list[PostReward]
    ads_left: Minor
    fund_left: Minor


def allocate(terms: Terms, posts: Iterable[PostInput]) -> Allocation:
    """What each post earns: the one function behind statements, estimates, pages and the ledger.

    Of the gifts `gift_share` percent; of the advertisement money ½ by views and ½ by watch time; of the fund each
    creator by the mean score of their eligible posts, split over these by their scores. Each of the three sums to its
    pool to the cent. The order of `posts` does not matter.
    """
    ordered = sorted(posts)
    gifts = largest_remainder(part(Minor(sum(p.gifts for p in ordered)), terms.gift_share), [p.gifts for p in ordered])
    ads = _ads(terms.ads, ordered)
    fund = _fund(terms.fund, ordered, max(terms.min_views, 1))
    return Allocation(
        rewards=[
            PostReward(post.post_id, post.creator_id, *earned)
            for post, *earned in zip(ordered, gifts, ads, fund, strict=True)
        ],
        ads_left=Minor(terms.ads - sum(ads)),
        fund_left=Minor(terms.fund - sum(fund)),
    )


def _ads(pool: Minor, posts: Sequence[PostInput]) -> list[int]:
    """One weight for both halves; a half that nobody has a share in stays in the pool."""
    views = [post.views if post.eligible else 0 for post in posts]
    watch = [post.watch_ms if post.eligible else 0 for post in posts]
    all_views, all_watch = sum(views), sum(watch)
    if all_views and all_watch:
        weights = [v * all_watch + w * all_views for v, w in zip(views, watch, strict=True)]
        return largest_remainder(pool, weights)
    return largest_remainder(pool // 2, views if all_views else watch)


def _fund(pool: Minor, posts: Sequence[PostInput], min_views: int) -> list[int]:
    """First among creators by their mean score, then among a creator's posts: many weak posts earn no more."""
    shares = [0] * len(posts)
    scored = [
        index
        for index, post in enumerate(posts)
        if post.eligible and post.score is not None and post.views >= min_views
    ]
    scored.sort(key=lambda index: posts[index].creator_id)
    groups = [list(group) for _, group in groupby(scored, key=lambda index: posts[index].creator_id)]
    scores = [[posts[index].score or 0 for index in group] for group in groups]
    common = math.lcm(*{len(group) for group in groups})
    means = [sum(values) * (common // len(values)) for values in scores]
    for group, values, share in zip(groups, scores, largest_remainder(pool, means), strict=True):
        for index, earned in zip(group, largest_remainder(share, values), strict=True):
            shares[index] = earned
    return shares


def hundredths(score: float | None) -> int | None:
    """A score of 0..100 as a whole number of hundredths; None for none, and for what is no number."""
    if score is None or not math.isfinite(score):
        return None
    return round(min(max(score, 0.0), 100.0) * SCORE_SCALE)


# statements


@dataclass(slots=True)
class Earned:
    """One creator's period, summed up over their posts. `late` is what late lines add or take."""

    creator_id: int
    gross_gifts: int = 0
    gifts: int = 0
    ads: int = 0
    fund: int = 0
    late: int = 0

    @property
    def total(self) -> Minor:
        return Minor(self.gifts + self.ads + self.fund + self.late)


class Late(NamedTuple):
    """A late line. `gross` is what leaves the escrow; `amount` is the creator's, below zero for a reversal."""

    gift_id: int
    post_id: int
    creator_id: int
    kind: LateKind
    gross: int
    amount: int


class Owed(NamedTuple):
    """What a creator still has to give back of a gift that was reversed late."""

    gift_id: int
    post_id: int
    creator_id: int
    amount: int


def creators_part(amount: Minor, gift_share: int) -> Minor:
    """Of a single gift. The platform's part is rounded down, so that it has always received what it refunds."""
    return Minor(amount - amount * (100 - gift_share) // 100)


def settle(
    posts: Iterable[PostInput], rewards: Iterable[PostReward], releases: Iterable[Late], owed: Iterable[Owed]
) -> tuple[list[Earned], list[Late]]:
    """The statements of a period in the order of creators, and all its late lines.

    Debts are taken from what the period earned, the oldest first, and never make a statement go below zero.
    """
    earned: dict[int, Earned] = {}

    def of(creator_id: int) -> Earned:
        return earned.setdefault(creator_id, Earned(creator_id))

    for post in posts:
        of(post.creator_id).gross_gifts += post.gifts
    for reward in rewards:
        one = of(reward.creator_id)
        one.gifts += reward.gifts
        one.ads += reward.ads
        one.fund += reward.fund
    lines = list(releases)
    for line in lines:
        of(line.creator_id).late += line.amount
    for debt in sorted(owed):
        if debt.creator_id not in earned:
            continue
        taken = min(debt.amount, of(debt.creator_id).total)
        if taken > 0:
            lines.append(Late(debt.gift_id, debt.post_id, debt.creator_id, LateKind.REVERSAL, 0, -taken))
            of(debt.creator_id).late -= taken
    return [earned[creator_id] for creator_id in sorted(earned)], lines


# bank accounts

_IBAN_LENGTHS = range(15, 35)


def check_iban(iban: str) -> str:
    """The number without spaces, in capitals. Raises Invalid (code `invalid_iban`): form and check digits (mod 97)."""
    plain = "".join(iban.split()).upper()
    shaped = len(plain) in _IBAN_LENGTHS and plain.isascii() and plain.isalnum()
    if not shaped or not (plain[:2].isalpha() and plain[2:4].isdigit()):
        raise Invalid("This is not an IBAN.", code="invalid_iban", field="iban")
    number = int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4]))
    if number % 97 != 1:
        raise Invalid("The check digits of this IBAN are wrong.", code="invalid_iban", field="iban")
    return plain


def check_bic(bic: str) -> str:
    """In capitals; empty is fine. Raises Invalid (code `invalid_bic`)."""
    plain = bic.strip().upper()
    if plain and not (len(plain) in (8, 11) and plain.isascii() and plain.isalnum() and plain[:6].isalpha()):
        raise Invalid("This is not a BIC.", code="invalid_bic", field="bic")
    return plain


def check_holder(name: str) -> str:
    """Raises Invalid (code `invalid_holder`): 2 to 70 printable characters, as banks take them."""
    plain = " ".join(name.split())
    if not 2 <= len(plain) <= 70 or not plain.isprintable():
        raise Invalid("The holder's name has 2 to 70 characters.", code="invalid_holder", field="holder")
    return plain
