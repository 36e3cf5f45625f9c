"""The database handle: one metadata, one session, PostgreSQL only.

Models inherit `Base`, not Flask-SQLAlchemy's `Model`, so domains stay free of Flask. Services add and
flush; committing is the business of `web/transaction.py` and `workers/base.py` alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.exc import IntegrityError

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


def engine_options(pool_size: int) -> dict[str, Any]:
    """Options of the engine; `pool_pre_ping` lets requests survive a restart of PostgreSQL."""
    return {
        "pool_size": pool_size,
        "max_overflow": pool_size,
        "pool_pre_ping": True,
        "pool_recycle": 1800,
        "hide_parameters": True,  # errors are logged: values are people's
        "connect_args": {
            "connect_timeout": 5,
            "keepalives_idle": 15,
            "tcp_user_timeout": 15_000,  # milliseconds after which a host that is gone counts as gone
            "application_name": "popoff",
            "options": "-c timezone=UTC -c statement_timeout=30000 -c lock_timeout=10000",
        },
    }


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
