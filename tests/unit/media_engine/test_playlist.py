from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.media.failures import FailureCode, MediaFailure
from tests.support.clips import playlist_of
from workers import playlist
from workers.playlist import MAX_SEGMENTS, join, parse, safe_playlist

OWN = {"segment_000.ts", "segment_001.ts", "init.mp4", "inner.m3u8", "a b.ts"}
HONEST = playlist_of("segment_000.ts", "segment_001.ts")


def refusal(text: str, own: set[str] = OWN) -> FailureCode:
    with pytest.raises(MediaFailure) as caught:
        safe_playlist(text, own)
    return caught.value.code


def test_an_honest_playlist_is_written_anew() -> None:
    written = safe_playlist("#EXTM3U\r\n# a remark\r\n#EXT-X-FUTURE:1\r\n#EXTINF:2.5,title\r\nsegment_000.ts\r\n", OWN)
    assert written.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:3",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXTINF:2.500000,",
        "segment_000.ts",
        "#EXT-X-ENDLIST",
    ]


def test_what_is_written_reads_as_the_same() -> None:
    text = (
        '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:2,\n#EXT-X-BYTERANGE:100\nsegment_000.ts\n'
        "#EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:2,\n#EXT-X-BYTERANGE:50\nsegment_000.ts\n"
    )
    understood = parse(text, OWN)
    assert [(s.offset, s.length, s.discontinuity) for s in understood.segments] == [(0, 100, False), (100, 50, True)]
    assert parse(understood.text(), OWN) == understood


@pytest.mark.parametrize(
    "entry",
    [
        "file:///etc/passwd",
        "http://127.0.0.1/",
        "HTTPS://example.org/segment_000.ts",
        "/etc/passwd",
        "../segment_000.ts",
        "..",
        ".hidden",
        "folder/segment_000.ts",
        "folder\\segment_000.ts",
        "segment_000.ts?x=1",
        "segment_000.ts#x",
        "%2e%2e/segment_000.ts",
        "concat:segment_000.ts",
        "crypto+file:segment_000.ts",
        "data:video/mp2t;base64,AAAA",
        "subfile,,start,0,end,9,,:segment_000.ts",
        "segment_000.ts\x00",
        "segment_000.ts\u2028file:///etc/passwd",
        "inner.m3u8",
        "a b.ts",
        "x" * 200,
    ],
)
def test_entries_that_are_not_plain_names_of_segments_are_refused(entry: str) -> None:
    assert refusal(playlist_of("segment_000.ts", entry), OWN | {entry}) == "unsafe_playlist"


@pytest.mark.parametrize(
    "line",
    [
        '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"',
        '#EXT-X-KEY:METHOD=NONE,URI="http://127.0.0.1/"',
        '#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"',
        '#EXT-X-MAP:URI="/etc/passwd"',
        '#EXT-X-MAP:URI="http://127.0.0.1/init.mp4"',
        '#EXT-X-MAP:URI="init.mp4",BYTERANGE="9@0"',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="inner.m3u8"',
        "#EXT-X-STREAM-INF:BANDWIDTH=1",
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="inner.m3u8"',
        '#EXT-X-DEFINE:NAME="x",VALUE="y"',
        '#EXT-X-PART:DURATION=1,URI="x"',
        "#EXTINF:-1,",
        "#EXTINF:nan,",
        "#EXTINF:1e9,",
        "#EXTINF:,",
        "#EXT-X-BYTERANGE:0",
        "#EXT-X-BYTERANGE:x@y",
        "#EXT-X-BYTERANGE:-1@0",
        "#EXT-X-BYTERANGE:" + "9" * 30,
    ],
)
def test_tags_that_point_elsewhere_or_make_no_sense_are_refused(line: str) -> None:
    assert refusal(f"#EXTM3U\n#EXTINF:2,\n{line}\nsegment_000.ts\n") == "unsafe_playlist"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "segment_000.ts",
        "#EXTM3U",
        "\ufeff" + HONEST,
        "ffconcat version 1.0\nfile segment_000.ts",
        "#EXTM3U\nsegment_000.ts\n",
        playlist_of(*["segment_000.ts"] * (MAX_SEGMENTS + 1)),
        HONEST + "#" + "x" * playlist.MAX_BYTES,
    ],
)
def test_what_is_no_media_playlist_of_sensible_size_is_refused(text: str) -> None:
    assert refusal(text) == "unsafe_playlist"


def test_two_init_files_cannot_be_joined() -> None:
    text = '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXT-X-MAP:URI="segment_001.ts"\n#EXTINF:2,\nsegment_000.ts\n'
    assert refusal(text) == "unsafe_playlist"


def test_a_plain_name_that_was_not_uploaded_is_a_missing_segment() -> None:
    assert refusal(playlist_of("segment_000.ts", "segment_007.ts")) == "missing_segment"


@given(st.text(max_size=400))
def test_no_text_gets_through_that_names_anything_else(text: str) -> None:
    for candidate in (text, "#EXTM3U\n" + text, playlist_of("segment_000.ts") + "#EXTINF:1,\n" + text):
        try:
            written = safe_playlist(candidate, OWN)
        except MediaFailure as failure:
            assert failure.code in ("unsafe_playlist", "missing_segment")
            continue
        entries = [line for line in written.splitlines() if not line.startswith("#")]
        assert set(entries) <= OWN


# --- joining --------------------------------------------------------------------------------------------------------


def package(folder: Path, text: str, **files: bytes) -> tuple[Path, dict[str, Path]]:
    """A playlist, and local files under names of ours for the phone's names (`a` for `a.ts`)."""
    (folder / "list").write_bytes(text.encode())
    for name, content in files.items():
        (folder / f"local_{name}").write_bytes(content)
    return folder / "list", {f"{name}.ts": folder / f"local_{name}" for name in files}


def join_failure(source: tuple[Path, dict[str, Path]], target: Path, max_bytes: int = 1000) -> FailureCode:
    with pytest.raises(MediaFailure) as caught:
        join(*source, target, max_bytes=max_bytes)
    return caught.value.code


def test_segments_are_joined_in_the_order_of_the_playlist(tmp_path: Path) -> None:
    text = playlist_of("b.ts", "a.ts") + "#EXTINF:1,\n#EXT-X-BYTERANGE:2@1\na.ts\n"
    join(*package(tmp_path, text, a=b"first", b=b"second"), tmp_path / "joined", max_bytes=100)
    assert (tmp_path / "joined").read_bytes() == b"secondfirstir"


def test_empty_absent_and_linked_segments_are_missing(tmp_path: Path) -> None:
    source = package(tmp_path, playlist_of("a.ts", "b.ts"), a=b"first", b=b"")
    assert join_failure(source, tmp_path / "1") == "missing_segment"
    (tmp_path / "local_b").unlink()
    assert join_failure(source, tmp_path / "2") == "missing_segment"
    (tmp_path / "local_b").symlink_to("/etc/passwd")
    assert join_failure(source, tmp_path / "3") == "missing_segment"


def test_ranges_past_the_end_and_repetition_without_end_are_refused(tmp_path: Path) -> None:
    past = package(tmp_path, "#EXTM3U\n#EXTINF:1,\n#EXT-X-BYTERANGE:9@1\na.ts\n", a=b"first")
    assert join_failure(past, tmp_path / "1") == "truncated"
    many = package(tmp_path, playlist_of(*["a.ts"] * 50), a=b"first")
    assert join_failure(many, tmp_path / "2", max_bytes=200) == "resource_limit"


def test_a_playlist_that_is_gone_or_is_not_text(tmp_path: Path) -> None:
    assert join_failure((tmp_path / "gone", {}), tmp_path / "1") == "lost_source"
    (tmp_path / "list").write_bytes(b"#EXTM3U\n\xff\xfe")
    assert join_failure((tmp_path / "list", {}), tmp_path / "2") == "unsafe_playlist"
