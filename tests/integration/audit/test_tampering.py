"""Tampering with a filled database, value by value and byte by byte: the live check or a checkpoint finds it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from popoff.audit import inspection, keys, queries, service
from popoff.audit.models import CheckpointRow, Link, Tile
from popoff.audit.rules import Checkpoint
from popoff.audit.service import Rewritten
from popoff.audit.verify import TreeHead, leaf_hash, levels
from popoff.kernel import clock
from popoff.kernel.db import db
from tests.integration.audit.conftest import execute, record, tamper

VICTIM = 8
"""The place of the entry that is tampered with: it has an actor, a subject and an amount."""
ENTRY = f"(SELECT entry_id FROM audit_chain WHERE seq = {VICTIM})"


def test_any_changed_byte_of_any_value_of_an_entry_is_found(log: Checkpoint) -> None:
    row = db.session.execute(sa.text(f"SELECT * FROM audit_entries WHERE id = {ENTRY}")).one()._asdict()
    tried = 0
    for column in ("public_id", "action", "actor", "subject", "data"):
        text = str(row[column]) if column != "data" else db.session.scalar(
            sa.text(f"SELECT data::text FROM audit_entries WHERE id = {ENTRY}")
        )  # fmt: skip
        for at, character in enumerate(text):
            for other in {"0", "b"} - {character}:
                if report := _attempt(column, text[:at] + other + text[at + 1 :]):
                    assert f"entry {VICTIM} was changed" in report, (column, at, other)
                    tried += 1
            if report := _attempt(column, text[:at] + text[at + 1 :]):
                assert f"entry {VICTIM} was changed" in report, (column, at)
                tried += 1
    assert tried > 150


def _attempt(column: str, value: str) -> str:
    """What an inspection says after this change; nothing when the database itself does not take it."""
    cast = "::json" if column == "data" else ""
    try:
        return "\n".join(tamper(f"UPDATE audit_entries SET {column} = '{value}'{cast} WHERE id = {ENTRY}"))
    except sa.exc.DBAPIError:
        return ""


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1", "amount = -amount", "amount = NULL", "actor = NULL", "subject = ''",
        "time = time + interval '1 microsecond'", "time = time - interval '1 hour'",
        "data = (data::text || ' ')::json", "data = '{}'", "data = data::jsonb::json",
        "data = replace(data::text, '\"post\":8', '\"post\":8.0')::json",
    ],
)  # fmt: skip
def test_any_changed_value_of_an_entry_is_found(log: Checkpoint, change: str) -> None:
    problems = tamper(f"UPDATE audit_entries SET {change} WHERE id = {ENTRY}")
    assert any(f"entry {VICTIM} was changed" in problem for problem in problems)


@pytest.mark.parametrize("column", ["hash", "prev_hash"])
def test_any_changed_byte_of_a_hash_is_found(log: Checkpoint, column: str) -> None:
    for place in (0, VICTIM, 299):
        for byte in range(32):
            change = f"{column} = set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)"
            assert tamper(f"UPDATE audit_chain SET {change} WHERE seq = {place}"), (place, byte)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([f"DELETE FROM audit_chain WHERE seq = {VICTIM}"], id="a link removed"),
        pytest.param(
            [f"DELETE FROM audit_chain WHERE seq = {VICTIM}",
             f"UPDATE audit_chain SET seq = seq - 1 WHERE seq > {VICTIM}"], id="a link removed and the gap closed"),
        pytest.param(
            ["DELETE FROM audit_chain WHERE seq = 299",
             "DELETE FROM audit_entries WHERE id = (SELECT max(id) FROM audit_entries)"], id="the last one removed"),
        pytest.param(
            ["ALTER TABLE audit_chain DROP CONSTRAINT fk_audit_chain_entry_id_audit_entries",
             f"DELETE FROM audit_entries WHERE id = {ENTRY}"], id="an entry removed"),
        pytest.param(
            ["ALTER TABLE audit_chain DROP CONSTRAINT fk_audit_chain_entry_id_audit_entries",
             f"UPDATE audit_entries SET id = 100000 WHERE id = {ENTRY}"], id="an entry moved away"),
        pytest.param(
            ["ALTER TABLE audit_chain DROP CONSTRAINT uq_audit_chain_entry_id",
             "UPDATE audit_chain SET entry_id = CASE seq WHEN 5 THEN (SELECT entry_id FROM audit_chain WHERE seq = 6)"
             " ELSE (SELECT entry_id FROM audit_chain WHERE seq = 5) END WHERE seq IN (5, 6)"], id="two swapped"),
        pytest.param(
            ["INSERT INTO audit_entries (public_id, time, action, subject, data) "
             "VALUES (repeat('X', 26), now(), 'gift.sent', '', '{}')"], id="an entry slipped past the line"),
        pytest.param(
            ["INSERT INTO audit_entries (public_id, time, action, subject, data) "
             "VALUES (repeat('X', 26), now(), 'gift.sent', '', '{}')",
             "INSERT INTO audit_chain SELECT 300, max(id), sha256('x'), sha256('y') FROM audit_entries"],
            id="a link with made-up hashes"),
    ],
)  # fmt: skip
def test_whatever_is_removed_inserted_or_moved_is_found(log: Checkpoint, statements: list[str]) -> None:
    assert tamper(*statements)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_tiles SET hash = set_byte(hash, 31, get_byte(hash, 31) # 128)",
        "DELETE FROM audit_tiles",
        "UPDATE audit_tiles SET position = 1",
    ],
)
def test_a_damaged_tree_is_found(log: Checkpoint, change: str) -> None:
    assert tamper(change)[0] == "1 hashes of the tree on level 1 were changed, the first at 0"


@pytest.mark.parametrize(
    "change",
    ["size = size - 1", "root = sha256('x')", "note = replace(note, '300', '299')", "key = replace(key, '+', '-')",
     "note = left(note, -3)"],
)  # fmt: skip
def test_a_changed_checkpoint_is_found(log: Checkpoint, change: str) -> None:
    problems = tamper(f"UPDATE audit_checkpoints SET {change} WHERE size = 300")
    assert len([problem for problem in problems if problem.startswith("the stored checkpoint over")]) == 1


def rewrite_tail(start: int) -> None:
    """Compute all hashes from `start` on anew, and the tree over them, as somebody who knows how it is done."""
    rows = db.session.execute(
        sa.select(Link.seq, queries.canonical_text).select_from(
            sa.join(Link, sa.text("audit_entries"), sa.text("audit_entries.id = audit_chain.entry_id"))
        ).where(Link.seq >= start).order_by(Link.seq)
    ).all()  # fmt: skip
    previous = db.session.scalars(sa.select(Link.hash).where(Link.seq == start - 1)).one()
    for seq, canonical in rows:
        digest = leaf_hash(previous + canonical.encode())
        changed = sa.update(Link).where(Link.seq == seq).values(prev_hash=previous, hash=digest)
        db.session.execute(changed)
        previous = digest
    leaves = db.session.scalars(sa.select(Link.hash).order_by(Link.seq)).all()
    db.session.execute(sa.update(Tile).values(hash=levels(leaves[:256])[-1][0]))


CHANGE = f"UPDATE audit_entries SET amount = 1 WHERE id = {ENTRY}"


def test_a_tail_written_anew_with_all_its_hashes_does_not_fit_the_stored_checkpoints(log: Checkpoint) -> None:
    problems = tamper(CHANGE, then=lambda: rewrite_tail(VICTIM))
    assert problems == [
        f"the first {size} entries are not those that the checkpoint was signed over" for size in (20, 300)
    ]


def test_nothing_is_signed_over_a_tail_written_anew(log: Checkpoint) -> None:
    def rewrite_and_sign() -> None:
        rewrite_tail(VICTIM)
        with pytest.raises(Rewritten):
            service.checkpoint()

    tamper(CHANGE, then=rewrite_and_sign)


def sign_anew() -> None:
    """Replace the stored checkpoints, as the holder of the key can."""
    for row in db.session.scalars(sa.select(CheckpointRow)).all():
        root = queries.root(row.size)
        row.root, row.note = root, keys.signer().sign(TreeHead(row.size, root))
    db.session.flush()


def test_a_tail_written_and_signed_anew_is_found_by_a_checkpoint_kept_outside(log: Checkpoint) -> None:
    def rewrite() -> None:
        rewrite_tail(VICTIM)
        sign_anew()

    assert not tamper(CHANGE, then=rewrite), "the operator can do this: keep checkpoints outside"
    assert tamper(CHANGE, then=rewrite, checkpoint=log.note) == [
        "the first 300 entries are not those that the checkpoint was signed over"
    ]


def test_a_dropped_tail_is_found_by_the_checkpoints(log: Checkpoint) -> None:
    dropped = "DELETE FROM audit_chain WHERE seq >= 290", "DELETE FROM audit_entries WHERE id > 290"
    assert "10 entries are missing at the end" in tamper(*dropped)
    forget = "DELETE FROM audit_checkpoints WHERE size = 300"
    assert tamper(*dropped, forget) == []
    assert tamper(*dropped, forget, checkpoint=log.note) == ["10 entries are missing at the end"]


def test_a_checkpoint_of_another_log_is_not_believed(log: Checkpoint) -> None:
    other = keys.Signer(bytes(32)).sign(TreeHead(300, log.root))
    assert inspection.inspect(other).problems == [
        "the checkpoint from outside: the checkpoint is not signed with this key"
    ]


@pytest.mark.parametrize(("table", "trigger"), sorted(inspection.GUARDS))
def test_a_guard_that_was_taken_away_is_found(log: Checkpoint, table: str, trigger: str) -> None:
    execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    assert inspection.inspect().problems == [f"the trigger {trigger} of {table} is missing or switched off"]


def test_an_entry_that_nobody_chains_is_found_after_a_while(log: Checkpoint) -> None:
    record(1)
    assert inspection.inspect().problems == []
    with clock.shifted(2 * inspection.OVERDUE):
        assert "does the scheduler run?" in inspection.inspect().problems[0]


def test_a_hash_of_entries_that_are_not_there_yet_is_found(log: Checkpoint) -> None:
    problems = tamper("INSERT INTO audit_tiles VALUES (1, 1, sha256('x'))")
    assert problems == ["1 hashes of the tree on level 1 are of no entries"]
