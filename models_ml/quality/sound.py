"""What is measured of sound: samples in (-1 to 1 at 48 kHz), numbers out. No file is read here."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

RATE = 48_000
Samples = npt.NDArray[np.float32]

SILENT_DB = -70.0
STEP = RATE // 10
FIRST_SECONDS = 10
MAINS = (50.0, 60.0)
HARMONICS = 6

NAMES = (
    "loudness_lufs", "loudness_range_lu", "peak_db", "crest_db", "clipped_share", "clipped_windows", "flat_top",
    "wave_shape", "crest_loud_db", "silent_share", "noise_floor_db", "hum_db", "hum_prominence_db", "hum_steady_db",
    "speech", "dynamics_db",
)  # fmt: skip


def sound(samples: Samples) -> dict[str, float]:
    """All measurements of a sound of shape (channels, n) with at least 0.4 s; NaN for those that silence has not."""
    found = dict.fromkeys(NAMES, math.nan)
    found["loudness_lufs"], found["loudness_range_lu"] = loudness(samples)
    mono = samples.mean(axis=0)
    levels = _levels(mono)
    found["silent_share"] = _silent_share(levels)
    heard = levels[levels > SILENT_DB]
    if heard.size < 3:
        return found
    found["noise_floor_db"] = float(np.percentile(heard, 10))
    found["dynamics_db"] = float(np.percentile(heard, 95) - np.percentile(heard, 10))
    found.update(_clipping(samples))
    found.update(_hum(mono))
    found["speech"] = _speech(mono)
    return found


def loudness(samples: Samples) -> tuple[float, float]:
    """EBU R128: integrated loudness in LUFS (ITU-R BS.1770-4, gated twice) and its range in LU (EBU Tech 3342).

    NaN for what is silent. All channels count alike, as in mono and stereo.
    """
    padded = samples.shape[1] + RATE // 2
    size = 1 << (padded - 1).bit_length()
    weighted = np.fft.irfft(np.fft.rfft(samples, size) * _k_weighting(size), size)[:, : samples.shape[1]]
    power = np.concatenate([[0.0], np.cumsum((weighted**2).sum(axis=0))])
    integrated = _gated(_block_power(power, 0.4))
    short = _block_power(power, 3.0)
    short = short[_lufs(short) > -70.0]
    if math.isnan(integrated) or short.size < 2:
        return integrated, math.nan
    kept = _lufs(short[_lufs(short) > _lufs(np.array([short.mean()]))[0] - 20])
    return integrated, float(np.percentile(kept, 95) - np.percentile(kept, 10))


def _k_weighting(size: int) -> npt.NDArray[np.complex128]:
    """The answer of BS.1770's two filters (at 48 kHz) at the frequencies of a real transform of this size."""
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    highpass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return shelf * highpass


def _block_power(power: npt.NDArray[np.float64], seconds: float) -> npt.NDArray[np.float64]:
    """Mean power of blocks that overlap by three quarters (or start every 0.1 s), from its running sum."""
    length = min(round(seconds * RATE), len(power) - 1)
    starts = np.arange(0, len(power) - length, STEP)
    return (power[starts + length] - power[starts]) / length


def _lufs(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-15))


def _gated(power: npt.NDArray[np.float64]) -> float:
    loud = power[_lufs(power) > -70.0]
    if not loud.size:
        return math.nan
    loud = loud[_lufs(loud) > _lufs(np.array([loud.mean()]))[0] - 10]
    return float(_lufs(np.array([loud.mean()]))[0])


def _levels(mono: Samples) -> npt.NDArray[np.float64]:
    """RMS of each tenth of a second in dB of full scale."""
    whole = mono[: len(mono) // STEP * STEP].reshape(-1, STEP)
    return 10 * np.log10(np.maximum((whole.astype(np.float64) ** 2).mean(axis=1), 1e-12))


def _silent_share(levels: npt.NDArray[np.float64]) -> float:
    """The share of time in silences of at least 0.3 s."""
    total = stretch = 0
    for silent in [*(levels <= SILENT_DB), False]:
        if silent:
            stretch += 1
            continue
        total += stretch if stretch >= 3 else 0
        stretch = 0
    return total / max(1, len(levels))


def _clipping(samples: Samples) -> dict[str, float]:
    """How much of the sound sits flat at its own peak. A lossy codec ripples what was flat and throws single samples
    beyond it, so near counts as at, and the mean over the root mean square (0.9 for a tone, 1 for a square wave, less
    for speech) tells strengths apart: it grows with all that is cut off."""
    size = np.abs(samples)
    peak = float(np.percentile(size, 99.97)) + 1e-9
    root = math.sqrt(float((samples.astype(np.float64) ** 2).mean())) + 1e-12
    tenths = size.max(axis=0)[: size.shape[1] // STEP * STEP].reshape(-1, STEP).astype(np.float64)
    powers = np.sqrt((tenths**2).mean(axis=1)) + 1e-9
    loud = powers >= np.percentile(powers, 60)
    crests = np.percentile(tenths[loud], 98, axis=1) / powers[loud]
    return {
        "peak_db": 20 * math.log10(peak),
        "crest_db": 20 * math.log10(peak / root),
        "crest_loud_db": 20 * math.log10(float(np.median(crests)) + 1e-9),
        "wave_shape": float(np.median(tenths[loud].mean(axis=1) / powers[loud])),
        "flat_top": float((tenths > 0.7 * np.percentile(size, 99)).mean()),
        "clipped_share": float((size >= 0.97).mean()),
        "clipped_windows": float(((tenths >= 0.97).mean(axis=1)[: FIRST_SECONDS * 10] > 0.001).mean()),
    }


def _hum(mono: Samples) -> dict[str, float]:
    """Lines at the mains' frequency and its multiples that stay all the time: their level in dB of full scale, over
    the rest of the sound around them, and their level in the calmest quarter of the time."""
    length = min(RATE, len(mono))
    if length < RATE // 2:
        return {}
    starts = np.arange(0, len(mono) - length + 1, RATE // 4)
    window = np.hanning(length)
    scale = 2 / window.sum()
    low = 450 * length // RATE
    spectra = np.array([np.abs(np.fft.rfft(mono[s : s + length] * window)[: low + 1] * scale) ** 2 for s in starts])
    best = {"hum_db": -120.0, "hum_prominence_db": 0.0, "hum_steady_db": -120.0}
    calm, usual = np.percentile(spectra, 25, axis=0), np.median(spectra, axis=0)
    for mains in MAINS:
        bins = [round(mains * number * length / RATE) for number in range(1, HARMONICS + 1)]
        bins = [place for place in bins if place + 14 <= low]
        beside = [_beside(usual, place) for place in bins]
        lines = [float(usual[place - 1 : place + 2].max()) for place in bins]
        line = sum(max(0.0, here - near) for here, near in zip(lines, beside, strict=True))
        steady = sum(max(0.0, float(calm[place]) - _beside(calm, place)) for place in bins)
        clear = max(10 * math.log10((here + 1e-12) / (near + 1e-12)) for here, near in zip(lines, beside, strict=True))
        level = 10 * math.log10(line + 1e-12)
        if level > best["hum_db"]:
            best = {"hum_db": level, "hum_prominence_db": clear, "hum_steady_db": 10 * math.log10(steady + 1e-12)}
    return best


def _beside(spectrum: npt.NDArray[np.float64], place: int) -> float:
    around = np.concatenate([spectrum[max(0, place - 12) : place - 3], spectrum[place + 4 : place + 13]])
    return float(np.median(around))


def _speech(mono: Samples) -> float:
    """0 to 1: how far the loudness of the voice's band swings as syllables do, 3 to 8 times a second.

    The part of the envelope's modulation in that range, times the part of the power that is in the voice's band.
    """
    hop = RATE // 50
    frames = mono[: len(mono) // hop * hop].reshape(-1, hop)
    power = np.abs(np.fft.rfft(frames * np.hanning(hop), axis=1)) ** 2
    frequencies = np.fft.rfftfreq(hop, 1 / RATE)
    voice = power[:, (frequencies >= 250) & (frequencies <= 3500)].sum(axis=1)
    envelope = np.sqrt(voice)
    if len(envelope) < 50 or not envelope.any():
        return 0.0
    swing = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope)))) ** 2
    rates = np.fft.rfftfreq(len(envelope), 1 / 50)
    slow = swing[(rates >= 0.5) & (rates <= 20)].sum()
    syllables = swing[(rates >= 3) & (rates <= 8)].sum()
    depth = min(1.0, float(envelope.std() / (envelope.mean() + 1e-12)))
    return float(syllables / (slow + 1e-12) * depth * min(1.0, voice.sum() / (power.sum() + 1e-12)))
