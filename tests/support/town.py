"""A small town that lives honestly until NOON, in the log, and people who do not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from models_ml.anomaly.simulate import Economy
from popoff.accounts.models import User
from popoff.audit.models import EntryRow
from popoff.audit.rules import public_id as entry_id_at
from popoff.integrity.models import Flag
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.rewards import topups
from popoff.rewards.models import Gift
from tests.support import rewards
from tests.support.rewards import person, post_of

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
DAYS = 30


def live(town: Economy) -> None:
    """Write into the log what its people did until NOON."""
    shift = NOON - town.gifts["time"].max().to_pydatetime()
    gifts, grants = town.gifts, town.grants
    rows = [
        entry("send_gift", time + shift, name(giver), amount, {"creator": name(creator)})
        for time, giver, creator, amount in zip(
            gifts["time"], gifts["giver"], gifts["creator"], gifts["amount"], strict=True
        )
    ] + [
        entry("wallet_grant", time + shift, None, amount, {"wallet": name(wallet)})
        for wallet, time, amount in zip(grants["wallet"], grants["time"], grants["amount"], strict=True)
    ]
    db.session.execute(sa.insert(EntryRow), sorted(rows, key=lambda row: str(row["public_id"])))


def name(simulated: str) -> str:
    return simulated.rjust(32, "0")


def entry(action: str, time: datetime, actor: str | None, amount: int, data: dict[str, str]) -> dict[str, object]:
    entry.number += 1  # type: ignore[attr-defined]
    public_id = entry_id_at(time, entry.number.to_bytes(10, "big"))  # type: ignore[attr-defined]
    return {"public_id": public_id, "time": time, "action": action, "actor": actor, "amount": int(amount),
            "subject": public_id.lower()[:24], "data": data}  # fmt: skip


entry.number = 0  # type: ignore[attr-defined]


def opened(who: str, days: float) -> User:
    """Somebody whose account is so many days old at NOON."""
    user = person(who)
    db.session.execute(sa.update(User).where(User.id == user.id).values(created_at=NOON - timedelta(days=days)))
    return user


def structure() -> tuple[User, Sequence[Gift]]:
    """Day by day, until NOON, a new account tops up and gives nearly all that is allowed to another new one."""
    mule, accomplice = opened("mule", 12), opened("accomplice", 14)
    post, given = post_of(accomplice), []
    for days in range(6, -1, -1):
        begun = NOON - timedelta(days=days, hours=6)
        with clock.at(begun):
            topups.grant(mule.id, Minor(199_000), by=None, reason="A prize")
        given += [
            rewards.give(mule, post, cents, at=begun + timedelta(hours=hours))
            for hours, cents in ((1, 61_000), (2, 48_000), (4, 52_000), (5, 35_000))
        ]
    return mule, given


def circle() -> Sequence[Gift]:
    """Four creators pass about the same sum round, lap after lap."""
    members = [opened(f"member{number}", 200) for number in range(4)]
    posts = [post_of(member) for member in members]
    for member in members:
        with clock.at(NOON - timedelta(days=12)):
            topups.grant(member.id, Minor(40_000), by=None, reason="To begin with")
    given, time = [], NOON - timedelta(days=10)
    for lap in range(8):
        for place, member in enumerate(members):
            given.append(rewards.give(member, posts[(place + 1) % 4], 2_000 - 10 * lap - 5 * place, at=time))
            time += timedelta(hours=6)
    return given


def by_the_model() -> dict[str | None, str]:
    """The gifts that the model has flagged, with the reason; each once."""
    flags = db.session.scalars(sa.select(Flag).where(Flag.rule == "model")).all()
    assert len({flag.entry_id for flag in flags}) == len(flags)
    return {flag.gift_id: flag.reason for flag in flags}
