"""The database handle: one metadata, one session, PostgreSQL only.

Models inherit `Base`, not Flask-SQLAlchemy's `Model`, so domains stay free of Flask. Services add and
flush; committing is the business of `web/transaction.py` and `workers/base.py` alone.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.exc import IntegrityError

from popoff.kernel import clock
from popoff.kernel.errors import DomainError

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Base(orm.DeclarativeBase):
    """Parent of every model."""

    metadata = metadata
    type_annotation_map = {datetime: sa.DateTime(timezone=True), str: sa.Text, int: sa.BigInteger}


db = SQLAlchemy(metadata=metadata, session_options={"expire_on_commit": False})


_DIALECT = psycopg_dialect.dialect()  # type: ignore[no-untyped-call]


LONGEST_REMEMBERED = 4096
"""Characters; a longer statement is read anew each time, which takes longer than to send it."""


def driver_sql(statement: sa.ClauseElement) -> tuple[str, dict[str, Any]]:
    """A statement as the driver takes it, and the constants in it; to be made once, as a whole or a part."""
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), dict(compiled.params)


def one_line(sql: str) -> str:
    """The same statement in fewer characters: the driver remembers how it has read one up to LONGEST_REMEMBERED.

    For statements without blanks in their constants.
    """
    return " ".join(sql.split())


def execute_sql(sql: str, values: Mapping[str, Any]) -> sa.CursorResult[Any]:
    """Hand a statement to the driver as it is: for what is asked most, where building it anew costs more than it does.

    Values and rows are the driver's own: numbers, texts, UUIDs, times.
    """
    return db.session.connection().exec_driver_sql(sql, values)


def engine_options(pool_size: int) -> dict[str, Any]:
    """Options of the engine."""
    return {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_recycle": 1800,
        "hide_parameters": True,  # errors are logged: values are people's
        "connect_args": {
            "connect_timeout": 5,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "tcp_user_timeout": 15_000,  # milliseconds after which a host that is gone counts as gone
            "application_name": "popoff",
            "options": "-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000",
        },
    }


@sa.event.listens_for(sa.Pool, "checkout")
def _drop_ended(connection: psycopg.Connection, *_: object) -> None:
    """Requests survive a restart of PostgreSQL: a resting connection that its server has ended is not handed out.

    The server says so on its own, or its host does; looking costs microseconds, where asking would cost a round trip.
    (A host that vanishes without a word costs the requests of some seconds: they fail, and the next ones connect anew.)
    """
    waiting = select.poll()
    try:
        waiting.register(connection.fileno(), select.POLLIN)
        while waiting.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError as error:
        raise sa.exc.InvalidatePoolError from error


@contextlib.contextmanager
def constraint_errors(errors: Mapping[str, DomainError]) -> Iterator[None]:
    """Turn the violation of a named constraint into the domain error it stands for.

    The block runs in a savepoint and is flushed, so that the surrounding transaction stays usable. It
    replaces check-then-insert, which two requests at once would both pass.
    """
    try:
        with db.session.begin_nested():
            yield
            db.session.flush()
    except IntegrityError as error:
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        if name is not None and name in errors:
            raise errors[name] from error
        raise


def advisory_lock(space: int, key: int) -> None:
    """Queue behind everyone else who takes (`space`, `key`), until this transaction ends."""
    db.session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.cast(space, sa.Integer), sa.cast(key, sa.Integer))))


def insert_once(model: type[Base], **values: Any) -> bool:
    """Add a row, made now, unless its key is there. True when it was added."""
    statement = insert(model).values(created_at=clock.now(), **values).on_conflict_do_nothing()
    return db.session.scalar(statement.returning(sa.true())) is not None


def delete_once(model: type[Base], *conditions: sa.ColumnElement[bool]) -> bool:
    """Remove rows. True when there were any."""
    return bool(db.session.execute(sa.delete(model).where(*conditions)).rowcount)  # type: ignore[attr-defined]
