"""How good rankers are for the people of this platform: compared on its last day, which none of them learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models_ml.registry import Refused
from popoff.feed import history, rankers
from popoff.feed.history import Transaction

if TYPE_CHECKING:
    import pandas as pd

    from models_ml.ranking.contest import Contest, Order
    from models_ml.ranking.model import FeedModel

FRESH = timedelta(days=1)
LEAST_PAST, LEAST_FRESH, LEAST_PEOPLE = 2000, 200, 50
"""Events before the last day, and on it, and people who did anything then: with fewer nothing is learnt or said."""
POPULAR = "popular"


class TooLittle(Exception):
    """Nothing can be learnt or said yet, and why, in a sentence."""


@dataclass(frozen=True)
class Days:
    """Frames of `models_ml.ranking.frames`: what came before the last day, known as it was when that began; what came
    on it; the posts; and its places that explored."""

    past: pd.DataFrame
    fresh: pd.DataFrame
    items: pd.DataFrame
    explored: pd.DataFrame


def days(now: datetime, within: Transaction) -> Days:
    """Read what is needed to learn and to compare. Raises TooLittle."""
    cut = now - FRESH
    items = history.items(within)
    past, fresh = history.events(cut, within), history.events(now, within, since=cut)
    past, fresh = (events[events["item_id"].isin(items["item_id"])] for events in (past, fresh))
    if len(past) < LEAST_PAST:
        raise TooLittle(f"There are {len(past)} events before the last day; at least {LEAST_PAST} are needed.")
    if len(fresh) < LEAST_FRESH:
        raise TooLittle(f"There are {len(fresh)} events on the last day; at least {LEAST_FRESH} are needed.")
    if (people := fresh["user_id"].nunique()) < LEAST_PEOPLE:
        raise TooLittle(f"There were {people} people on the last day; at least {LEAST_PEOPLE} are needed.")
    return Days(past, fresh, items, history.explored(cut, now, within))


def orders_in_use() -> tuple[dict[str, Order], str, str]:
    """Orders by name: those of the ranker in use and of the one before, as far as there are any that pass their checks,
    the rule, and popularity; and the names of the first two, empty where there is none."""
    from models_ml.ranking.contest import popular
    from models_ml.ranking.ranker import Ranker
    from models_ml.ranking.shadow import RULE

    orders: dict[str, Order] = {}
    current, previous = rankers.in_use(), rankers.previous()
    if current:
        orders[current] = rankers.load(current).score
    if previous and previous not in (current, RULE):
        try:
            orders[previous] = rankers.load(previous).score
        except Refused:
            previous = ""
    orders[RULE] = Ranker().score
    orders[POPULAR] = popular
    return orders, current, previous


def compare(feed: FeedModel, told: Days, orders: Mapping[str, Order]) -> Contest:
    """The last day with each of these orders; `feed` knows what came before. Raises TooLittle."""
    from models_ml.ranking import contest

    found = contest.relive(feed, told.fresh, told.explored, orders)
    if not found.is_telling:
        raise TooLittle(f"Fewer than {contest.LEAST_PEOPLE} people liked anything on the last day.")
    return found


def evaluate(now: datetime, within: Transaction) -> tuple[Contest, dict[str, str]]:
    """The contest of what is in use with what else there is, and by the name of each order what it is.

    Raises TooLittle.
    """
    from models_ml.ranking.model import FeedModel
    from models_ml.ranking.ranker import Ranker
    from models_ml.ranking.shadow import RULE

    told = days(now, within)
    with within():
        orders, current, previous = orders_in_use()
    found = compare(FeedModel().fit(told.past, told.items, ranker=Ranker()), told, orders)
    names: dict[str, str] = {}
    for name, what in ((current, "in use"), (previous, "before it"), (RULE, "no learning"), (POPULAR, "of late")):
        if name:
            names.setdefault(name, what)
    return found, names
