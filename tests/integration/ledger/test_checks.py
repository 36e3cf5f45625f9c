"""What the doctor finds after somebody has switched the guards off and written what they liked."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.kernel.money import Minor
from popoff.ledger import service
from popoff.ledger.checks import GUARDS, check
from tests.support.ledger import grant, pay, prove, wallet


@pytest.fixture(autouse=True)
def _books(books: None) -> None:
    grant(1, 100)
    service.reverse("undo", pay(wallet(1), wallet(2), 10).id, "why")
    service.hold("open", wallet(1), Minor(5), "why")
    service.capture(service.hold("captured", wallet(1), Minor(7), "why").id, "capture", wallet(2))
    prove()


def test_honest_books_have_no_problems() -> None:
    assert check() == []


@pytest.fixture
def unguarded(_books: None, session: sa.orm.Session) -> sa.orm.Session:
    """The database as somebody finds it who may switch its triggers off."""
    for table in ("accounts", "transfers", "entries", "holds"):
        session.execute(sa.text(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER"))
    return session


def tamper(session: sa.orm.Session, statement: str) -> None:
    """As somebody would: with the guards off, and on again afterwards."""
    session.execute(sa.text(statement))
    for table in ("accounts", "transfers", "entries", "holds"):
        session.execute(sa.text(f"ALTER TABLE ledger_{table} ENABLE TRIGGER USER"))


FIRST_ENTRY = "WHERE seq = 1 AND account_id = (SELECT id FROM ledger_accounts WHERE owner_id = 1)"


@pytest.mark.parametrize(
    ("statement", "codes"),
    [
        ("UPDATE ledger_accounts SET balance = balance + 1 WHERE owner_id = 1", {"not_balanced", "balance_differs"}),
        (
            "UPDATE ledger_accounts SET balance = balance + CASE kind WHEN 'mint' THEN -1 ELSE 1 END"
            " WHERE kind = 'mint' OR owner_id = 1",
            {"balance_differs"},
        ),
        ("UPDATE ledger_accounts SET held = 6 WHERE owner_id = 1", {"held_differs"}),
        (f"UPDATE ledger_entries SET amount = 101 {FIRST_ENTRY}", {"balance_differs", "history_broken"}),
        (f"UPDATE ledger_entries SET balance_after = 101 {FIRST_ENTRY}", {"history_broken"}),
        (f"DELETE FROM ledger_entries {FIRST_ENTRY}", {"balance_differs", "history_broken"}),
        (f"UPDATE ledger_entries SET seq = 99 {FIRST_ENTRY}", {"history_broken"}),
        (f"UPDATE ledger_entries SET account_id = 987654321 {FIRST_ENTRY}", {"balance_differs"}),
        (f"UPDATE ledger_entries SET transfer_id = 987654321 {FIRST_ENTRY}", {"transfer_not_balanced"}),
        ("UPDATE ledger_transfers SET amount = amount + 1", {"transfer_not_balanced", "hold_differs"}),
        ("UPDATE ledger_transfers SET legs = 3", {"transfer_not_balanced"}),
        (
            "UPDATE ledger_transfers SET reverses_id = (SELECT min(id) FROM ledger_transfers)"
            " WHERE reverses_id IS NOT NULL",
            {"reversal_differs"},
        ),
        ("UPDATE ledger_transfers SET hold_id = NULL", {"hold_differs"}),
        ("UPDATE ledger_holds SET amount = amount + 1", {"held_differs", "hold_differs"}),
        ("UPDATE ledger_holds SET state = 'captured', closed_at = now()", {"held_differs", "hold_differs"}),
        ("DROP TRIGGER ledger_entries_post ON ledger_entries", {"guard_missing"}),
    ],
)
def test_every_falsehood_is_found(unguarded: sa.orm.Session, statement: str, codes: set[str]) -> None:
    tamper(unguarded, statement)
    found = {problem.code for problem in check()}
    assert found >= codes
    assert all(problem.subject and problem.text for problem in check())


def test_guards_that_are_off_are_found(unguarded: sa.orm.Session) -> None:
    missing = {problem.subject for problem in check()}
    assert missing == {f"trigger {guard}" for guard in GUARDS}


def test_a_balance_below_zero_is_found(unguarded: sa.orm.Session) -> None:
    unguarded.execute(sa.text("ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_balance"))
    unguarded.execute(sa.text("ALTER TABLE ledger_accounts DROP CONSTRAINT ck_ledger_accounts_held"))
    tamper(unguarded, "UPDATE ledger_accounts SET balance = -1 WHERE owner_id = 2")
    assert "below_zero" in {problem.code for problem in check()}


def test_no_more_examples_are_named_than_people_read(unguarded: sa.orm.Session) -> None:
    for person in range(100, 150):
        unguarded.execute(sa.text(f"INSERT INTO ledger_accounts (kind, owner_id, held) VALUES ('wallet', {person}, 0)"))
    tamper(unguarded, "UPDATE ledger_accounts SET balance = 1 WHERE owner_id >= 100")
    assert len([problem for problem in check() if problem.code == "balance_differs"]) == 20
