"""Clean material: films and sounds that are generated, and parts of real ones from a folder given by its user."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from models_ml.quality import degrade, measure
from models_ml.quality.sound import RATE, Samples

SECONDS = 2.4


@dataclass(frozen=True)
class Source:
    """A clean film: `how` is `lavfi` with a filter, `paint` with a seed, or `file` with a path and a start."""

    name: str
    how: str
    what: str
    start: float = 0.0
    width: int = 480
    height: int = 270
    rate: float = 25.0
    moves: bool = True


@dataclass(frozen=True)
class Clip:
    """A clean film on disk, without loss."""

    source: Source
    path: Path
    width: int
    height: int
    rate: float
    seconds: float


TRAIN = (
    Source("testsrc2", "lavfi", "testsrc2"),
    Source("testsrc2-large", "lavfi", "testsrc2", width=854, height=480, rate=30.0),
    Source("mandelbrot", "lavfi", "mandelbrot"),
    Source("mandelbrot-far", "lavfi", "mandelbrot=start_scale=0.4:end_scale=0.1", width=640, height=360, rate=30.0),
    Source("testsrc2-small", "lavfi", "testsrc2", width=320, height=240, rate=30.0),
    Source("testsrc2-middle", "lavfi", "testsrc2", width=640, height=360, rate=24.0),
    Source("testsrc2-tall", "lavfi", "testsrc2", width=360, height=640),
    *(Source(f"paint-{seed}", "paint", str(seed), width=width, height=height, rate=rate)
      for seed, (width, height, rate) in enumerate(
          [(480, 270, 25.0), (270, 480, 30.0), (640, 360, 24.0), (480, 360, 25.0), (320, 568, 30.0),
           (480, 270, 15.0), (854, 480, 25.0), (360, 360, 30.0), (426, 240, 25.0), (640, 480, 30.0),
           (480, 854, 30.0), (720, 404, 24.0), (360, 640, 25.0), (640, 360, 30.0)])),
)  # fmt: skip
HELD_OUT = (
    Source("testsrc", "lavfi", "testsrc"),
    Source("mandelbrot-deep", "lavfi", "mandelbrot=start_scale=0.05:end_scale=0.01", width=640, height=360),
    *(Source(f"paint-{seed}", "paint", str(seed), width=width, height=height, rate=rate)
      for seed, (width, height, rate) in ((101, (480, 270, 25.0)), (102, (360, 640, 30.0)), (103, (640, 480, 24.0)))),
)  # fmt: skip
REAL_TRAIN = (
    ("big-buck-bunny-480p-30s.mp4", 1.5), ("big-buck-bunny-480p-30s.mp4", 5.0), ("big-buck-bunny-480p-30s.mp4", 12.5),
    ("car-detection.mp4", 2.0), ("car-detection.mp4", 9.0),
    ("asl-bird.mkv", 0.0), ("asl-eat.mkv", 0.0), ("asl-milk.mkv", 0.0), ("asl-thanks.mkv", 0.0),
    ("big-buck-bunny-480p-30s.mp4", 8.5), ("big-buck-bunny-480p-30s.mp4", 15.2),
    ("car-detection.mp4", 5.5), ("car-detection.mp4", 14.0),
)  # fmt: skip
REAL_HELD_OUT = (
    ("big-buck-bunny-480p-30s.mp4", 18.0), ("big-buck-bunny-480p-30s.mp4", 25.0), ("car-detection.mp4", 22.0),
    ("bottle-detection.mp4", 4.0), ("bottle-detection.mp4", 20.0), ("asl-hungry.mkv", 0.0), ("asl-yes.mkv", 0.0),
)  # fmt: skip
"""Other files, and of two films parts that are at least 2.5 s away from what was trained on."""

STILL = ("bottle-detection.mp4", "car-detection.mp4")
"""In these nothing moves for seconds: what is frozen on purpose would not be all that is."""


def sources(generated: tuple[Source, ...], real: tuple[tuple[str, float], ...], media: Path | None) -> list[Source]:
    """What there is of this material; without a folder only the generated."""
    found = list(generated)
    for name, start in real if media else ():
        if media and (media / name).is_file():
            found.append(Source(f"{name}@{start:g}", "file", str(media / name), start, moves=name not in STILL))
    return found


def seed_of(*parts: object) -> int:
    """A seed from names, the same on every machine."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def make(source: Source, folder: Path) -> Clip:
    """Write a clean film without loss and say what it is."""
    path = folder / f"clean-{seed_of(source.name):08x}.mkv"
    lossless = ["-an", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv420p", str(path)]
    size, duration = f"{source.width}x{source.height}", ["-t", f"{SECONDS:g}"]
    if source.how == "paint":
        frames = _painted(int(source.what), source.width, source.height, round(SECONDS * source.rate))
        shape = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{source.rate:g}", "-i", "-"]
        degrade.run([*shape, *lossless], b"".join(frame.tobytes() for frame in frames))
    elif source.how == "lavfi":
        first, _, rest = source.what.partition(",")
        joined = ":" if "=" in first else "="
        graph = f"{first}{joined}size={size}:rate={source.rate:g}" + (f",{rest}" if rest else "")
        degrade.run(["-f", "lavfi", "-i", graph, *duration, *lossless])
    else:
        degrade.run(["-ss", f"{source.start:g}", *duration, "-i", source.what, *lossless])
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        rate, seconds = float(video.average_rate or 25), float(container.duration or 0) / av.time_base
        return Clip(source, path, video.width, video.height, rate, seconds)


def paint(seed: int, width: int, height: int) -> np.ndarray:
    """One painted picture, shape (height, width, 3)."""
    return next(_painted(seed, width, height, 1))


def _painted(seed: int, width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """Scenes: a textured ground (its spectrum falls as nature's does) that pans, and textured things that cross it."""
    rng = np.random.default_rng(seed)
    ground = _texture(rng, height * 3 // 2, width * 3 // 2)
    things = [(_texture(rng, size, size), rng.uniform(0, 1, 2), rng.uniform(-0.25, 0.25, 2))
              for size in (int(share * min(width, height)) for share in rng.uniform(0.12, 0.4, 4))]  # fmt: skip
    pan = rng.uniform(-0.12, 0.12, 2)
    for number in range(count):
        part = number / count
        top, left = ((0.5 + pan * (2 * part - 1)) * (height // 2, width // 2)).astype(int)
        frame = ground[top : top + height, left : left + width].copy()
        for picture, place, speed in things:
            size = picture.shape[0]
            y, x = (((place + speed * part) % 1) * (height - size, width - size)).astype(int)
            round_ = np.hypot(*(np.indices((size, size)) - size / 2)) < size / 2
            frame[y : y + size, x : x + size][round_] = picture[round_]
        yield frame


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A coloured texture of shape (height, width, 3) with edges in it."""
    fall = rng.uniform(1.35, 2.0)
    distance = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width)
    spectrum = 1 / np.maximum(distance, 1.0) ** fall
    planes = []
    for _ in range(2):
        phases = np.exp(2j * np.pi * rng.random(distance.shape))
        plane = np.fft.irfft2(spectrum * phases, s=(height, width))
        planes.append(plane / plane.std())
    shaped = np.clip(planes[0] + rng.uniform(0.3, 1.2) * (planes[1] > 0), -2.5, 2.5)
    tone, spread = rng.uniform(95, 160), rng.uniform(28, 55)
    tint = rng.uniform(0.75, 1.25, 3)
    return np.clip((tone + spread * shaped)[..., None] * tint, 0, 255).astype(np.uint8)


def tone(seed: int, seconds: float = 6.0) -> Samples:
    """A clean sound at an ordinary level, shape (1 or 2, n): by the rest of the seed divided by 5 like speech (0, 2),
    like music (1, 3), or plain tones (4)."""
    rng = np.random.default_rng(seed)
    made = (_speech, _music, _speech, _music, _plain)[seed % 5](rng, seconds)
    room = rng.standard_normal(made.shape[-1]) * 10 ** (rng.uniform(-75, -55) / 20)
    made = made / (np.sqrt((made**2).mean()) + 1e-9) * 10 ** (rng.uniform(-26, -15) / 20) + room
    made = np.tanh(made * 0.8) / 0.8 * 0.95
    return np.atleast_2d(made).astype(np.float32) if rng.random() < 0.5 else np.stack([made, made]).astype(np.float32)


def _speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    pitch = rng.uniform(95, 230) * (1 + 0.12 * np.sin(2 * np.pi * rng.uniform(0.3, 0.9) * at))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formants = rng.uniform((350, 900, 2200), (750, 1700, 2900))
    voice = np.zeros_like(at)
    for number in range(1, 24):
        weight = sum(1 / (1 + ((number * 150 - formant) / 180) ** 2) for formant in formants) + 0.02
        voice += weight * np.sin(number * phase)
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(3, 5.5) * at + rng.uniform(0, 6)), 0, 1) ** 0.7
    words = np.sin(2 * np.pi * rng.uniform(0.3, 0.6) * at + rng.uniform(0, 6)) > -0.6
    return voice * syllables * np.convolve(words, np.ones(2400) / 2400, "same")


def _plain(rng: np.random.Generator, seconds: float) -> np.ndarray:
    at = np.arange(int(seconds * RATE)) / RATE
    pitches = rng.uniform(180, 2000, int(rng.integers(1, 3)))
    return np.asarray(sum(np.sin(2 * np.pi * pitch * at) for pitch in pitches))


def _music(rng: np.random.Generator, seconds: float) -> np.ndarray:
    count = int(seconds * RATE)
    made, beat = np.zeros(count), int(RATE * rng.uniform(0.2, 0.45))
    for start in range(0, count - beat, beat):
        for note in rng.choice(24, 3, replace=False):
            at = np.arange(min(3 * beat, count - start)) / RATE
            pitch = 110 * 2 ** (note / 12)
            wave = sum(np.sin(2 * np.pi * pitch * number * at) / number for number in (1, 2, 3, 4))
            made[start : start + len(at)] += wave * np.exp(-at * rng.uniform(2, 8)) * rng.uniform(0.3, 1)
        if rng.random() < 0.6:
            hit = rng.standard_normal(min(beat, count - start)) * np.exp(-np.arange(min(beat, count - start)) / 1500)
            made[start : start + len(hit)] += rng.uniform(0.3, 1.5) * hit
    return made


def real_sound(media: Path | None, start: float, seconds: float = 6.0) -> Samples | None:
    """A part of the one real film that has sound."""
    file = media / REAL_TRAIN[0][0] if media else None
    if file is None or not file.is_file():
        return None
    samples = measure.decode(file).samples
    return None if samples is None else samples[:, int(start * RATE) : int((start + seconds) * RATE)]


def through_codec(samples: Samples, bit_rate: int) -> Samples:
    """The sound as it comes out of AAC."""
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout=layout)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r", format="adts") as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(parts, axis=1)
