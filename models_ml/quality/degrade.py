"""Spoils clean material in known ways and strengths, so that the truth about it is known.

A strength goes from 0 (just to be noticed) to 1 (hardly to be watched or heard). Faults of the
picture are filters of ffmpeg, faults of the sound are done to samples.
"""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from models_ml.quality.sound import RATE, Samples

PICTURE = ("blur", "noise", "recompression", "underexposure", "shake", "freeze")
SOUND = ("clipping", "hum", "silence")
KINDS = PICTURE + SOUND
CLEAN_CRF = (17, 24)
PRESETS = ("ultrafast", "superfast", "veryfast")


def picture_filter(
    kind: str, strength: float, shape: tuple[int, int], rate: float, seconds: float, rng: np.random.Generator
) -> str:
    """The filter of ffmpeg that spoils a picture; `shape`: width and height in pixels. Raises KeyError."""
    width, height = shape
    if kind == "blur":
        return f"gblur=sigma={(0.8 + 4.4 * strength) * min(shape) / 360:.3f}:steps=2"
    if kind == "noise":
        return f"noise=alls={5 + 45 * strength:.0f}:allf=t{rng.choice(['', '+u'])}:all_seed={rng.integers(1, 9999)}"
    if kind == "underexposure":
        return _darker(strength, rng)
    if kind == "shake":
        return _shaken(strength, width, height, rng)
    if kind == "freeze":
        return _frozen(strength, rate, seconds, rng)
    return {"recompression": "null", "clean": "null"}[kind]


def _darker(strength: float, rng: np.random.Generator) -> str:
    gain = 0.93 - 0.8 * strength
    ways = (f"lutyuv=y='16+(val-16)*{gain:.3f}'", f"eq=gamma={gain**1.3:.3f}",
            f"eq=brightness={-0.05 - 0.5 * strength:.3f}",
            f"colorlevels=romax={gain:.3f}:gomax={gain:.3f}:bomax={gain:.3f}")  # fmt: skip
    return str(rng.choice(ways))


def _shaken(strength: float, width: int, height: int, rng: np.random.Generator) -> str:
    reach = (0.006 + 0.04 * strength) * width
    if rng.random() < 0.5:
        across, down = f"{reach:.2f}*(2*random(1)-1)", f"{reach:.2f}*(2*random(2)-1)"
    else:
        fast, slow = rng.uniform(4, 9, 2) * 2 * math.pi
        across, down = f"{reach:.2f}*sin({fast:.2f}*t)", f"{reach:.2f}*cos({slow:.2f}*t+1)"
    return f"crop={width * 88 // 200 * 2}:{height * 88 // 200 * 2}:(iw-ow)/2+{across}:(ih-oh)/2+{down}"


def _frozen(strength: float, rate: float, seconds: float, rng: np.random.Generator) -> str:
    share = 0.15 + 0.8 * strength
    length = share * seconds
    start = rng.uniform(0, seconds - length)
    return f"select='not(gt(t,{start:.3f})*lt(t,{start + length:.3f}))',fps={rate:.4f}"


def run(arguments: list[str], data: bytes | None = None) -> None:
    """ffmpeg with these arguments, one thread. Raises subprocess.CalledProcessError with its words."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", "-nostdin", *arguments]
    if data is not None:
        command.remove("-nostdin")
    subprocess.run(command, input=data, check=True, capture_output=True, timeout=120)


def encode(source: Path, target: Path, filters: str, crf: int, preset: str = "superfast") -> None:
    """Make an H.264 file without sound of a source, through filters."""
    run(["-threads", "1", "-i", str(source), "-vf", filters, "-an", "-c:v", "libx264", "-threads", "1",
         "-preset", preset, "-crf", str(crf), "-pix_fmt", "yuv420p", "-bf", "2", str(target)])  # fmt: skip


def spoil_picture(
    source: Path, target: Path, faults: dict[str, float], shape: tuple[int, int], rate: float, seconds: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Write a copy of a film with these faults of the picture (kind to strength); none: a clean one."""
    filters = [picture_filter(kind, strength, shape, rate, seconds, rng) for kind, strength in sorted(faults.items())]
    chain, crf, preset = ",".join(filters) or "null", int(rng.integers(*CLEAN_CRF)), str(rng.choice(PRESETS))
    if "recompression" not in faults:
        return encode(source, target, chain, crf, preset)
    poor = round(30 + 21 * faults["recompression"])
    if rng.random() < 0.6:
        return encode(source, target, chain, poor, preset)
    between = target.with_suffix(".poor.mp4")
    encode(source, between, chain, poor, preset)
    encode(between, target, "null", crf, preset)
    return between.unlink()


def spoil_sound(samples: Samples, faults: dict[str, float], rng: np.random.Generator, limit: float = 1.0) -> Samples:
    """A copy of a sound, shape (channels, n), with these faults (kind to strength); what clips is kept at `limit`, as
    in a recording that was turned down afterwards."""
    made = samples.copy()
    if "hum" in faults:
        made += _mains(made.shape[1], faults["hum"], rng)
    if "clipping" in faults:
        gain = 10 ** ((3 + 27 * faults["clipping"]) / 20) / (np.abs(made).max() + 1e-9)
        made = np.clip(made * gain, -1, 1).astype(np.float32) * np.float32(limit)
    if "silence" in faults:
        _mute(made, 0.12 + 0.8 * faults["silence"], rng)
    return np.clip(made, -1, 1).astype(np.float32)


def _mains(count: int, strength: float, rng: np.random.Generator) -> Samples:
    level = 10 ** ((-46 + 38 * strength) / 20)
    mains = rng.choice([50.0, 60.0])
    at = np.arange(count) / RATE
    parts = (1.0, *rng.uniform(0.0, 0.7, 4)) if rng.random() < 0.7 else (1.0,)
    wave = sum(part * np.sin(2 * np.pi * mains * number * at) for number, part in enumerate(parts, 1))
    return (level * np.asarray(wave)).astype(np.float32)


def _mute(samples: Samples, share: float, rng: np.random.Generator) -> None:
    count = samples.shape[1]
    pieces = int(rng.integers(1, 3))
    length = int(share * count / pieces)
    for piece in range(pieces):
        room = count // pieces - length
        start = piece * (count // pieces) + int(rng.integers(0, max(1, room)))
        samples[:, start : start + length] = 0
