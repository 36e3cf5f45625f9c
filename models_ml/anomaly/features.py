"""What is measured of a gift, from nothing but what was known when it was made.

No feature is a person's id, a date, or comes from one. FEATURES says of each what it is, in which unit, and whether
much or little of it is what frauds show. Sums and counts of a span end with the gift and include it; what is "usual"
ends an hour before it, so that a burst does not become the usual.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from models_ml.anomaly.simulate import DAILY_LIMIT
from models_ml.anomaly.windows import DAY, EVER, HOUR, Floats, Ints, Rings, Series, distinct

WEEK, FORTNIGHT, MONTH = 7 * DAY, 14 * DAY, 30 * DAY
USUAL_LEVEL, USUAL_SPREAD, USUAL_WEIGHT = 5.5, 1.0, 2
"""What is thought of somebody without a past: mean and deviation of ln(amount), worth so many gifts."""
SMALL = 500
"""Minor units added below shares, so that the first cents are no concentration."""
YOUNG, OLD = 7 * DAY, 90 * DAY
"""Accounts get no older than OLD, so that a platform needs to know only when its latest ones were opened."""
NEAR_LIMIT = 0.85
BACK = 10
"""How many gifts back sameness and rhythm are looked for."""


class Feature(NamedTuple):
    """`direction`: +1 when frauds show much of it, -1 when little, 0 when it depends."""

    direction: int
    unit: str
    meaning: str


FEATURES: dict[str, Feature] = {
    "amount": Feature(0, "log10 minor units", "the gift's amount"),
    "amount_surprise": Feature(1, "deviations", "ln(amount) above the giver's usual"),
    "smallness": Feature(1, "deviations", "ln(amount) below the giver's usual"),
    "amount_to_max": Feature(1, "log2 ratio", "amount to the giver's largest before; missing without a past"),
    "past_gifts": Feature(-1, "log2(1 + n)", "gifts the giver made before"),
    "ten_minutes_count": Feature(1, "gifts", "by the giver within ten minutes"),
    "hour_count": Feature(1, "gifts", "by the giver within an hour"),
    "hour_usual": Feature(0, "gifts", "mean of hour_count over the giver's gifts before; 1 without a past"),
    "hour_to_creator": Feature(1, "gifts", "by the giver to this creator within an hour"),
    "hour_creators": Feature(1, "creators", "different ones the giver gave to within an hour"),
    "day_count": Feature(1, "gifts", "by the giver within a day"),
    "day_to_max": Feature(1, "log2 ratio", "given within a day to the giver's largest day before; missing without"),
    "hour_rarity": Feature(1, "log2 ratio", "how rarely the giver gave around this time of day, to by chance"),
    "giver_age": Feature(-1, "log2(1 + days)", "age of the giver's account, at most 90 days"),
    "creator_age": Feature(-1, "log2(1 + days)", "age of the creator's account, at most 90 days"),
    "dormant": Feature(0, "log2(1 + days)", "since the giver's last gift more than an hour ago; missing without"),
    "giver_share": Feature(1, "share", "of what the giver gave in 30 days that went to this creator"),
    "income_share": Feature(1, "share", "of what the creator got in 30 days that came from this giver"),
    "pair_count": Feature(1, "log2(1 + n)", "gifts from this giver to this creator in 30 days"),
    "pair_amount": Feature(1, "log10 minor units", "given to this creator in 30 days"),
    "pair_age": Feature(-1, "log2(1 + days)", "since the giver's first gift to this creator"),
    "creator_givers": Feature(-1, "log2(1 + n)", "people who gave to the creator in 30 days"),
    "back": Feature(1, "log10(1 + minor units)", "what the creator gave the giver in 30 days"),
    "balance": Feature(1, "share", "the less to the more of what the two gave one another in 30 days"),
    "ring": Feature(0, "people", "in the smallest ring of 14 days that the gift closes; 0 for none"),
    "ring_count": Feature(1, "log2(1 + n)", "gifts of the giver in 30 days that closed a ring"),
    "turnover": Feature(1, "share", "the less to the more of what the giver gave, and got, in 30 days"),
    "handed_on": Feature(1, "log2(1 + n)", "gifts of the giver in 14 days within 15 % of the last they had got"),
    "limit_share": Feature(1, "share", "of the daily limit that the giver gave so far this day (UTC)"),
    "near_limit_days": Feature(1, "days", f"of the last 7 on which the giver gave {NEAR_LIMIT:.0%} of the limit"),
    "same_amounts": Feature(1, "gifts", f"of the giver's last {BACK} within 5 % of this amount"),
    "rhythm": Feature(1, "0..1", f"how even the last {BACK} intervals to this creator are; 0 below 4 of them"),
    "inflow": Feature(1, "log10(1 + minor units)", "granted to the giver, or topped up, within a day before"),
    "inflow_count": Feature(1, "number", "of grants and top-ups within a day before"),
    "inflow_surprise": Feature(1, "log2 ratio", "the day's inflow to the mean inflow before; missing without either"),
    "since_inflow": Feature(-1, "log2(1 + minutes)", "since the last grant or top-up of 30 days; missing without"),
    "drained": Feature(1, "share", "of the day's inflow that went to this creator, at most 2; 0 without inflow"),
    "passed_on": Feature(1, "share", "of the inflow of 30 days that went to this creator, at most 2; 0 without"),
    "drained_givers": Feature(1, "share", "of the creator's givers of 7 days who gave half of a day's inflow"),
    "young_share": Feature(1, "share", "of the creator's income of 7 days from accounts younger than 7 days"),
    "young_givers": Feature(1, "log2(1 + n)", "such accounts that gave to the creator in 7 days"),
    "new_share": Feature(1, "share", "of the creator's income of 7 days from people who first gave in these days"),
    "cohort": Feature(1, "share", "of the creator's givers of 7 days whose account opened on the giver's day"),
    "like_others": Feature(1, "share", "of others' gifts to the creator in 7 days that are of about this amount"),
    "strangers": Feature(1, "share", "of the creator's givers of 7 days who, new to them, gave most of a day's inflow"),
    "stranger_count": Feature(1, "log2(1 + n)", "such givers"),
    "hour_others": Feature(-1, "log2(1 + n)", "gifts of others to this creator within an hour"),
    "income_surprise": Feature(1, "log2 ratio", "the creator's income of a day to the mean of 30 days before"),
}
NAMES = list(FEATURES)


class _Book:
    """The history as numbers: people by codes, seconds since a midnight, and the series that are asked again."""

    def __init__(self, gifts: pd.DataFrame, people: pd.DataFrame, grants: pd.DataFrame) -> None:
        names = pd.concat([gifts["giver"], gifts["creator"], people["person"], grants["wallet"]])
        codes = pd.factorize(names)[0].astype(np.int64)
        ends = np.cumsum([len(gifts), len(gifts), len(people)])
        self.giver, self.creator, person, self.wallet = np.split(codes, ends)
        moments = pd.concat([gifts["time"], grants["time"]])
        begun = moments.min().floor("D") if len(moments) else pd.Timestamp(0, tz="UTC")
        self.time, self.inflow_time = _seconds(gifts["time"], begun), _seconds(grants["time"], begun)
        self.joined = np.full(int(codes.max(initial=0)) + 1, np.nan)
        self.joined[person] = _seconds(people["joined"], begun)
        self.amount = gifts["amount"].to_numpy(np.float64)
        self.inflow_amount = grants["amount"].to_numpy(np.float64)
        size = int(codes.max(initial=0)) + 1
        pairs, self.back_pair = self.giver * size + self.creator, self.creator * size + self.giver
        known = np.unique(pairs)
        self.pair = np.searchsorted(known, pairs)
        at = np.searchsorted(known, self.back_pair).clip(max=max(len(known) - 1, 0))
        self.back_pair = np.where(known[at] == self.back_pair, at, len(known)) if len(known) else self.pair
        self.by_giver = Series(self.giver, self.time, self.amount)
        self.by_creator = Series(self.creator, self.time, self.amount)
        self.by_pair = Series(self.pair, self.time, self.amount)
        self.inflows = Series(self.wallet, self.inflow_time, self.inflow_amount)
        self.earlier = self.time - HOUR

    def given(self, span: int) -> Floats:
        return self.by_giver.total(self.giver, self.time - span, self.time)

    def to_creator(self, span: int) -> Floats:
        return self.by_pair.total(self.pair, self.time - span, self.time)

    def income(self, span: int) -> Floats:
        return self.by_creator.total(self.creator, self.time - span, self.time)

    def flown(self, span: int) -> Floats:
        return self.inflows.total(self.giver, self.time - span, self.time)


def features(
    gifts: pd.DataFrame, people: pd.DataFrame, grants: pd.DataFrame, daily_limit: int = DAILY_LIMIT
) -> pd.DataFrame:
    """One row of FEATURES for each gift, in the order and with the index of `gifts`; float32, NaN for what is missing.

    `gifts`: time (UTC), giver, creator, amount (minor units); `people`: person, joined (UTC), and whoever is not
    there has no age; `grants`: wallet, time (UTC), amount (minor units), top-ups too; `daily_limit`: minor units.
    The gifts need the 30 days before the ones of interest with them. Raises KeyError when a column is missing.
    """
    book = _Book(gifts, people, grants)
    columns: dict[str, Floats] = {}
    if len(gifts):
        for measure in (_amounts, _pace, _habits, _pairs, _turnover, _repetition, _inflows, _crowd, _company):
            columns |= measure(book)
        columns |= _limits(book, daily_limit) | _rings(book)
    frame = pd.DataFrame({name: columns.get(name, np.empty(0)) for name in NAMES}, index=gifts.index)
    return frame.astype(np.float32)


def _amounts(book: _Book) -> dict[str, Floats]:
    logs = np.log(np.maximum(book.amount, 1))
    first = Series(book.giver, book.time, logs)
    second = Series(book.giver, book.time, logs**2)
    none = np.full_like(book.time, -EVER)
    past = first.count(book.giver, none, book.earlier)
    weight = past + USUAL_WEIGHT
    mean = (first.total(book.giver, none, book.earlier) + USUAL_WEIGHT * USUAL_LEVEL) / weight
    squares = second.total(book.giver, none, book.earlier) + USUAL_WEIGHT * (USUAL_LEVEL**2 + USUAL_SPREAD**2)
    surprise = (logs - mean) / np.sqrt(np.maximum(squares / weight - mean**2, 0.05))
    largest = first.latest(book.giver, book.earlier, first.running_max(book.amount, book.giver))
    day = book.given(DAY)
    best_day = first.latest(book.giver, book.time - DAY, first.running_max(day, book.giver))
    return {
        "amount": logs / np.log(10),
        "amount_surprise": np.maximum(surprise, 0),
        "smallness": np.maximum(-surprise, 0),
        "amount_to_max": np.log2(np.maximum(book.amount, 1) / np.maximum(largest, 1)),
        "day_to_max": np.log2(np.maximum(day, 1) / np.maximum(best_day, 1)),
        "past_gifts": np.log2(1 + past),
    }


def _pace(book: _Book) -> dict[str, Floats]:
    def count(series: Series, group: Ints, span: int) -> Floats:
        return series.count(group, book.time - span, book.time).astype(np.float64)

    hour = count(book.by_giver, book.giver, HOUR)
    habit = Series(book.giver, book.time, hour)
    none = np.full_like(book.time, -EVER)
    usual = (habit.total(book.giver, none, book.earlier) + 1) / (habit.count(book.giver, none, book.earlier) + 1)
    return {
        "ten_minutes_count": count(book.by_giver, book.giver, 600),
        "hour_count": hour,
        "hour_usual": usual,
        "hour_to_creator": count(book.by_pair, book.pair, HOUR),
        "hour_creators": distinct(book.giver, book.creator, book.time, HOUR).astype(np.float64),
        "day_count": count(book.by_giver, book.giver, DAY),
    }


def _habits(book: _Book) -> dict[str, Floats]:
    """Time of day against the giver's own: the part of their gifts until a day ago within two hours of this one."""
    series, hour = book.by_giver, book.time % DAY // HOUR
    table = np.zeros((len(hour) + 1, 24), dtype=np.int32)
    table[np.arange(1, len(hour) + 1), hour[series.order]] = 1
    table = table.cumsum(axis=0, dtype=np.int32)
    start, end = series.first(book.giver), series.upto(book.giver, book.time - DAY)
    near = sum(
        (table[end, (hour + shift) % 24] - table[start, (hour + shift) % 24] for shift in range(-2, 3)),
        np.zeros(len(hour)),
    )
    chance = 5 / 24
    share = (near + 4 * chance) / (end - start + 4)
    latest = series.latest(book.giver, book.earlier, book.time[series.order].astype(np.float64))
    ages = book.time[None] - book.joined[np.stack([book.giver, book.creator])]
    age = np.log2(1 + np.clip(ages, 0, OLD) / DAY)
    return {
        "hour_rarity": np.log2(chance / share),
        "giver_age": age[0],
        "creator_age": age[1],
        "dormant": np.log2(1 + (book.time - latest) / DAY),
    }


def _pairs(book: _Book) -> dict[str, Floats]:
    forth = book.to_creator(MONTH)
    back = book.by_pair.total(book.back_pair, book.time - MONTH, book.time)
    first = book.time[book.by_pair.order[book.by_pair.first(book.pair)]]
    givers = distinct(book.creator, book.giver, book.time, MONTH)
    return {
        "giver_share": forth / (book.given(MONTH) + SMALL),
        "income_share": forth / (book.income(MONTH) + SMALL),
        "pair_count": np.log2(1 + book.by_pair.count(book.pair, book.time - MONTH, book.time)),
        "pair_amount": np.log10(1 + forth),
        "pair_age": np.log2(1 + (book.time - first) / DAY),
        "creator_givers": np.log2(1 + givers),
        "back": np.log10(1 + back),
        "balance": np.minimum(forth, back) / np.maximum(np.maximum(forth, back), 1),
    }


def _turnover(book: _Book) -> dict[str, Floats]:
    """Whether the giver passes on what others gave them."""
    given, got = book.given(MONTH), book.by_creator.total(book.giver, book.time - MONTH, book.time)
    last = book.by_creator.latest(book.giver, book.time, book.amount[book.by_creator.order])
    alike = np.abs(np.log(np.maximum(book.amount, 1) / np.maximum(last, 1))) < 0.15
    handed = Series(book.giver, book.time, alike.astype(np.float64))
    return {
        "turnover": np.minimum(given, got) / np.maximum(np.maximum(given, got), 1),
        "handed_on": np.log2(1 + handed.total(book.giver, book.time - FORTNIGHT, book.time)),
    }


def _company(book: _Book) -> dict[str, Floats]:
    """Whether those who give to the creator are of one make: opened together, of one amount, strangers who empty."""
    givers = distinct(book.creator, book.giver, book.time, WEEK)
    opened = np.nan_to_num(book.joined[book.giver] // DAY, nan=-EVER).astype(np.int64)
    batch = _together(book.creator, np.unique(opened, return_inverse=True)[1].astype(np.int64))
    size = _together(book.creator, np.round(np.log(np.maximum(book.amount, 1)) * 10).astype(np.int64))
    own = _together(size, book.giver)
    since = book.time - WEEK
    alike = Series(size, book.time).count(size, since, book.time) - Series(own, book.time).count(own, since, book.time)
    others = book.by_creator.count(book.creator, since, book.time) - book.by_pair.count(book.pair, since, book.time)
    first = book.time[book.by_pair.order[book.by_pair.first(book.pair)]]
    emptied = (book.flown(DAY) > 0) & (book.to_creator(DAY) >= 0.5 * book.flown(DAY))
    strange = distinct(book.creator, book.giver, book.time, WEEK, use=emptied & (book.time - first < DAY))
    return {
        "cohort": (distinct(batch, book.giver, book.time, WEEK) - 1) / (givers + 1),
        "like_others": alike / (others + 2),
        "strangers": strange / (givers + 1),
        "stranger_count": np.log2(1 + strange),
    }


def _repetition(book: _Book) -> dict[str, Floats]:
    """Sameness of amounts, and evenness of intervals: 1 / (1 + their coefficient of variation)."""
    same = np.zeros(len(book.time))
    order = book.by_giver.order
    amount, giver = book.amount[order], book.giver[order]
    for shift in range(1, min(BACK, len(order) - 1) + 1):
        alike = (giver[shift:] == giver[:-shift]) & (np.abs(amount[shift:] / amount[:-shift] - 1) <= 0.05)
        same[order[shift:]] += alike
    order = book.by_pair.order
    time, pair = book.time[order], book.pair[order]
    gap = np.zeros(len(order))
    known = np.zeros(len(order), dtype=bool)
    gap[1:], known[1:] = np.diff(time), pair[1:] == pair[:-1]
    sums = np.zeros((3, len(order)))
    for shift in range(min(BACK, len(order))):
        inside = np.zeros(len(order), dtype=bool)
        inside[shift:] = known[: len(order) - shift] & (pair[shift:] == pair[: len(order) - shift])
        earlier = np.where(inside, np.roll(gap, shift), 0)
        sums += np.stack([inside, earlier, earlier**2])
    number = np.maximum(sums[0], 1)
    mean = sums[1] / number
    deviation = np.sqrt(np.maximum(sums[2] / number - mean**2, 0))
    rhythm = np.zeros(len(order))
    rhythm[order] = np.where(sums[0] >= 4, mean / np.maximum(mean + deviation, 1), 0)
    return {"same_amounts": same, "rhythm": rhythm}


def _inflows(book: _Book) -> dict[str, Floats]:
    day, month, to_creator = book.flown(DAY), book.flown(MONTH), book.to_creator(DAY)
    none = np.full_like(book.time, -EVER)
    before = book.inflows.total(book.giver, none, book.time - DAY)
    times = book.inflows.count(book.giver, none, book.time - DAY)
    latest = book.inflows.latest(book.giver, book.time, book.inflow_time[book.inflows.order].astype(np.float64))
    waited = (book.time - latest) / 60
    drained = np.where(day > 0, np.minimum(to_creator / np.maximum(day, 1), 2), 0)
    drainers = distinct(book.creator, book.giver, book.time, WEEK, use=drained >= 0.5)
    return {
        "inflow": np.log10(1 + day),
        "inflow_count": book.inflows.count(book.giver, book.time - DAY, book.time).astype(np.float64),
        "inflow_surprise": np.log2(_known(day) / (_known(before) / np.maximum(times, 1))),
        "since_inflow": np.log2(1 + np.where(waited <= MONTH / 60, waited, np.nan)),
        "drained": drained,
        "passed_on": np.where(month > 0, np.minimum(book.to_creator(MONTH) / np.maximum(month, 1), 2), 0),
        "drained_givers": drainers / (distinct(book.creator, book.giver, book.time, WEEK) + 2),
    }


def _crowd(book: _Book) -> dict[str, Floats]:
    """Who else gives to this creator: crowds come to what is good, helpers to what they are told."""
    week = np.maximum(book.income(WEEK), 1)
    young = book.time - book.joined[book.giver] < YOUNG
    first = book.time[book.by_pair.order[book.by_pair.first(book.pair)]]
    fresh = book.time - first < WEEK

    def part(chosen: Floats) -> Floats:
        series = Series(book.creator, book.time, book.amount * chosen)
        return series.total(book.creator, book.time - WEEK, book.time) / (week + SMALL)

    hour = book.by_creator.count(book.creator, book.earlier, book.time)
    own = book.by_pair.count(book.pair, book.earlier, book.time)
    usual = book.by_creator.total(book.creator, book.time - MONTH - DAY, book.time - DAY) / 30
    return {
        "young_share": part(young.astype(np.float64)),
        "young_givers": np.log2(1 + distinct(book.creator, book.giver, book.time, WEEK, use=young)),
        "new_share": part(fresh.astype(np.float64)),
        "hour_others": np.log2(1 + hour - own),
        "income_surprise": np.log2((book.income(DAY) + SMALL) / (usual + SMALL)),
    }


def _limits(book: _Book, limit: int) -> dict[str, Floats]:
    midnight = book.time // DAY * DAY - 1
    today = book.by_giver.total(book.giver, midnight, book.time) / limit
    near = (today >= NEAR_LIMIT).astype(np.float64)
    for days in range(1, 7):
        total = book.by_giver.total(book.giver, midnight - days * DAY, midnight - (days - 1) * DAY)
        near += total / limit >= NEAR_LIMIT
    return {"limit_share": today, "near_limit_days": near}


def _rings(book: _Book) -> dict[str, Floats]:
    rings, ring = Rings(FORTNIGHT), np.zeros(len(book.time))
    for index in np.lexsort((np.arange(len(book.time)), book.time)).tolist():
        giver, creator, amount = int(book.giver[index]), int(book.creator[index]), int(book.amount[index])
        rings.add(int(book.time[index]), giver, creator, amount)
        ring[index] = rings.closes(giver, creator, amount)
    closed = Series(book.giver, book.time, (ring > 0).astype(np.float64))
    return {"ring": ring, "ring_count": np.log2(1 + closed.total(book.giver, book.time - MONTH, book.time))}


def _seconds(times: pd.Series, begun: pd.Timestamp) -> Ints:
    return np.asarray((pd.to_datetime(times, utc=True) - begun) // pd.Timedelta(seconds=1), dtype=np.int64)


def _together(one: Ints, other: Ints) -> Ints:
    """A code for each pair of codes, none of them negative."""
    return np.unique(one * (int(other.max(initial=0)) + 1) + other, return_inverse=True)[1].astype(np.int64)


def _known(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)
