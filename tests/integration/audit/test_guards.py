"""What the database itself refuses, to its owner and to the role of the platform."""

from __future__ import annotations

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from popoff.audit import inspection, queries, service
from popoff.audit.rules import Checkpoint
from popoff.kernel.db import db
from tests.integration.audit.conftest import TABLES, chain_all, execute, fill, record

CHANGES = [
    statement
    for table, column in zip(TABLES, ("action", "hash", "hash", "note"), strict=True)
    for statement in (
        f"UPDATE {table} SET {column} = {column}",
        f"UPDATE {table} SET {column} = {column} WHERE false",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
    )
]


@pytest.mark.parametrize("statement", CHANGES)
def test_the_log_is_append_only_for_everybody(log: Checkpoint, statement: str) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="is append-only"):
        execute(statement)


@pytest.mark.parametrize("statement", CHANGES)
def test_a_session_that_plays_the_replica_does_not_get_around_it(log: Checkpoint, statement: str) -> None:
    execute("SET LOCAL session_replication_role = replica")
    with pytest.raises(sa.exc.IntegrityError, match="is append-only"):
        execute(statement)


@pytest.mark.parametrize("statement", CHANGES)
def test_the_role_of_the_platform_has_no_right_to_change_the_log(log: Checkpoint, statement: str) -> None:
    execute("SET LOCAL ROLE popoff_app")
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_entries DISABLE TRIGGER append_only",
        "ALTER TABLE audit_chain DISABLE TRIGGER ALL",
        "DROP TABLE audit_chain",
        "DROP FUNCTION refuse_change() CASCADE",
        "SET session_replication_role = replica",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_nor_may_it_take_the_guards_away(log: Checkpoint, statement: str) -> None:
    execute("SET LOCAL ROLE popoff_app")
    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
        execute(statement)


def test_the_role_of_the_platform_can_do_all_that_the_log_needs(log: Checkpoint) -> None:
    execute("SET LOCAL ROLE popoff_app")
    ids = [record(number) for number in range(5)]
    assert chain_all() == 5
    service.checkpoint()
    assert queries.by_id(ids[-1]).seq == 304
    assert inspection.inspect().problems == []


def test_later_tables_are_open_to_the_role_of_the_platform(log: Checkpoint) -> None:
    execute("CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, name text)")
    execute("SET LOCAL ROLE popoff_app")
    execute("INSERT INTO later (name) VALUES ('x')")
    assert execute("DELETE FROM later") == 1


@pytest.mark.parametrize(
    "values",
    [
        "301, {entry}, {tip}, sha256('x')",
        "300, {entry}, sha256('not the last'), sha256('x')",
        "299, {entry}, {tip}, sha256('x')",
        "0, {entry}, {tip}, sha256('x')",
        "300, (SELECT entry_id FROM audit_chain WHERE seq = 0), {tip}, sha256('x')",
        "300, {entry}, {tip}, 'short'",
    ],
    ids=["a gap", "a fork", "a place twice", "the beginning again", "an entry twice", "no hash"],
)
def test_a_link_follows_its_predecessor(log: Checkpoint, values: str) -> None:
    record(1)
    tip = "(SELECT hash FROM audit_chain ORDER BY seq DESC LIMIT 1)"
    filled = values.format(entry="(SELECT max(id) FROM audit_entries)", tip=tip)
    with pytest.raises(sa.exc.IntegrityError):
        execute(f"INSERT INTO audit_chain VALUES ({filled})")


@pytest.mark.parametrize(
    "change",
    ["action = 'x\",\"actor\":\"y'", "subject = 'two words'", "actor = 'ada'", "public_id = '17'",
     "data = '{'"],
)  # fmt: skip
def test_values_that_would_need_escaping_do_not_get_in(log: Checkpoint, change: str) -> None:
    column, _, value = change.partition(" = ")
    given = {"public_id": "repeat('X', 26)", "time": "now()", "action": "'a'", "subject": "''", "data": "'{}'"}
    given[column] = value
    with pytest.raises(sa.exc.DBAPIError):
        db.session.execute(
            sa.text(f"INSERT INTO audit_entries ({', '.join(given)}) VALUES ({', '.join(given.values())})")
        )


def test_an_entry_that_was_put_in_line_twice_is_chained_once(log: Checkpoint) -> None:
    execute("INSERT INTO audit_pending SELECT entry_id FROM audit_chain WHERE seq < 3")
    record(1)
    assert chain_all() == 1
    assert service.waiting() == 0


def test_the_migration_can_be_taken_back_and_made_again(platform_db: Flask) -> None:
    with platform_db.app_context():
        flask_migrate.downgrade(revision="0001")
        assert not db.session.scalar(sa.text("SELECT count(*) FROM pg_proc WHERE proname = 'refuse_change'"))
        db.session.rollback()
        flask_migrate.upgrade()
        fill(3)
        assert inspection.inspect().problems == []
        db.session.rollback()
