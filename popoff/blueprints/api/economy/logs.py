"""How entries of the audit log, and flags on them, look to staff. People have their pseudonyms there."""

# ruff: noqa: N815 - the names of the wire

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import BaseModel, Field, RootModel

from popoff.audit.rules import Entry, canonical_entry
from popoff.blueprints.api.economy import money
from popoff.integrity.queries import FlaggedEntry, FlagView
from popoff.integrity.rules import GIFT_ACTIONS
from popoff.kernel.clock import rfc3339


class Log(BaseModel):
    id: str
    seq: int | None = Field(description="Place in the log, from 0; null until it has one, within a second.")
    userId: str | None = Field(description="Pseudonym of who did it; null for the platform itself.")
    action: str = Field(description="SEND_GIFT, SUSPICIOUS_GIFTING, POTENTIAL_GAMING, PAYOUT_APPROVED and so on.")
    amount: float | None
    giftId: str | None
    subject: str = Field(description="Id of what it is about.")
    description: str | None = Field(description="A word on why, where there is one.")
    prevHash: str | None = Field(description="SHA-256, 64 hexadecimal digits.")
    hash: str | None
    createdAt: str


class Logs(RootModel[list[Log]]):
    """The newest first."""


class FlagDecision(BaseModel):
    outcome: str
    reason: str
    decidedBy: str | None
    createdAt: str


class LogFlag(BaseModel):
    id: str
    auditLogId: str
    rule: str = Field(description="STAFF, REPORT, or the rule of the scan.")
    reason: str
    description: str
    reporterId: str | None = Field(description="Who flagged it; null for the scan.")
    state: str = Field(description="OPEN, CLEARED or CONFIRMED.")
    createdAt: str
    decisions: list[FlagDecision] = Field(description="The last one first.")


class FlaggedLog(Log):
    flags: list[LogFlag] = Field(description="The newest first.")


class FlaggedLogs(RootModel[list[FlaggedLog]]):
    """The newest first."""


class WholeLog(FlaggedLog):
    entry: dict[str, Any] = Field(description="What was hashed: its canonical JSON, after the previous hash.")


def row(entry: Entry) -> dict[str, Any]:
    about_gift = entry.action in GIFT_ACTIONS or entry.action == "gift_reversed"
    return {
        "id": entry.id,
        "seq": entry.seq,
        "userId": entry.actor,
        "action": entry.action.upper(),
        "amount": None if entry.amount is None else money.amount(entry.amount),
        "giftId": entry.subject if about_gift else None,
        "subject": entry.subject,
        "description": entry.data.get("reason"),
        "prevHash": None if entry.prev_hash is None else entry.prev_hash.hex(),
        "hash": None if entry.hash is None else entry.hash.hex(),
        "createdAt": rfc3339(entry.time),
    }


def flagged(found: Sequence[FlaggedEntry]) -> list[dict[str, Any]]:
    """Entries with their flags."""
    rows = iter(flags([flag for one in found for flag in one.flags]))
    return [row(one.entry) | {"flags": [next(rows) for _ in one.flags]} for one in found]


def whole(found: FlaggedEntry) -> dict[str, Any]:
    return flagged([found])[0] | {"entry": orjson.loads(canonical_entry(found.entry))}


def flags(found: Sequence[FlagView]) -> list[dict[str, Any]]:
    ids = [flag.raised_by for flag in found]
    ids += [decision.decided_by for flag in found for decision in flag.decisions]
    named = money.refs(ids)
    return [
        {
            "id": flag.public_id,
            "auditLogId": flag.entry_id,
            "rule": flag.rule.upper(),
            "reason": flag.reason,
            "description": flag.description,
            "reporterId": named[flag.raised_by],
            "state": flag.state.upper(),
            "createdAt": rfc3339(flag.created_at),
            "decisions": [
                {
                    "outcome": decision.outcome.upper(),
                    "reason": decision.reason,
                    "decidedBy": named[decision.decided_by],
                    "createdAt": rfc3339(decision.created_at),
                }
                for decision in flag.decisions
            ],
        }
        for flag in found
    ]
