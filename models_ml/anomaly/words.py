"""What a feature's value says, in plain words: numbers only, no names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Row = Mapping[str, float]


def _n(value: float) -> float:
    """Back from log2(1 + n)."""
    return float(2**value - 1)


def _times(value: float) -> str:
    """Back from a logarithm of base 2 of a ratio."""
    return f"{2**value:.3g} times" if value >= 0 else f"{2**value:.0%} of"


def _span(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def _money(minor: float) -> str:
    return f"{minor / 100:,.2f}"


WORDS: dict[str, Callable[[Row], str]] = {
    "amount": lambda r: f"gave {_money(10 ** r['amount'])}",
    "amount_surprise": lambda r: f"the amount is {r['amount_surprise']:.1f} deviations above the giver's usual",
    "smallness": lambda r: f"the amount is {r['smallness']:.1f} deviations below the giver's usual",
    "amount_to_max": lambda r: f"the amount is {_times(r['amount_to_max'])} the giver's largest before",
    "past_gifts": lambda r: f"the giver made {_n(r['past_gifts']):.0f} gifts before",
    "ten_minutes_count": lambda r: f"gave {r['ten_minutes_count']:.0f} times in ten minutes",
    "hour_count": lambda r: f"gave {r['hour_count']:.0f} times in an hour; usual is {r['hour_usual']:.2g}",
    "hour_usual": lambda r: f"gives {r['hour_usual']:.2g} times in an hour as a rule",
    "hour_to_creator": lambda r: f"gave {r['hour_to_creator']:.0f} times to this creator in an hour",
    "hour_creators": lambda r: f"gave to {r['hour_creators']:.0f} creators in an hour",
    "day_count": lambda r: f"gave {r['day_count']:.0f} times in a day",
    "day_to_max": lambda r: f"the day's gifts are {_times(r['day_to_max'])} the giver's largest day before",
    "hour_rarity": lambda r: f"gives around this time of day {_times(-r['hour_rarity'])} what chance would make",
    "giver_age": lambda r: f"the giver's account is {_span(_n(r['giver_age']))} old",
    "creator_age": lambda r: f"the creator's account is {_span(_n(r['creator_age']))} old",
    "dormant": lambda r: f"the giver's last gift was {_span(_n(r['dormant']))} before",
    "giver_share": lambda r: f"{r['giver_share']:.0%} of what the giver gave in 30 days went to this creator",
    "income_share": lambda r: f"{r['income_share']:.0%} of the creator's income of 30 days came from this giver",
    "pair_count": lambda r: f"gave to this creator {_n(r['pair_count']):.0f} times in 30 days",
    "pair_amount": lambda r: f"gave this creator {_money(10 ** r['pair_amount'] - 1)} in 30 days",
    "pair_age": lambda r: f"first gave to this creator {_span(_n(r['pair_age']))} ago",
    "creator_givers": lambda r: f"{_n(r['creator_givers']):.0f} people gave to the creator in 30 days",
    "back": lambda r: f"got back {_money(10 ** r['back'] - 1)} from the creator in 30 days",
    "balance": lambda r: f"what the two gave one another is even to {r['balance']:.0%}",
    "ring": lambda r: f"closes a ring of {r['ring']:.0f} people" if r["ring"] else "closes no ring",
    "ring_count": lambda r: f"closed rings with {_n(r['ring_count']):.0f} gifts in 30 days",
    "turnover": lambda r: f"what the giver gave and got in 30 days is even to {r['turnover']:.0%}",
    "handed_on": lambda r: f"handed on {_n(r['handed_on']):.0f} gifts in the amount in which they came",
    "limit_share": lambda r: f"gave {r['limit_share']:.0%} of the daily limit this day",
    "near_limit_days": lambda r: f"came near the daily limit on {r['near_limit_days']:.0f} of 7 days",
    "same_amounts": lambda r: f"{r['same_amounts']:.0f} of the giver's last 10 gifts had the same amount",
    "rhythm": lambda r: f"gives to this creator at intervals that are even to {r['rhythm']:.0%}",
    "inflow": lambda r: f"got or topped up {_money(10 ** r['inflow'] - 1)} within a day before",
    "inflow_count": lambda r: f"{r['inflow_count']:.0f} grants and top-ups within a day before",
    "inflow_surprise": lambda r: f"got or topped up {_times(r['inflow_surprise'])} the usual within a day before",
    "since_inflow": lambda r: f"the last grant or top-up was {_n(r['since_inflow']):,.0f} minutes before",
    "drained": lambda r: f"{r['drained']:.0%} of the day's grants and top-ups went to this creator",
    "passed_on": lambda r: f"{r['passed_on']:.0%} of the grants and top-ups of 30 days went to this creator",
    "drained_givers": lambda r: f"{r['drained_givers']:.0%} of the creator's givers gave half of a day's inflow",
    "young_share": lambda r: f"{r['young_share']:.0%} of the creator's income of a week came from young accounts",
    "young_givers": lambda r: f"{_n(r['young_givers']):.0f} young accounts gave to the creator in a week",
    "new_share": lambda r: f"{r['new_share']:.0%} of the creator's income of a week came from new givers",
    "cohort": lambda r: f"{r['cohort']:.0%} of the creator's givers of a week opened their accounts on the same day",
    "like_others": lambda r: f"{r['like_others']:.0%} of others' gifts to the creator in a week are of this amount",
    "strangers": lambda r: (
        f"{r['strangers']:.0%} of the creator's givers of a week are new and gave what had just come in"
    ),
    "stranger_count": lambda r: f"{_n(r['stranger_count']):.0f} new givers gave the creator what had just come in",
    "hour_others": lambda r: f"others gave to this creator {_n(r['hour_others']):.0f} times in this hour",
    "income_surprise": lambda r: f"the creator's income of the day is {_times(r['income_surprise'])} the usual",
}

COMPANY = "gifts to this creator within two weeks look suspicious taken together"
