"""The model of odd gifts on a living platform: what it flags, once, with reasons, and that honest gifts are left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
from flask.testing import FlaskClient

from models_ml import registry
from models_ml.anomaly.simulate import Economy
from popoff.integrity import queries
from popoff.integrity.models import Flag
from popoff.kernel import clock
from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.rewards import topups
from tests.support import rewards
from tests.support.outbox import jobs_of
from tests.support.rewards import post_of
from tests.support.staff import cast
from tests.support.town import NOON, by_the_model, circle, opened, structure
from workers import integrity, schedule


def scan() -> dict[str | None, str]:
    """The gifts that the model has flagged after a scan, with the reason."""
    with clock.at(NOON):
        integrity.scan()
    return by_the_model()


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
    _, given = structure()
    today = {gift.public_id for gift in given if gift.created_at > NOON - timedelta(days=1)}
    for _ in range(2):
        with clock.at(NOON):
            integrity.check()
        assert today & by_the_model().keys()
        assert by_the_model().keys() <= today
    assert by_the_model().keys() <= queries.flagged_gifts()


def test_an_honest_gift_passes_the_look(past: Economy) -> None:
    giver, creator = opened("eve", 300), opened("ada", 300)
    with clock.at(NOON - timedelta(days=3)):
        topups.grant(giver.id, Minor(5_000), by=None, reason="To begin with")
    rewards.give(giver, post_of(creator), 500, at=NOON)
    with clock.at(NOON):
        integrity.check()
    assert by_the_model() == {}


def test_without_a_model_the_rules_are_left_and_the_log_says_so(
    past: Economy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    structure()
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    with structlog.testing.capture_logs() as logs, clock.at(NOON):
        integrity.check()
        integrity.scan()
    assert [line["event"] for line in logs if line.get("model") == "anomaly"] == ["model_missing"] * 2
    assert "structuring" in set(db.session.scalars(sa.select(Flag.rule)))
    assert by_the_model() == {}


def test_where_little_is_known_the_model_says_nothing(session: sa.orm.Session) -> None:
    structure()
    with structlog.testing.capture_logs() as logs, clock.at(NOON):
        integrity.check()
    assert [line["event"] for line in logs] == ["model_knows_too_little"]
    assert by_the_model() == {}


def test_gifts_are_looked_at_without_sharing_a_row_that_they_would_wait_for(client: FlaskClient) -> None:
    for people in (cast(client), cast(client)):
        assert people.give().status_code == 201
    assert jobs_of("integrity.check") == []
    assert schedule.RECURRING["integrity.check"] <= timedelta(minutes=1)
