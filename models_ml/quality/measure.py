"""Measures a film: pictures spread over it, runs of neighbouring ones, and its sound, decoded once and within bounds.

Every file is hostile: only local files of known formats are opened, no other protocol is open to them, and pixels,
pictures, samples and time are limited.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from models_ml.quality import picture
from models_ml.quality import sound as sounds

FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,flv,asf"
MIN_SECONDS = 1.0
MAX_PIXELS = 4096 * 4096
DETAIL_PIXELS = 1920 * 1088
PICTURES, FEW_PICTURES = 8, 6
"""How many pictures are looked at in their own resolution; the few, in films below 6 s."""
SMALL_WIDTH = 128
WHOLE_SECONDS = 60.0
"""Longer films are looked at in windows."""
WINDOWS, WINDOW_SECONDS = 12, 3.0
MAX_RUN = 4000
MAX_FRAMES = 12_000
SOUND_SECONDS = 120
TIME_LIMIT, STALL_LIMIT = 90.0, 20.0
"""Seconds by the clock: of all, and until the next bytes of the file are there."""
LATE = "The film could not be measured in time."


class Unreadable(Exception):
    """There is no film in the file that could be measured; one sentence."""


class TooShort(Unreadable):
    """There is a film, but too little of it."""


class OutOfTime(Exception):
    """The machine was too slow or too busy for this film, about which that says nothing; one sentence."""


@dataclass
class Film:
    """What was decoded. Runs: times in seconds and small luma pictures, in order."""

    width: int = 0
    height: int = 0
    seconds: float = 0.0
    frame_rate: float = math.nan
    runs: list[tuple[npt.NDArray[np.float64], picture.Bytes]] = field(default_factory=list)
    details: list[dict[str, float]] = field(default_factory=list)
    colours: list[picture.Bytes] = field(default_factory=list)
    samples: sounds.Samples | None = None


def measure(path: str | Path) -> dict[str, float]:
    """All measurements of a film, NaN for those that it has not (no sound). Raises Unreadable, TooShort, OutOfTime."""
    film = decode(path)
    return measurements(film)


def measurements(film: Film) -> dict[str, float]:
    """The measurements of what was decoded."""
    rates = [(len(times) - 1) / (times[-1] - times[0]) for times, _ in film.runs if len(times) > 2]
    found = {
        "seconds": film.seconds,
        "width": float(film.width),
        "height": float(film.height),
        "short_side": float(min(film.width, film.height)),
        "frame_rate": float(np.median(rates)) if rates else film.frame_rate,
    }
    found.update(picture.typical(film.details))
    found.update(picture.light(film.colours))
    found.update(picture.motion(film.runs))
    found["has_sound"] = float(film.samples is not None)
    heard = film.samples is not None and film.samples.shape[1] >= 0.5 * sounds.RATE
    unknown = dict.fromkeys(sounds.NAMES, math.nan)
    found.update(sounds.sound(film.samples) if heard and film.samples is not None else unknown)
    return found


def decode(path: str | Path) -> Film:
    """Read what is measured of a film. Raises Unreadable, TooShort, OutOfTime."""
    file = Path(path)
    if not file.is_file():
        raise Unreadable(f"{file.name} is not a file.")
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    until = time.monotonic() + TIME_LIMIT
    try:
        with av.open(f"file:{os.path.abspath(file)}", container_options=options, timeout=STALL_LIMIT) as container:
            return _read(container, until)
    except av.error.ExitError as error:  # FFmpeg gave up waiting for the file
        raise OutOfTime(LATE) from error
    except (av.error.FFmpegError, OSError, ValueError, EOFError) as error:
        raise Unreadable(f"{file.name} cannot be read as a film ({_plain(error)}).") from error


def _plain(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".").lower()


def _read(container: Any, until: float) -> Film:
    if not container.streams.video:
        raise Unreadable("There is no picture in the file.")
    video = container.streams.video[0]
    audio = container.streams.audio[0] if container.streams.audio else None
    film = Film(width=video.codec_context.width, height=video.codec_context.height)
    if not 0 < film.width * film.height <= MAX_PIXELS:
        raise Unreadable(f"The picture has {film.width} x {film.height} pixels, which is not measured.")
    video.thread_type = "AUTO"
    video.codec_context.thread_count = 2
    film.frame_rate = float(video.average_rate or math.nan)
    said = float(container.duration or 0) / av.time_base
    if video.duration:
        said = float(video.duration * video.time_base)
    reader = _Reader(film, said)
    hearer = _Hearer()
    streams = [video] if audio is None else [video, audio]
    for start, end in _windows(said):
        if start > 0:
            container.seek(int(start * av.time_base) + (container.start_time or 0))
        reader.begin_run(start)
        for frame in _frames(container, streams, until):
            if isinstance(frame, av.AudioFrame):
                hearer.take(frame)
            elif not reader.take(frame, start, end):
                break
        reader.end_run()
        if reader.decoded > MAX_FRAMES:
            break
    film.seconds = reader.last + (1 / film.frame_rate if film.frame_rate > 0 else 0.0)
    if reader.is_cut:
        film.seconds = max(film.seconds, said)
    if not reader.decoded or not film.details:
        raise Unreadable("No picture of the film can be decoded.")
    if film.seconds < MIN_SECONDS:
        raise TooShort(f"The film lasts {film.seconds:.2f} s; less than {MIN_SECONDS:.0f} s is not scored.")
    film.samples = hearer.samples()
    return film


def _windows(said: float) -> list[tuple[float, float]]:
    """Which parts of a film of so many seconds are decoded."""
    if said <= WHOLE_SECONDS:
        return [(0.0, WHOLE_SECONDS)]
    starts = np.linspace(0, said - WINDOW_SECONDS, WINDOWS)
    return [(float(start), float(start) + WINDOW_SECONDS) for start in starts]


def _frames(container: Any, streams: list[Any], until: float) -> Iterator[Any]:
    """Frames as they come; damaged packets are passed over. Raises OutOfTime."""
    packets = container.demux(streams)
    while True:
        if time.monotonic() > until:
            raise OutOfTime(LATE)
        try:
            packet = next(packets)
        except av.error.ExitError:
            raise
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            yield from packet.decode()
        except (av.error.InvalidDataError, av.error.PatchWelcomeError):
            continue


class _Reader:
    """Takes pictures: all of them small, some of them whole. `is_cut`: there were more than may be taken."""

    def __init__(self, film: Film, said: float):
        self.film, self.decoded, self.last, self.is_cut = film, 0, 0.0, False
        self._step = max(said, 0.1) / (FEW_PICTURES if said < 6 else PICTURES)
        self._next = 0.0
        self._former: Any = None
        self._times: list[float] = []
        self._small: list[picture.Bytes] = []
        self._begin: float | None = None
        self._to_small, self._to_colour, self._to_luma = (VideoReformatter() for _ in range(3))

    def take(self, frame: Any, start: float, end: float) -> bool:
        """Look at a picture; False when the window is over."""
        self.decoded += 1
        if frame.width * frame.height > MAX_PIXELS or self.decoded > MAX_FRAMES or len(self._times) >= MAX_RUN:
            self.is_cut = True
            return False
        at = frame.time
        if at is None:
            at = self.last + 1 / 30
        self._begin = at if self._begin is None else self._begin
        at -= min(self._begin, at)
        if at >= end:
            return False
        self.last = max(self.last, at)
        if at < start:
            return True
        height = max(32, min(4 * SMALL_WIDTH, round(SMALL_WIDTH * frame.height / frame.width / 8) * 8))
        if self._small and self._small[0].shape[0] != height:
            self.end_run()
        shape = {"width": SMALL_WIDTH, "height": height, "interpolation": "AREA"}
        small = self._to_small.reformat(frame, format="gray", **shape)
        self._small.append(small.to_ndarray().astype(np.uint8, copy=False))
        self._times.append(at)
        if at >= self._next and len(self.film.details) < PICTURES:
            self._look(frame, shape)
            self._next = max(self._next + self._step, at + self._step / 2)
        self._former = frame
        return True

    def _look(self, frame: Any, shape: dict[str, Any]) -> None:
        former = self._former
        luma = _whole(frame, self._to_luma)
        before = None if former is None else _whole(former, self._to_luma)
        self.film.details.append(picture.detail(luma, before))
        colour = self._to_colour.reformat(frame, format="rgb24", **shape).to_ndarray()
        if not self.film.colours or self.film.colours[0].shape == colour.shape:
            self.film.colours.append(colour.astype(np.uint8))

    def begin_run(self, start: float) -> None:
        """What comes now is looked at from soon after this time on."""
        self._next = start + min(self._step, 1.0) / 3

    def end_run(self) -> None:
        """What comes next is not the neighbour of what came."""
        if self._times:
            self.film.runs.append((np.array(self._times), np.array(self._small)))
        self._times, self._small, self._former = [], [], None


def _whole(frame: Any, reformatter: VideoReformatter) -> picture.Plane:
    """Luma of a picture in its own resolution, the middle of it when it is very large, enlarged when it is tiny."""
    scale = max(1.0, 64 / min(frame.width, frame.height))
    size = {"width": round(frame.width * scale), "height": round(frame.height * scale)}
    luma = reformatter.reformat(frame, format="gray", **size).to_ndarray()
    if luma.size > DETAIL_PIXELS:
        part = math.sqrt(DETAIL_PIXELS / luma.size) / 2
        rows, columns = (int(size * part) // 16 * 16 for size in luma.shape)
        middle = (luma.shape[0] // 32 * 16, luma.shape[1] // 32 * 16)
        luma = luma[middle[0] - rows : middle[0] + rows, middle[1] - columns : middle[1] + columns]
    return luma.astype(np.float32)


class _Hearer:
    """Takes sound: at 48 kHz, mono or stereo."""

    def __init__(self) -> None:
        self._resampler: Any = None
        self._kind: tuple[object, ...] = ()
        self._layout = ""
        self._parts: list[sounds.Samples] = []
        self._taken = 0

    def take(self, frame: Any) -> None:
        if self._taken > SOUND_SECONDS * sounds.RATE:
            return
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind:
            self._layout = self._layout or ("mono" if frame.layout.nb_channels == 1 else "stereo")
            self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=sounds.RATE)
            self._kind = kind
        frame.pts = None
        self._add(self._resampler.resample(frame))

    def _add(self, frames: list[Any]) -> None:
        for made in frames:
            self._parts.append(made.to_ndarray())
            self._taken += made.samples

    def samples(self) -> sounds.Samples | None:
        """All that was heard, shape (channels, n); None when there was nothing."""
        if self._resampler is not None:
            self._add(self._resampler.resample(None))
        if not self._parts:
            return None
        return np.nan_to_num(np.concatenate(self._parts, axis=1).astype(np.float32), posinf=1.0, neginf=-1.0)
