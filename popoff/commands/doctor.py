"""Looking for what should not be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta

import click
import sqlalchemy as sa

from popoff.adapters import jobs
from popoff.audit import inspection
from popoff.audit import service as audit
from popoff.commands.base import platform, say
from popoff.kernel.db import db
from popoff.ledger import checks as ledger
from popoff.media import convert as media
from popoff.rewards import checks as rewards
from popoff.social import service as social
from popoff.web.transaction import transaction

LATE = timedelta(minutes=10)
"""How long a due job may wait on a platform that runs."""
NAMED = 10


@click.command()
def doctor() -> None:
    """Prove that money, log, rewards, counters, posts and jobs are as they should be.

    Changes nothing. Exit code 0 only when nothing is wrong.
    """
    with platform() as services:
        _give_places()
        checks: dict[str, Callable[[], Iterator[str]]] = {
            "ledger": lambda: (f"{found.subject}: {found.text}" for found in ledger.check()),
            "rewards": lambda: (f"{found.subject}: {found.text}" for found in rewards.check()),
            "audit log": lambda: iter(inspection.inspect(processes=os.cpu_count() or 1).problems),
            "counters": _counters,
            "posts": _posts,
            "jobs": lambda: _jobs(running=services.lock_fd < 0),
        }
        wrong = sum(_look(name, check) for name, check in checks.items())
    say("nothing is wrong" if not wrong else f"{wrong} things are wrong")
    sys.exit(1 if wrong else 0)


def _give_places() -> None:
    """Entries of the log that wait for their places get them: on a platform that stands still nobody else does it."""
    while True:
        with transaction():
            if not audit.chain_committed():
                return


def _look(name: str, check: Callable[[], Iterator[str]]) -> int:
    """Say what a check finds; returns how much. What it changed, if anything, is undone."""
    try:
        db.session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        problems = list(check())
    finally:
        db.session.rollback()
    say(f"{name}: {f'{len(problems)} wrong' if problems else 'ok'}")
    for problem in problems[:NAMED]:
        say(f"  {problem}")
    if len(problems) > NAMED:
        say(f"  and {len(problems) - NAMED} more")
    return len(problems)


def _counters() -> Iterator[str]:
    wrong = social.repair_counters()
    if wrong:
        yield f"{wrong} counters of likes, comments, shares, views or followers are not what is there"


def _posts() -> Iterator[str]:
    for post_id in media.stuck():
        yield f"post {post_id} is on its way, and no job moves it: popoff media retry {post_id}"


def _jobs(*, running: bool) -> Iterator[str]:
    for job in jobs.dead():
        yield f"job {job.id} ({job.name}) has used up its tries: {job.last_error}"
    for job in jobs.overdue(LATE) if running else ():
        yield f"job {job.id} ({job.name}) waits since {job.run_after:%Y-%m-%d %H:%M}: do workers run?"
