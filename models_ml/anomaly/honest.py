"""What honest people do, and everything of it that looks like fraud from afar.

Each kind of fraud has honest doubles here: live events (repeat gifting, card testing), new fans of a creator who went
viral (farms of young accounts), whales near the daily limit (structuring), groups of friends and couples of creators
(rings, reciprocity), households and patrons (self-dealing, slow laundering), promotions and paydays (drained wallets),
travellers and birthdays (account takeover).
"""

from __future__ import annotations

import numpy as np

from models_ml.anomaly.world import DAY, HOUR, Floats, World

CREATORS = 0.15
"""Part of the people who post."""


def populate(world: World, people: int) -> None:
    """People who joined over the last two years and go on joining, and whom they like."""
    rng = world.rng
    for number in range(people):
        old = rng.random() < 0.7
        joined = -float(rng.exponential(200) * DAY) if old else float(rng.uniform(0, world.days) * DAY)
        world.join(joined, creator=number < people * CREATORS)
    for person in world.people:
        person.favourites = world.creators_by_fame(int(rng.integers(1, 7)))
        person.weights = rng.dirichlet(np.full(len(person.favourites), 0.7)).tolist()
        if rng.random() < 0.006:
            person.level += float(rng.uniform(2.5, 4.5))
            person.rate = float(rng.uniform(0.3, 1.5))


def live(world: World) -> None:
    """Everything honest that happens in the economy."""
    weights = _calendar(world)
    for number in range(len(world.people)):
        _habits(world, number, weights)
    _live_events(world)
    _viral(world)
    _birthdays(world)
    _friends(world)
    _patrons(world)
    _promotions(world)
    _generous_days(world)
    _thanks(world)
    _sprees(world)


def _calendar(world: World) -> Floats:
    """How much happens on each day: more at weekends and after the 1st and the 15th of a month of 30 days."""
    days = np.arange(world.days)
    weekend = np.where(days % 7 >= 5, 1.4, 1.0)
    payday = np.where(np.isin(days % 30, (0, 1, 14, 15)), 1.8, 1.0)
    return np.asarray(weekend * payday, dtype=np.float64)


def _habits(world: World, number: int, calendar: Floats) -> None:
    """Sessions at one's own hours with one to a few gifts, to favourites and sometimes to somebody new."""
    rng, person = world.rng, world.people[number]
    weights = calendar.copy()
    weights[: max(int(person.joined // DAY), 0)] = 0
    if weights.sum() == 0 or person.rate == 0:
        return
    if rng.random() < 0.15:
        pause = int(rng.integers(0, world.days))
        weights[pause : pause + int(rng.integers(20, 60))] *= 0.02
    sessions = int(rng.poisson(person.rate * np.count_nonzero(weights)))
    starts = world.hours(
        person, rng.choice(np.arange(world.days, dtype=float), size=sessions, p=weights / weights.sum())
    )
    if rng.random() < 0.12:
        trip, length = rng.uniform(0, world.end), rng.uniform(4, 20) * DAY
        starts = np.where((starts > trip) & (starts < trip + length), starts + rng.uniform(-10, 10) * HOUR, starts)
    for start in starts:
        if rng.random() < 0.85:
            creator = int(rng.choice(person.favourites, p=person.weights))
        else:
            creator = world.creators_by_fame(1)[0]
        time = float(start)
        for amount in world.amounts(person.level, person.spread, int(rng.geometric(0.65))):
            world.give(time, number, creator, amount)
            time += float(rng.exponential(240)) + 5


def _fans(world: World, creator: int, most: int) -> list[int]:
    fans = [number for number, person in enumerate(world.people) if creator in person.favourites]
    return [int(fan) for fan in world.rng.permutation(fans)[:most]]


def _live_events(world: World) -> None:
    """A stream of an evening: fans send many gifts, often all the same small sticker, within two hours."""
    rng = world.rng
    for _ in range(world.days // 2):
        creator = world.creators_by_fame(1, 0.7)[0]
        start = float(rng.uniform(0, world.days) // 1 * DAY + rng.normal(19, 2) * HOUR)
        post = world.post(creator, start, 0)
        for fan in _fans(world, creator, int(rng.integers(3, 30))):
            person, size = world.people[fan], int(min(rng.geometric(0.15), 40))
            amounts = world.amounts(person.level - rng.uniform(0, 2), person.spread, size)
            if rng.random() < 0.5:
                amounts = amounts[:1] * size
            for amount, time in zip(amounts, np.sort(start + rng.beta(1.2, 2, size) * 2 * HOUR), strict=True):
                world.give(float(time), fan, creator, amount, post=post)


def _viral(world: World) -> None:
    """A creator goes viral: new people join for them and give from their first day, and many others give too."""
    rng = world.rng
    for _ in range(max(world.days // 15, 1)):
        creator = world.creators_by_fame(1, 0.3)[0]
        start = float(rng.uniform(2, max(world.days - 5, 3)) * DAY)
        size = int(rng.integers(6, 30))
        for number in rng.permutation(len(world.people))[: int(size * rng.uniform(0.4, 2))]:
            person = world.people[number]
            world.give(
                start + float(rng.exponential(2 * DAY)), int(number), creator, world.amounts(person.level, 0.5, 1)[0]
            )
        for _ in range(size):
            joined = start + float(rng.exponential(2 * DAY))
            fan = world.join(joined)
            person = world.people[fan]
            person.favourites, person.weights = [creator, *world.creators_by_fame(2)], [0.7, 0.2, 0.1]
            gifts = int(rng.geometric(0.35))
            times = np.sort(joined + 300 + rng.exponential(2 * DAY, gifts))
            for time, amount in zip(times, world.amounts(person.level, person.spread, gifts), strict=True):
                world.give(float(time), fan, creator, amount)


def _birthdays(world: World) -> None:
    """Once a year a friend or a favourite gets several times the usual, at the friend's hours."""
    rng = world.rng
    for number in rng.permutation(len(world.people))[: int(len(world.people) * 0.25 * world.days / 120)]:
        person = world.people[number]
        friend = world.creators_by_fame(1, 0.2)[0] if rng.random() < 0.5 else int(rng.choice(person.favourites))
        time = float(rng.uniform(0, world.end))
        for amount in world.amounts(person.level + float(rng.uniform(1, 2.7)), 0.3, int(rng.integers(1, 4))):
            world.give(time, int(number), friend, amount)
            time += float(rng.exponential(600)) + 5


def _friends(world: World) -> None:
    """Groups of 2 to 6 creators give one another a little, now and then, and on birthdays more."""
    rng = world.rng
    for _ in range(max(len(world.creators) // 12, 1)):
        group = world.creators_by_fame(int(rng.integers(2, 7)), 0.2)
        level, rate = float(rng.normal(5.2, 0.7)), float(rng.uniform(0.02, 0.12))
        for giver in group:
            person = world.people[giver]
            days = np.flatnonzero(rng.random(world.days) < rate).astype(np.float64)
            for time, amount in zip(world.hours(person, days), world.amounts(level, 0.6, days.size), strict=True):
                world.give(float(time), giver, int(rng.choice([other for other in group if other != giver])), amount)


def _patrons(world: World) -> None:
    """Every week, or nearly every day, the same to one small creator: a patron, or somebody of the same household."""
    rng = world.rng
    for number in rng.permutation(len(world.people))[: len(world.people) // 40]:
        person, creator = world.people[number], world.creators_by_fame(1, -0.3)[0]
        amount = world.amounts(person.level + 0.5, 0.5, 1)[0]
        every = float(rng.choice([1.2, 3.5, 7, 7, 7, 15]))
        first = float(rng.uniform(0, world.days / 2))
        days = np.floor(np.arange(first, min(world.days, first + rng.uniform(20, 120)), every) + rng.uniform(0, 0.9))
        for time in world.hours(person, days):
            world.give(float(time), int(number), creator, amount)


def _promotions(world: World) -> None:
    """The platform grants something to many people at once; a good part gives it away the same day."""
    rng = world.rng
    for _ in range(max(world.days // 20, 1)):
        time, amount = float(rng.uniform(0, world.end)), float(rng.choice([500, 1000, 2000, 5000]))
        for number in rng.permutation(len(world.people))[: len(world.people) // 15]:
            person = world.people[number]
            if person.joined > time:
                continue
            world.fund(time, int(number), amount)
            if rng.random() < 0.4:
                creator, parts = int(rng.choice(person.favourites)), int(rng.integers(1, 4))
                spent = amount * rng.uniform(0.4, 1)
                for later in np.sort(rng.exponential(5 * HOUR, parts)):
                    world.give(time + 60 + float(later), int(number), creator, spent / parts // 10 * 10 + 10)


def _generous_days(world: World) -> None:
    """A few whales reach the daily limit, or nearly, for a day or some, for creators they love."""
    rng = world.rng
    rich = [number for number, person in enumerate(world.people) if person.level > 8.3]
    for number in rich:
        for _ in range(int(rng.poisson(1.5))):
            person, first = world.people[number], int(rng.integers(0, world.days))
            for day in range(first, first + int(rng.integers(1, 4))):
                goal, parts = world.limit * rng.uniform(0.4, 1.0), int(rng.integers(2, 9))
                shares = rng.dirichlet(np.full(parts, 3.0)) * goal
                times = np.sort(world.hours(person, np.full(parts, float(day))))
                for time, amount in zip(times, shares, strict=True):
                    world.give(float(time), number, int(rng.choice(person.favourites)), amount // 100 * 100 + 100)


def _thanks(world: World) -> None:
    """Somebody thanks many creators at once with something small."""
    rng = world.rng
    for number in rng.permutation(len(world.people))[: len(world.people) // 60]:
        time, amount = float(rng.uniform(0, world.end)), float(rng.integers(2, 80))
        for creator in world.creators_by_fame(int(rng.integers(5, 30)), 0.6):
            world.give(time, int(number), creator, amount)
            time += float(rng.exponential(90)) + 5


def _sprees(world: World) -> None:
    """A night of somebody who has come into money: large top-ups, many gifts, to favourites and at any hour."""
    rng = world.rng
    for number in rng.permutation(len(world.people))[: len(world.people) // 50]:
        person, time = world.people[number], float(rng.uniform(0, world.end))
        for amount in world.amounts(person.level + float(rng.uniform(0.8, 2.5)), 0.6, int(rng.integers(4, 15))):
            world.give(time, int(number), int(rng.choice(person.favourites)), amount)
            time += float(rng.exponential(900)) + 10
