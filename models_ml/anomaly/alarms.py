"""Plain alarms, and who has had them: what every kind of fraud has in common is that several ring, and again.

One alarm means little: honest people give at odd hours, or a lot, or fast. Alarms are set once, here, by hand, and
know nothing of the kinds of fraud that a model is trained on, so that their number speaks for kinds never seen too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from models_ml.anomaly.windows import DAY, Floats, Ints, Series, distinct

Columns = Mapping[str, Floats]
SPAN = 14 * DAY
LOUD = 4
"""Alarms at once that are no chance any more."""

ALARMS: dict[str, Callable[[Columns], np.ndarray]] = {
    "far above the usual amounts": lambda c: (c["amount_surprise"] > 2) | (c["amount_to_max"] > 1),
    "the largest day by far": lambda c: c["day_to_max"] > 1.5,
    "an unusual hour": lambda c: c["hour_rarity"] > 1.2,
    "faster than ever": lambda c: c["hour_count"] > 3 + 3 * c["hour_usual"],
    "many gifts within minutes": lambda c: c["ten_minutes_count"] >= 6,
    "tiny gifts, many": lambda c: (c["smallness"] > 2) & (c["hour_count"] >= 6),
    "many creators at once": lambda c: c["hour_creators"] >= 5,
    "money comes back": lambda c: (c["balance"] > 0.4) & (c["pair_count"] >= 1.5),
    "again a closed ring": lambda c: (c["ring"] > 0) & (c["ring_count"] >= 1.5),
    "a closed ring of large gifts": lambda c: (c["ring"] > 0) & (c["amount_surprise"] > 0.8),
    "the creator lives of one giver": lambda c: (c["income_share"] > 0.45) & (c["pair_amount"] > 3.3),
    "the giver lives for one creator": lambda c: (c["giver_share"] > 0.8) & (c["pair_count"] >= 2),
    "what came in goes out": lambda c: (c["turnover"] > 0.5) & (c["pair_amount"] > 2.7),
    "gifts are handed on": lambda c: c["handed_on"] >= 1.5,
    "givers opened together": lambda c: (c["cohort"] > 0.3) & (c["creator_givers"] > 1.9),
    "givers of one amount": lambda c: (c["like_others"] > 0.35) & (c["creator_givers"] > 1.5),
    "strangers who empty wallets": lambda c: (c["strangers"] > 0.5) & (c["creator_givers"] > 1.5),
    "near the daily limit": lambda c: c["limit_share"] > 0.6,
    "near the daily limit on several days": lambda c: c["near_limit_days"] >= 2,
    "money passed on at once": lambda c: (c["drained"] > 0.5) & (c["drained"] <= 1.1) & (c["since_inflow"] < 8),
    "money passed on for weeks": lambda c: (c["passed_on"] > 0.7) & (c["passed_on"] < 1.2) & (c["pair_count"] > 2.5),
    "much money just before": lambda c: (c["inflow_surprise"] > 2) | (c["inflow"] > 4.2),
    "many top-ups": lambda c: c["inflow_count"] >= 4,
    "a young account": lambda c: c["giver_age"] < 3,
    "a creator for the young": lambda c: (c["young_share"] > 0.5) & (c["young_givers"] > 2),
    "a creator for emptied wallets": lambda c: c["drained_givers"] > 0.4,
    "a new bond to a quiet creator": lambda c: (c["pair_age"] < 1) & (c["hour_others"] < 1) & (c["post_others"] < 2),
    "all for one quiet creator": lambda c: (c["new_share"] > 0.8) & (c["creator_givers"] < 3.5),
    "all the same": lambda c: (c["same_amounts"] >= 4) | (c["rhythm"] > 0.7),
}


def ringing(row: Mapping[str, float]) -> list[str]:
    """Which alarms ring for one row."""
    columns = {name: np.array([value]) for name, value in row.items()}
    return [name for name, alarm in ALARMS.items() if alarm(columns)[0]]


def rung(columns: Columns) -> Floats:
    """How many alarms ring for each row, shape (n,)."""
    return np.sum([alarm(columns) for alarm in ALARMS.values()], axis=0).astype(np.float64)


def alarms(columns: Columns, giver: Ints, creator: Ints, pair: Ints, time: Ints) -> dict[str, Floats]:
    """Alarms now, and in two weeks around giver, creator and pair; see FEATURES for what the names mean."""
    number = rung(columns)
    loud = number >= LOUD
    result = {"alarms": number}
    for name, group in (("giver", giver), ("creator", creator), ("pair", pair)):
        sums, gifts = Series(group, time, number), Series(group, time, loud.astype(np.float64))
        count = sums.count(group, time - SPAN, time)
        result[f"{name}_alarms"] = (sums.total(group, time - SPAN, time) + 2) / (count + 2)
        result[f"{name}_loud"] = np.log2(1 + gifts.total(group, time - SPAN, time))
    result["loud_givers"] = np.log2(1 + distinct(creator, giver, time, SPAN, use=loud))
    return result
