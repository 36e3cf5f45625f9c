"""What a person met last: the newest KEPT posts with how they took each, packed into one value of their row. Pure.

A record is what happened, not what it is worth: that is for whoever ranks, and may change without touching any row.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import numpy.typing as npt

KEPT = 100
WHOLE = 0.9
RECORD = np.dtype(
    [("post_id", "<i8"), ("at", "<f8"), ("watch_ms", "<i8"), ("duration_ms", "<i8"), ("acts", "<i4")], align=False
)
"""`at`: seconds since 1970; `watch_ms`: all that was watched of it; `duration_ms`: 0 where unknown; `acts`: of Act."""

Recent = npt.NDArray[np.void]


class Act(IntFlag):
    """What somebody did with a post besides watching."""

    NONE = 0
    LIKED = 1
    COMMENTED = 2
    SHARED = 4
    REJECTED = 8

    @classmethod
    def of(cls, *, liked: bool, commented: bool, shared: bool, rejected: bool) -> Act:
        told = ((cls.LIKED, liked), (cls.COMMENTED, commented), (cls.SHARED, shared), (cls.REJECTED, rejected))
        return cls(sum(act for act, done in told if done))


def unpack(packed: bytes) -> Recent:
    """Records (n,), the oldest first. Raises ValueError for what `note` did not write."""
    return np.frombuffer(packed, dtype=RECORD)


def note(packed: bytes, post_id: int, at: float, *, watch_ms: int = 0, duration_ms: int = 0, acts: Act) -> bytes:
    """The same with one more event. A post that is there keeps its place, and what was done with it adds up; one that
    is turned down now is the latest that was met."""
    records = unpack(packed)
    same = records["post_id"] == post_id
    fresh = np.array([(post_id, at, watch_ms, duration_ms, int(acts))], dtype=RECORD)
    if not same.any():
        return np.concatenate([records, fresh])[-KEPT:].tobytes()
    records = records.copy()
    records["watch_ms"][same] += watch_ms
    records["acts"][same] |= int(acts)
    if acts & Act.REJECTED:
        records["at"][same] = at
        records = np.concatenate([records[~same], records[same]])
    return records.tobytes()


def undo(packed: bytes, post_id: int, acts: Act) -> bytes:
    """The same without these acts on a post; what was watched of it stays."""
    records = unpack(packed).copy()
    records["acts"][records["post_id"] == post_id] &= ~int(acts)
    return records.tobytes()


def rejected(records: Recent) -> dict[int, int]:
    """The posts turned down, the latest first -> how many posts were met since."""
    turned_down = (records["acts"][::-1] & int(Act.REJECTED)) != 0
    return {int(records["post_id"][-1 - since]): since for since in np.flatnonzero(turned_down).tolist()}


def liked(record: np.void) -> bool:
    return bool(int(record["acts"]) & int(Act.LIKED))


def to_the_end(record: np.void) -> bool:
    """Whether a post was watched whole, or nearly."""
    return int(record["duration_ms"]) > 0 and int(record["watch_ms"]) >= WHOLE * int(record["duration_ms"])
