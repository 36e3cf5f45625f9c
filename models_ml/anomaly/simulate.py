"""A seeded economy of several months in which the truth about every gift is known.

    python -m models_ml.anomaly.simulate FOLDER [--seed N] [--people N] [--days N]

writes `gifts.csv`, `people.csv` and `grants.csv`. `honest` says what honest people do, `kinds` what frauds do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from models_ml.anomaly import honest
from models_ml.anomaly.kinds import EPISODES
from models_ml.anomaly.world import DAY, Gift, Inflow, World

KINDS = tuple(EPISODES)
DAILY_LIMIT = 200_000
"""What one person may give in a day (UTC), minor units: the platform's default."""
PREVALENCE = 0.008
"""Part of the gifts that is fraud."""
WELCOME = 500
"""What a new account is granted, minor units."""
TOP_UPS = (500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000)
START = pd.Timestamp("2026-01-01T00:00:00Z")


@dataclass(frozen=True)
class Economy:
    """Three frames, in order of time.

    `gifts`: time (UTC), giver, creator, amount (minor units), post, kind (`honest` or one of KINDS);
    `people`: person, joined (UTC); `grants` (top-ups too): wallet, time (UTC), amount (minor units).
    """

    gifts: pd.DataFrame
    people: pd.DataFrame
    grants: pd.DataFrame


def simulate(
    seed: int,
    *,
    people: int = 2500,
    days: int = 120,
    kinds: Sequence[str] = KINDS,
    prevalence: float = PREVALENCE,
    daily_limit: int = DAILY_LIMIT,
) -> Economy:
    """An economy of so many people and days, of whose gifts `prevalence` are fraud, in equal parts of `kinds`.

    Raises ValueError for a kind that there is not.
    """
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ValueError(f"There is no kind of fraud called {', '.join(sorted(unknown))}.")
    world = World(np.random.default_rng(seed), days, daily_limit)
    honest.populate(world, people)
    honest.live(world)
    _inject(world, kinds, prevalence)
    gifts, inflows = _settle(world)
    return _frames(world, gifts, inflows)


def _inject(world: World, kinds: Sequence[str], prevalence: float) -> None:
    """Episodes of each kind, at least one, until another would miss its part by more than none."""
    quota = prevalence / (1 - prevalence) * len(world.gifts) / max(len(kinds), 1)
    for kind in kinds:
        found, episodes = 0, 0
        while episodes == 0 or found + found / episodes / 2 < quota:
            before = len(world.gifts)
            EPISODES[kind](world)
            found += sum(gift.kind == kind for gift in world.gifts[before:])
            episodes += 1


def _settle(world: World) -> tuple[list[Gift], list[Inflow]]:
    """Let wallets pay: who has too little tops up first, and what goes over the daily limit does not happen."""
    welcome = [Inflow(max(person.joined, 0.0), number, WELCOME) for number, person in enumerate(world.people)]
    fresh = [inflow for inflow in welcome if world.people[inflow.wallet].joined >= 0]
    coming = sorted([*world.inflows, *fresh])
    balance, spent = dict.fromkeys(range(len(world.people)), WELCOME), dict[tuple[int, int], int]()
    for inflow in fresh:
        balance[inflow.wallet] = 0
    kept, own, at = [], [], 0
    for gift in sorted(world.gifts):
        while at < len(coming) and coming[at].time <= gift.time:
            balance[coming[at].wallet] += coming[at].amount
            at += 1
        day = (gift.giver, int(gift.time // DAY))
        if spent.get(day, 0) + gift.amount > world.limit:
            continue
        if balance[gift.giver] < gift.amount:
            topped = _top_up(world, gift, gift.amount - balance[gift.giver])
            own.append(topped)
            balance[gift.giver] += topped.amount
        spent[day] = spent.get(day, 0) + gift.amount
        balance[gift.giver] -= gift.amount
        kept.append(gift)
    return kept, sorted([*coming, *own])


def _top_up(world: World, gift: Gift, missing: int) -> Inflow:
    """A round sum that covers what is missing, often a size larger, minutes to a day before."""
    fitting = [size for size in TOP_UPS if size >= missing]
    size = fitting[min(int(world.rng.geometric(0.6)) - 1, len(fitting) - 1)]
    early = float(world.rng.choice([120.0, 1800.0, 40_000.0], p=[0.5, 0.2, 0.3]) * world.rng.uniform(0.1, 2))
    return Inflow(max(gift.time - early, world.people[gift.giver].joined + 1, 0.0), gift.giver, size)


def _frames(world: World, gifts: Sequence[Gift], inflows: Sequence[Inflow]) -> Economy:
    """Frames with names that say nothing about anybody."""
    names = np.array([f"{value:08x}" for value in world.rng.permutation(len(world.people)) + 0x10000000])
    table = pd.DataFrame(gifts, columns=list(Gift._fields))
    table = table.assign(
        time=_time(table["time"]),
        giver=names[table["giver"]],
        creator=names[table["creator"]],
        post=[f"{names[post // 1000]}-{post % 1000}" for post in table["post"]],
    )
    people = pd.DataFrame({"person": names, "joined": _time(pd.Series([person.joined for person in world.people]))})
    money = pd.DataFrame(inflows, columns=list(Inflow._fields))
    grants = pd.DataFrame({"wallet": names[money["wallet"]], "time": _time(money["time"]), "amount": money["amount"]})
    return Economy(table, people, grants)


def _time(seconds: pd.Series) -> pd.Series:
    return START + pd.to_timedelta(seconds.round(), unit="s")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m models_ml.anomaly.simulate", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=2500)
    parser.add_argument("--days", type=int, default=120)
    options = parser.parse_args(arguments)
    economy = simulate(options.seed, people=options.people, days=options.days)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in ("gifts", "people", "grants"):
        getattr(economy, name).to_csv(options.folder / f"{name}.csv", index=False)
    print(f"{len(economy.gifts)} gifts of {len(economy.people)} people, {len(economy.grants)} grants and top-ups.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
