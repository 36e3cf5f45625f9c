"""The audit log: take it out, and prove it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

import click

import config
from popoff.audit import inspection, keys, service
from popoff.audit.export import export as export_lines
from popoff.audit.rules import Checkpoint
from popoff.audit.verify import Damaged, Key, parse_key, summary, verify_export
from popoff.commands.base import platform, say
from popoff.web.transaction import transaction

LINE_SECONDS = 10.0
_TEXT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def audit() -> None:
    """The audit log: take it out, and prove it."""


@audit.command()
@click.argument("output", type=click.File("wb", atomic=True), default="-")
def export(output: BinaryIO) -> None:
    """Write the log as JSON lines to OUTPUT (or standard output), with a signed checkpoint at its end."""
    with platform():
        head = _head()
        for piece in export_lines(head):
            output.write(piece)


@audit.command()
@click.option("--file", "export_file", type=click.File("rb"), help="An export, instead of the living log; - reads one.")
@click.option("--checkpoint", type=_TEXT, help="A checkpoint of the log that was kept elsewhere.")
@click.option("--key", help="Public key of the log that was exported, when it is not the log of this platform.")
def verify(export_file: BinaryIO | None, checkpoint: Path | None, key: str | None) -> None:
    """Hash every byte of the log again. Exit code 1 when anything is wrong."""
    note = checkpoint.read_text("utf-8") if checkpoint else None
    processes = os.cpu_count() or 1
    trusted = True
    if export_file is None:
        with platform():
            report = inspection.inspect(note, processes=processes)
    else:
        known = _known_key(key)
        trusted = bool(known or note)
        report = verify_export(export_file, known, note, processes=processes)
    for line in summary(report, trusted=trusted):
        say(line)
    sys.exit(1 if report.problems else 0)


@audit.command("checkpoint")
def show_checkpoint() -> None:
    """Sign the head of the log and print it. Kept elsewhere, it finds even a log that was written anew."""
    with platform():
        click.echo(_head().note, nl=False)


@audit.command("key")
def show_key() -> None:
    """Print the public key of the log."""
    say(str(keys.signer().key))


def _head() -> Checkpoint:
    """A checkpoint over everything that has committed."""
    deadline = time.monotonic() + LINE_SECONDS
    while True:
        with transaction():
            chained, waiting = service.chain_committed(), service.waiting()
        if not waiting:
            break
        if not chained:  # the platform's own sequencer is at work
            if time.monotonic() > deadline:
                raise click.ClickException(f"{waiting} entries wait for their places in the log: try again.")
            time.sleep(0.05)
    with transaction():
        return service.checkpoint()


def _known_key(given: str | None) -> Key | None:
    """The key to believe: the one that was given, else that of this platform, if it has one already."""
    settings = config.current()
    try:
        if given:
            return parse_key(given)
    except Damaged as damage:
        raise click.BadParameter(str(damage), param_hint="--key") from None
    return keys.signer().key if settings.audit_key or (settings.home / "audit.key").exists() else None
