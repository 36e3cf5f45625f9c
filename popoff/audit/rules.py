"""What an entry of the audit log looks like. Pure: no database, no clock, no settings."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from popoff.kernel import canonical
from popoff.kernel.canonical import JSON
from popoff.kernel.money import Minor

FLAG = "audit.flag"
"""The action of an entry that flags another one: its subject is the id of the flagged entry."""

MAX_DATA_BYTES = 16 * 1024
_ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
"""Ids, codes, times, digests. Nothing with a space or an @, so neither a sentence nor an address gets in."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry. `id` is the public one; `actor` is a pseudonym, None for the platform itself.

    `seq` (its place in the chain, from 0), `prev_hash` and `hash` are None until the sequencer has chained it.
    """

    id: str
    time: datetime
    action: str
    actor: str | None
    subject: str
    amount: Minor | None
    data: Mapping[str, JSON]
    seq: int | None = None
    prev_hash: bytes | None = None
    hash: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A signed tree head: the first `size` entries have the root hash `root`. `note` is what goes outside."""

    size: int
    root: bytes
    note: str
    key: str
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """Proves that the entry at `index` is in the tree of `size` entries (RFC 9162, 2.1.3)."""

    index: int
    size: int
    leaf_hash: bytes
    root: bytes
    proof: Sequence[bytes]


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Proves that the tree of `old` entries is a beginning of the tree of `new` entries (RFC 9162, 2.1.4)."""

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    proof: Sequence[bytes]


def check_action(action: str) -> str:
    """`room.what_happened`. Raises ValueError: an action is written by us, not by people."""
    if len(action) > 64 or not _ACTION.fullmatch(action):
        raise ValueError(f"{action!r} is not an action: write room.what_happened")
    return action


def check_subject(subject: str) -> str:
    """The id of what an entry is about, or nothing. Raises ValueError for anything else."""
    if not _WORD.fullmatch(subject):
        raise ValueError("a subject is an id")
    return subject


def check_data(data: Mapping[str, JSON]) -> str:
    """The canonical JSON of `data`. Raises ValueError when it may hold more than ids and numbers, or is too long."""
    _check_words(data)
    encoded = canonical.encode(data)
    if len(encoded) > MAX_DATA_BYTES:
        raise ValueError(f"the data of an entry are at most {MAX_DATA_BYTES} bytes")
    return encoded.decode()


def _check_words(value: object) -> None:
    if isinstance(value, Mapping):
        for name, member in value.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a name for a value of an entry")
            _check_words(member)
    elif isinstance(value, str):
        if not _WORD.fullmatch(value):
            raise ValueError("entries hold ids and numbers; words of people stay outside the chain")
    elif isinstance(value, Sequence):
        for member in value:
            _check_words(member)


def canonical_entry(entry: Entry) -> bytes:
    """What is hashed of an entry. The database builds the same bytes from its columns (`queries.canonical_text`)."""
    return canonical.encode(
        {
            "action": entry.action,
            "actor": entry.actor,
            "amount": entry.amount,
            "data": entry.data,
            "id": entry.id,
            "subject": entry.subject,
            "time": entry.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
    )


def public_id(moment: datetime, entropy: bytes) -> str:
    """A ULID: 26 characters, sorted by time, and 80 random bits of `entropy` (10 bytes) that nobody can guess."""
    number = (moment - _EPOCH) // timedelta(milliseconds=1) << 80 | int.from_bytes(entropy, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def pseudonym(secret: bytes, owner_id: int) -> str:
    """The name of a person in the log: 128 bits that only the holder of `secret` can lead back to an id."""
    return hmac.digest(secret, b"popoff audit actor %d" % owner_id, "sha256").hex()[:32]
