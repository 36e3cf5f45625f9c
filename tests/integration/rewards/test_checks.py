"""What the doctor says of rewards whose guards were taken away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.rewards import checks


@pytest.mark.parametrize(
    ("table", "trigger"), [("gifts", "after_closing"), ("reward_lines", "append_only"), ("reward_periods", "step")]
)
@pytest.mark.parametrize("change", ["ALTER TABLE {0} DISABLE TRIGGER {1}", "DROP TRIGGER {1} ON {0}"])
def test_a_guard_that_is_gone_or_off_is_named(session: sa.orm.Session, table: str, trigger: str, change: str) -> None:
    assert checks.check() == []
    with db.session.begin_nested() as before:
        db.session.execute(sa.text(change.format(table, trigger)))
        found = [(problem.code, problem.subject) for problem in checks.check()]
        before.rollback()
    assert found == [("guard_missing", f"trigger {trigger} on {table}")]
