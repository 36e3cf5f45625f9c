"""What the model of odd gifts is told of a large platform: what is around a gift, by indexes, and nothing less."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog

from models_ml import registry
from popoff.accounts.models import User
from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.audit import service as audit
from popoff.integrity import history
from popoff.integrity.history import PAST, PastGift, Step
from popoff.integrity.models import Flag
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.rewards import queries as rewards
from tests.support.town import NOON, by_the_model, structure
from workers import integrity, models, suspicion

LATELY = NOON - timedelta(days=1)


@pytest.fixture(autouse=True)
def at_noon(session: sa.orm.Session) -> Iterator[None]:
    with clock.at(NOON):
        yield


def latest(number: int) -> list[PastGift]:
    return list(history.whole(rewards.accounts_opened).gifts[-number:])


def around(asked: list[PastGift]) -> history.History:
    return history.around(asked, rewards.accounts_opened)


def done(name: str) -> None:
    """A job of this name was staged now, and is done."""
    jobs.stage(name)
    db.session.execute(sa.update(Job).where(Job.name == name).values(state="done", finished_at=NOON))


@pytest.mark.usefixtures("past")
def test_the_pasts_of_giver_and_creator_are_told_whole_whatever_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = history.whole(rewards.accounts_opened)
    regular = max(everything.gifts[-200:], key=lambda gift: sum(gift.giver == one.giver for one in everything.gifts))
    monkeypatch.setattr(history, "STEPS", (Step(2, 500), Step(3, 2), Step(3, 1)))
    with structlog.testing.capture_logs() as logs:
        told = around([regular])
    people = {regular.giver, regular.creator}
    own = {gift for gift in everything.gifts if {gift.giver, gift.creator} & people}
    assert own <= set(told.gifts) and len(told.gifts) < len(own) + 3 * 4 + 3 * 2 < len(everything.gifts)
    inflows = {flow for flow in everything.inflows if flow.wallet in people}
    assert inflows and inflows <= set(told.inflows)
    assert [line["event"] for line in logs] == ["history_cut"]


@pytest.mark.usefixtures("past")
def test_a_gift_is_judged_among_what_is_around_it_as_among_everything() -> None:
    _, planted = structure()
    ids = {gift.public_id for gift in planted}
    everything = history.whole(rewards.accounts_opened)
    asked = [gift for gift in everything.gifts if gift.gift_id in ids] + latest(40)
    model, since = registry.load("anomaly"), NOON - timedelta(days=14)
    whole = suspicion.of_whole(model, everything, since)
    part = suspicion.later(model, since, around(asked), asked)
    assert len(part) >= 20
    assert {gift.entry_id: whole.get(gift.entry_id) for gift in asked} == {
        gift.entry_id: part.get(gift.entry_id) for gift in asked
    }


@pytest.mark.usefixtures("past")
def test_a_large_platform_is_not_told_whole_and_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "WHOLE", 1_000)
    monkeypatch.setattr(history, "whole", None)
    monkeypatch.setattr(integrity, "FORTNIGHT", timedelta(days=2))
    _, planted = structure()
    integrity.scan()
    assert {gift.public_id for gift in planted if gift.created_at > NOON - timedelta(days=2)} <= by_the_model().keys()


def test_how_old_accounts_are_is_told_of_both_sides() -> None:
    structure()
    (*_, last) = latest(1)
    told = around([last]).joined
    assert sorted(told.values()) == [NOON - timedelta(days=14), NOON - timedelta(days=12)]
    assert told[last.giver] == NOON - timedelta(days=12)


def test_nobody_is_as_old_as_who_has_left() -> None:
    mule, _ = structure()
    db.session.execute(sa.delete(User).where(User.id == mule.id))
    told = around(latest(1))
    assert audit.pseudonym(mule.id) not in told.joined
    assert told.oldest <= NOON - PAST


@pytest.mark.usefixtures("past")
def test_a_check_looks_at_all_since_the_last_one_that_is_done_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    structure()
    sizes: list[int] = []
    monkeypatch.setattr(suspicion, "at_once", lambda *told: sizes.append(len(told[-1])) or {})
    monkeypatch.setattr(history, "BATCH", 30)
    integrity.check()
    number = db.session.scalar(
        sa.text("SELECT count(*) FROM audit_entries WHERE action = 'send_gift' AND time >= :since"), {"since": LATELY}
    )
    assert sum(sizes) == number > 30 and set(sizes[:-1]) == {30}


@pytest.mark.usefixtures("past")
def test_what_was_looked_at_is_not_looked_at_again_and_what_a_dead_job_left_is() -> None:
    structure()
    with clock.at(NOON + 2 * history.LATE):
        done("integrity.check")
        integrity.check()
        assert by_the_model() == {}
        db.session.execute(sa.update(Job).values(state="dead"))
        integrity.check()
        assert by_the_model()


@pytest.mark.usefixtures("past")
def test_the_rules_flag_without_a_model_that_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    structure()
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(models, "in_use", broken)
        integrity.scan()
    assert "structuring" in set(db.session.scalars(sa.select(Flag.rule)))
    monkeypatch.setattr(suspicion.score, "judge", lambda *_, **__: {}["tails"])
    with structlog.testing.capture_logs() as logs:
        integrity.scan()
    assert [line["reason"] for line in logs if line["event"] == "model_refused"] == ["KeyError: 'tails'"]


@pytest.mark.usefixtures("past")
def test_indexes_lead_to_the_entries_of_people() -> None:
    db.session.execute(sa.text("ANALYZE audit_entries"))
    values = {**history._span(NOON - PAST), "people": ["a" * 32], "each": 10, "most": 100}
    for statement in (history._OF_PEOPLE, history._INFLOWS):
        plan = "\n".join(db.session.scalars(sa.text(f"EXPLAIN {statement.text}"), values))
        assert "ix_audit_entries_received" in plan and "Seq Scan" not in plan
