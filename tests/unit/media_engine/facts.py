"""A probe for tests of pure code: an ordinary upright film of 10 s, with what differs given."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from workers.probe import Audio, Probe


def sound(**changes: Any) -> Audio:
    values: dict[str, Any] = {
        "index": 1,
        "codec": "aac",
        "channels": 2,
        "sample_rate": 44100,
        "offset": Fraction(0),
        "duration": Fraction(10),
    }
    return Audio(**values | changes)


def film(**changes: Any) -> Probe:
    values: dict[str, Any] = {
        "demuxer": "mov",
        "file_size": 1_000_000,
        "duration": Fraction(10),
        "width": 1080,
        "height": 1920,
        "rotation": 0,
        "frame_rate": Fraction(30),
        "variable_frame_rate": False,
        "frame_count": 300,
        "video_index": 0,
        "video_codec": "h264",
        "offset": Fraction(0),
        "pixel_format": "yuv420p",
        "bit_depth": 8,
        "transfer": "none",
        "matrix": "bt709",
        "interlaced": False,
        "audio": sound(),
    }
    return Probe(**values | changes)
