"""What was made: the facts of a finished rendition, read from its own files, and the master playlist over all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from popoff.media.failures import FailureCode, MediaFailure
from workers.ffmpeg import INIT_FILE, PLAYLIST_FILE, Rendition

MASTER_FILE = "master.m3u8"
AAC_LC = "mp4a.40.2"

_EXTINF = re.compile(r"#EXTINF:(\d+(?:\.\d+)?),")
_SEGMENT = re.compile(r"seg_\d{5}\.m4s")


@dataclass(frozen=True)
class MadeRendition:
    """A finished folder of HLS. Bandwidths in bits per second; `size` is the sum of its files in bytes."""

    name: str
    folder: Path
    width: int
    height: int
    frame_rate: Fraction
    duration: Fraction
    segments: int
    peak_bandwidth: int
    average_bandwidth: int
    codecs: str
    size: int

    @property
    def duration_ms(self) -> int:
        return round(self.duration * 1000)

    @property
    def files(self) -> tuple[Path, ...]:
        """The playlist comes last: whoever finds it finds all the rest."""
        segments = sorted(self.folder.glob("seg_*.m4s"))
        return (self.folder / INIT_FILE, *segments, self.folder / PLAYLIST_FILE)


def measure(folder: Path, rendition: Rendition, *, has_audio: bool) -> MadeRendition:
    """Read back what ffmpeg made. Raises MediaFailure `encode_failed` when it is not whole."""
    try:
        durations, sizes = _segments(folder)
        init = (folder / INIT_FILE).read_bytes()
        playlist_size = (folder / PLAYLIST_FILE).stat().st_size
    except OSError as error:
        raise _broken(rendition, str(error)) from error
    if not durations or not all(sizes) or sum(durations) <= 0:
        raise _broken(rendition, "no segments, or an empty one")
    codecs = [_video_codec(rendition, init), AAC_LC] if has_audio else [_video_codec(rendition, init)]
    total = sum(durations, Fraction(0))
    return MadeRendition(
        name=rendition.name,
        folder=folder,
        width=rendition.width,
        height=rendition.height,
        frame_rate=rendition.frame_rate,
        duration=total,
        segments=len(durations),
        peak_bandwidth=peak_bandwidth(durations, sizes),
        average_bandwidth=round(sum(sizes) * 8 / total),
        codecs=",".join(codecs),
        size=sum(sizes) + len(init) + playlist_size,
    )


def peak_bandwidth(durations: Sequence[Fraction], sizes: Sequence[int]) -> int:
    """The highest bit rate of any run of segments that lasts 0.5 to 1.5 times the target (RFC 8216, 4.3.4.2).

    The rate of the whole when no run does.
    """
    target = max(durations)
    best = sum(sizes) * 8 / sum(durations, Fraction(0))
    for first in range(len(sizes)):
        length, size = Fraction(0), 0
        for duration, weight in zip(durations[first:], sizes[first:], strict=True):
            length += duration
            size += weight
            if length > target * 3 / 2:
                break
            if length >= target / 2:
                best = max(best, size * 8 / length)
    return round(best)


def _segments(folder: Path) -> tuple[list[Fraction], list[int]]:
    """Durations in seconds and sizes in bytes, in the order of the playlist."""
    durations, sizes = [], []
    for line in (folder / PLAYLIST_FILE).read_text("ascii").splitlines():
        if match := _EXTINF.match(line):
            durations.append(Fraction(match[1]))
        elif _SEGMENT.fullmatch(line):
            sizes.append((folder / line).stat().st_size)
    if len(durations) != len(sizes):
        raise OSError(f"{folder.name}/{PLAYLIST_FILE} does not list one length for each segment")
    return durations, sizes


def _video_codec(rendition: Rendition, init: bytes) -> str:
    """`avc1.PPCCLL`: profile, constraints and level as the decoder configuration in the init file has them."""
    place = init.find(b"avcC")
    if place < 0 or len(init) < place + 8:
        raise _broken(rendition, "no decoder configuration")
    return f"avc1.{init[place + 5 : place + 8].hex()}"


def _broken(rendition: Rendition, why: str) -> MediaFailure:
    return MediaFailure(FailureCode.ENCODE_FAILED, f"rendition {rendition.name}: {why}")


def master_playlist(made: Sequence[MadeRendition]) -> str:
    """The playlist people's players open, naming `<name>/playlist.m3u8` for each rendition, the largest first."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rendition in sorted(made, key=lambda r: -r.width * r.height):
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={rendition.peak_bandwidth}"
            f",AVERAGE-BANDWIDTH={rendition.average_bandwidth}"
            f",RESOLUTION={rendition.width}x{rendition.height}"
            f",FRAME-RATE={float(rendition.frame_rate):.3f}"
            f',CODECS="{rendition.codecs}"'
        )
        lines.append(f"{rendition.name}/{PLAYLIST_FILE}")
    return "\n".join([*lines, ""])
