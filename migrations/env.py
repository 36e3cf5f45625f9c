"""Alembic's environment: the models are `popoff.schema`, the connection is the application's."""

from alembic import context
from flask import current_app

from popoff.schema import metadata

engine = current_app.extensions["migrate"].db.engine


def run() -> None:
    with engine.connect() as connection:
        # One runner at a time: several hosts may start a new version together.
        connection.exec_driver_sql("SELECT pg_advisory_lock(7061102)")
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.exec_driver_sql("SELECT pg_advisory_unlock(7061102)")


run()
