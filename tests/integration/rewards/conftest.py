from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support import rewards


@pytest.fixture(autouse=True)
def _books(session: sa.orm.Session) -> Iterator[None]:
    """After every test the books are right, and rewards and ledger say the same."""
    yield
    rewards.prove()
