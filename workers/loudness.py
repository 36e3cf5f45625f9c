"""How loud a sound is, and what brings it to the loudness of all our posts."""

from __future__ import annotations

import re
from dataclasses import dataclass

TARGET_LUFS = -14.0
MAX_TRUE_PEAK = -1.0
# A whisper is lifted by this much at most, so that its noise does not become the loudest thing heard.
MAX_GAIN = 24.0
# What is quieter than this counts as silence, and stays so.
SILENCE_LUFS = -60.0

_NUMBER = r"\s*(-?(?:\d+(?:\.\d+)?|inf|nan))"


@dataclass(frozen=True)
class Loudness:
    """EBU R128: `integrated` and `threshold` in LUFS, `range` in LU, `true_peak` in dBTP."""

    integrated: float
    threshold: float
    range: float
    true_peak: float


def parse_summary(stderr: str) -> Loudness | None:
    """The summary that ffmpeg's ebur128 prints at the end; None when there was nothing to measure."""
    _, found, summary = stderr.rpartition("Summary:")
    values = [
        re.search(name + _NUMBER, summary) for name in (r"\bI:", r"\bThreshold:", r"\bLRA:", r"True peak:\s*Peak:")
    ]
    if not found or not all(values):
        return None
    integrated, threshold, spread, peak = (float(match[1]) for match in values if match)
    return Loudness(integrated, threshold, spread, peak)


def loudness_filter(measured: Loudness) -> str | None:
    """The filter that brings a sound to the target, None for silence.

    A plain gain where the peaks leave room for it; where they do not, ffmpeg's loudnorm with its limiter.
    """
    if not measured.integrated > SILENCE_LUFS:
        return None
    gain = min(TARGET_LUFS - measured.integrated, MAX_GAIN)
    if measured.true_peak + gain <= MAX_TRUE_PEAK:
        return f"volume={gain:.2f}dB"
    return (
        f"loudnorm=I={measured.integrated + gain:.2f}:TP={MAX_TRUE_PEAK}:LRA=50"
        f":measured_I={min(0.0, measured.integrated)}:measured_TP={measured.true_peak}"
        f":measured_LRA={measured.range}:measured_thresh={measured.threshold}"
    )
