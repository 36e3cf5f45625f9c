"""The commands we give to ffmpeg, as lists of arguments. Nothing is run here.

All outputs are named relative to the private folder the command runs in. Every input is one local file whose format
the probe found: no other protocol, no other demuxer and no unexpected decoder is open to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from workers.loudness import Loudness, loudness_filter
from workers.probe import DECODERS, Audio, Probe

SHORT_SIDES = (1080, 720, 480, 360)
FIRST_SHORT_SIDE = 480
LONGEST_SIDE = 4096
SEGMENT_SECONDS = 2
MAX_FRAME_RATE = 60
# Below this a keyframe every two seconds would not be possible.
MIN_FRAME_RATE = 5
LIFTED_FRAME_RATE = 10
CRF = 23
AUDIO_BIT_RATE = 128_000
AUDIO_SAMPLE_RATE = 48_000
THUMBNAIL_SHORT_SIDE = 720
THUMBNAIL_CANDIDATES = 24
STRIP_FRAMES = 10
STRIP_WIDTH = 160

AUDIO_FILE = "audio.m4a"
THUMBNAIL_FILE = "thumbnail.jpg"
STRIP_FILE = "strip.jpg"
PLAYLIST_FILE = "playlist.m3u8"
INIT_FILE = "init.mp4"

# Most bits per second at 30 frames of 16:9, by short side.
_MAX_RATES = {1080: 5_000_000, 720: 2_800_000, 480: 1_400_000, 360: 800_000}
_HIGH_FRAME_RATE = 40


@dataclass(frozen=True)
class Tool:
    """Which ffmpeg, and how many threads it may use."""

    path: str
    threads: int


@dataclass(frozen=True)
class Rendition:
    """One quality to be made, in the folder `name`. Even sizes in pixels, `max_rate` in bits per second."""

    name: str
    width: int
    height: int
    frame_rate: Fraction
    max_rate: int

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)


def ladder(probe: Probe) -> tuple[Rendition, ...]:
    """The renditions of a source, the largest first: never larger than it is, one at its own size if it is small."""
    own = min(probe.width, probe.height)
    rate = constant_rate(probe.frame_rate)
    sides = [side for side in SHORT_SIDES if side <= own] or [own]
    # An extremely long picture is held by its long side, where several short sides come to the same.
    by_name = {rendition.name: rendition for rendition in (_rendition(probe, side, rate) for side in sides)}
    return tuple(by_name.values())


def _rendition(probe: Probe, short_side: int, rate: Fraction) -> Rendition:
    width, height = fitted(probe.width, probe.height, short_side)
    pixels = width * height
    nominal = _MAX_RATES.get(short_side) or max(150_000, round(_MAX_RATES[360] * pixels / (640 * 360)))
    if rate > _HIGH_FRAME_RATE:
        nominal = nominal * 3 // 2
    return Rendition(str(min(width, height)), width, height, rate, nominal)


def fitted(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Even sizes of the same shape with this short side, never above the given ones (but at least 2)."""
    scale = min(Fraction(short_side, min(width, height)), Fraction(LONGEST_SIDE, max(width, height)), Fraction(1))
    return _even(width * scale, width), _even(height * scale, height)


def _even(wanted: Fraction, most: int) -> int:
    return max(2, min(2 * round(wanted / 2), most // 2 * 2))


def constant_rate(rate: Fraction) -> Fraction:
    """The frame rate we make: the source's own, a whole part of it when it is above 60, 10 when it is below 5."""
    if rate < MIN_FRAME_RATE:
        return Fraction(LIFTED_FRAME_RATE)
    return rate / math.ceil(rate / (MAX_FRAME_RATE * Fraction(101, 100)))


def first_rendition(renditions: Sequence[Rendition]) -> Rendition:
    """The one to make first: quick to make, and good enough to be watched."""
    return next((r for r in renditions if r.short_side <= FIRST_SHORT_SIDE), renditions[-1])


def frame_count(probe: Probe, rate: Fraction) -> int:
    """Frames of every rendition."""
    return max(1, round(probe.shown_duration * rate))


def strip_frames(probe: Probe, rate: Fraction) -> int:
    """Pictures in the preview strip."""
    return min(STRIP_FRAMES, frame_count(probe, rate))


# --- sound ---------------------------------------------------------------------------------------------------------


def measure_command(tool: Tool, source: Path, probe: Probe) -> list[str]:
    """Measure the loudness (EBU R128) of the sound as we will mix it; the summary is the end of standard error."""
    return [
        *_start(tool, level="info"),
        *_input(source, probe.demuxer),
        *("-map", f"0:{_sound(probe).index}", "-vn", "-sn", "-dn"),
        *("-af", f"{_stereo(probe)},ebur128=peak=true:framelog=quiet"),
        *("-f", "null", "-"),
    ]


def audio_command(tool: Tool, source: Path, probe: Probe, measured: Loudness | None) -> list[str]:
    """Make the sound once, at the target loudness and exactly as long as the picture; all renditions share it."""
    length = f"{float(probe.shown_duration):.6f}"
    filters = [_stereo(probe)]
    if measured and (adjust := loudness_filter(measured)):
        filters.append(adjust)
    filters.append(f"aresample={AUDIO_SAMPLE_RATE}:async=1:first_pts=0")
    filters.append(f"apad=whole_dur={length},atrim=end={length}")
    return [
        *_start(tool),
        *_input(source, probe.demuxer),
        *("-map", f"0:{_sound(probe).index}", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1"),
        *("-af", ",".join(filters)),
        *("-c:a", "aac", "-b:a", str(AUDIO_BIT_RATE), "-ac", "2", "-ar", str(AUDIO_SAMPLE_RATE)),
        *("-f", "mp4", AUDIO_FILE),
    ]


def _sound(probe: Probe) -> Audio:
    if probe.audio is None:
        raise ValueError("the source has no sound")
    return probe.audio


def _stereo(probe: Probe) -> str:
    return f"{_placed(probe, _sound(probe).offset, 'a')}aresample={AUDIO_SAMPLE_RATE},aformat=channel_layouts=stereo"


def _placed(probe: Probe, offset: Fraction, kind: str = "") -> str:
    """Where a stream begins. ffmpeg moves a transport stream's tracks to zero by those a command uses, which would
    shift sound and picture, read by different commands, against each other: so we say where each belongs."""
    if probe.demuxer != "mpegts":
        return ""
    return f"{kind}setpts=PTS-STARTPTS+{max(0.0, float(offset)):.6f}/TB,"


# --- pictures ------------------------------------------------------------------------------------------------------


def first_command(tool: Tool, source: Path, probe: Probe, rendition: Rendition) -> list[str]:
    """The first rendition, the thumbnail and the preview strip, from one decoding of the source."""
    frames = frame_count(probe, rendition.frame_rate)
    thumbnail = fitted(probe.width, probe.height, THUMBNAIL_SHORT_SIDE)
    columns = strip_frames(probe, rendition.frame_rate)
    candidates = min(THUMBNAIL_CANDIDATES, frames)
    typical = f"thumbnail=n={candidates + 1}"  # gives the best of what it saw at the end of the input
    graph = [
        f"[0:{probe.video_index}]{_steady(probe, rendition.frame_rate)},split[whole][few]",
        f"[whole]{_sized(probe, rendition.width, rendition.height)},split[video][small]",
        f"[small]{_every(frames, columns)},scale={STRIP_WIDTH}:-2,tile={columns}x1,{_JPEG}[strip]",
        # The most typical of the frames that are not black; where all are, the most typical of all.
        f"[few]{_every(frames, candidates)},{_sized(probe, *thumbnail)},{_JPEG},split[any][some]",
        "[some]blackframe=amount=0:threshold=32,"
        f"metadata=mode=select:key=lavfi.blackframe.pblack:value=95:function=less,{typical}[lit]",
        f"[any]{typical}[typical]",
        "[lit][typical]concat=n=2[thumbnail]",
    ]
    return [
        *_start(tool),
        *_input(source, probe.demuxer),
        *_audio_input(probe),
        *("-filter_complex", ";".join(graph)),
        *_rendition_output(tool, "[video]", probe, rendition),
        *_still_output("[thumbnail]", THUMBNAIL_FILE),
        *_still_output("[strip]", STRIP_FILE),
    ]


def ladder_command(tool: Tool, source: Path, probe: Probe, renditions: Sequence[Rendition]) -> list[str]:
    """These renditions (the largest first) in one process: decoded once, each scaled from the largest."""
    top = renditions[0]
    base = f"[0:{probe.video_index}]{_steady(probe, top.frame_rate)},{_sized(probe, top.width, top.height)}"
    names = [f"[v{rendition.name}]" for rendition in renditions]
    if len(renditions) == 1:
        graph = [base + names[0]]
    else:
        branches = [f"[b{rendition.name}]" for rendition in renditions[1:]]
        graph = [f"{base},split={len(renditions)}{names[0]}{''.join(branches)}"]
        graph += [
            f"{branch}scale={rendition.width}:{rendition.height}:flags=bicubic,setsar=1{name}"
            for branch, name, rendition in zip(branches, names[1:], renditions[1:], strict=True)
        ]
    command = [
        *_start(tool),
        *_input(source, probe.demuxer),
        *_audio_input(probe),
        *("-filter_complex", ";".join(graph)),
    ]
    for name, rendition in zip(names, renditions, strict=True):
        command += _rendition_output(tool, name, probe, rendition)
    return command


def _start(tool: Tool, level: str = "warning") -> list[str]:
    shown = ["-hide_banner", "-nostdin", "-nostats", "-v", level, "-progress", "pipe:1", "-stats_period", "0.5"]
    return [tool.path, "-y", *shown, "-threads", str(tool.threads), "-filter_complex_threads", str(tool.threads)]


def _input(path: Path, demuxer: str) -> list[str]:
    allowed = ["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-codec_whitelist", DECODERS]
    return [*allowed, "-f", demuxer, "-i", str(path)]


def _audio_input(probe: Probe) -> list[str]:
    return _input(Path(AUDIO_FILE), "mov") if probe.has_audio else []


def _steady(probe: Probe, rate: Fraction) -> str:
    """The picture at a constant rate from time zero, the last one held while the sound goes on."""
    deinterlaced = "bwdif=mode=send_frame:deint=interlaced," if probe.interlaced else ""
    held = float(probe.shown_duration - probe.duration)
    pad = f",tpad=stop_mode=clone:stop_duration={held:.6f}" if held > 0 else ""
    return f"{_placed(probe, probe.offset)}{deinterlaced}fps={_ratio(rate)}:start_time=0{pad}"


def _sized(probe: Probe, width: int, height: int) -> str:
    """To this size, square pixels, and what every player shows alike: 8-bit BT.709 in limited range."""
    tags = "setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    if probe.hdr:
        transfer = {"pq": "smpte2084", "hlg": "arib-std-b67"}[probe.transfer]
        return (
            # scaled first: tone mapping works in floats, so the fewer pixels the better
            f"zscale=w={width}:h={height}:f=bicubic:tin={transfer}:min=2020_ncl:pin=2020:t=linear:npl=100,"
            "format=gbrpf32le,zscale=p=709,tonemap=tonemap=hable:desat=0,"
            f"zscale=t=709:m=709:r=limited,format=yuv420p,{tags}"
        )
    matrix = probe.matrix
    if matrix == "unknown":
        matrix = "bt709" if min(probe.width, probe.height) >= THUMBNAIL_SHORT_SIDE else "bt601"
    return (
        f"scale={width}:{height}:flags=bicubic:in_color_matrix={matrix}:out_color_matrix=bt709:out_range=tv,"
        f"format=yuv420p,{tags}"
    )


# JPEG has full range and the matrix of BT.601.
_JPEG = "scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,format=yuvj420p"


def _every(frames: int, wanted: int) -> str:
    """About `wanted` of `frames` frames, evenly spread from the first."""
    return f"select=not(mod(n\\,{max(1, frames // wanted)}))"


def _ratio(rate: Fraction) -> str:
    return f"{rate.numerator}/{rate.denominator}"


def _rendition_output(tool: Tool, label: str, probe: Probe, rendition: Rendition) -> list[str]:
    """One folder of HLS with fMP4 segments, cut at keyframes that are at the same times in every rendition."""
    keyframes = math.ceil(SEGMENT_SECONDS * rendition.frame_rate) + 1
    x264 = f"rc-lookahead=20:mbtree=1:scenecut=0:open-gop=0:keyint={keyframes}:min-keyint=1"
    folder = rendition.name
    return [
        *("-map", label, *(("-map", "1:a", "-c:a", "copy") if probe.has_audio else ("-an",))),
        *("-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"),
        *("-c:v", "libx264", "-preset", "superfast", "-profile:v", "high", "-x264-params", x264),
        *("-threads", str(tool.threads), "-fps_mode", "passthrough"),
        *("-frames:v", str(frame_count(probe, rendition.frame_rate))),
        *("-crf", str(CRF), "-maxrate", str(rendition.max_rate), "-bufsize", str(2 * rendition.max_rate)),
        *("-force_key_frames", f"expr:gte(t,n_forced*{SEGMENT_SECONDS})"),
        *("-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod"),
        *("-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", INIT_FILE, "-hls_flags", "independent_segments"),
        *("-hls_segment_filename", f"{folder}/seg_%05d.m4s", f"{folder}/{PLAYLIST_FILE}"),
    ]


def _still_output(label: str, name: str) -> list[str]:
    return ["-map", label, "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "4", "-f", "image2", "-update", "1", name]
