"""Fourteen kinds of fraud, one function each: it adds one episode of its kind to an economy.

Every episode draws its own strength: sums, pace, helpers, cover. Accounts made for fraud give a little to others too,
and those gifts are honest ones in the books. What the kinds are:

* `account_takeover`: somebody else is in an established account: other hours, other amounts, creators never met.
* `boost_club`: seven to twelve creators agree to give each other the same, round after round, to look loved.
* `card_testing`: many tiny top-ups and gifts within an hour or two, to see which stolen card still pays.
* `grant_cashing`: people hand a promotion's grant to one creator, who pays them outside.
* `reciprocity`: two creators pass about the same back and forth.
* `repeat_gifting`: one account fires bursts of gifts at one creator, by a script.
* `ring`: three to six creators pass money round.
* `self_dealing`: a creator's second account gives to the creator.
* `sleepers`: old accounts that were bought wake up and give to one creator.
* `slow_laundering`: one to three mules top up and pass it on at once, about daily, for weeks.
* `smurfing`: one sum, parted among many mules on one day, comes together again at one creator.
* `structuring`: day by day just under the daily limit, in parts.
* `wallet_drain`: wallets are emptied into one creator minutes after a grant or a top-up.
* `young_farm`: accounts opened within days give what a new account is granted to one creator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models_ml.anomaly.world import DAY, HOUR, World

Episode = Callable[[World], None]


def _moment(world: World, before_end: float) -> float:
    """When an episode starts: not so late that most of it would be cut off."""
    return float(world.rng.uniform(5, max(world.days - before_end, 6)) * DAY)


def _accomplice(world: World, time: float) -> int:
    """A creator in on it: opened for it, or one with few fans."""
    if world.rng.random() < 0.6:
        return world.join(time - float(world.rng.uniform(1, 120)) * DAY, creator=True, active=False)
    return world.creators_by_fame(1, -0.3)[0]


def _mule(world: World, time: float) -> int:
    """An account opened for it, with a little cover before."""
    rng = world.rng
    opened = time - float(rng.exponential(25) + 0.05) * DAY
    mule = world.join(opened, active=False)
    person = world.people[mule]
    for amount in world.amounts(person.level - 0.5, person.spread, int(rng.integers(0, 5))):
        world.give(float(rng.uniform(opened, time)), mule, world.creators_by_fame(1)[0], amount)
    return mule


def _established(world: World, time: float) -> int:
    """Somebody with a past of at least some gifts."""
    rng = world.rng
    for _ in range(200):
        number = int(rng.integers(len(world.people)))
        person = world.people[number]
        if person.rate > 0.05 and person.joined < time - 60 * DAY and person.level < 8:
            return number
    return 0


def _days(world: World, first: float, number: int, every: float) -> list[float]:
    """Days of an episode that goes on about every so many days."""
    return (first / DAY // 1 + np.cumsum(world.rng.exponential(every, number)) // 1).tolist()


def self_dealing(world: World) -> None:
    rng, first = world.rng, _moment(world, 25)
    creator = _accomplice(world, first)
    second = _mule(world, first)
    level, size = float(rng.normal(7.6, 0.7)), int(rng.integers(15, 40))
    person, days = world.people[creator], _days(world, first, size, float(rng.uniform(0.15, 0.9)))
    for time, amount in zip(world.hours(person, days), world.amounts(level, 0.35, size), strict=True):
        if rng.random() < 0.7:
            world.fund(float(time) - float(rng.uniform(60, 3 * HOUR)), second, amount * rng.uniform(1, 1.3))
        world.give(float(time), second, creator, amount, "self_dealing")


def _round_trips(world: World, members: list[int], kind: str, laps: int, every: float) -> None:
    """Money goes round the members, each passing on about what came; now and then a cut stays behind."""
    rng, time = world.rng, _moment(world, laps * every + 2)
    amount = float(np.exp(rng.normal(7.3, 0.7)))
    for _ in range(laps):
        turn = amount * float(rng.uniform(0.75, 1.25))
        for giver, creator in zip(members, [*members[1:], members[0]], strict=True):
            world.give(time, giver, creator, turn * rng.uniform(0.88, 1) // 10 * 10 + 10, kind)
            time += float(rng.exponential(every / len(members))) * DAY + 60


def ring(world: World) -> None:
    rng = world.rng
    members = world.creators_by_fame(int(rng.integers(3, 7)), -0.2)
    _round_trips(world, members, "ring", int(rng.integers(6, 14)), float(rng.uniform(0.6, 2.5)))


def reciprocity(world: World) -> None:
    rng = world.rng
    members = world.creators_by_fame(2, -0.2)
    _round_trips(world, members, "reciprocity", int(rng.integers(10, 22)), float(rng.uniform(0.3, 1.5)))


def structuring(world: World) -> None:
    rng, first = world.rng, _moment(world, 14)
    giver = _established(world, first) if rng.random() < 0.4 else _mule(world, first)
    creators = [_accomplice(world, first) for _ in range(int(rng.integers(1, 4)))]
    for day in range(int(rng.integers(4, 12))):
        goal, parts = world.limit * rng.uniform(0.9, 0.995), int(rng.integers(2, 8))
        shares = rng.dirichlet(np.full(parts, float(rng.choice([5, 50])))) * goal
        start = first // DAY * DAY + day * DAY
        world.fund(start + float(rng.uniform(0, 2 * HOUR)), giver, goal * rng.uniform(1, 1.1) // 100 * 100)
        for time, amount in zip(np.sort(start + rng.uniform(2, 22, parts) * HOUR), shares, strict=True):
            world.give(float(time), giver, int(rng.choice(creators)), amount // 10 * 10, "structuring")


def repeat_gifting(world: World) -> None:
    rng, first = world.rng, _moment(world, 10)
    giver = _established(world, first) if rng.random() < 0.4 else _mule(world, first)
    creator = _accomplice(world, first)
    amount = float(np.exp(rng.normal(5.6, 0.8)))
    for burst in range(int(rng.integers(2, 5))):
        start, size = first + burst * float(rng.uniform(0.5, 2)) * DAY, int(rng.integers(10, 30))
        gap = float(rng.choice([10, 45, 120]))
        post, same = world.post(creator, start), rng.random() < 0.6
        for index in range(size):
            sent = amount if same else amount * rng.uniform(0.6, 1.5)
            world.give(start + index * gap * rng.uniform(0.8, 1.2), giver, creator, sent, "repeat_gifting", post)


def wallet_drain(world: World) -> None:
    rng, first = world.rng, _moment(world, 8)
    creator = _accomplice(world, first)
    for _ in range(int(rng.integers(3, 7))):
        time = first + float(rng.uniform(0, 4)) * DAY
        victim = _established(world, time)
        loot, parts = float(np.exp(rng.normal(9.2, 0.7))), int(rng.integers(3, 9))
        world.fund(time, victim, loot // 100 * 100)
        shares = rng.dirichlet(np.full(parts, 4.0)) * loot * rng.uniform(0.85, 1)
        for amount in shares:
            time += float(rng.exponential(rng.uniform(2, 15) * 60)) + 20
            world.give(time, victim, creator, min(amount, world.limit / parts), "wallet_drain")


def young_farm(world: World) -> None:
    rng, first = world.rng, _moment(world, 8)
    creator = _accomplice(world, first)
    promised, spread = float(rng.choice([500, 1000, 2000])), float(rng.uniform(0.2, 4))
    for _ in range(int(rng.integers(8, 25))):
        opened = first + float(rng.uniform(0, spread)) * DAY
        account = world.join(opened, active=False)
        time, parts = opened + float(rng.exponential(8 * HOUR)) + 120, int(rng.integers(1, 4))
        world.fund(opened + 60, account, promised)
        for _ in range(parts):
            world.give(time, account, creator, promised * rng.uniform(0.8, 1) / parts // 10 * 10, "young_farm")
            time += float(rng.exponential(3 * HOUR)) + 30
        if rng.random() < 0.2:
            world.give(time + float(rng.uniform(0, 3)) * DAY, account, world.creators_by_fame(1)[0], 100)


def account_takeover(world: World) -> None:
    rng, first = world.rng, _moment(world, 4)
    victim = _established(world, first)
    person = world.people[victim]
    strange = (person.peak + 12 + float(rng.normal(0, 2.5))) % 24
    time = first // DAY * DAY + strange * HOUR
    creators = [_accomplice(world, first) for _ in range(int(rng.integers(1, 3)))]
    level = person.level + float(rng.uniform(1.2, 3))
    for amount in world.amounts(level, 0.4, int(rng.integers(8, 25))):
        if rng.random() < 0.5:
            world.fund(time - float(rng.uniform(20, 300)), victim, amount * rng.uniform(1, 2))
        world.give(time, victim, int(rng.choice(creators)), amount, "account_takeover")
        time += float(rng.exponential(rng.uniform(3, 30) * 60)) + 20


def card_testing(world: World) -> None:
    rng, first = world.rng, _moment(world, 3)
    giver = _mule(world, first) if rng.random() < 0.7 else _established(world, first)
    size, time = int(rng.integers(20, 60)), first
    own = _accomplice(world, first) if rng.random() < 0.5 else None
    for _ in range(size):
        amount = float(rng.integers(1, 60))
        creator = own if own is not None else world.creators_by_fame(1, 0.3)[0]
        if rng.random() < 0.8:
            world.fund(time - float(rng.uniform(5, 40)), giver, amount * rng.uniform(1, 1.5) + 1)
        world.give(time, giver, creator, amount, "card_testing")
        time += float(rng.exponential(float(rng.uniform(30, 240)))) + 3


def slow_laundering(world: World) -> None:
    rng, first = world.rng, _moment(world, 45)
    creator = _accomplice(world, first)
    level = float(rng.normal(8.0, 0.5))
    for _ in range(int(rng.integers(1, 4))):
        mule = _mule(world, first)
        size = int(rng.integers(20, 40))
        days = _days(world, first, size, float(rng.uniform(0.6, 1.6)))
        for time, amount in zip(world.hours(world.people[mule], days), world.amounts(level, 0.25, size), strict=True):
            world.fund(float(time) - float(rng.exponential(HOUR)) - 60, mule, amount * rng.uniform(1, 1.1))
            world.give(float(time), mule, creator, amount, "slow_laundering")


def boost_club(world: World) -> None:
    rng = world.rng
    members = world.creators_by_fame(int(rng.integers(7, 13)), -0.2)
    time, amount = _moment(world, 12), float(np.exp(rng.normal(6.3, 0.5))) // 50 * 50 + 50
    for _ in range(int(rng.integers(2, 4))):
        for giver in rng.permutation(members):
            for creator in rng.permutation([member for member in members if member != giver])[:4]:
                sent = amount * rng.choice([1.0, 1.0, 1.5])
                world.give(time + float(rng.uniform(0, 1.5)) * DAY, int(giver), int(creator), sent, "boost_club")
        time += float(rng.uniform(2, 4)) * DAY


def grant_cashing(world: World) -> None:
    rng, first = world.rng, _moment(world, 4)
    creator, granted = _accomplice(world, first), float(rng.choice([1000, 2000, 5000, 10_000]))
    for _ in range(int(rng.integers(8, 20))):
        giver, parts = _established(world, first), int(rng.integers(1, 4))
        world.fund(first, giver, granted)
        time = first + float(rng.exponential(8 * HOUR))
        for _ in range(parts):
            world.give(time, giver, creator, granted * rng.uniform(0.85, 1) / parts // 10 * 10, "grant_cashing")
            time += float(rng.exponential(600)) + 20


def sleepers(world: World) -> None:
    rng, first = world.rng, _moment(world, 10)
    creator, level = _accomplice(world, first), float(rng.normal(6.8, 0.6))
    for _ in range(int(rng.integers(5, 12))):
        bought = world.join(first - float(rng.uniform(100, 500)) * DAY, active=False)
        size = int(rng.integers(3, 8))
        time = first + float(rng.uniform(0, 4)) * DAY
        for amount in world.amounts(level, 0.2, size):
            if rng.random() < 0.6:
                world.fund(time - float(rng.uniform(60, 3600)), bought, amount * rng.uniform(1, 1.3))
            world.give(time, bought, creator, amount, "sleepers")
            time += float(rng.exponential(8 * HOUR)) + 60


def smurfing(world: World) -> None:
    rng, first = world.rng, _moment(world, 3)
    creator, part = _accomplice(world, first), float(np.exp(rng.normal(8.3, 0.5)))
    for _ in range(int(rng.integers(6, 15))):
        mule = _mule(world, first)
        time = first + float(rng.uniform(0, 1)) * DAY
        for _ in range(int(rng.integers(1, 4))):
            amount = part * rng.uniform(0.8, 1.1) // 10 * 10
            world.fund(time - float(rng.uniform(60, 7200)), mule, amount * rng.uniform(1, 1.05))
            world.give(time, mule, creator, amount, "smurfing")
            time += float(rng.uniform(1, 10)) * HOUR


EPISODES: dict[str, Episode] = {
    episode.__name__: episode
    for episode in (
        account_takeover,
        boost_club,
        card_testing,
        grant_cashing,
        reciprocity,
        repeat_gifting,
        ring,
        self_dealing,
        sleepers,
        slow_laundering,
        smurfing,
        structuring,
        wallet_drain,
        young_farm,
    )
}
"""By name, in alphabetical order."""
