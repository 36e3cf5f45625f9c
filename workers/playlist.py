"""Reads the playlist of an uploaded HLS package, which is hostile, and joins its segments into one file.

Nothing of the text reaches ffmpeg: the segments are joined byte by byte here (MPEG-TS, and fMP4 after its init file,
are made to be joined), so its playlist demuxer, which opens whatever a playlist names, is never used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from popoff.media.failures import FailureCode, MediaFailure

MAX_BYTES = 1024**2
MAX_SEGMENTS = 5000

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SECONDS = re.compile(r"(\d{1,5}(?:\.\d{1,9})?)(?:,.*)?")
_RANGE = re.compile(r"(\d{1,12})(?:@(\d{1,12}))?")
_MAP = re.compile(r'URI="([^"]*)"')
_REFUSED = {
    "#EXT-X-STREAM-INF": "a master playlist",
    "#EXT-X-I-FRAME-STREAM-INF": "a master playlist",
    "#EXT-X-MEDIA": "a master playlist",
    "#EXT-X-CONTENT-STEERING": "a master playlist",
    "#EXT-X-SESSION-KEY": "encryption",
    "#EXT-X-SESSION-DATA": "foreign data",
    "#EXT-X-DEFINE": "variables",
    "#EXT-X-PART": "parts",
    "#EXT-X-PRELOAD-HINT": "parts",
    "#EXT-X-SKIP": "parts",
    "#EXT-X-RENDITION-REPORT": "other playlists",
}
_COPY_BYTES = 1024**2


@dataclass(frozen=True)
class Segment:
    """`length` bytes from `offset` of an own file; no length: all of it."""

    name: str
    seconds: float
    offset: int = 0
    length: int | None = None
    discontinuity: bool = False


@dataclass(frozen=True)
class MediaPlaylist:
    init: str | None
    segments: tuple[Segment, ...]

    def text(self) -> str:
        """A clean playlist, written from what was understood."""
        longest = max(segment.seconds for segment in self.segments)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{max(1, round(longest + 0.5))}",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:VOD",
        ]
        if self.init:
            lines.append(f'#EXT-X-MAP:URI="{self.init}"')
        for segment in self.segments:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            lines.append(f"#EXTINF:{segment.seconds:.6f},")
            if segment.length is not None:
                lines.append(f"#EXT-X-BYTERANGE:{segment.length}@{segment.offset}")
            lines.append(segment.name)
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def safe_playlist(text: str, own_files: Set[str]) -> str:
    """The playlist written anew, naming nothing but `own_files`. Raises what `parse` raises."""
    return parse(text, own_files).text()


def parse(text: str, own_files: Set[str]) -> MediaPlaylist:
    """Understand a media playlist whose entries are plain names of `own_files`.

    Raises MediaFailure: `unsafe_playlist` for anything that is not such a playlist or points elsewhere;
    `missing_segment` for a plain name that is not there.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _unsafe("too long")
    lines = [line.strip() for line in text.split("\n")]
    if lines[0] != "#EXTM3U":
        raise _unsafe("not a playlist")
    reader = _Reader(own_files)
    for line in lines[1:]:
        reader.read(line)
        if len(reader.segments) > MAX_SEGMENTS:
            raise _unsafe("too many segments")
    if not reader.segments:
        raise _unsafe("no segments")
    return MediaPlaylist(reader.init, tuple(reader.segments))


class _Reader:
    """What was understood so far, and the tags that wait for their entry."""

    def __init__(self, own_files: Set[str]) -> None:
        self._own_files = own_files
        self.init: str | None = None
        self.segments: list[Segment] = []
        self._seconds: float | None = None
        self._range: str | None = None
        self._discontinuity = False
        self._ends: dict[str, int] = {}

    def read(self, line: str) -> None:
        tag, _, value = line.partition(":")
        if not line:
            return
        if not line.startswith("#"):
            self._entry(line)
        elif tag in _REFUSED:
            raise _unsafe(f"{_REFUSED[tag]} ({tag})")
        elif tag == "#EXTINF":
            match = _SECONDS.fullmatch(value)
            if not match:
                raise _unsafe("a segment without a sensible length")
            self._seconds = float(match[1])
        elif tag == "#EXT-X-BYTERANGE":
            self._range = value
        elif tag == "#EXT-X-DISCONTINUITY":
            self._discontinuity = True
        elif tag == "#EXT-X-KEY" and value != "METHOD=NONE":
            raise _unsafe("encryption")
        elif tag == "#EXT-X-MAP":
            self._map(value)

    def _map(self, value: str) -> None:
        match = _MAP.fullmatch(value)
        if not match or (self.init is not None and self.init != match[1]):
            raise _unsafe("an init file that cannot be used")
        self.init = self._own(match[1])

    def _entry(self, line: str) -> None:
        name = self._own(line)
        if self._seconds is None:
            raise _unsafe("a segment without its length")
        offset, length = self._byte_range(name)
        self.segments.append(Segment(name, self._seconds, offset, length, self._discontinuity))
        self._seconds, self._range, self._discontinuity = None, None, False

    def _byte_range(self, name: str) -> tuple[int, int | None]:
        if self._range is None:
            return 0, None
        match = _RANGE.fullmatch(self._range)
        if not match or int(match[1]) == 0:
            raise _unsafe("a byte range that cannot be used")
        offset = int(match[2]) if match[2] else self._ends.get(name, 0)
        length = int(match[1])
        self._ends[name] = offset + length
        return offset, length

    def _own(self, name: str) -> str:
        if not _NAME.fullmatch(name) or name.lower().endswith((".m3u8", ".m3u")):
            raise _unsafe(f"an entry that is not a plain name: {name[:200]!r}")
        if name not in self._own_files:
            raise MediaFailure(FailureCode.MISSING_SEGMENT, name)
        return name


def join(playlist: Path, files: Mapping[str, Path], target: Path, *, max_bytes: int) -> MediaPlaylist:
    """Write the segments that `playlist` names, one after the other, to `target`.

    `files` maps the names the phone gave to local files. Returns what the playlist says.
    Raises MediaFailure: what `parse` raises; `missing_segment` for a file that is absent or empty; `lost_source`
    for an absent playlist; `truncated` for a byte range past the end; `resource_limit` when the whole
    has more than `max_bytes`.
    """
    with _opened(playlist, absent=FailureCode.LOST_SOURCE) as source:
        raw = source.read(MAX_BYTES + 1)
    try:
        parsed = parse(raw.decode("utf-8"), files.keys())
    except UnicodeDecodeError:
        raise _unsafe("not text") from None
    pieces = [Segment(parsed.init, 0.0), *parsed.segments] if parsed.init else parsed.segments
    left = max_bytes
    with target.open("xb") as joined:
        for piece in pieces:
            with _opened(files[piece.name]) as source:
                size = os.fstat(source.fileno()).st_size
                length = size - piece.offset if piece.length is None else piece.length
                left -= length
                if size == 0:
                    raise MediaFailure(FailureCode.MISSING_SEGMENT, f"{piece.name} is empty")
                if piece.offset + length > size:
                    raise MediaFailure(FailureCode.TRUNCATED, f"{piece.name} ends before its byte range")
                if left < 0:
                    raise MediaFailure(FailureCode.RESOURCE_LIMIT, "the segments together are too large")
                source.seek(piece.offset)
                while length and (chunk := source.read(min(length, _COPY_BYTES))):
                    joined.write(chunk)
                    length -= len(chunk)
    return parsed


def _opened(path: Path, absent: FailureCode = FailureCode.MISSING_SEGMENT) -> BinaryIO:
    """A file for reading that is no link to another."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb")
    except OSError as error:
        raise MediaFailure(absent, str(error)) from error


def _unsafe(why: str) -> MediaFailure:
    return MediaFailure(FailureCode.UNSAFE_PLAYLIST, why)
