"""The faults that are looked for: what each is measured by, what it costs, and how it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Measured = Mapping[str, float]


@dataclass(frozen=True)
class Cause:
    """A fault. `measures`: the measurements its severity is learnt from, with 1 where more is worse, -1 where less is
    and 0 where it depends on the others. `audio_visual`, `delivery`: the points that its worst costs."""

    name: str
    measures: Mapping[str, int]
    audio_visual: float
    delivery: float
    said: Callable[[Measured], str]


_EDGES = {"edge_fine": -1, "edge_medium": -1, "edge_coarse": -1, "detail_fine": -1, "detail_medium": -1,
          "blur_effect": 1}  # fmt: skip
_GRAIN = {"noise": 1, "noise_everywhere": 1, "noise_moving": 1}
_CONTEXT = ("edge_strength", "texture", "flat_share", "still_share", "contrast")


def _free(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 0)


LEARNT = (
    Cause("blur", {**_EDGES, **_free(*_CONTEXT, *_GRAIN, "block_flat")}, 80, 35,
          lambda m: f"the picture is blurred (sharpness {_sharpness(m):.0f} of 100)"),
    Cause("noise", {**_GRAIN, **_free("edge_fine", "texture", "detail_fine", "flat_share", "still_share",
                                      "edge_strength")}, 70, 30,
          lambda m: f"the picture is noisy (noise of {m['noise_everywhere']:.1f} grey levels)"),
    Cause("recompression", {"block_ratio": 1, "block_ratio_coarse": 1, "block_step": 1, "block_flat": 1, "texture": -1,
                            "flat_share": 1, "still_share": 1, **_EDGES, **dict.fromkeys(_GRAIN, -1),
                            **_free("edge_strength", "contrast")},
          80, 35,
          lambda m: f"compression has left blocks (blockiness {2 ** m['block_ratio']:.2f} against 1 without, "
                            f"{m['block_flat']:.0%} of the blocks empty of detail)"),
    Cause("underexposure", {"luma_mean": -1, "luma_p50": -1, "luma_p95": -1, "luma_p5": -1, "crushed_share": 1},
          75, 50,
          lambda m: f"the picture is too dark (under-exposure: mean brightness {m['luma_mean'] / 2.55:.0f} %)"),
    Cause("shake", {"shake": 1, "shake_typical": 1}, 50, 80,
          lambda m: f"the camera shakes (the picture jumps by {m['shake']:.1f} % of its width)"),
    Cause("freeze", {"frozen_share": 1}, 50, 80,
          lambda m: f"the picture is frozen for {m['frozen_share']:.0%} of the time (freeze)"),
    Cause("clipping", {"clipped_share": 1, "clipped_windows": 1, "flat_top": 1, "wave_shape": 1}, 70, 50,
          lambda m: f"audio clips in {_clips(m):.0%} of the first {_first(m)}"),
    Cause("hum", {"hum_db": 1, "hum_prominence_db": 1, "hum_steady_db": 1, **_free("loudness_lufs", "noise_floor_db")},
          60, 50, lambda m: f"the sound hums at the mains frequency ({m['hum_db']:.0f} dB of full scale)"),
    Cause("silence", {"silent_share": 1}, 50, 80,
          lambda m: f"the sound is silent for {m['silent_share']:.0%} of the time (silence)"),
)  # fmt: skip
"""Those whose severity, 0 to 1, a model predicts."""

FEATURES = tuple(sorted({name for cause in LEARNT for name in cause.measures}))


def _sharpness(measured: Measured) -> float:
    return max(0.0, min(100.0, 100 * (1 - measured["blur_effect"]) / 0.8))


def _clips(measured: Measured) -> float:
    return measured["clipped_windows"] or measured["flat_top"]


def _first(measured: Measured) -> str:
    return f"{min(10, round(measured['seconds']))} s"


@dataclass(frozen=True)
class Rule:
    """A fault that is plain from one measurement: nothing up to `fine`, everything from `worst` on, evenly between."""

    name: str
    measure: str
    fine: float
    worst: float
    audio_visual: float
    delivery: float
    said: Callable[[Measured], str]

    def severity(self, measured: Measured) -> float:
        """0 to 1; 0 where it is not known."""
        value = measured.get(self.measure, float("nan"))
        part = (value - self.fine) / (self.worst - self.fine)
        return max(0.0, min(1.0, part)) if part == part else 0.0


RULES = (
    Rule("resolution", "short_side", 360, 120, 40, 10,
         lambda m: f"the resolution is low ({m['width']:.0f} x {m['height']:.0f})"),
    Rule("frame rate", "frame_rate", 12, 4, 30, 20,
         lambda m: f"the frame rate is low ({m['frame_rate']:.1f} a second)"),
    Rule("bars", "letterbox", 0.08, 0.6, 25, 20, lambda m: f"bars take {m['letterbox']:.0%} of the picture"),
    Rule("black", "black_share", 0.05, 0.8, 40, 70,
         lambda m: f"the picture is black for {m['black_share']:.0%} of the time"),
    Rule("quiet", "loudness_lufs", -32, -50, 15, 35,
         lambda m: f"the sound is very quiet ({m['loudness_lufs']:.0f} LUFS)"),
    Rule("cuts", "cuts_per_second", 1.5, 5, 5, 20, lambda m: f"it cuts {m['cuts_per_second']:.1f} times a second"),
)  # fmt: skip
"""Those that need no model. They are few and cost little: what they stand on is plain, what it costs is a choice."""
