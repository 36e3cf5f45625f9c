"""Verification of the living log: every stored value is read and hashed again."""

from __future__ import annotations

import bisect
import functools
import hashlib
import struct
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from popoff.audit import keys, queries
from popoff.audit.models import CheckpointRow, EntryRow, Link, Pending
from popoff.audit.verify import (
    BLOCK,
    GENESIS,
    TILE,
    Checked,
    Damaged,
    Report,
    TreeHead,
    check_chain,
    explain,
    in_order,
    levels,
    open_checkpoint,
    parse_key,
    planted,
)
from popoff.kernel import clock
from popoff.kernel.db import db

OVERDUE = timedelta(minutes=10)
"""How long an entry may wait for its place in the chain."""

ALONE = 4 * BLOCK
"""So many entries are checked sooner than other processes and their connections are there."""

GUARDS = {(table, "append_only") for table in ("audit_entries", "audit_chain", "audit_tiles", "audit_checkpoints")} | {
    ("audit_entries", "wait_for_place"),
    ("audit_chain", "follow"),
}


class Part(NamedTuple):
    """Entries that are read and checked at a time, and the sizes of the tree among them whose roots are wanted."""

    first: int
    end: int
    sizes: Sequence[int]


class Found(NamedTuple):
    """What came of a part: the check of its entries, and what else is wrong with its rows."""

    checked: Checked
    problems: Sequence[str] = ()


def inspect(checkpoint: str | None = None, *, processes: int = 1) -> Report:
    """Hash the stored log again and hold it against its checkpoints, and against one that was kept outside.

    Reads the chain in parts, so that it takes little memory and keeps nobody waiting. A long log is read and hashed
    by several `processes` over connections of their own, unless this transaction has written what those cannot see.
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

    def checked() -> Iterator[Checked]:
        for found in _checked(_parts(size, sorted({head.size for head in heads})), processes if size > ALONE else 1):
            problems.extend(found.problems)
            tiles.extend(found.checked.tiles)
            yield found.checked

    report = check_chain(checked(), heads)
    if not report.problems and not problems:
        problems += _check_tiles(tiles)
    report.problems += [*problems, *_check_surplus(), *_check_line(), *_check_guards()]
    return report


def _parts(size: int, sizes: Sequence[int]) -> Iterator[Part]:
    for first in range(0, size, BLOCK):
        end = min(first + BLOCK, size)
        yield Part(first, end, sizes[bisect.bisect_right(sizes, first) : bisect.bisect_right(sizes, end)])


def _checked(parts: Iterator[Part], processes: int) -> Iterator[Found]:
    db.session.flush()
    connection = db.session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)
    if processes == 1 or db.session.scalar(sa.select(sa.func.pg_current_xact_id_if_assigned())) is not None:
        return (_check(connection, part) for part in parts)
    address = make_conninfo(connection.info.dsn, password=connection.info.password)
    return in_order(functools.partial(_check_by_itself, address), parts, processes, alone=0)


def _check_by_itself(address: str, part: Part) -> Found:
    """In a process of its own. All parts may see other moments: what is in the chain never changes, or is damaged."""
    return _check(_connection(address), part)


@functools.cache
def _connection(address: str) -> psycopg.Connection:
    """One for each process; it ends with it."""
    return psycopg.connect(address, autocommit=True)


_ROWS = f"""
    WITH part AS MATERIALIZED (SELECT * FROM audit_chain WHERE seq >= %s AND seq < %s)
    SELECT part.hash || int8send(part.seq) || '\\x00'::bytea || part.prev_hash
           || convert_to({queries.canonical_text}, 'UTF8')
      FROM part JOIN audit_entries ON audit_entries.id = part.entry_id
       AND audit_entries.id BETWEEN (SELECT min(entry_id) FROM part) AND (SELECT max(entry_id) FROM part)
     ORDER BY part.seq
"""  # noqa: S608 - our own expression
"""One value a row: its hash (32 bytes), its place (8), and all that is hashed of it, as `verify` says. The narrow range
of ids has the entries read in a row and not each by itself."""
_STATED = struct.Struct(">32sqx32s")
_HASHED, _ENTRY = 40, _STATED.size


def _check(connection: psycopg.Connection, part: Part) -> Found:
    """Hash the rows of a part again, in one go as long as nothing is wrong."""
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, (part.first - 1, part.end), binary=True)
        rows: list[bytes] = [row or b"" for (row,) in cursor]
    before = GENESIS if part.first == 0 else b""
    if part.first and rows and rows[0][32:_HASHED] == (part.first - 1).to_bytes(8, "big"):
        before = rows.pop(0)[:32]
    leaves = [hashlib.sha256(row[_HASHED:]).digest() for row in rows]
    expected = map(_STATED.pack, leaves, range(part.first, part.end), [before, *leaves])
    if len(rows) == part.end - part.first and [row[:_ENTRY] for row in rows] == list(expected):
        return Found(planted(part.first, leaves, part.sizes))
    return _look_closer(part, before, rows)


def _look_closer(part: Part, before: bytes, rows: Sequence[bytes]) -> Found:
    """What is wrong with a part, in words."""
    problems = []
    stated = [_STATED.unpack(row[:_ENTRY].ljust(_ENTRY, b"\0")) for row in rows]
    if [previous for _, _, previous in stated] != [before, *(digest for digest, _, _ in stated)][: len(rows)]:
        problems.append(f"a previous hash among the entries {part.first} to {part.end - 1} was changed")
    if len(rows) < part.end - part.first:
        missing = part.end - part.first - len(rows)
        problems.append(f"{missing} of the entries {part.first} to {part.end - 1} are missing")
    leaves = [before]
    for seq, (row, (digest, place, _)) in enumerate(zip(rows, stated, strict=True), part.first):
        leaves.append(hashlib.sha256(b"\0" + leaves[-1] + row[_ENTRY:]).digest())
        if (leaves[-1], seq) != (digest, place):
            return Found(Checked(len(rows), [explain(seq, place)]), problems)
    sizes = [size for size in part.sizes if size <= part.first + len(rows)]
    return Found(planted(part.first, leaves[1:], sizes), problems)


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
