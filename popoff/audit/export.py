"""The log as JSON lines, for outsiders: `verify.py` describes the format and proves it."""

from __future__ import annotations

from collections.abc import Iterator

from popoff.audit import queries
from popoff.audit.rules import Checkpoint
from popoff.audit.verify import FORMAT, footer_line


def export(checkpoint: Checkpoint) -> Iterator[bytes]:
    """The lines of an export of the entries under `checkpoint`, in pieces of a few thousand lines."""
    yield b'{"format":"%b","key":"%b"}\n' % (FORMAT.encode(), checkpoint.key.encode())
    yield from queries.stored_lines(checkpoint.size)
    yield footer_line(checkpoint.note)
