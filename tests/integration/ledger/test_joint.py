"""Transfers that another room's reads and writes go with, in one statement."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.kernel.db import db
from popoff.kernel.money import Minor
from popoff.ledger import queries, service
from popoff.ledger.rules import InsufficientFunds, Move
from popoff.ledger.service import Declined, Joint
from tests.support.ledger import grant, has, new_key, pay, wallet

ADA, BELA = wallet(1), wallet(2)
NOTE = (
    "note AS (INSERT INTO notes (id, word) SELECT id, %(word)s::text FROM transfer RETURNING id, upper(word) AS word)"
)


@pytest.fixture(autouse=True)
def notes(session: sa.orm.Session) -> None:
    session.execute(sa.text("CREATE TEMPORARY TABLE notes (id bigint, word text) ON COMMIT DROP"))


def premise(condition: str = "true", seen: str = "NULL") -> str:
    return f"premise AS (SELECT CAST({seen} AS bigint) AS seen WHERE {condition})"


def move(joint: Joint, amount: int = 30, key: str | None = None) -> tuple[queries.Transfer, sa.Row[tuple[object, ...]]]:
    moves = [Move(ADA, BELA, Minor(amount))]
    return service.transfer_jointly(joint, key or new_key(), moves, fingerprint="f", reference="test")


def noted() -> list[tuple[int, str]]:
    return [tuple(row) for row in db.session.execute(sa.text("SELECT id, word FROM notes"))]


def with_note(premise: str) -> Joint:
    return Joint(premise, (NOTE,), "note", {"word": "thanks"})


def test_rows_are_written_with_the_transfer_and_what_they_give_comes_back() -> None:
    grant(1, 100)
    transfer, given = move(with_note(premise()))
    assert (given.id, given.word) == (transfer.id, "THANKS")
    assert noted() == [(transfer.id, "thanks")]
    assert (has(ADA), has(BELA)) == (70, 30)


@pytest.mark.parametrize("broken", [premise("false"), premise(seen="0"), premise(seen="2")])
def test_nothing_happens_when_the_premise_does_not_hold_or_the_account_has_moved_on(broken: str) -> None:
    grant(1, 100)
    with pytest.raises(Declined):
        move(with_note(broken))
    assert (noted(), has(ADA), has(BELA)) == ([], 100, 0)


def test_a_transfer_is_made_while_the_account_is_as_it_was_seen() -> None:
    grant(1, 100)
    pay(ADA, BELA, 1)
    transfer, _ = move(with_note(premise(seen="2")))
    assert noted() == [(transfer.id, "thanks")]


def test_accounts_that_are_missing_are_opened_and_the_premise_holds_all_the_same() -> None:
    with pytest.raises(InsufficientFunds) as refusal:
        move(with_note(premise(seen="0")))
    assert (refusal.value.account, noted()) == (ADA, [])


def test_the_same_key_again_writes_no_rows() -> None:
    grant(1, 100)
    first, _ = move(with_note(premise()), key="k")
    again, given = move(with_note(premise()), key="k")
    assert (again.id, again.replayed, given.id) == (first.id, True, None)
    assert noted() == [(first.id, "thanks")]
