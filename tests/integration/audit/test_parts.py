"""The living log checked in several parts, by one process and by several that read for themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from popoff.audit import inspection, verify
from popoff.audit.rules import Checkpoint
from popoff.kernel.db import db
from tests.integration.audit.conftest import execute, tamper, unguarded


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts: the entries 0 to 255 and 256 to 299."""
    monkeypatch.setattr(verify, "BLOCK", 256)
    monkeypatch.setattr(inspection, "BLOCK", 256)
    monkeypatch.setattr(inspection, "ALONE", 0)


def entry(place: int) -> str:
    return f"(SELECT entry_id FROM audit_chain WHERE seq = {place})"


def change(place: int, by: int) -> str:
    return f"UPDATE audit_entries SET amount = coalesce(amount, 0) + {by} WHERE id = {entry(place)}"


@pytest.mark.parametrize("place", [0, 254, 255, 256, 257, 299])
def test_a_change_beside_the_edge_of_a_part_is_found_where_it_is(log: Checkpoint, place: int) -> None:
    assert tamper(change(place, 1)) == [f"entry {place} was changed, or one was removed or inserted before it"]


@pytest.mark.parametrize("place", [255, 256])
def test_a_link_missing_beside_the_edge_of_a_part_is_found(log: Checkpoint, place: int) -> None:
    first, last = (0, 255) if place == 255 else (256, 299)
    assert f"1 of the entries {first} to {last} are missing" in tamper(f"DELETE FROM audit_chain WHERE seq = {place}")


@pytest.mark.parametrize("place", [255, 256])
def test_a_previous_hash_changed_beside_the_edge_of_a_part_is_found(log: Checkpoint, place: int) -> None:
    first, last = (0, 255) if place == 255 else (256, 299)
    problems = tamper(f"UPDATE audit_chain SET prev_hash = sha256('x') WHERE seq = {place}")
    assert problems == [f"a previous hash among the entries {first} to {last} was changed"]


def test_a_hash_changed_at_the_edge_is_found_on_both_sides(log: Checkpoint) -> None:
    assert tamper("UPDATE audit_chain SET hash = sha256('x') WHERE seq = 255") == [
        "entry 255 was changed, or one was removed or inserted before it",
        "entry 256 was changed, or one was removed or inserted before it",
        "a previous hash among the entries 256 to 299 was changed",
    ]


def test_a_link_before_the_first_is_found(log: Checkpoint) -> None:
    drop = "ALTER TABLE audit_chain DROP CONSTRAINT ck_audit_chain_whole, DROP CONSTRAINT uq_audit_chain_entry_id"
    execute(drop)
    assert tamper("INSERT INTO audit_chain SELECT -1, entry_id, hash, hash FROM audit_chain WHERE seq = 3")


def test_a_transaction_that_has_written_is_checked_with_what_it_wrote(log: Checkpoint) -> None:
    with unguarded():
        execute(change(270, 1))
    assert inspection.inspect(processes=2).problems == [
        "entry 270 was changed, or one was removed or inserted before it"
    ]


@pytest.fixture
def damaged(log: Checkpoint) -> Iterator[None]:
    """The log with a change that has committed, for all to see."""
    for by in (1, -1):
        with unguarded():
            execute(change(17, by))
            execute(change(270, by))
        db.session.commit()
        if by == 1:
            yield


def test_several_processes_find_the_same_as_one(log: Checkpoint) -> None:
    alone = inspection.inspect(log.note)
    assert (alone.problems, alone.entries, alone.root) == ([], 300, log.root)
    db.session.rollback()
    assert inspection.inspect(log.note, processes=2) == alone


def test_several_processes_find_all_damage(damaged: None) -> None:
    assert inspection.inspect(processes=2).problems == [
        f"entry {place} was changed, or one was removed or inserted before it" for place in (17, 270)
    ]
