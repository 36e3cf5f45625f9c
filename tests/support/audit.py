"""Audit logs for tests: lines of a log made without a database, and a signer that nobody else has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from popoff.audit.keys import Signer
from popoff.audit.rules import Entry, canonical_entry
from popoff.audit.verify import FORMAT, GENESIS, TreeHead, fold, footer_line, leaf_hash, levels, root_of
from popoff.kernel.money import Minor

SIGNER = Signer(bytes(range(32)))
OTHER_SIGNER = Signer(bytes(range(32, 64)))


def entries(count: int) -> list[bytes]:
    """The canonical JSON of this many different entries."""
    start = datetime(2026, 1, 31, 12, tzinfo=UTC)
    return [
        canonical_entry(
            Entry(
                id=f"01KGA{number:021}",
                time=start + timedelta(microseconds=number * 7),
                action="gift.sent",
                actor=f"{number % 7:032x}" if number % 5 else None,
                subject=f"gift:{number}",
                amount=Minor(number * 100) if number % 3 else None,
                data={"post": number, "creator": f"{number % 3:032x}"},
            )
        )
        for number in range(count)
    ]


def chain(canonical: Iterable[bytes], previous: bytes = GENESIS) -> list[bytes]:
    """The hashes of a chain of entries."""
    hashes = []
    for entry in canonical:
        previous = leaf_hash(previous + entry)
        hashes.append(previous)
    return hashes


def lines(canonical: Sequence[bytes], hashes: Sequence[bytes]) -> list[bytes]:
    """The lines of an export that hold entries."""
    return [
        b'{"entry":%b,"hash":"%b","seq":%d}\n' % (entry, digest.hex().encode(), seq)
        for seq, (entry, digest) in enumerate(zip(canonical, hashes, strict=True))
    ]


def head(hashes: Sequence[bytes]) -> TreeHead:
    """The tree head over these leaves."""
    return TreeHead(len(hashes), root_of(levels(hashes), len(hashes)) if hashes else fold([]))


def header(signer: Signer = SIGNER) -> bytes:
    return b'{"format":"%b","key":"%b"}\n' % (FORMAT.encode(), str(signer.key).encode())


def export(canonical: Sequence[bytes], signer: Signer = SIGNER) -> bytes:
    """A whole export of a log with these entries."""
    hashes = chain(canonical)
    return b"".join([header(signer), *lines(canonical, hashes), footer_line(signer.sign(head(hashes)))])
