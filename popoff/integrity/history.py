"""What a model is told: gifts, money that came in, and how young accounts are, all under the log's pseudonyms.

A small platform is told `whole`. From a large one is read what is `around` the gifts in question: the pasts of those
who made and got them, then of those whom these had to do with. Indexes lead to each person's entries, and every step
has its limits, so that a look takes as long on a platform of millions as on one of thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

import sqlalchemy as sa
import structlog

import config
from popoff.audit import rules as audit_rules
from popoff.integrity import rules
from popoff.kernel import clock
from popoff.kernel.db import db

log = structlog.get_logger()

PAST = timedelta(days=90)
"""How far back gifts are read; an account of that age is as good as any older one."""
LATE = timedelta(minutes=1)
"""How much later than its time an entry may be committed, or clocks may differ."""
WHOLE = 100_000
"""Gifts of a platform that is told whole."""
BATCH = 100
"""Gifts in question that are read with what is around them at once."""
INFLOWS = 100
"""Grants and top-ups of one person that are read: the latest."""


class Step(NamedTuple):
    """How many people's gifts are read, and how many by and to each of them: always the latest."""

    people: int
    each: int


STEPS = (Step(2 * BATCH, 300), Step(400, 50), Step(600, 10))
"""From those who made and got the gifts in question outwards. The last step is for rings, of at most six people."""
MOST = 50_000
"""Gifts that one step reads at most."""


class PastGift(NamedTuple):
    """A gift as the log has it; `amount` in minor units."""

    entry_id: str
    gift_id: str
    time: datetime
    giver: str
    creator: str
    amount: int


class Inflow(NamedTuple):
    """A grant or a top-up; `amount` in minor units."""

    wallet: str
    time: datetime
    amount: int


@dataclass(frozen=True, slots=True)
class History:
    """Gifts in order of time, and inflows; `known`: the people whose past is in it; `joined`: when their accounts, and
    others', were opened, and whoever is missing is as old as can be; `daily_limit`: minor units."""

    gifts: Sequence[PastGift]
    inflows: Sequence[Inflow]
    known: Collection[str]
    joined: Mapping[str, datetime]
    oldest: datetime
    daily_limit: int


Opened = Callable[[Collection[str]], Mapping[str, tuple[datetime | None, datetime | None]]]
"""When the accounts of giver and creator were opened, by the public id of a gift: the log does not know."""

_GIFT = "public_id, subject, time, actor, data->>'creator', amount"
_SPAN = "public_id >= :from AND public_id < :until"
_RECEIVED = "coalesce(data->>'creator', data->>'wallet')"
"""Whom money came to: the expression, and the two actions, of the index `ix_audit_entries_received`."""
_BETWEEN = sa.text(f"""
    SELECT {_GIFT} FROM audit_entries WHERE action = '{rules.SEND}' AND {_SPAN} ORDER BY public_id LIMIT :most
""")  # noqa: S608 - our constants, here and below
_COUNT = sa.text(f"""
    SELECT count(*) FROM (
        SELECT 1 FROM audit_entries WHERE action = '{rules.SEND}' AND {_SPAN} LIMIT :most) AS gift
""")  # noqa: S608
_OF_PEOPLE = sa.text(f"""
    SELECT gift.* FROM unnest(CAST(:people AS text[])) AS person (name) CROSS JOIN LATERAL (
        (SELECT {_GIFT} FROM audit_entries
          WHERE actor = name AND action = '{rules.SEND}' AND {_SPAN} ORDER BY id DESC LIMIT :each)
        UNION ALL
        (SELECT {_GIFT} FROM audit_entries
          WHERE {_RECEIVED} = name AND action = '{rules.SEND}' AND action IN ('send_gift', 'wallet_grant') AND {_SPAN}
          ORDER BY public_id DESC LIMIT :each)
    ) AS gift LIMIT :most
""")  # noqa: S608
_INFLOWS = sa.text(f"""
    SELECT name, inflow.* FROM unnest(CAST(:people AS text[])) AS person (name) CROSS JOIN LATERAL (
        (SELECT time, amount FROM audit_entries
          WHERE actor = name AND action = 'top_up_paid' AND {_SPAN} ORDER BY id DESC LIMIT :each)
        UNION ALL
        (SELECT time, amount FROM audit_entries
          WHERE {_RECEIVED} = name AND action = 'wallet_grant' AND action IN ('send_gift', 'wallet_grant') AND {_SPAN}
          ORDER BY public_id DESC LIMIT :each)
    ) AS inflow
""")  # noqa: S608


def count(most: int) -> int:
    """How many gifts PAST has, counted up to `most`."""
    return db.session.scalar(_COUNT, {**_span(clock.now() - PAST), "most": most}) or 0


def whole(opened: Opened) -> History:
    """All gifts of PAST up to now (the first WHOLE of them), and what came into wallets in that time."""
    gifts = _between(_span(clock.now() - PAST), WHOLE)
    return _history(gifts, _people(gifts), opened)


def batches(since: datetime) -> Iterator[list[PastGift]]:
    """The gifts made from then to now, in order of time, BATCH at a time: each is read as it is asked for."""
    span = _span(since)
    while gifts := _between(span, BATCH):
        yield gifts
        span["from"] = f"{gifts[-1].entry_id}0"  # the next id in order


def around(asked: Sequence[PastGift], opened: Opened) -> History:
    """These gifts, at most BATCH, and what bears on them. Where a limit cut something off, the log says so."""
    span = _span(clock.now() - PAST)
    gifts = {gift.entry_id: gift for gift in asked}
    known: dict[str, None] = {}
    reached: list[int] = []
    for number, step in enumerate(STEPS):
        met = [person for person in _people(_latest_first(gifts.values())) if person not in known]
        people, values = met[: step.people], {"each": step.each, "most": MOST}
        found = [PastGift(*row) for row in db.session.execute(_OF_PEOPLE, {**span, **values, "people": people})]
        if len(met) > step.people or len(found) == MOST:
            reached.append(number)
        gifts |= {gift.entry_id: gift for gift in found}
        if number < len(STEPS) - 1:
            known |= dict.fromkeys(people)
    if reached:
        log.info("history_cut", gifts=len(gifts), steps=reached)
    return _history(_latest_first(gifts.values())[::-1], known, opened)


def _span(since: datetime) -> dict[str, str]:
    """Ids of entries sort by time: those of entries from then to now."""
    until = clock.now() + LATE
    return {"from": audit_rules.public_id(since, bytes(10)), "until": audit_rules.public_id(until, bytes(10))}


def _between(span: Mapping[str, str], most: int) -> list[PastGift]:
    return [PastGift(*row) for row in db.session.execute(_BETWEEN, {**span, "most": most})]


def _latest_first(gifts: Collection[PastGift]) -> list[PastGift]:
    return sorted(gifts, key=lambda gift: gift.entry_id, reverse=True)


def _people(gifts: Sequence[PastGift]) -> list[str]:
    """Who has a part in these gifts, in their order."""
    return list(dict.fromkeys(chain.from_iterable((gift.giver, gift.creator) for gift in gifts)))


def _history(gifts: Sequence[PastGift], known: Collection[str], opened: Opened) -> History:
    now = clock.now()
    values = {**_span(now - PAST), "people": list(known), "each": INFLOWS}
    return History(
        gifts=gifts,
        inflows=[Inflow(*row) for row in db.session.execute(_INFLOWS, values)],
        known=known,
        joined=_joined(gifts, opened),
        oldest=now - 2 * PAST,
        daily_limit=config.current().daily_gift_limit,
    )


def _joined(gifts: Sequence[PastGift], opened: Opened) -> dict[str, datetime]:
    """One gift of each person tells when their account was opened."""
    witness = {person: gift for gift in gifts for person in (gift.giver, gift.creator)}
    times = opened({gift.gift_id for gift in witness.values()})
    moments: dict[str, datetime] = {}
    for person, gift in witness.items():
        moment = times.get(gift.gift_id, (None, None))[0 if person == gift.giver else 1]
        if moment is not None:
            moments[person] = moment
    return moments
