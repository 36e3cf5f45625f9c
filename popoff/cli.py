"""The `popoff` command."""

from __future__ import annotations

import code
import sys

import click

from popoff import runner
from popoff.commands.audit import audit
from popoff.commands.base import Commands, engines, platform, say
from popoff.commands.cases import case
from popoff.commands.doctor import doctor
from popoff.commands.feed import feed
from popoff.commands.media import media
from popoff.commands.rewards import rewards
from popoff.commands.users import user
from popoff.commands.wallet import wallet
from popoff.kernel.db import db


@click.group(cls=Commands)
def main() -> None:
    """PopOff: the short-video backend that people can own."""


@main.command()
def run() -> None:
    """Start the whole platform and keep it running until Ctrl-C."""
    sys.exit(runner.run(say))


@main.command()
def shell() -> None:
    """Python with the application loaded, over the platform that runs or its database alone."""
    with platform():
        code.interact(banner="PopOff: `db.session` is open; nothing is committed unless you do.", local={"db": db})


@main.command()
def migrate() -> None:
    """Bring the database up to date (`popoff run` does this by itself)."""
    with engines():
        runner.prepare(say, with_demo=False)


@main.group()
def demo() -> None:
    """Demo accounts and clips."""


@demo.command("load")
def demo_load() -> None:
    """Load the demo, unless it is there."""
    with engines():
        runner.prepare(say, with_demo=True)


for command in (user, wallet, media, feed, case, rewards, audit, doctor):
    main.add_command(command)


if __name__ == "__main__":
    main()
