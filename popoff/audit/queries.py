"""Reads of the audit log: pages of entries, stored lines, roots and proofs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from popoff.audit import keys, tree
from popoff.audit.models import CheckpointRow, EntryRow, Link, Tile
from popoff.audit.rules import Checkpoint, Consistency, Entry, Inclusion
from popoff.audit.tree import Node, Range
from popoff.audit.verify import BLOCK, levels
from popoff.kernel.db import db
from popoff.kernel.errors import Invalid, NotFound
from popoff.kernel.money import Minor
from popoff.kernel.paging import decode_cursor, encode_cursor

PAGE = 50
MOST = 200

canonical_text: sa.ColumnElement[str] = sa.literal_column(
    """'{"action":"' || audit_entries.action
    || '","actor":' || coalesce('"' || audit_entries.actor || '"', 'null')
    || ',"amount":' || coalesce(audit_entries.amount::text, 'null')
    || ',"data":' || audit_entries.data::text
    || ',"id":"' || audit_entries.public_id
    || '","subject":"' || audit_entries.subject
    || '","time":"' || to_char(audit_entries.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}'""",
    sa.Text,
)
"""SQL: the canonical JSON of an entry from its stored values (`rules.canonical_entry` makes the same bytes)."""

_line: sa.ColumnElement[str] = sa.literal_column(
    """',"hash":"' || encode(audit_chain.hash, 'hex') || '","seq":' || audit_chain.seq || E'}\\n'""", sa.Text
)


def page(
    *,
    action: str | None = None,
    actor: int | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[list[Entry], str | None]:
    """Entries, the newest first, and the cursor of the next page (None: there is none).

    `action` is exact, or a room with its dot (`gift.`); `actor` is the id of a person; `since` and `until` enclose
    the time, the second not included. Raises Invalid (code `invalid_cursor`).
    """
    limit = max(1, min(limit, MOST))
    statement = _entries().order_by(EntryRow.id.desc()).limit(limit + 1)
    if action is not None:
        matches = EntryRow.action.startswith(action, autoescape=True) if action.endswith(".") else None
        statement = statement.where(EntryRow.action == action if matches is None else matches)
    if actor is not None:
        statement = statement.where(EntryRow.actor == keys.pseudonym(actor))
    if subject is not None:
        statement = statement.where(EntryRow.subject == subject, EntryRow.subject != "")
    if since is not None:
        statement = statement.where(EntryRow.time >= since)
    if until is not None:
        statement = statement.where(EntryRow.time < until)
    if cursor is not None:
        (last,) = decode_cursor(cursor, str)
        before = sa.select(EntryRow.id).where(EntryRow.public_id == last).scalar_subquery()
        statement = statement.where(EntryRow.id < before)
    found = [_entry(row) for row in db.session.execute(statement)]
    more = encode_cursor([found[limit - 1].id]) if len(found) > limit else None
    return found[:limit], more


def by_id(entry_id: str) -> Entry:
    """One entry by its public id. Raises NotFound (code `entry_not_found`)."""
    row = db.session.execute(_entries().where(EntryRow.public_id == entry_id)).one_or_none()
    if row is None:
        raise NotFound("There is no such entry.", code="entry_not_found")
    return _entry(row)


def by_ids(entry_ids: Sequence[str]) -> dict[str, Entry]:
    """The entries with these public ids, as far as there are any."""
    rows = db.session.execute(
        _entries().where(EntryRow.public_id == sa.any_(sa.cast(list(entry_ids), sa.ARRAY(sa.Text))))
    )
    return {row.public_id: _entry(row) for row in rows}


def _entries() -> sa.Select[Any]:
    return sa.select(*EntryRow.__table__.columns, Link.seq, Link.prev_hash, Link.hash).outerjoin(
        Link, Link.entry_id == EntryRow.id
    )


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        id=row.public_id,
        time=row.time,
        action=row.action,
        actor=row.actor,
        subject=row.subject,
        amount=None if row.amount is None else Minor(row.amount),
        data=row.data,
        seq=row.seq,
        prev_hash=row.prev_hash,
        hash=row.hash,
    )


# The chain and its checkpoints


def tip() -> tuple[int, bytes | None]:
    """How many entries are chained, and the hash of the last one."""
    last = db.session.execute(sa.select(Link.seq, Link.hash).order_by(Link.seq.desc()).limit(1)).one_or_none()
    return (0, None) if last is None else (last.seq + 1, last.hash)


def stored_lines(size: int) -> Iterator[bytes]:
    """The first `size` entries of the chain as the lines of an export, in blocks, read as they are stored."""
    line = sa.literal('{"entry":').concat(canonical_text).concat(_line)
    part = sa.select(sa.func.string_agg(line, sa.literal_column("''::text ORDER BY seq"))).select_from(
        sa.join(Link, EntryRow, Link.entry_id == EntryRow.id)
    )
    for start in range(0, size, BLOCK):
        lines = db.session.scalar(part.where(Link.seq >= start, Link.seq < min(start + BLOCK, size)))
        yield (lines or "").encode()


def latest_checkpoint() -> Checkpoint | None:
    """The checkpoint over the most entries."""
    row = db.session.scalars(
        sa.select(CheckpointRow).order_by(CheckpointRow.size.desc(), CheckpointRow.time.desc()).limit(1)
    ).one_or_none()
    return None if row is None else _checkpoint(row)


def checkpoint_at(size: int) -> Checkpoint:
    """The checkpoint over exactly `size` entries. Raises NotFound (code `checkpoint_not_found`)."""
    row = db.session.scalars(
        sa.select(CheckpointRow).where(CheckpointRow.size == size).order_by(CheckpointRow.time.desc()).limit(1)
    ).one_or_none()
    if row is None:
        raise NotFound("There is no checkpoint of this size.", code="checkpoint_not_found")
    return _checkpoint(row)


def _checkpoint(row: CheckpointRow) -> Checkpoint:
    return Checkpoint(size=row.size, root=row.root, note=row.note, key=row.key, time=row.time)


# Proofs


def root(size: int) -> bytes:
    """The root of the tree over the first `size` entries."""
    return tree.root((0, size), _hashes([(0, size)]))


def inclusion_proof(index: int, tree_size: int) -> Inclusion:
    """Proof that the entry at `index` is in the tree of `tree_size`. Raises Invalid (code `invalid_range`)."""
    _check_range(0 <= index < tree_size, tree_size)
    ranges = tree.inclusion(index, tree_size)
    known = _hashes([(index, index + 1), (0, tree_size), *ranges])
    return Inclusion(
        index=index,
        size=tree_size,
        leaf_hash=known[0, index],
        root=tree.root((0, tree_size), known),
        proof=[tree.root(leaves, known) for leaves in ranges],
    )


def consistency_proof(old: int, new: int) -> Consistency:
    """Proof that the tree of `old` entries is a beginning of the one of `new`. Raises Invalid (`invalid_range`)."""
    _check_range(0 < old <= new, new)
    ranges = tree.consistency(old, new)
    known = _hashes([(0, old), (0, new), *ranges])
    return Consistency(
        old=old,
        new=new,
        old_root=tree.root((0, old), known),
        new_root=tree.root((0, new), known),
        proof=[tree.root(leaves, known) for leaves in ranges],
    )


def _check_range(makes_sense: bool, size: int) -> None:
    if not makes_sense or size > tip()[0]:
        raise Invalid("The log has no such entries.", code="invalid_range")


def _hashes(ranges: Sequence[Range]) -> Mapping[Node, bytes]:
    """The hashes of the complete subtrees of these ranges, from one read of each level of tiles."""
    known: dict[Node, bytes] = {}
    for level, nodes in tree.needed(ranges).items():
        hashes = tiles(level, [positions for _, positions in nodes])
        for node, (start, end) in nodes:
            known[node] = levels([hashes[position] for position in range(start, end)])[-1][0]
    return known


def tiles(level: int, ranges: Sequence[Range]) -> dict[int, bytes]:
    """Stored hashes of a level (0: of the chain itself) by position, for these ranges of positions."""
    position, column = (Tile.position, Tile.hash) if level else (Link.seq, Link.hash)
    wanted = (
        sa.func.unnest(
            sa.cast([start for start, _ in ranges], sa.ARRAY(sa.BigInteger)),
            sa.cast([end for _, end in ranges], sa.ARRAY(sa.BigInteger)),
        )
        .table_valued(sa.column("first", sa.BigInteger), sa.column("stop", sa.BigInteger))
        .render_derived()
    )
    statement = sa.select(position, column).join(wanted, sa.and_(position >= wanted.c.first, position < wanted.c.stop))
    if level:
        statement = statement.where(Tile.level == level)
    return {row[0]: row[1] for row in db.session.execute(statement)}
