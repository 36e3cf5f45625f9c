"""Tables of the audit log. All but `audit_pending` are append-only: the database refuses anything else.

What the models cannot say is in the migration: the triggers that refuse UPDATE, DELETE and TRUNCATE, the one that
puts each new entry in line for the sequencer, the one that lets a link follow only its predecessor, and the role
`popoff_app`, which has no right to change or remove any of this.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import JSON

from popoff.kernel.db import Base


class EntryRow(Base):
    """What was recorded, as it was recorded. `data` is of the type that keeps its text byte for byte.

    The texts hold no character that JSON escapes, so that the database itself can write the canonical form.
    """

    __tablename__ = "audit_entries"

    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(), primary_key=True)
    public_id: orm.Mapped[str] = orm.mapped_column(unique=True)
    time: orm.Mapped[datetime]
    action: orm.Mapped[str]
    actor: orm.Mapped[str | None]
    subject: orm.Mapped[str]
    amount: orm.Mapped[int | None]
    data: orm.Mapped[dict[str, Any]] = orm.mapped_column(JSON)

    __table_args__ = (
        sa.CheckConstraint(
            "public_id ~ '^[0-9A-Z]{26}$' AND action ~ '^[a-z0-9_.]+$' AND actor ~ '^[0-9a-f]{32}$' "
            "AND subject ~ '^[A-Za-z0-9_.:/+=-]*$'",
            name="plain",
        ),
        sa.Index("ix_audit_entries_action", "action", "id"),
        sa.Index("ix_audit_entries_actor", "actor", "id", postgresql_where=sa.text("actor IS NOT NULL")),
        sa.Index("ix_audit_entries_subject", "subject", "id", postgresql_where=sa.text("subject <> ''")),
        sa.Index(
            "ix_audit_entries_received",
            sa.text("coalesce(data->>'creator', data->>'wallet')"),
            "action",
            "public_id",
            postgresql_where=sa.text("action IN ('send_gift', 'wallet_grant')"),
        ),
    )


class Pending(Base):
    """Entries that are not in the chain yet. A row is seen as soon as its entry's transaction has committed."""

    __tablename__ = "audit_pending"

    entry_id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)


class Link(Base):
    """The chain: the sequencer's order, without gaps, from 0. `hash` is also the leaf of the Merkle tree."""

    __tablename__ = "audit_chain"

    seq: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    entry_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("audit_entries.id", ondelete="RESTRICT"), unique=True)
    prev_hash: orm.Mapped[bytes]
    hash: orm.Mapped[bytes]

    __table_args__ = (
        sa.CheckConstraint("seq >= 0 AND octet_length(prev_hash) = 32 AND octet_length(hash) = 32", name="whole"),
    )


class Tile(Base):
    """Roots of complete subtrees of 256^level leaves, so that a proof reads hundreds of rows and not millions."""

    __tablename__ = "audit_tiles"

    level: orm.Mapped[int] = orm.mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    position: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    hash: orm.Mapped[bytes]

    __table_args__ = (sa.CheckConstraint("level > 0 AND position >= 0 AND octet_length(hash) = 32", name="whole"),)


class CheckpointRow(Base):
    """Signed tree heads."""

    __tablename__ = "audit_checkpoints"

    size: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    key: orm.Mapped[str] = orm.mapped_column(primary_key=True)
    root: orm.Mapped[bytes]
    note: orm.Mapped[str]
    time: orm.Mapped[datetime]

    __table_args__ = (sa.CheckConstraint("size >= 0 AND octet_length(root) = 32", name="whole"),)
