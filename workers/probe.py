"""What an uploaded file really is, found by reading it in a confined child. Names are never believed."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import config
from popoff.media.failures import FailureCode, MediaFailure
from workers import sandbox

MAX_STREAMS = 16

DECODERS = (
    # pictures
    "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,mpeg4,msmpeg4v3,h263,mpeg1video,mpeg2video,mjpeg,prores,theora,"
    "flv,vc1,wmv3,wmv2,dvvideo,"
    # sound
    "aac,mp3,mp3float,mp2,mp2float,ac3,eac3,opus,libopus,vorbis,flac,alac,amrnb,amrwb,wmav1,wmav2,"
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_u8,pcm_s8,pcm_alaw,pcm_mulaw"
)
"""The only decoders that see a stranger's bytes: what phones, cameras and browsers write."""

# Run, never imported: PyAV has no business in this process.
_CHILD = Path(__file__).resolve().with_name("probe_child.py")
_HEAD_BYTES = 64 * 1024
_TS_SYNC = 0x47
# The second byte of MP3, MP2 and ADTS AAC after 0xff; 0xfe is left out, being that of UTF-16 text.
_MPEG_SOUND = [bytes([second]) for second in b"\xf0\xf1\xf2\xf3\xf4\xf5\xf8\xf9\xfa\xfb\xfc\xfd\xe2\xe3"]
_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


@dataclass(frozen=True, kw_only=True)
class Audio:
    """`offset`: seconds by which it begins later than the file; `duration`: seconds until it ends."""

    index: int
    codec: str
    channels: int
    sample_rate: int
    offset: Fraction
    duration: Fraction


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The facts of one playable file.

    `width` and `height` are as shown: pixels after rotation and sample aspect ratio. `frame_rate` is constant:
    the file's own, or for a variable one the rate it has most of the time. `duration`: seconds until the last
    picture ends. `transfer`: `pq`, `hlg` or `none`. `matrix`: `bt709`, `bt601`, `bt2020` or `unknown`.
    `offset`: seconds by which the picture begins later than the file.
    """

    demuxer: str
    file_size: int
    duration: Fraction
    width: int
    height: int
    rotation: int
    frame_rate: Fraction
    variable_frame_rate: bool
    frame_count: int
    video_index: int
    video_codec: str
    offset: Fraction
    pixel_format: str
    bit_depth: int
    transfer: str
    matrix: str
    interlaced: bool
    audio: Audio | None

    @property
    def container(self) -> str:
        """What the file is, for people: the extension it would usually have."""
        return {"mov": "mp4", "matroska": "mkv", "mpegts": "ts", "mpeg": "mpg", "asf": "wmv"}.get(
            self.demuxer, self.demuxer
        )

    @property
    def shown_duration(self) -> Fraction:
        """Seconds the result lasts: when the sound clearly outlasts the picture, the last picture is held."""
        heard = self.audio.duration if self.audio else Fraction(0)
        return heard if heard > self.duration + Fraction(1, 2) else self.duration

    @property
    def duration_ms(self) -> int:
        return round(self.shown_duration * 1000)

    @property
    def has_audio(self) -> bool:
        return self.audio is not None

    @property
    def hdr(self) -> bool:
        return self.transfer != "none"


def probe(path: Path, *, folder: Path | None = None) -> Probe:
    """Read the whole of a local file in a confined child, and decode its first picture.

    `folder` is where the child may write (default: the folder of the file).
    Raises MediaFailure: `lost_source`, `empty_file`, `not_media`, `no_video`, `too_long`, `too_large`,
    `too_many_streams`, `truncated` (no index, nothing decodable, or more than half a second and a twentieth of
    the promised duration missing at the end), `unsupported_codec`, `resource_limit`, `timeout`.
    """
    source = path.resolve()
    demuxer = sniff(_head(source))
    settings = config.current()
    asked = {
        "demuxer": demuxer,
        "codecs": DECODERS,
        "max_seconds": settings.max_duration_seconds + 1,  # people who aim at the limit miss it by a few frames
        "max_pixels": settings.max_source_pixels,
        "max_streams": MAX_STREAMS,
    }
    finished = sandbox.run(
        [sys.executable, "-I", str(_CHILD), json.dumps(asked), str(source)],
        folder=folder or source.parent,
        limits=sandbox.Limits(
            cpu_seconds=120, wall_seconds=240, memory_bytes=settings.job_memory_bytes, file_bytes=1024**2
        ),
    )
    if finished.returncode < 0:
        raise MediaFailure(FailureCode.NOT_MEDIA, f"probing died of signal {-finished.returncode}: {finished.stderr}")
    if finished.returncode != 0:
        raise MediaFailure(FailureCode.ENCODE_FAILED, f"probing failed: {finished.stderr}")
    facts = json.loads(finished.stdout)
    if "failure" in facts:
        raise MediaFailure(FailureCode(facts["failure"]), facts["detail"])
    return _understood(facts)


def sniff(head: bytes) -> str:
    """The demuxer for a file that begins with these bytes, by the signature of its container.

    Playlists, scripts and descriptions of other files have no signature here, so none is ever opened.
    Raises MediaFailure: `empty_file`, `no_video` for formats that hold only sound, `not_media`.
    """
    if not head:
        raise MediaFailure(FailureCode.EMPTY_FILE)
    if head[4:8] in _MP4_FIRST_BOXES:
        return "mov"
    for signature, demuxer in (
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"FLV\x01", "flv"),
        (b"OggS", "ogg"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
        (b"\x00\x00\x01\xba", "mpeg"),
    ):
        if head.startswith(signature):
            return demuxer
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for start, packet in ((0, 188), (4, 192)):
        places = range(start, min(len(head), start + 5 * packet), packet)
        if len(head) >= start + packet and all(head[place] == _TS_SYNC for place in places):
            return "mpegts"
    if _only_sound(head):
        raise MediaFailure(FailureCode.NO_VIDEO, "a file of sound")
    raise MediaFailure(FailureCode.NOT_MEDIA, f"begins with {head[:16]!r}")


def _only_sound(head: bytes) -> bool:
    wave = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    mpeg_sound = head[:1] == b"\xff" and head[1:2] in _MPEG_SOUND
    return wave or mpeg_sound or head.startswith((b"ID3", b"fLaC", b"#!AMR"))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise MediaFailure(FailureCode.LOST_SOURCE, str(error)) from error


def _understood(facts: dict[str, Any]) -> Probe:
    video = facts["video"]
    width, height = shown_size(video["width"], video["height"], Fraction(video["aspect"]), video["rotation"])
    variable = facts["variable_frame_rate"]
    found = facts["audio"]
    audio = None
    if found:
        audio = Audio(
            index=found["index"],
            codec=found["codec"],
            channels=found["channels"],
            sample_rate=found["sample_rate"],
            offset=Fraction(found["offset"]),
            duration=Fraction(facts["audio_duration"]),
        )
    return Probe(
        demuxer=facts["demuxer"],
        file_size=facts["file_size"],
        duration=Fraction(facts["duration"]),
        width=width,
        height=height,
        rotation=video["rotation"],
        frame_rate=usual_rate(Fraction(facts["median_rate"] if variable else facts["frame_rate"])),
        variable_frame_rate=variable,
        frame_count=facts["frame_count"],
        video_index=video["index"],
        video_codec=video["codec"],
        offset=Fraction(video["offset"]),
        pixel_format=video["pixel_format"],
        bit_depth=video["bit_depth"],
        transfer=video["transfer"],
        matrix=video["matrix"],
        interlaced=video["interlaced"],
        audio=audio,
    )


def shown_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Pixels of a picture as people see it: `aspect` is the width of one pixel by its height, `rotation` degrees."""
    if not Fraction(1, 8) <= aspect <= 8:
        aspect = Fraction(1)
    shown = (max(1, round(width * aspect)), height)
    return shown if rotation % 180 in range(45) or rotation % 180 > 135 else shown[::-1]


def usual_rate(rate: Fraction) -> Fraction:
    """The rate people mean when timestamps, being rounded, give one within a thousandth of it."""
    known = [Fraction(n) for n in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 120, 240)]
    known += [Fraction(n * 1000, 1001) for n in (24, 30, 60, 120)]
    nearest = min(known, key=lambda candidate: abs(candidate - rate))
    return nearest if abs(nearest - rate) <= nearest / 1000 else rate.limit_denominator(1001)
