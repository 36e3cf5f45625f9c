"""What is measured of pictures: arrays of luma in (0 black to 255 white), numbers out. No file is read here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

BLOCK = 16
GRID = 8
"""Codecs work in blocks of this many pixels, or in parts and multiples of them."""
STILL_STEP = 0.4
"""A picture in which no part changes by more grey levels than this is the former one again. The noise of a camera that
looks at something still changes more (0.4 to 0.9 after compression), what compression makes of a repeated picture less
(0.05 to 0.35)."""
FROZEN_SECONDS = 0.4
CUT_STEP = 28.0
FLASH_STEP = 25.0
"""A tenth of full white, as WCAG 2.3.1 counts flashes."""
STRETCH, STRETCHES = 30, 8
BLACK_LUMA = 26.0
BAR_LUMA = 24.0


def detail(luma: Plane, former: Plane | None) -> dict[str, float]:
    """Fine structure of one picture in its own resolution, shape (h, w) of at least 32; `former`: the one before it."""
    gradients = [_gradient(scaled) for scaled in _pyramid(luma)]
    strong = [float(np.percentile(gradient, 98)) + 0.5 for gradient in gradients]
    middle = [float(np.percentile(gradient, 85)) + 0.5 for gradient in gradients]
    found = {
        "edge_fine": math.log2(strong[0] / strong[1]),
        "edge_medium": math.log2(strong[1] / strong[2]),
        "edge_coarse": math.log2(strong[2] / strong[3]),
        "detail_fine": math.log2(middle[0] / middle[1]),
        "detail_medium": math.log2(middle[1] / middle[2]),
        "edge_strength": strong[0],
        "blur_effect": _blur_effect(luma),
        "texture": math.log2((float(gradients[0].mean()) + 0.25) / strong[0]),
        "flat_share": float((gradients[0] < 1.0).mean()),
        **_blocks(luma),
    }
    found["noise"], found["noise_everywhere"] = _grain(luma)
    found["noise_moving"] = found["still_share"] = math.nan
    if former is not None and former.shape == luma.shape:
        change = luma - former
        found["noise_moving"] = _grain(change, luma)[0] / math.sqrt(2)
        found["still_share"] = float((np.abs(change) < 0.5).mean())
    return found


def _pyramid(luma: Plane) -> list[Plane]:
    planes = [luma]
    for _ in range(3):
        last = planes[-1]
        even = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
        planes.append((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) * np.float32(0.25))
    return planes


def _gradient(luma: Plane) -> Plane:
    across, down = np.abs(np.diff(luma, axis=1))[:-1], np.abs(np.diff(luma, axis=0))[:, :-1]
    return np.maximum(across, down)


def _blur_effect(luma: Plane) -> float:
    """0 sharp to 1 blurred: how little another blur takes away (Crete, Dolmiere, Ladret, Nicolas 2007)."""
    worst = 0.0
    for plane in (luma, luma.T):
        sums = np.cumsum(plane, axis=1, dtype=np.float32)
        blurred = (sums[:, 9:] - sums[:, :-9]) / np.float32(9)
        own, again = np.abs(np.diff(plane[:, 5:-4], axis=1)), np.abs(np.diff(blurred, axis=1))
        total = float(own.sum(dtype=np.float64))
        lost = float(np.maximum(0, own - again).sum(dtype=np.float64))
        worst = max(worst, 1 - lost / total if total > 0 else 0.0)
    return worst


def _blocks(luma: Plane) -> dict[str, float]:
    """Steps at the borders of a codec's blocks, against the steps beside them; grey levels, and a ratio as log2."""
    steps, ratios, coarse = [], [], []
    for plane in (luma, luma.T):
        difference = np.abs(np.diff(plane, axis=1))
        profile = difference.mean(axis=0, dtype=np.float64)
        profile = profile[: profile.size // 16 * 16].reshape(-1, 16).mean(axis=0)
        border, inner = (profile[7] + profile[15]) / 2, np.delete(profile, [7, 15]).mean()
        ratios.append(math.log2((border + 0.05) / (inner + 0.05)))
        coarse.append(math.log2((profile[15] + 0.05) / (inner + 0.05)))
        at = np.arange(GRID - 1, difference.shape[1] - 1, GRID)
        beside = np.maximum(difference[:, at - 1], difference[:, at + 1])
        steps.append(float(np.maximum(0, difference[:, at] - beside).mean()))
    cut = luma[: luma.shape[0] // GRID * GRID, : luma.shape[1] // GRID * GRID]
    tiles = cut.reshape(cut.shape[0] // GRID, GRID, -1, GRID)
    spread = tiles.max(axis=(1, 3)) - tiles.min(axis=(1, 3))
    return {
        "block_ratio": float(np.mean(ratios)),
        "block_ratio_coarse": float(np.mean(coarse)),
        "block_step": float(np.mean(steps)),
        "block_flat": float((spread < 3).mean()),
    }


def _grain(luma: Plane, shown: Plane | None = None) -> tuple[float, float]:
    """Standard deviation of noise in grey levels, in the calmest fifth of the blocks and in the median one.

    Immerkær 1996: the difference of two Laplacians is blind to edges. Blocks near black or white hide their noise.
    """
    rows = luma[:-2] - 2 * luma[1:-1] + luma[2:]
    mask = np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])
    tiles = _means(mask)
    light = _means((luma if shown is None else shown)[1:-1, 1:-1])
    usable = tiles[(light > 6) & (light < 249)]
    if usable.size < 8:
        usable = tiles.ravel()
    calm, median = np.percentile(usable, (20, 50)) * (math.sqrt(math.pi / 2) / 6)
    return float(calm), float(median)


def _means(plane: Plane) -> npt.NDArray[np.float64]:
    cut = plane[: plane.shape[0] // BLOCK * BLOCK, : plane.shape[1] // BLOCK * BLOCK]
    tiled = cut.reshape(cut.shape[0] // BLOCK, BLOCK, cut.shape[1] // BLOCK, BLOCK)
    return tiled.mean(axis=(1, 3), dtype=np.float64)


def light(pictures: Sequence[Bytes]) -> dict[str, float]:
    """Exposure, contrast, colour and bars of small pictures, each of shape (h, w, 3), red, green and blue."""
    rows = []
    for picture in pictures:
        red, green, blue = (picture[..., channel].astype(np.float32) for channel in range(3))
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        dark, median, bright = np.percentile(luma, (5, 50, 95))
        one, other = red - green, (red + green) / 2 - blue
        # Hasler and Süsstrunk 2003
        colour = math.hypot(one.std(), other.std()) + 0.3 * math.hypot(one.mean(), other.mean())
        shares = (float((luma < 8).mean()), float((luma > 250).mean()))
        rows.append((luma.mean(), dark, median, bright, luma.std(), bright - dark, colour, *shares))
    names = ("luma_mean", "luma_p5", "luma_p50", "luma_p95", "luma_spread", "contrast", "colourfulness",
             "crushed_share", "blown_share")  # fmt: skip
    values = np.median(np.array(rows, dtype=np.float64), axis=0)
    found = {name: float(value) for name, value in zip(names, values, strict=True)}
    found["letterbox"] = _bars(np.max([picture.max(axis=2) for picture in pictures], axis=0))
    return found


def _bars(brightest: Bytes) -> float:
    """The part of the picture taken by bars that are dark in all pictures, at two opposite sides; 0 to 1."""
    most = 0.0
    for plane in (brightest, brightest.T):
        lit = np.flatnonzero(np.percentile(plane, 95, axis=1) > BAR_LUMA)
        if lit.size:
            most = max(most, 2 * min(int(lit[0]), plane.shape[0] - 1 - int(lit[-1])) / plane.shape[0])
    return most


def motion(runs: Sequence[tuple[npt.NDArray[np.float64], Bytes]]) -> dict[str, float]:
    """Shake, cuts, flashes, frozen and black time from runs of neighbouring small pictures.

    Each run: times in seconds, shape (n,), and luma, shape (n, h, w).
    """
    seconds = frozen = black = shaken = 0.0
    cuts = flashes = 0
    jumps: list[float] = []
    for times, luma in runs:
        if len(times) < 3:
            continue
        gaps = np.clip(np.diff(times), 1e-3, 2.0)
        seconds += float(gaps.sum())
        small = luma.astype(np.float32)
        change = np.abs(np.diff(small, axis=0))
        peaks = np.array([_tiles(one).max() for one in change], dtype=np.float64)
        still = peaks < STILL_STEP
        frozen += _frozen(peaks, gaps)
        black += float(gaps[np.percentile(small[1:], 98, axis=(1, 2)) < BLACK_LUMA].sum())
        step = change.mean(axis=(1, 2))
        cut = (step > CUT_STEP) & (step > 3 * np.median(step))
        cuts += int(cut.sum())
        flashes += _flashes(small.mean(axis=(1, 2)))
        for part in _stretches(len(small)):
            moved, sure = _shifts(small[part])
            steps = slice(part.start, part.stop - 1)
            jumps += _jerks(moved, sure & ~cut[steps], ~still[steps], gaps[steps])
    if jumps:
        shaken = float(np.sqrt(np.mean(np.minimum(np.array(jumps), 0.08) ** 2)))
    whole = max(seconds, 1e-3)
    return {
        "shake": 100 * shaken,
        "shake_typical": 100 * float(np.median(jumps)) if jumps else 0.0,
        "frozen_share": frozen / whole,
        "black_share": black / whole,
        "cuts_per_second": cuts / whole,
        "flashes_per_second": flashes / whole,
    }


def _stretches(count: int) -> list[slice]:
    """Parts of a run in which the movement is followed: all of a short one, of a long one some, spread over it."""
    if count <= STRETCH * STRETCHES:
        return [slice(0, count)]
    return [slice(int(start), int(start) + STRETCH) for start in np.linspace(0, count - STRETCH, STRETCHES)]


def _tiles(change: Plane) -> Plane:
    cut = change[: change.shape[0] // 8 * 8, : change.shape[1] // 8 * 8]
    return cut.reshape(cut.shape[0] // 8, 8, -1, 8).mean(axis=(1, 3))


def _frozen(peaks: npt.NDArray[np.float64], gaps: npt.NDArray[np.float64]) -> float:
    """Seconds in stretches without any change that are long enough to be seen as such; `peaks`: the most that a part of
    the picture changes from one to the next. A picture that freezes stops at once and jumps when it goes on: a scene
    that comes to rest by itself counts the less, the less there was movement around its rest."""
    still = peaks < STILL_STEP
    usual = float(np.median(peaks[~still])) if not still.all() else 1.0
    total, start = 0.0, None
    for place, now in enumerate([*still, False]):
        if now:
            start = place if start is None else start
        elif start is not None:
            length = float(gaps[start:place].sum())
            around = [float(peaks[end]) for end in (start - 1, place) if 0 <= end < len(peaks)]
            sudden = min(1.0, 2 * float(np.mean(around)) / usual) if around else 1.0
            total += length * sudden if length >= FROZEN_SECONDS else 0.0
            start = None
    return total


def _flashes(mean: npt.NDArray[np.float32]) -> int:
    """Pairs of opposite jumps of the whole picture's light, within a few pictures."""
    jumps = np.flatnonzero(np.abs(np.diff(mean)) > FLASH_STEP)
    signs = np.sign(np.diff(mean)[jumps])
    return int(sum(1 for a in range(len(jumps) - 1) if signs[a] != signs[a + 1] and jumps[a + 1] - jumps[a] <= 8))


def _shifts(small: Plane) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """By how much the whole picture moved from one to the next (phase correlation), shape (n - 1, 2) in parts of its
    width, and whether that is sure."""
    height, width = small.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = np.fft.rfft2((small - small.mean(axis=(1, 2), keepdims=True)) * window)
    cross = spectra[1:] * np.conj(spectra[:-1])
    cross /= np.abs(cross) + 30.0 * height
    peaks = np.fft.irfft2(cross, s=(height, width))
    moved, sure = np.zeros((len(peaks), 2)), np.zeros(len(peaks), dtype=bool)
    for index, surface in enumerate(peaks):
        row, column = divmod(int(surface.argmax()), width)
        sure[index] = surface[row, column] > 0.06
        down = _vertex(surface[:, column], row)
        across = _vertex(surface[row], column)
        moved[index] = (down / width, across / width)
    return moved, sure


def _vertex(line: npt.NDArray[np.floating], at: int) -> float:
    """Where the peak is between samples, as a signed shift: the centre of mass of its three highest samples."""
    size = len(line)
    before, here, after = (max(0.0, float(line[(at + step) % size])) for step in (-1, 0, 1))
    place = at + (after - before) / (before + here + after + 1e-12)
    return place - size if place > size / 2 else place


def _jerks(
    moved: npt.NDArray[np.float64],
    sure: npt.NDArray[np.bool_],
    changed: npt.NDArray[np.bool_],
    gaps: npt.NDArray[np.float64],
) -> list[float]:
    """Changes of the movement itself in widths per 1/25 s: a pan has none, a hand that shakes has many. Pictures shown
    twice are left out."""
    moves = moved[changed] * (0.04 / np.maximum(gaps[changed], 1 / 60))[:, None]
    known = sure[changed]
    both = known[1:] & known[:-1]
    return [
        float(np.hypot(*jerk)) if usable else 0.0 for jerk, usable in zip(np.diff(moves, axis=0), both, strict=True)
    ]


def typical(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median over pictures of each measurement; NaN where none is known."""
    if not rows:
        return {}
    table = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    return {
        name: float(np.median(known)) if (known := column[~np.isnan(column)]).size else math.nan
        for name, column in table.items()
    }
