"""What is measured follows what was done to pictures and sounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models_ml.quality import degrade, material, picture, sound
from models_ml.quality.sound import RATE


@pytest.fixture(scope="module")
def scene() -> picture.Plane:
    return material.paint(3, 320, 240)[..., 1].astype(np.float32)


def box(plane: picture.Plane, times: int) -> picture.Plane:
    for _ in range(times):
        padded = np.pad(plane, 1, mode="edge")
        plane = sum(padded[a : a + plane.shape[0], b : b + plane.shape[1]] for a in range(3) for b in range(3)) / 9
    return plane.astype(np.float32)


def test_blur_is_seen_at_every_strength(scene: picture.Plane) -> None:
    rows = [picture.detail(box(scene, times), None) for times in (0, 1, 3, 8)]
    for name, sign in (("edge_fine", -1), ("blur_effect", 1)):
        values = [sign * row[name] for row in rows]
        assert values == sorted(values), name


@pytest.mark.parametrize("sigma", [2.0, 6.0, 15.0])
def test_noise_is_measured_in_grey_levels(sigma: float) -> None:
    rng = np.random.default_rng(1)
    flat = np.tile(np.linspace(90, 150, 320, dtype=np.float32), (240, 1))
    one, other = (flat + rng.normal(0, sigma, flat.shape).astype(np.float32) for _ in range(2))
    found = picture.detail(one, other)
    assert found["noise_everywhere"] == pytest.approx(sigma, rel=0.1)
    assert found["noise_moving"] == pytest.approx(sigma, rel=0.15)


def test_blocks_of_a_codec_are_seen(scene: picture.Plane) -> None:
    tiles = scene.reshape(30, 8, 40, 8).mean(axis=(1, 3))
    blocky = np.kron(tiles, np.ones((8, 8), dtype=np.float32))
    clean, spoilt = picture.detail(scene, None), picture.detail(blocky, None)
    assert spoilt["block_ratio"] > clean["block_ratio"] + 2
    assert spoilt["block_flat"] == 1


def run_of(places: list[tuple[int, int]], rate: float = 25.0) -> tuple[np.ndarray, np.ndarray]:
    whole = material.paint(5, 240, 200)[..., 1]
    luma = np.stack([whole[60 + y : 132 + y, 50 + x : 178 + x] for y, x in places])
    return np.arange(len(places)) / rate, luma


def test_a_shaking_camera_is_told_from_a_pan_and_from_a_still_one() -> None:
    rng = np.random.default_rng(2)
    still = picture.motion([run_of([(0, 0)] * 20)])
    pan = picture.motion([run_of([(0, 2 * step - 20) for step in range(20)])])
    shaken = picture.motion([run_of([tuple(rng.integers(-4, 5, 2)) for _ in range(20)])])
    assert still["shake"] == 0
    assert pan["shake"] < 0.5
    assert shaken["shake"] > 2


def test_frozen_and_black_time_are_shares_of_the_whole() -> None:
    times, luma = run_of([(0, 2 * step - 20) for step in range(20)] + [(0, 18)] * 20)
    assert picture.motion([(times, luma)])["frozen_share"] == pytest.approx(20 / 39, abs=0.03)
    luma[:10] = 4
    assert picture.motion([(times, luma)])["black_share"] == pytest.approx(9 / 39, abs=0.03)


def test_a_repeated_picture_now_and_then_is_not_a_freeze() -> None:
    assert picture.motion([run_of([(0, 2 * (step // 2) - 20) for step in range(40)])])["frozen_share"] == 0


def test_flashes_and_bars() -> None:
    times = np.arange(25) / 25
    luma = np.where(np.arange(25)[:, None, None] % 4 < 2, 20, 200).astype(np.uint8) * np.ones((1, 72, 128), np.uint8)
    assert picture.motion([(times, luma)])["flashes_per_second"] > 3
    barred = material.paint(5, 128, 72)
    barred[:9] = barred[-9:] = 0
    assert picture.light([barred])["letterbox"] == pytest.approx(18 / 72, abs=0.03)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_loudness_is_that_of_the_standard(level: float) -> None:
    """EBU Tech 3341, cases 1 and 2: a tone of 1 kHz in both channels is as loud as its level says."""
    at = np.arange(20 * RATE) / RATE
    tone = (10 ** (level / 20) * np.sin(2 * np.pi * 1000 * at)).astype(np.float32)
    assert sound.loudness(np.stack([tone, tone]))[0] == pytest.approx(level, abs=0.1)


def test_loudness_is_gated() -> None:
    """EBU Tech 3341, case 3: what is far quieter than the rest does not count."""
    at = np.arange(60 * RATE) / RATE
    level = np.where((at >= 10) & (at < 50), -23.0, -36.0)
    tone = (10 ** (level / 20) * np.sin(2 * np.pi * 1000 * at)).astype(np.float32)
    assert sound.loudness(np.stack([tone, tone]))[0] == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("clipping", "flat_top"), ("hum", "hum_db"), ("silence", "silent_share")],
)
def test_faults_of_sound_are_measured(kind: str, name: str) -> None:
    clean = material.tone(11, 4.0)
    values = [sound.sound(clean)[name]]
    for strength in (0.3, 0.6, 0.9):
        spoilt = degrade.spoil_sound(clean, {kind: strength}, np.random.default_rng(0))
        values.append(sound.sound(spoilt)[name])
    assert values == sorted(values)
    assert values[-1] > values[0]


def test_speech_is_told_from_music_and_silence_is_no_number() -> None:
    assert sound.sound(material.tone(2, 4.0))["speech"] > sound.sound(material.tone(3, 4.0))["speech"] + 0.2
    silent = sound.sound(np.zeros((1, 4 * RATE), np.float32))
    assert silent["silent_share"] == 1
    assert math.isnan(silent["loudness_lufs"])
    assert math.isnan(silent["hum_db"])
