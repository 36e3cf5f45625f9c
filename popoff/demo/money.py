"""What people give: a week of gifts is settled, and that of today is open; somebody wants to be paid; a case waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import config
from popoff.accounts.models import User
from popoff.demo.past import OPENING, midnight, on
from popoff.integrity import service as integrity
from popoff.kernel.money import Minor
from popoff.media.models import Post
from popoff.rewards import balances, gifts, payouts, periods, topups

GRANTS = {"eve": 10_000, "farid": 5_000, "gus": 5_000, "hana": 5_000, "chen": 2_000, "dina": 2_000}


class Present(NamedTuple):
    """A gift for the first post of a creator. The amount is in minor units."""

    giver: str
    creator: str
    amount: int


WEEK: Mapping[int, Sequence[Present]] = {
    6: (Present("eve", "ada", 1_500), Present("farid", "bela", 500)),
    5: (Present("gus", "ada", 2_000), Present("chen", "dina", 1_200)),
    4: (
        Present("hana", "chen", 800),
        Present("dina", "chen", 1_200),
    ),  # to and fro: the scan sees it
    3: (Present("farid", "ada", 700), Present("farid", "ada", 700)),  # twice within an hour: noted in the log
    2: (Present("eve", "bela", 2_500),),
    1: (Present("gus", "dina", 1_000),),
}
"""Gifts by how many days ago they were made."""
TODAY = (Present("hana", "ada", 1_800), Present("eve", "bela", 900))

_PAYEE, _HOLDER, _IBAN = "ada", "Ada Example", "DE89 3704 0044 0532 0130 00"  # the IBAN of many a textbook


def change_hands(people: Mapping[str, User], posts: Sequence[Post]) -> None:
    """Everything about money, in the order of time."""
    with on(OPENING - 1, 20):
        for name, amount in GRANTS.items():
            topups.grant(people[name].id, Minor(amount), by=people["boss"].id, reason="Welcome: some money to give")
    for days_ago, presents in WEEK.items():
        with on(days_ago, 18):
            _give(presents, people, posts)
    with on(1, 21):
        integrity.scan(by=people["boss"].id)
        integrity.report(
            people["hana"].id, str(people["chen"].public_id), "Sends the same money to and fro with another creator"
        )
    _settle(people["boss"].id)
    _ask_for_payout(people[_PAYEE].id)
    _give(TODAY, people, posts)


def _give(presents: Sequence[Present], people: Mapping[str, User], posts: Sequence[Post]) -> None:
    """A clip that cannot be played yet gets none."""
    firsts = {post.user_id: post for post in reversed(posts)}
    for giver, name, amount in presents:
        creator = people[name]
        if creator.id in firsts:
            gifts.give(people[giver].id, creator.public_id, firsts[creator.id].public_id, Minor(amount))


def _settle(by: int) -> None:
    """Close the week before today as the job of a period does."""
    period = periods.close(midnight(OPENING - 1), midnight(), by=by)
    while periods.advance(period.id):
        pass


def _ask_for_payout(user_id: int) -> None:
    """Half of what can be paid out, in whole units of money; a second person has to approve it."""
    payouts.set_bank_account(user_id, _HOLDER, _IBAN)
    amount = balances.payable(user_id) // 200 * 100
    if amount >= config.current().payout_minimum:
        payouts.request(user_id, Minor(amount))
