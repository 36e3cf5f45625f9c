"""What all commands share: the platform they speak to, and errors as one sentence."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
from psycopg import errors as postgres
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

import config
from popoff import create_app, embedded
from popoff.embedded import Services
from popoff.kernel.db import db
from popoff.kernel.errors import DomainError


def say(line: str) -> None:
    """A line on standard output, at once."""
    click.echo(line)
    sys.stdout.flush()


@contextlib.contextmanager
def engines() -> Iterator[Services]:
    """The settings with the addresses of the platform that runs, or of one started for this command alone."""
    settings = config.current()
    with (
        embedded.platform(settings, join=True) as services,
        config.override(database_url=services.database_url, redis_url=services.redis_url),
    ):
        yield services


@contextlib.contextmanager
def platform() -> Iterator[Services]:
    """The application over `engines`, without a transaction."""
    with engines() as services, create_app().app_context():
        try:
            yield services
        finally:
            db.session.remove()
            db.engine.dispose()


@contextlib.contextmanager
def output(path: Path) -> Iterator[IO[str]]:
    """A text file that appears, or replaces another, when all of it has been written; standard output for `-`."""
    if str(path) == "-":
        yield sys.stdout
        return
    part = path.with_name(f"{path.name}.part")
    try:
        file = part.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from None
    try:
        with file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Commands(click.Group):
    """Refusals become one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (DomainError, embedded.StartFailed, config.SettingError) as error:
            raise click.ClickException(str(error)) from None
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(_database_trouble(error)) from None


def _database_trouble(error: DBAPIError) -> str:
    """A sentence for an operator. Raises the error itself when it is one of ours."""
    if isinstance(error.orig, postgres.UndefinedTable | postgres.UndefinedColumn):
        return "The database is not at the version of this program: run `popoff migrate`."
    if isinstance(error, ProgrammingError):
        raise error
    return f"The database does not answer: {str(error.orig).strip().splitlines()[0]}"
