"""Reported posts."""

from __future__ import annotations

import json

import click

from popoff.commands.base import platform, say
from popoff.moderation import queries, service
from popoff.moderation.rules import CaseState
from popoff.web.transaction import transaction


@click.group()
def case() -> None:
    """Reported posts."""


@case.command("list")
def show() -> None:
    """Open cases, the most reported first, as JSON lines."""
    with platform():
        for row in queries.open_cases():
            say(json.dumps(row, ensure_ascii=False))


@case.command()
@click.argument("case_id", type=int)
@click.argument("outcome", type=click.Choice([CaseState.DISMISSED.value, CaseState.REMOVED.value]))
@click.option("--reason", required=True)
def decide(case_id: int, outcome: str, reason: str) -> None:
    """Close a case: show the post again (dismissed), or take it away (removed)."""
    with platform(), transaction():
        closed = service.decide(case_id, CaseState(outcome), reason)
    say(f"case {closed.id} about post {closed.post_id} is closed: {closed.state}")
