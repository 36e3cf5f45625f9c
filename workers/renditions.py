"""Reads a rendition back from the store as one file."""

from __future__ import annotations

from pathlib import Path

from popoff.adapters.storage import store
from popoff.media.failures import FailureCode, MediaFailure


def join(rendition: str, file: Path) -> Path:
    """Write the pieces of a rendition, whose folder this is, one after the other into `file`.

    Raises MediaFailure (`lost_source`) when there are none: the store may be away, which is no fault of the film.
    """
    with file.open("wb") as joined:
        for piece in store().list(rendition):  # in the order of their names: the init file, then the segments
            if not piece.key.endswith(".m3u8"):
                with store().open(piece.key) as stream:
                    joined.writelines(stream)
        if not joined.tell():
            raise MediaFailure(FailureCode.LOST_SOURCE, f"nothing is stored under {rendition}")
    return file
