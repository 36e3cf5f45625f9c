"""What a file is: pure parts, then the whole corpus of awkward and hostile files."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from popoff.media.failures import FailureCode, MediaFailure
from tests.support import clips
from workers.probe import Probe, probe, shown_size, sniff, usual_rate


def code_of(path: Path) -> FailureCode:
    with pytest.raises(MediaFailure) as caught:
        probe(path)
    return caught.value.code


# --- signatures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "demuxer"),
    [
        (b"\x00\x00\x00\x20ftypisom", "mov"),
        (b"\x00\x00\x00\x08wide\x00\x00", "mov"),
        (b"\x1a\x45\xdf\xa3\x01", "matroska"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "avi"),
        (b"FLV\x01\x05", "flv"),
        (b"OggS\x00", "ogg"),
        (b"\x00\x00\x01\xba\x44", "mpeg"),
        ((b"\x47" + bytes(187)) * 3, "mpegts"),
        (bytes(4) + (b"\x47" + bytes(191)) * 3, "mpegts"),
    ],
)
def test_containers_are_known_by_their_signature(head: bytes, demuxer: str) -> None:
    assert sniff(head) == demuxer


@pytest.mark.parametrize(
    "head", [b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf1\x50", b"fLaC", b"RIFF\x00\x00\x00\x00WAVEfmt ", b"#!AMR\n"]
)
def test_files_that_hold_only_sound_are_said_to(head: bytes) -> None:
    with pytest.raises(MediaFailure, match="no_video"):
        sniff(head)


@pytest.mark.parametrize(
    "head",
    [
        b"#EXTM3U\n",
        b"ffconcat version 1.0\n",
        b";FFMETADATA1\n",
        b"v=0\no=-",
        b"<?xml version='1.0'?><MPD/>",
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        "text in UTF-16".encode("utf-16"),
        b"G" * 20,
        b"%PDF-1.7",
    ],
)
def test_everything_else_is_no_media(head: bytes) -> None:
    with pytest.raises(MediaFailure, match="not_media"):
        sniff(head)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_stumble(head: bytes) -> None:
    try:
        assert sniff(head) in {"mov", "matroska", "avi", "flv", "ogg", "mpeg", "mpegts", "asf"}
    except MediaFailure as failure:
        assert failure.code in ("empty_file", "no_video", "not_media")


# --- arithmetic -----------------------------------------------------------------------------------------------------


def test_the_shown_size_follows_rotation_and_the_shape_of_pixels() -> None:
    assert shown_size(1920, 1080, Fraction(1), 90) == (1080, 1920)
    assert shown_size(1920, 1080, Fraction(1), 270) == (1080, 1920)
    assert shown_size(1920, 1080, Fraction(1), 180) == (1920, 1080)
    assert shown_size(720, 576, Fraction(64, 45), 0) == (1024, 576)
    assert shown_size(720, 576, Fraction(1, 5000), 0) == (720, 576)


def test_rounded_timestamps_give_the_rate_people_mean() -> None:
    assert usual_rate(Fraction(29971, 1000)) == Fraction(30000, 1001)
    assert usual_rate(Fraction(29995, 1000)) == Fraction(30)
    assert usual_rate(Fraction(179, 6)) == Fraction(179, 6)
    assert usual_rate(Fraction(25, 2)) == Fraction(25, 2)


# --- real files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", clips.REFUSED)
def test_what_cannot_be_played_fails_with_its_code(name: str) -> None:
    assert code_of(clips.clip(name)) == clips.REFUSED[name]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    assert code_of(tmp_path / "gone") == "lost_source"


def test_the_sound_of_a_phone_held_upright() -> None:
    found = probe(clips.clip("rotated.mp4"))
    assert (found.width, found.height, found.rotation) == (360, 640, 90)
    assert (found.frame_rate, found.frame_count, found.duration_ms) == (30, 60, 2000)
    assert found.audio is not None
    assert (found.audio.codec, found.audio.sample_rate) == ("aac", 48000)


def test_a_variable_rate_is_noticed_and_the_usual_one_found() -> None:
    found = probe(clips.clip("vfr.mp4"))
    assert found.variable_frame_rate
    assert found.frame_rate == 30
    assert not probe(clips.clip("odd_size.mp4")).variable_frame_rate


def test_the_range_of_light_is_known() -> None:
    found = probe(clips.clip("hdr10.mp4"))
    assert (found.transfer, found.bit_depth, found.matrix, found.video_codec) == ("pq", 10, "bt2020", "hevc")
    assert not probe(clips.clip("vfr.mp4")).hdr


def test_pixels_that_are_not_square() -> None:
    found = probe(clips.clip("anamorphic.mp4"))
    assert (found.width, found.height) == (1024, 576)


def test_one_frame_is_a_video() -> None:
    found = probe(clips.clip("one_frame.mp4"))
    assert (found.frame_count, found.has_audio) == (1, False)


def test_length_and_size_are_limited() -> None:
    with config.override(max_duration_seconds=1):
        assert code_of(clips.clip("vfr.mp4")) == "too_long"
    with config.override(max_source_pixels=640 * 360 - 1):
        assert code_of(clips.clip("vfr.mp4")) == "too_large"


def test_a_lost_end_that_nobody_would_notice_is_no_reason_to_refuse(tmp_path: Path) -> None:
    clips.ffmpeg(
        *clips.picture("320x180", "30", 3), "-c:v", "libx264", "-movflags", "+faststart", tmp_path / "whole.mp4"
    )
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "nearly.mp4").write_bytes(data[: -len(data) // 50])
    assert 2.8 < probe(tmp_path / "nearly.mp4").duration <= 3


def test_matroska_that_ends_before_its_promise_is_truncated(tmp_path: Path) -> None:
    clips.ffmpeg(*clips.picture("320x180", "30", 3), "-c:v", "libx264", tmp_path / "whole.mkv")
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "half.mkv").write_bytes(data[: len(data) // 2])
    assert probe(tmp_path / "whole.mkv").duration == 3
    assert code_of(tmp_path / "half.mkv") == "truncated"


def test_pictures_that_cannot_be_decoded(tmp_path: Path) -> None:
    """The index is whole, the data is noise."""
    clips.ffmpeg(*clips.picture("320x180", "30", 1), "-c:v", "libx264", "-movflags", "+faststart", tmp_path / "a.mp4")
    data = bytearray((tmp_path / "a.mp4").read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin:] = bytes(len(data) - begin)
    (tmp_path / "a.mp4").write_bytes(data)
    assert code_of(tmp_path / "a.mp4") == "truncated"


def test_more_tracks_than_a_video_has(tmp_path: Path) -> None:
    tracks = [option for _ in range(20) for option in ("-map", "0:v")]
    clips.ffmpeg(*clips.picture("64x64", "10", 0.5), *tracks, "-c:v", "mpeg4", tmp_path / "many.mp4")
    assert code_of(tmp_path / "many.mp4") == "too_many_streams"


def test_a_codec_outside_the_list_is_not_opened(tmp_path: Path) -> None:
    clips.ffmpeg(*clips.picture("64x64", "10", 0.5), "-c:v", "ffv1", tmp_path / "rare.mkv")
    assert code_of(tmp_path / "rare.mkv") == "unsupported_codec"


def test_a_transport_stream_with_a_break_in_its_clock_has_its_true_length(tmp_path: Path) -> None:
    for name, start in (("a", "0"), ("b", "5000")):
        shifted = ("-c:v", "libx264", "-output_ts_offset", start, "-f", "mpegts")
        clips.ffmpeg(*clips.picture("320x180", "30", 1), *shifted, tmp_path / name)
    joined = tmp_path / "joined.ts"
    joined.write_bytes((tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes())
    found = probe(joined)
    assert found.demuxer == "mpegts"
    assert abs(found.duration_ms - 2000) <= 40


def test_cover_art_beside_a_film_is_not_the_film(tmp_path: Path) -> None:
    target = tmp_path / "both.mp4"
    clips.ffmpeg(
        *clips.picture("320x320", "1", 1),
        *clips.picture("640x360", "30", 1),
        *("-map", "0:v", "-map", "1:v", "-c:v:0", "mjpeg", "-frames:v:0", "1", "-disposition:v:0", "attached_pic"),
        *("-c:v:1", "libx264", target),
    )
    found = probe(target)
    assert (found.width, found.height, found.frame_count) == (640, 360, 30)


@pytest.mark.parametrize(
    ("name", "width", "height", "rate", "sound"),
    [
        ("big-buck-bunny-480p-30s.mp4", 854, 480, Fraction(24), True),
        ("car-detection.mp4", 768, 432, Fraction(25, 2), True),
        ("bottle-detection.mp4", 640, 360, Fraction(179, 6), False),
        ("asl-bird.mkv", 640, 480, Fraction(30), False),
    ],
)
def test_real_clips_are_what_their_credits_say(name: str, width: int, height: int, rate: Fraction, sound: bool) -> None:
    found: Probe = probe(clips.shared_media() / name)
    assert (found.width, found.height, found.frame_rate, found.has_audio) == (width, height, rate, sound)
    assert not found.variable_frame_rate
