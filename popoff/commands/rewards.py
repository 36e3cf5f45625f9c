"""What creators earn."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import click

from popoff.commands.base import platform, say
from popoff.commands.wallet import Amount
from popoff.kernel.clock import rfc3339
from popoff.kernel.money import Minor, to_text
from popoff.rewards import explanations, periods, queries
from popoff.rewards.models import Period
from popoff.web.transaction import transaction


class Moment(click.ParamType):
    """A day (its beginning, UTC) or a moment in RFC 3339."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a day (2026-11-01) nor a moment (2026-11-01T00:00:00Z).", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def rewards() -> None:
    """What creators earn."""


@rewards.command()
@click.option("--from", "start", type=Moment(), required=True, help="First day or moment of the period.")
@click.option("--to", "end", type=Moment(), required=True, help="Its end, not included; one to come means now.")
@click.option("--ad-pool", type=Amount(), help="Advertisement money of the period; AD_POOL without.")
@click.option("--creator-fund", type=Amount(), help="Its creator fund; CREATOR_FUND without.")
def close(start: datetime, end: datetime, ad_pool: Minor | None, creator_fund: Minor | None) -> None:
    """Settle a period: write its statements and pay them. Cut off and run again it goes on where it was."""
    with platform():
        with transaction():
            period = periods.close(start, end, by=None, ad_pool=ad_pool, creator_fund=creator_fund)
        while _advance(period.id):
            pass
        with transaction():
            say(_line(queries.period(period.public_id)))


def _advance(period_id: int) -> bool:
    with transaction():
        return periods.advance(period_id)


@rewards.command("periods")
def show_periods() -> None:
    """The latest periods first, as a line each."""
    with platform():
        for period in queries.periods():
            say(_line(period))


@rewards.command()
@click.argument("period")
def statements(period: str) -> None:
    """The statements of PERIOD, as JSON lines."""
    with platform():
        period_id, last = queries.period(period).id, 0
        while page := queries.statements_of(period_id, last):
            for statement in page:
                say(json.dumps({"id": statement.public_id, "total": statement.total / 100}))
            last = page[-1].creator_id


@rewards.command()
@click.argument("statement")
def explain(statement: str) -> None:
    """Every cent of STATEMENT, back to what it was paid for. Exit code 1 when it is not what its inputs amount to."""
    with platform():
        made = explanations.explain(statement)
    for line in made.lines:
        say(line)
    for problem in made.problems:
        click.echo(f"WRONG: {problem}", err=True)
    sys.exit(0 if made.agrees else 1)


def _line(period: Period) -> str:
    count, total = queries.paid_by(period.id)
    return (
        f"period {period.public_id}: {rfc3339(period.starts_at)} to {rfc3339(period.ends_at)}, {period.state}, "
        f"{count} statements, {to_text(total)} in all"
    )
