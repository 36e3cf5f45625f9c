from __future__ import annotations

import pytest

from workers.loudness import Loudness, loudness_filter, parse_summary

SUMMARY = """
[Parsed_ebur128_2 @ 0x55] Summary:

  Integrated loudness:
    I:         -21.4 LUFS
    Threshold: -34.7 LUFS

  Loudness range:
    LRA:        18.2 LU
    Threshold: -44.3 LUFS
    LRA low:   -38.4 LUFS

  True peak:
    Peak:       -1.3 dBFS
"""


def test_the_summary_is_read() -> None:
    assert parse_summary(SUMMARY) == Loudness(-21.4, -34.7, 18.2, -1.3)


def test_silence_is_read_and_left_alone() -> None:
    silent = SUMMARY.replace("-21.4", "-70.0").replace("-1.3", "-inf")
    measured = parse_summary(silent)
    assert measured is not None
    assert loudness_filter(measured) is None


@pytest.mark.parametrize("text", ["", "nothing", "Summary:\n  I: -20 LUFS\n"])
def test_without_a_summary_nothing_is_known(text: str) -> None:
    assert parse_summary(text) is None


def test_where_the_peaks_leave_room_a_gain_is_enough() -> None:
    assert loudness_filter(Loudness(-20.0, -30.0, 5.0, -10.0)) == "volume=6.00dB"
    assert loudness_filter(Loudness(-8.0, -18.0, 5.0, 0.5)) == "volume=-6.00dB"


def test_where_they_do_not_the_limiter_works() -> None:
    adjust = loudness_filter(Loudness(-20.0, -30.0, 5.0, -3.0))
    assert adjust is not None
    assert adjust.startswith("loudnorm=I=-14.00:TP=-1.0:")
    assert "measured_I=-20.0" in adjust


def test_a_whisper_is_not_lifted_without_end() -> None:
    assert loudness_filter(Loudness(-50.0, -60.0, 5.0, -40.0)) == "volume=24.00dB"
