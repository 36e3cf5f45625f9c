"""What the feed knows of posts and people."""

from __future__ import annotations

from pathlib import Path

import click

from popoff.accounts import queries as accounts
from popoff.adapters.insight import insight
from popoff.commands import base, feed_map, feed_trials
from popoff.commands.base import platform, say
from popoff.feed import queries, service
from popoff.feed.models import DIMENSION
from popoff.kernel.clock import rfc3339
from popoff.web.transaction import transaction

FACTS = ("post_id", "user", "category", "model", "created_at", "description")


@click.group()
def feed() -> None:
    """What the feed knows of posts and people."""


feed.add_command(feed_trials.experiment)
feed.add_command(feed_trials.evaluate)
feed.add_command(feed_trials.list_rankers)


@feed.command()
def rebuild() -> None:
    """Index posts that the present insight model does not know, and work out anew what is popular."""
    with platform(), transaction():
        count = service.rebuild()
    say(f"{count} posts are indexed anew by the workers; what is popular is up to date")


@feed.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default="-", help="A CSV file.")
def embeddings(output: Path) -> None:
    """Embeddings of all posts as CSV: post, person, category, model, time, caption, and the numbers v0, v1, ..."""
    import pandas as pd  # takes longer than most commands

    numbers = [f"v{number}" for number in range(DIMENSION)]
    with platform(), transaction(), base.output(output) as file:
        file.write(",".join([*FACTS, *numbers]) + "\n")
        for rows, vectors in queries.embeddings():
            facts = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in FACTS})
            facts["created_at"] = facts["created_at"].map(rfc3339)
            table = pd.concat([facts, pd.DataFrame(vectors, columns=numbers)], axis=1)
            table.to_csv(file, index=False, header=False, lineterminator="\n")


@feed.command("map")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default="-", help="An HTML file.")
@click.option("--person", help="Show the interests of this person (a username or an email) over time.")
@click.option("--posts", default=5000, show_default=True, type=click.IntRange(1, 50_000), help="The newest so many.")
def draw_map(output: Path, person: str | None, posts: int) -> None:
    """Draw posts by what they are about, as one HTML page that needs nothing else."""
    with platform(), transaction():
        somebody = None
        if person is not None:
            somebody = accounts.by_login(person)
            if somebody is None:
                raise click.ClickException(f"Nobody is called {person}.")
        drawn = feed_map.page(insight().model, posts, somebody)
    with base.output(output) as file:
        file.write(drawn)
