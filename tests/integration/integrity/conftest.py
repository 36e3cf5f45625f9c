"""Fixtures of several files: a town without fraud, and a platform on which it has lived."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
import structlog

from models_ml.anomaly.simulate import Economy, simulate
from popoff.integrity import history
from tests.support import town
from workers import integrity, models, suspicion


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged can be captured, also after a test whose settings these modules' loggers have kept."""
    for module in (history, integrity, models, suspicion):
        monkeypatch.setattr(module, "log", structlog.get_logger())


@pytest.fixture(scope="session")
def honest() -> Economy:
    """A month of a small town without fraud."""
    return simulate(11, people=250, days=town.DAYS, kinds=(), prevalence=0)


@pytest.fixture
def past(session: sa.orm.Session, honest: Economy) -> Economy:
    """The log of a platform on which they have lived until NOON."""
    town.live(honest)
    return honest
