"""The `popoff` command."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace

import click

import config
from popoff import create_app, embedded, runner
from popoff.accounts import service as accounts
from popoff.accounts.rules import Role
from popoff.adapters import jobs
from popoff.kernel.errors import DomainError
from popoff.media import queries as media_queries
from popoff.media import service as media_service
from popoff.moderation import queries as moderation_queries
from popoff.moderation import service as moderation_service
from popoff.moderation.rules import CaseState
from popoff.web.transaction import transaction


def say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


@contextlib.contextmanager
def platform() -> Iterator[None]:
    """The application over the platform that runs, or over one started for this command alone."""
    settings = config.current()
    with embedded.platform(settings, join=True) as services:
        config.use(replace(settings, database_url=services.database_url, redis_url=services.redis_url))
        with create_app().app_context(), transaction():
            yield


class Commands(click.Group):
    """Refusals become one sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (DomainError, embedded.StartFailed, config.SettingError) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands)
def main() -> None:
    """PopOff: the short-video backend that people can own."""


@main.command()
def run() -> None:
    """Start the whole platform and keep it running until Ctrl-C."""
    sys.exit(runner.run(say))


@main.command()
def migrate() -> None:
    """Bring the database up to date (`popoff run` does this by itself)."""
    settings = config.current()
    with embedded.platform(settings, join=True) as services:
        config.use(replace(settings, database_url=services.database_url, redis_url=services.redis_url))
        runner.prepare(say, with_demo=False)


@main.group()
def user() -> None:
    """People and their roles."""


ROLES = click.Choice([role.value for role in Role])


@user.command("create")
@click.option("--role", type=ROLES, default=Role.CONSUMER.value)
@click.option("--username", required=True)
@click.option("--email", required=True)
@click.option("--password", required=True)
def user_create(role: str, username: str, email: str, password: str) -> None:
    """Add a person with a role."""
    with platform():
        made = accounts.register(username, email, password, role=Role(role))
        say(f"{made.username} is a {made.role}")


@user.command("role")
@click.argument("name")
@click.argument("role", type=ROLES)
def user_role(name: str, role: str) -> None:
    """Give NAME (a username or an email) another ROLE."""
    with platform():
        changed = accounts.set_role(name, Role(role))
        say(f"{changed.username} is a {changed.role}")


@main.group()
def demo() -> None:
    """Demo accounts and clips."""


@demo.command("load")
def demo_load() -> None:
    """Load the demo, unless it is there."""
    settings = config.current()
    with embedded.platform(settings, join=True) as services:
        config.use(replace(settings, database_url=services.database_url, redis_url=services.redis_url))
        runner.prepare(say, with_demo=True)


@main.group()
def media() -> None:
    """Posts, their objects and the pipeline."""


@media.command("retry")
@click.argument("post_ids", type=int, nargs=-1)
@click.option("--all-failed", is_flag=True, help="Every post whose tries were used up by trouble of ours.")
def media_retry(post_ids: tuple[int, ...], all_failed: bool) -> None:
    """Send posts through the pipeline again, and dead jobs back in line."""
    with platform():
        chosen = [*post_ids, *(media_queries.failed_by_us() if all_failed else [])]
        for post_id in chosen:
            media_service.retry(post_id)
        revived = jobs.retry_dead() if all_failed else 0
        say(f"{len(chosen)} posts and {revived} jobs will be tried again")


@main.group()
def case() -> None:
    """Reported posts."""


@case.command("list")
def case_list() -> None:
    """Open cases, the most reported first, as JSON lines."""
    with platform():
        for row in moderation_queries.open_cases():
            say(json.dumps(row, ensure_ascii=False))


@case.command("decide")
@click.argument("case_id", type=int)
@click.argument("outcome", type=click.Choice([CaseState.DISMISSED.value, CaseState.REMOVED.value]))
@click.option("--reason", required=True)
def case_decide(case_id: int, outcome: str, reason: str) -> None:
    """Close a case: show the post again (dismissed), or take it away (removed)."""
    with platform():
        closed = moderation_service.decide(case_id, CaseState(outcome), reason)
        say(f"case {closed.id} about post {closed.post_id} is closed: {closed.state}")


if __name__ == "__main__":
    main()
