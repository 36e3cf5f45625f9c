"""Posts, their objects and the pipeline."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import click

from popoff.adapters import jobs
from popoff.commands.base import platform, say
from popoff.kernel.errors import NotFound
from popoff.media import convert as conversion
from popoff.media import queries, relink, service
from popoff.media.relink import Origin, Plan
from popoff.web.transaction import transaction

POLL_SECONDS = 0.5


@click.group()
def media() -> None:
    """Posts, their objects and the pipeline."""


@media.command()
@click.argument("post_ids", type=int, nargs=-1)
@click.option("--all-failed", is_flag=True, help="Every post whose tries were used up by trouble of ours.")
def retry(post_ids: tuple[int, ...], all_failed: bool) -> None:
    """Send posts through the pipeline again, and dead jobs back in line."""
    with platform(), transaction():
        chosen = [*post_ids, *(queries.failed_by_us() if all_failed else [])]
        for post_id in chosen:
            service.retry(post_id)
        revived = jobs.retry_dead() if all_failed else 0
    say(f"{len(chosen)} posts and {revived} jobs will be tried again")


@media.command()
@click.argument("post_ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every post without renditions.")
@click.option("--force", is_flag=True, help="Posts that have their renditions too: the ladder has changed.")
@click.option("--wait", is_flag=True, help="Show how far they are until the last is done.")
def convert(post_ids: tuple[int, ...], everything: bool, force: bool, wait: bool) -> None:
    """Make renditions of posts that exist, such as imported ones."""
    if not post_ids and not everything:
        raise click.UsageError("Name posts, or give --all.")
    with platform() as services:
        if wait and services.lock_fd >= 0:
            raise click.ClickException("Nobody is there to wait for: start `popoff run`, or leave out --wait.")
        chosen = [*post_ids, *(conversion.unconverted(anew=force) if everything else [])]
        sent = [post_id for post_id in chosen if _send(post_id, force)]
        say(f"{len(sent)} posts go through the pipeline")
        failed = _follow(sent) if wait else 0
    if failed:
        raise click.ClickException(f"{failed} of {len(sent)} posts could not be converted.")


def _send(post_id: int, anew: bool) -> bool:
    with transaction():
        refusal = conversion.convert(post_id, anew=anew)
    if refusal:
        say(f"post {post_id} is left alone: {refusal}")
    return refusal is None


def _follow(post_ids: Sequence[int]) -> int:
    """Say how far each post is until all are done; how many failed."""
    said: dict[int, str] = {}
    while True:
        with transaction():
            now = conversion.progress(post_ids)
        for post_id, progress in now.items():
            if said.get(post_id) != str(progress):
                said[post_id] = str(progress)
                say(f"post {post_id}: {progress}")
        if all(progress.is_over for progress in now.values()):
            return sum(progress.failure_code is not None for progress in now.values())
        time.sleep(POLL_SECONDS)


@media.command("relink")
@click.option("--from-prefix", "prefixes", multiple=True, help="Look for missing objects under this prefix, too.")
@click.option(
    "--from",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Look for missing objects in this folder, too: the `media` of a data folder, or plain files.",
)
@click.option("--delete", is_flag=True, help="Delete the old objects when the rows name the new ones.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def relink_objects(prefixes: tuple[str, ...], folders: tuple[Path, ...], delete: bool, dry_run: bool) -> None:
    """Move objects of posts to where they belong, and make the posts name them there. May be repeated.

    Objects are looked for by the key that their post names: below a prefix, or as a path in a folder.
    """
    elsewhere: list[Origin] = [relink.Here(prefix) for prefix in prefixes]
    elsewhere += [relink.Folder(folder) for folder in folders]
    moved = incomplete = 0
    with platform():
        with transaction():
            post_ids = relink.post_ids()
        for post_id in post_ids:
            with contextlib.suppress(NotFound):  # deleted meanwhile
                plan = _relink(post_id, elsewhere, delete=delete, dry_run=dry_run)
                moved += bool(plan.copies or plan.renamed)
                incomplete += bool(plan.missing)
    say(f"{moved} of {len(post_ids)} posts {'would be' if dry_run else 'were'} put right")
    if incomplete:
        raise click.ClickException(f"Objects of {incomplete} posts were found nowhere.")


def _relink(post_id: int, elsewhere: Sequence[Origin], *, delete: bool, dry_run: bool) -> Plan:
    with transaction():
        plan = relink.plan(post_id, elsewhere)
    for copy in plan.copies:
        say(f"post {post_id}: {copy.key} -> {copy.target} ({copy.size} bytes)")
    for key in plan.missing:
        say(f"post {post_id}: {key} was found nowhere")
    if dry_run or not (plan.copies or plan.renamed):
        return plan
    relink.bring(plan)
    with transaction():
        relink.repoint(plan)
    if delete:
        with transaction():
            relink.clear(plan)
    return plan
