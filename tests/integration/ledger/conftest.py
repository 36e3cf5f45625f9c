from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support import ledger


@pytest.fixture(autouse=True)
def books(request: pytest.FixtureRequest, session: sa.orm.Session) -> Iterator[None]:
    """After every test that does not cook them, the books are right."""
    yield
    if "unguarded" not in request.fixturenames:
        ledger.prove()
