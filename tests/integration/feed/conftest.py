from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from popoff.accounts import service as accounts

Register = Callable[[str], int]


@pytest.fixture
def register(session: sa.orm.Session) -> Register:
    """Adds a person without a request, and answers their id."""

    def add(username: str) -> int:
        return accounts.register(username, f"{username}@people.example", "correct horse battery").id

    return add
