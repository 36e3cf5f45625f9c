"""Fixtures of several files: a town without fraud, and a platform on which it has lived."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from models_ml.anomaly.simulate import Economy, simulate
from tests.support import town


@pytest.fixture(scope="session")
def honest() -> Economy:
    """A month of a small town without fraud."""
    return simulate(11, people=250, days=town.DAYS, kinds=(), prevalence=0)


@pytest.fixture
def past(session: sa.orm.Session, honest: Economy) -> Economy:
    """The log of a platform on which they have lived until NOON."""
    town.live(honest)
    return honest
