"""Rules about routes, jobs and the schema that only the assembled application shows."""

from __future__ import annotations

import inspect

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask

from popoff.accounts.rules import Permission
from popoff.adapters.jobs import JOBS, QUEUES
from popoff.kernel.db import db
from popoff.schema import metadata
from popoff.web.access import PUBLIC, AccessNotDeclared, public, rule_of
from workers.base import load
from workers.schedule import RECURRING


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    undeclared = []
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            try:
                assert rule_of(app, rule.endpoint, method) in {PUBLIC, *Permission}
            except AccessNotDeclared:
                undeclared.append(f"{method} {rule.rule}")
    assert not undeclared, "decorate them with @public, @signed_in or @needs(Permission.X)"


def test_an_undeclared_route_cannot_be_called() -> None:
    app = Flask("undeclared")
    app.add_url_rule("/open", "open", public(lambda: "open"))
    app.add_url_rule("/forgotten", "forgotten", lambda: "forgotten")
    assert rule_of(app, "open", "GET") == PUBLIC
    with pytest.raises(AccessNotDeclared):
        rule_of(app, "forgotten", "GET")


@pytest.mark.parametrize("name", JOBS)
def test_every_job_name_resolves_to_a_function_of_ids(name: str) -> None:
    _, function = load(name)
    kinds = {parameter.annotation for parameter in inspect.signature(function).parameters.values()}
    assert kinds <= {"int", "str"}, "jobs take ids"
    assert JOBS[name].queue in QUEUES


@pytest.mark.parametrize("name", RECURRING)
def test_every_recurring_job_is_known_and_takes_no_arguments(name: str) -> None:
    assert not inspect.signature(load(name)[1]).parameters


def test_migrations_arrive_at_the_models(session: sa.orm.Session) -> None:
    context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def test_there_is_one_head(app: Flask) -> None:
    from alembic.script import ScriptDirectory

    config = app.extensions["migrate"].migrate.get_config()
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_foreign_keys_across_domains_say_what_happens_on_deletion() -> None:
    silent = [
        f"{table.name}.{key.parent.name}"
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if key.ondelete is None and (table.name, key.parent.name) != ("posts", "upload_id")
    ]
    assert not silent


def test_every_foreign_key_is_indexed() -> None:
    bare = [
        f"{table.name}.{key.parent.name}"
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if not any(
            index[0] == key.parent.name
            for index in (
                *([column.name for column in index.columns] for index in table.indexes if index.columns),
                [column.name for column in table.primary_key.columns],
                *(
                    [column.name for column in c.columns]
                    for c in table.constraints
                    if isinstance(c, sa.UniqueConstraint)
                ),
            )
        )
    ]
    assert not bare, "deleting the parent would scan the whole table"


def test_the_database_is_postgresql(session: sa.orm.Session) -> None:
    assert db.engine.dialect.name == "postgresql"
