from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from popoff.media.failures import MediaFailure
from workers.ffmpeg import Rendition
from workers.hls import MadeRendition, master_playlist, measure, peak_bandwidth

RENDITION = Rendition("360", 640, 360, Fraction(30), 800_000)


def made(name: str, width: int, height: int, peak: int, codecs: str = "avc1.64001e,mp4a.40.2") -> MadeRendition:
    rate, length = Fraction(30000, 1001), Fraction(4)
    return MadeRendition(name, Path(name), width, height, rate, length, 2, peak, peak // 2, codecs, 1000)


def test_the_master_playlist_lists_the_largest_first() -> None:
    text = master_playlist([made("360", 640, 360, 800_000), made("720", 1280, 720, 2_000_000, "avc1.64001f")])
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-STREAM-INF:BANDWIDTH=2000000,AVERAGE-BANDWIDTH=1000000,RESOLUTION=1280x720,FRAME-RATE=29.970"
        ',CODECS="avc1.64001f"',
        "720/playlist.m3u8",
        "#EXT-X-STREAM-INF:BANDWIDTH=800000,AVERAGE-BANDWIDTH=400000,RESOLUTION=640x360,FRAME-RATE=29.970"
        ',CODECS="avc1.64001e,mp4a.40.2"',
        "360/playlist.m3u8",
    ]


def test_a_short_last_segment_does_not_make_the_peak() -> None:
    two = Fraction(2)
    assert peak_bandwidth([two, two, Fraction(1, 30)], [1000, 2000, 900]) == round(2900 * 8 / (2 + 1 / 30))
    assert peak_bandwidth([two, two], [1000, 2000]) == 8000
    assert peak_bandwidth([Fraction(1, 30)], [500]) == 120_000


def folder(tmp_path: Path, playlist: str) -> Path:
    (tmp_path / "playlist.m3u8").write_text(playlist)
    (tmp_path / "init.mp4").write_bytes(b"....avcC\x01\x64\x00\x1e....")
    (tmp_path / "seg_00000.m4s").write_bytes(b"x" * 1000)
    return tmp_path


def test_facts_are_read_from_the_files(tmp_path: Path) -> None:
    found = measure(folder(tmp_path, "#EXTM3U\n#EXTINF:2.000000,\nseg_00000.m4s\n"), RENDITION, has_audio=True)
    assert (found.duration_ms, found.segments, found.codecs) == (2000, 1, "avc1.64001e,mp4a.40.2")
    assert (found.peak_bandwidth, found.average_bandwidth) == (4000, 4000)
    assert [path.name for path in found.files] == ["init.mp4", "seg_00000.m4s", "playlist.m3u8"]
    assert found.size == sum(path.stat().st_size for path in found.files)


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n", "#EXTM3U\n#EXTINF:2.0,\nseg_00001.m4s\n", "#EXTM3U\n#EXTINF:2.0,\n#EXTINF:2.0,\nseg_00000.m4s\n"],
)
def test_a_rendition_that_is_not_whole_is_a_failure(tmp_path: Path, playlist: str) -> None:
    with pytest.raises(MediaFailure, match="encode_failed"):
        measure(folder(tmp_path, playlist), RENDITION, has_audio=True)


def test_an_init_file_without_a_decoder_configuration_is_a_failure(tmp_path: Path) -> None:
    made_folder = folder(tmp_path, "#EXTM3U\n#EXTINF:2.000000,\nseg_00000.m4s\n")
    (made_folder / "init.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaFailure, match="encode_failed"):
        measure(made_folder, RENDITION, has_audio=True)
