"""Verification of the living log: every stored value is read and hashed again."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from datetime import timedelta

import sqlalchemy as sa

from popoff.audit import keys, queries
from popoff.audit.models import CheckpointRow, EntryRow, Link, Pending
from popoff.audit.verify import (
    BLOCK,
    GENESIS,
    TILE,
    Damaged,
    Lines,
    Report,
    TreeHead,
    check_chain,
    levels,
    open_checkpoint,
    parse_key,
)
from popoff.kernel import clock
from popoff.kernel.db import db

OVERDUE = timedelta(minutes=10)
"""How long an entry may wait for its place in the chain."""

GUARDS = {(table, "append_only") for table in ("audit_entries", "audit_chain", "audit_tiles", "audit_checkpoints")} | {
    ("audit_entries", "wait_for_place"),
    ("audit_chain", "follow"),
}


def inspect(checkpoint: str | None = None, *, processes: int = 1) -> Report:
    """Hash the stored log again and hold it against its checkpoints, and against one that was kept outside.

    Reads the chain in blocks, so that it takes little memory and keeps nobody waiting. `processes` share the hashing.
    """
    size, _ = queries.tip()
    problems: list[str] = []
    heads = list(_signed_heads(size, problems))
    if checkpoint is not None:
        try:
            heads.append(open_checkpoint(checkpoint, keys.signer().key))
        except Damaged as damage:
            problems.append(f"the checkpoint from outside: {damage}")
    tiles: list[bytes] = []
    report = check_chain(
        _blocks(size, sorted({head.size for head in heads}), problems),
        heads,
        processes=processes,
        see=lambda checked: tiles.extend(checked.tiles),
    )
    if not report.problems and not problems:
        problems += _check_tiles(tiles)
    report.problems += [*problems, *_check_surplus(), *_check_line(), *_check_guards()]
    return report


def _blocks(size: int, sizes: Sequence[int], problems: list[str]) -> Iterator[Lines]:
    before = GENESIS
    for number, block in enumerate(queries.stored(0, size)):
        first, end = number * BLOCK, min((number + 1) * BLOCK, size)
        if (before + block.hashes)[:-32] != block.prev_hashes:
            problems.append(f"a previous hash among the entries {first} to {end - 1} was changed")
        lines = block.lines.splitlines(keepends=True)
        if len(lines) < end - first:
            problems.append(f"{end - first - len(lines)} of the entries {first} to {end - 1} are missing")
        wanted = sizes[bisect.bisect_right(sizes, first) : bisect.bisect_right(sizes, end)]
        yield Lines(first, before, lines, [cut for cut in wanted if cut - first <= len(lines)])
        before = block.hashes[-32:]


def _signed_heads(size: int, problems: list[str]) -> Iterator[TreeHead]:
    """The heads in the stored checkpoints whose signature is right."""
    rows = db.session.execute(
        sa.select(CheckpointRow.size, CheckpointRow.root, CheckpointRow.note, CheckpointRow.key).order_by(
            CheckpointRow.size
        ),
        execution_options={"yield_per": 1000},
    )
    for row in rows:
        try:
            head = open_checkpoint(row.note, parse_key(row.key), keys.is_signature)
            if (head.size, head.root) != (row.size, row.root):
                raise Damaged("it says other than its note")
        except Damaged as damage:
            problems.append(f"the stored checkpoint over {row.size} entries: {damage}")
        else:
            yield head
    latest = queries.latest_checkpoint()
    if latest is not None and latest.key != str(keys.signer().key):
        problems.append("the latest checkpoint was signed with another key than ours")


def _check_tiles(computed: Sequence[bytes]) -> Iterator[str]:
    """The stored tiles against those that were computed on the way."""
    level = 1
    while computed:
        stored = queries.tiles(level, [(0, len(computed))])
        wrong = [position for position, tile in enumerate(computed) if stored.get(position) != tile]
        if wrong:
            yield f"{len(wrong)} hashes of the tree on level {level} were changed, the first at {wrong[0]}"
        full = range(0, len(computed) - TILE + 1, TILE)
        computed = [levels(computed[start : start + TILE])[-1][0] for start in full]
        level += 1


def _check_surplus() -> Iterator[str]:
    """No tile stands where the tree has not grown to: the sequencer's own would find its place taken."""
    statement = sa.text("""
        SELECT level, count(*) FROM audit_tiles
         WHERE (position + 1) * CAST(:tile AS numeric) ^ level > (SELECT coalesce(max(seq) + 1, 0) FROM audit_chain)
         GROUP BY level ORDER BY level
    """)
    for level, count in db.session.execute(statement, {"tile": TILE}):
        yield f"{count} hashes of the tree on level {level} are of no entries"


def _check_line() -> Iterator[str]:
    """Every entry has its place, or waits for it in line, and not for long."""
    counted = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in (EntryRow, Link, Pending)]
    entries, chained, waiting = db.session.execute(sa.select(*counted)).one()
    if entries != chained + waiting:
        yield f"{entries} entries are stored, but {chained} are in the chain and {waiting} wait for their places"
    oldest = db.session.scalar(sa.select(sa.func.min(EntryRow.time)).join(Pending, Pending.entry_id == EntryRow.id))
    if oldest is not None and oldest < clock.now() - OVERDUE:
        yield f"{waiting} entries wait for their places since {clock.rfc3339(oldest)}: does the scheduler run?"


def _check_guards() -> Iterator[str]:
    """The triggers that keep the log append-only are there and at work."""
    statement = sa.text(
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'"
    )
    at_work = {(table, name) for table, name in db.session.execute(statement)}
    for table, name in sorted(GUARDS - at_work):
        yield f"the trigger {name} of {table} is missing or switched off"
