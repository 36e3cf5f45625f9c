"""Reads one hostile file with PyAV and prints what it is, as JSON: `python -I probe_child.py SETTINGS FILE`.

Run as a file by `workers.probe` under the sandbox, so it imports nothing of ours. SETTINGS is JSON: `demuxer` (the
only format that is tried), `codecs` (the only decoders), `max_seconds`, `max_pixels`, `max_streams`.
Prints the facts, or `{"failure": code, "detail": text}`.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
from fractions import Fraction
from typing import Any

import av
import av.error
from av.stream import Disposition

# Nothing with more frames is a short video, and their times would fill the memory.
MAX_PACKETS = 1_000_000
# Undecodable packets at the start (a cut transport stream begins between key frames) before we give up.
MAX_UNDECODABLE = 600
# As ffmpeg: a larger step in the timestamps of a transport stream is a break, not a pause.
DISCONTINUITY_SECONDS = 10
# A file counts as truncated when more than this is missing at its end: both a part and an amount, since encoders
# round durations, and the last frames of a stopped recording are often lost without anybody noticing.
MISSING_PART = Fraction(5, 100)
MISSING_SECONDS = Fraction(1, 2)

TRANSFERS = {16: "pq", 18: "hlg"}
MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}


class Refused(Exception):
    def __init__(self, code: str, detail: str = ""):
        self.code = code
        self.detail = detail


class Track:
    """What the packets of one stream say: times in its time base, one for each packet that is shown."""

    def __init__(self, stream: Any, discontinuous: bool):
        self.stream = stream
        self.times: list[int] = []
        self.last_duration = 0
        self._discontinuous = discontinuous
        self._previous: int | None = None
        self._shift = 0

    def add(self, packet: Any) -> None:
        time = packet.pts if packet.pts is not None else packet.dts
        if packet.is_discard or time is None:
            return
        order = packet.dts if packet.dts is not None else time
        if self._discontinuous and self._previous is not None:
            step = (order + self._shift - self._previous) * self.stream.time_base
            if abs(step) > DISCONTINUITY_SECONDS:
                self._shift = self._previous + (packet.duration or 0) - order
        self._previous = order + self._shift
        self.times.append(time + self._shift)
        self.last_duration = packet.duration or 0
        if len(self.times) > MAX_PACKETS:
            raise Refused("resource_limit", "too many packets")

    def end(self, step: Fraction = Fraction(0)) -> Fraction:
        """Seconds at which the last packet ends; `step` is how long it lasts when it does not say."""
        duration = self.last_duration * self.stream.time_base or step
        return max(self.times) * self.stream.time_base + duration if self.times else Fraction(0)


def main() -> None:
    settings = json.loads(sys.argv[1])
    try:
        answer = inspect(sys.argv[2], settings)
    except Refused as refusal:
        answer = {"failure": refusal.code, "detail": refusal.detail}
    except MemoryError:
        answer = {"failure": "resource_limit", "detail": "out of memory"}
    print(json.dumps(answer))  # noqa: T201 - read by the parent


def inspect(path: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The facts of one local file. Raises Refused."""
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": settings["demuxer"],
        "codec_whitelist": settings["codecs"],
        "max_streams": str(settings["max_streams"] + 1),
    }
    try:
        container = av.open(path, format=settings["demuxer"], container_options=options)
    except av.error.MemoryError as error:
        # what libavformat answers when there are more streams than it was allowed
        raise Refused("too_many_streams", str(error)) from error
    except (av.error.FFmpegError, ValueError) as error:
        # The parent saw the signature of this container, so its beginning is there and something else is not.
        raise Refused("truncated", str(error)) from error
    with container:
        return read(container, path, settings)


def read(container: Any, path: str, settings: dict[str, Any]) -> dict[str, Any]:
    if len(container.streams) > settings["max_streams"]:
        raise Refused("too_many_streams", f"{len(container.streams)} streams")
    decoders = set(settings["codecs"].split(","))
    video_stream = choose_video(container, decoders)
    audio_stream = choose_audio(container, decoders)
    check_size(video_stream.codec_context, settings)
    discontinuous = container.format.name == "mpegts"
    video = Track(video_stream, discontinuous)
    audio = Track(audio_stream, discontinuous) if audio_stream else None
    begin = Fraction(container.start_time or 0, av.time_base)
    frame = read_packets(container, video, audio, begin + settings["max_seconds"])
    check_size(frame, settings)
    check_complete(container, path, video, audio)
    steps, median = intervals(video)
    rate = frame_rate(video_stream, median)
    end = video.end(step=1 / rate) - begin
    heard = audio.end() - begin if audio else Fraction(0)
    if max(end, heard) > settings["max_seconds"]:
        raise Refused("too_long", f"{float(max(end, heard)):.1f} s")
    return {
        "demuxer": settings["demuxer"],
        "duration": str(end),
        "audio_duration": str(heard),
        "frame_count": len(video.times),
        "variable_frame_rate": varies(steps, median, video_stream.time_base),
        "frame_rate": str(rate),
        "median_rate": str(1 / median) if median else str(rate),
        "video": describe_video(video_stream, frame, begin),
        "audio": describe_audio(audio_stream, begin) if audio_stream else None,
        "file_size": os.path.getsize(path),
    }


def choose_video(container: Any, decoders: set[str]) -> Any:
    """The first stream of moving pictures: cover art does not count."""
    found = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not found:
        raise Refused("no_video")
    playable = [s for s in found if s.codec_context is not None and s.codec_context.name in decoders]
    if not playable:
        raise Refused("unsupported_codec", ", ".join(s.codec_context.name for s in found if s.codec_context))
    return playable[0]


def choose_audio(container: Any, decoders: set[str]) -> Any:
    """The first stream of sound that can be decoded; a sound we cannot read is no reason to refuse the picture."""
    for stream in container.streams.audio:
        context = stream.codec_context
        if context is not None and context.name in decoders and context.sample_rate and context.channels:
            return stream
    return None


def check_size(picture: Any, settings: dict[str, Any]) -> None:
    if picture.width * picture.height > settings["max_pixels"]:
        raise Refused("too_large", f"{picture.width}x{picture.height}")


def read_packets(container: Any, video: Track, audio: Track | None, latest: Fraction) -> Any:
    """Walk over the whole file, decoding until the first picture. Answers that picture."""
    streams = [video.stream, audio.stream] if audio else [video.stream]
    frame = None
    failed = 0
    decoder = video.stream.codec_context
    decoder.thread_count = 1
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            break
        if packet is None:
            break
        if packet.stream is not video.stream:
            if audio and packet.size:
                audio.add(packet)
            continue
        if packet.size:
            video.add(packet)
            if video.times and video.times[-1] * video.stream.time_base > latest + 1:
                raise Refused("too_long", "a frame after the longest duration")
        if frame is None and failed <= MAX_UNDECODABLE:
            frame, ok = decode(packet)
            failed += not ok
    if frame is None:
        raise Refused(*why_nothing_decodes(decoder))
    return frame


def decode(packet: Any) -> tuple[Any, bool]:
    """The first picture of a packet (the empty packet at the end flushes), and whether it could be read."""
    try:
        return next(iter(packet.decode()), None), True
    except (av.error.FFmpegError, ValueError):
        return None, False


def why_nothing_decodes(decoder: Any) -> tuple[str, str]:
    if not decoder.is_open:
        return "unsupported_codec", decoder.name
    return "truncated", "no picture can be decoded"


def check_complete(container: Any, path: str, video: Track, audio: Track | None) -> None:
    """Refuse a file that ends clearly before what it promises.

    In MP4 and MOV the sample table says where each picture lies: those past the end of the file are missing.
    Matroska promises a duration.
    """
    if not video.times:
        raise Refused("truncated", "no pictures")
    if "mov" in container.format.name:
        size = os.path.getsize(path)
        entries = list(video.stream.index_entries)
        missing = sum(entry.pos + entry.size > size for entry in entries)
        length = Fraction(video.stream.duration or 0) * video.stream.time_base
        check_missing(Fraction(missing, max(1, len(entries))) * length, length)
    elif "matroska" in container.format.name and container.duration:
        begin = Fraction(container.start_time or 0, av.time_base)
        promised = Fraction(container.duration, av.time_base)
        readable = max(track.end() for track in (video, audio) if track) - begin
        check_missing(promised - readable, promised)


def check_missing(missing: Fraction, whole: Fraction) -> None:
    if missing > MISSING_SECONDS and missing > MISSING_PART * whole:
        raise Refused("truncated", f"{float(missing):.2f} of {float(whole):.2f} s are missing")


def intervals(video: Track) -> tuple[list[int], Fraction]:
    """Time between one shown picture and the next, and the median of that in seconds (0: a single picture)."""
    times = sorted(set(video.times))
    steps = [after - before for before, after in itertools.pairwise(times)]
    return steps, Fraction(statistics.median_low(steps)) * video.stream.time_base if steps else Fraction(0)


def varies(steps: list[int], median: Fraction, time_base: Fraction) -> bool:
    """Whether more than one interval in a hundred differs from the usual one by more than rounding."""
    tolerance = max(Fraction(5, 100) * median, 2 * time_base, Fraction(15, 10_000))
    return sum(abs(step * time_base - median) > tolerance for step in steps) * 100 > len(steps)


def frame_rate(stream: Any, median: Fraction) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and rate > 0:
            return Fraction(rate)
    return 1 / median if median else Fraction(30)


def describe_video(stream: Any, frame: Any, begin: Fraction) -> dict[str, Any]:
    aspect = stream.sample_aspect_ratio
    return {
        "index": stream.index,
        "codec": stream.codec_context.name,
        "offset": str(Fraction(stream.start_time or 0) * stream.time_base - begin),
        "width": frame.width,
        "height": frame.height,
        "aspect": str(aspect) if aspect and aspect > 0 else "1",
        "rotation": round(frame.rotation) % 360,
        "pixel_format": frame.format.name,
        "bit_depth": max(component.bits for component in frame.format.components),
        "transfer": TRANSFERS.get(int(frame.color_trc), "none"),
        "matrix": MATRICES.get(int(frame.colorspace), "unknown"),
        "interlaced": bool(frame.interlaced_frame),
    }


def describe_audio(stream: Any, begin: Fraction) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "index": stream.index,
        "codec": context.name,
        "offset": str(Fraction(stream.start_time or 0) * stream.time_base - begin),
        "channels": context.channels,
        "sample_rate": context.sample_rate,
    }


if __name__ == "__main__":
    main()
