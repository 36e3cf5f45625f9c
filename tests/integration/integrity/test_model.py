"""The model of odd gifts on a living platform: what it flags, once, with reasons, and that honest gifts are left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from flask.testing import FlaskClient

from models_ml import registry
from models_ml.anomaly.simulate import Economy, simulate
from popoff.accounts.models import User
from popoff.audit.models import EntryRow
from popoff.audit.rules import public_id as entry_id_at
from popoff.integrity import queries
from popoff.integrity.models import Flag
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.rewards import topups
from popoff.rewards.models import Gift
from tests.support import rewards
from tests.support.outbox import jobs_of
from tests.support.rewards import person, post_of
from tests.support.staff import cast, number_of
from workers import integrity

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
DAYS = 30


@pytest.fixture(scope="module")
def honest() -> Economy:
    """A month of a small town without fraud."""
    return simulate(11, people=250, days=DAYS, kinds=(), prevalence=0)


@pytest.fixture
def past(session: sa.orm.Session, honest: Economy) -> Economy:
    """The log of a platform on which they have lived until NOON."""
    shift = NOON - honest.gifts["time"].max().to_pydatetime()
    gifts, grants = honest.gifts, honest.grants
    rows = [
        entry("send_gift", time + shift, name(giver), amount, {"creator": name(creator)})
        for time, giver, creator, amount in zip(
            gifts["time"], gifts["giver"], gifts["creator"], gifts["amount"], strict=True
        )
    ] + [
        entry("wallet_grant", time + shift, None, amount, {"wallet": name(wallet)})
        for wallet, time, amount in zip(grants["wallet"], grants["time"], grants["amount"], strict=True)
    ]
    session.execute(sa.insert(EntryRow), sorted(rows, key=lambda row: str(row["public_id"])))
    return honest


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


def scan() -> dict[str | None, str]:
    """The gifts that the model has flagged after a scan, with the reason."""
    with clock.at(NOON):
        integrity.scan()
    return by_the_model()


def by_the_model() -> dict[str | None, str]:
    flags = db.session.scalars(sa.select(Flag).where(Flag.rule == "model")).all()
    assert len({flag.entry_id for flag in flags}) == len(flags)
    return {flag.gift_id: flag.reason for flag in flags}


def test_structured_gifts_and_a_ring_are_flagged_with_reasons_and_honest_ones_are_not(past: Economy) -> None:
    _, structured = structure()
    passed_round = circle()
    found = scan()
    planted = {gift.public_id for gift in (*structured, *passed_round)}
    assert len(found.keys() & {gift.public_id for gift in structured}) >= 20
    assert len(found.keys() & {gift.public_id for gift in passed_round}) >= 16
    assert len(found.keys() - planted) <= len(past.gifts) / 1000
    version = registry.load("anomaly").version
    assert all(version in reason and "likely fraud, flagged from" in reason for reason in found.values())
    assert any("daily limit" in reason or "grants and top-ups" in reason for reason in found.values())
    assert planted & found.keys() <= queries.flagged_gifts()


def test_a_scan_again_flags_nothing_again(past: Economy) -> None:
    structure()
    once = scan()
    assert once and scan() == once


def test_a_gift_is_looked_at_as_soon_as_it_is_made_and_flagged_once(past: Economy) -> None:
    mule, given = structure()
    today = {gift.public_id for gift in given if gift.created_at > NOON - timedelta(days=1)}
    for _ in range(2):
        with clock.at(NOON):
            integrity.check(mule.id)
        assert today & by_the_model().keys()
        assert by_the_model().keys() <= today
    assert by_the_model().keys() <= queries.flagged_gifts()


def test_an_honest_gift_passes_the_look(past: Economy) -> None:
    giver, creator = opened("eve", 300), opened("ada", 300)
    with clock.at(NOON - timedelta(days=3)):
        topups.grant(giver.id, Minor(5_000), by=None, reason="To begin with")
    rewards.give(giver, post_of(creator), 500, at=NOON)
    with clock.at(NOON):
        integrity.check(giver.id)
    assert by_the_model() == {}


def test_without_a_model_the_rules_are_left_and_the_log_says_so(
    past: Economy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mule, _ = structure()
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    with structlog.testing.capture_logs() as logs, clock.at(NOON):
        integrity.check(mule.id)
        integrity.scan()
    assert [line["event"] for line in logs if line.get("model") == "anomaly"] == ["model_missing"] * 2
    assert "structuring" in set(db.session.scalars(sa.select(Flag.rule)))
    assert by_the_model() == {}


def test_where_little_is_known_the_model_says_nothing(session: sa.orm.Session) -> None:
    mule, _ = structure()
    with structlog.testing.capture_logs() as logs, clock.at(NOON):
        integrity.check(mule.id)
    assert [line["event"] for line in logs] == ["model_knows_too_little"]
    assert by_the_model() == {}


def test_gifts_over_the_api_stage_one_look_at_their_giver(client: FlaskClient) -> None:
    people = cast(client)
    for _ in range(2):
        assert people.give().status_code == 201
    (job,) = jobs_of("integrity.check")
    assert job.args == {"giver_id": number_of(people.giver)}
