"""Writes of the audit log: entries, their places in the chain, signed checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from popoff.audit import keys, queries, rules
from popoff.audit.models import CheckpointRow, EntryRow, Link, Pending, Tile
from popoff.audit.rules import Checkpoint, Entry
from popoff.audit.verify import GENESIS, TILE, TreeHead, leaf_hash, levels
from popoff.kernel import clock
from popoff.kernel.canonical import JSON
from popoff.kernel.db import db, execute_sql
from popoff.kernel.errors import DomainError
from popoff.kernel.money import Minor

log = structlog.get_logger()

SEQUENCER_LOCK = 7_061_103

pseudonym = keys.pseudonym
"""The name of a person in the log: for people in `subject` or `data`, whose ids would give them away."""

_COLUMNS = "public_id, time, action, actor, subject, amount, data"
_VALUES = """%({0}_id)s, %({0}_time)s::timestamptz, %({0}_action)s, %({0}_actor)s::text,
    %({0}_subject)s, %({0}_amount)s::bigint, %({0}_data)s::json"""
_INSERT = f"INSERT INTO audit_entries ({_COLUMNS}) VALUES ({_VALUES.format('entry')})"  # noqa: S608 - our constants


class Rewritten(DomainError):
    """The log does not continue what was signed: no checkpoint is signed over it."""

    code = "audit_rewritten"
    message = "The audit log does not continue its last checkpoint. Run `popoff audit verify`."


def entry(
    action: str,
    *,
    actor: int | None,
    subject: str = "",
    amount: Minor | None = None,
    data: Mapping[str, JSON] | None = None,
) -> Entry:
    """An entry that is not written yet: `actor` (a person's id; None: the platform) did `action` to `subject`.

    `action` is `room.what_happened`; `subject` is the id of what it is about; `data` holds ids and numbers, and
    people only by their `pseudonym`. Raises ValueError for anything else, which is a mistake of the caller.
    """
    now = clock.now()
    return Entry(
        id=rules.public_id(now, os.urandom(10)),
        time=now,
        action=rules.check_action(action),
        actor=None if actor is None else pseudonym(actor),
        subject=rules.check_subject(subject),
        amount=amount,
        data=data or {},
    )


def record(
    action: str,
    *,
    actor: int | None,
    subject: str = "",
    amount: Minor | None = None,
    data: Mapping[str, JSON] | None = None,
) -> Entry:
    """Add an `entry` to this transaction. Raises ValueError."""
    made = entry(action, actor=actor, subject=subject, amount=amount, data=data)
    execute_sql(_INSERT, _columns(made, "entry"))
    return made


def beside(made: Entry, name: str, source: str) -> tuple[str, dict[str, object]]:
    """SQL that adds an entry for each row of `source`, as `name`: a part of another statement, and its values."""
    return (
        f"{name} AS (INSERT INTO audit_entries ({_COLUMNS}) SELECT {_VALUES.format(name)} FROM {source})",  # noqa: S608
        _columns(made, name),
    )


def _columns(made: Entry, name: str) -> dict[str, object]:
    return {
        f"{name}_id": made.id,
        f"{name}_time": made.time,
        f"{name}_action": made.action,
        f"{name}_actor": made.actor,
        f"{name}_subject": made.subject,
        f"{name}_amount": made.amount,
        f"{name}_data": rules.check_data(made.data),
    }


_CHAIN = sa.text("""
    INSERT INTO audit_chain (seq, entry_id, prev_hash, hash)
    SELECT * FROM unnest(CAST(:seqs AS bigint[]), CAST(:entries AS bigint[]),
                         CAST(:prev_hashes AS bytea[]), CAST(:hashes AS bytea[]))
""")


def chain_committed(limit: int = 1000) -> int:
    """Give up to `limit` committed entries their places in the chain; returns how many.

    The sequencer's step, for a transaction of its own. One does this at a time: while another is at it there is
    nothing to do (0). Running it again, or not at all for a while, changes only when entries get their places.
    """
    if not db.session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(SEQUENCER_LOCK))):
        return 0
    taken = _take(limit)
    if not taken:
        return 0
    size, last = queries.tip()
    hashes = [last or GENESIS]
    for row in taken:
        hashes.append(leaf_hash(hashes[-1] + row.canonical.encode()))
    grown = size + len(taken)
    places = {
        "seqs": list(range(size, grown)),
        "entries": [row.id for row in taken],
        "prev_hashes": hashes[:-1],
        "hashes": hashes[1:],
    }
    db.session.execute(_CHAIN, places)
    _complete_tiles(size, grown)
    return len(taken)


def _take(limit: int) -> Sequence[sa.Row[int, str]]:
    """Take committed entries out of the line, the lowest ids first: each id with the canonical form of its entry."""
    first = sa.select(Pending.entry_id).order_by(Pending.entry_id).limit(limit)
    out = sa.delete(Pending).where(Pending.entry_id.in_(first)).returning(Pending.entry_id).cte("out")
    statement = (
        sa.select(EntryRow.id, queries.canonical_text.label("canonical"))
        .join(out, out.c.entry_id == EntryRow.id)
        .where(~sa.exists().where(Link.entry_id == EntryRow.id))
        .order_by(EntryRow.id)
    )
    return db.session.execute(statement).all()


def _complete_tiles(before: int, after: int) -> None:
    """Store the roots of the tiles that became complete between two sizes of the tree, level by level."""
    level = 1
    while before // TILE != after // TILE:
        before, after = before // TILE, after // TILE
        below = queries.tiles(level - 1, [(before * TILE, after * TILE)])
        complete = [
            {
                "level": level,
                "position": position,
                "hash": levels([below[child] for child in range(position * TILE, (position + 1) * TILE)])[-1][0],
            }
            for position in range(before, after)
        ]
        db.session.execute(sa.insert(Tile), complete)
        level += 1


def checkpoint() -> Checkpoint:
    """The signed head of the tree over all entries that are chained; a new one when there are new entries.

    Nothing is signed that does not continue what was signed before: raises Rewritten.
    """
    signer = keys.signer()
    latest = queries.latest_checkpoint()
    size, _ = queries.tip()  # read after: a checkpoint that another one signs meanwhile may reach further
    if latest is not None:
        if latest.size > size or queries.root(latest.size) != latest.root:
            raise Rewritten
        if latest.size == size and latest.key == str(signer.key):
            return latest
    head = TreeHead(size, queries.root(size))
    made = Checkpoint(size=size, root=head.root, note=signer.sign(head), key=str(signer.key), time=clock.now())
    db.session.execute(insert(CheckpointRow).values(**vars(made)).on_conflict_do_nothing())
    return made


def waiting() -> int:
    """Entries that have no place in the chain yet."""
    return db.session.scalar(sa.select(sa.func.count()).select_from(Pending)) or 0
