from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.adapters.storage import MIN_PART_BYTES
from popoff.adapters.storage.keys import check as check_key
from popoff.kernel.errors import Invalid
from popoff.media import rules
from popoff.media.rules import PLAYLIST_TYPE, FileRole

PACKAGE = ["playlist.m3u8", "segment_000.ts", "segment_001.ts"]


def refusal(function: object, *arguments: object) -> str:
    with pytest.raises(Invalid) as caught:
        function(*arguments)  # type: ignore[operator]
    return caught.value.error_code


@given(st.text(max_size=300))
def test_a_file_name_is_a_label_and_never_part_of_a_key(name: str) -> None:
    source, thumbnail = rules.plan_single(name, "video/mp4")
    assert (source.name, thumbnail.name) == ("source", "thumbnail")
    assert source.label
    assert len(source.label) <= 200
    assert not set("/\\\0\n") & set(source.label)


@given(st.permutations(PACKAGE))
def test_a_package_gets_keys_of_our_making_in_any_order(names: list[str]) -> None:
    planned = rules.plan_package(names, PLAYLIST_TYPE)
    assert {file.label for file in planned} == {*PACKAGE, "thumbnail.jpg"}
    for file in planned:
        check_key(rules.prefix(1, "u") + file.name)
    assert sorted(file.name for file in planned if file.role is FileRole.SEGMENT) == [
        "package/00000.ts",
        "package/00001.ts",
    ]
    assert next(file for file in planned if file.role is FileRole.PLAYLIST).name == "package/playlist.m3u8"


@pytest.mark.parametrize(
    "names",
    [
        ["../../../other/x.m3u8", "segment_000.ts"],
        ["playlist.m3u8", "../../../other/x.ts"],
        ["playlist.m3u8", "..ts"],
        ["playlist.m3u8", "a/../b.ts"],
        ["playlist.m3u8", "folder/segment.ts"],
        ["playlist.m3u8", "\\\\host\\segment.ts"],
        ["playlist.m3u8", "segment.ts\n"],
        ["playlist.m3u8", "segment\0.ts"],
        ["playlist.m3u8", ".ts"],
        ["playlist.m3u8", "ségment.ts"],
        ["playlist.m3u8", "page.html"],
        ["playlist.m3u8", "segment.ts", "page.html"],
        ["playlist.m3u8", "segment.TS"],
        ["playlist.m3u8"],
        ["segment_000.ts"],
        ["a.m3u8", "b.m3u8", "segment_000.ts"],
        ["playlist.m3u8", "segment_000.ts", "segment_000.ts"],
        ["playlist.m3u8", "x" * 126 + ".ts"],
        ["playlist.m3u8", *(f"{number}.ts" for number in range(rules.MAX_PACKAGE_FILES))],
        [],
    ],
)
def test_a_package_of_other_files_is_refused(names: list[str]) -> None:
    assert refusal(rules.plan_package, names, PLAYLIST_TYPE) == "invalid_package"


@pytest.mark.parametrize("kind", ["", "text/html", "video/mp2t", "application/x-mpegurl"])
def test_a_package_of_another_type_is_refused(kind: str) -> None:
    assert refusal(rules.plan_package, PACKAGE, kind) == "unsupported_type"


@pytest.mark.parametrize("kind", ["", "text/html", "image/png", "video", "video/", "video/mp4; x=y", "video/m p4"])
def test_only_types_of_videos_are_signed(kind: str) -> None:
    assert refusal(rules.check_video_type, kind) == "unsupported_type"


@pytest.mark.parametrize("kind", ["video/mp4", "video/quicktime", "VIDEO/x-matroska", "video/3gpp"])
def test_types_of_videos_are_signed_as_they_are(kind: str) -> None:
    assert rules.check_video_type(kind) == kind


@pytest.mark.parametrize("size", [0, -1, 101])
def test_a_file_of_no_bytes_or_too_many_is_refused(size: int) -> None:
    assert refusal(rules.check_size, size, 100) == "invalid_size"


@given(st.integers(1, 5 * 1024**4))
def test_parts_add_up_to_the_file(size: int) -> None:
    count = rules.part_count(size)
    last = rules.part_bytes(size, count)
    assert 0 < last <= rules.PART_BYTES
    assert (count - 1) * rules.PART_BYTES + last == size
    assert count == 1 or rules.part_bytes(size, count - 1) == rules.PART_BYTES >= MIN_PART_BYTES


@pytest.mark.parametrize(
    ("written", "tags"),
    [
        ("", []),
        (" , ,#,\n", []),
        ("Dance, #Fun,,fun", ["dance", "fun"]),
        ("##a,ＡＢＣ,straße\nSTRASSE", ["a", "abc", "strasse"]),
        ("two words,\u202eevil", ["two words", "evil"]),
    ],
)
def test_tags_are_split_folded_and_kept_once(written: str, tags: list[str]) -> None:
    assert rules.parse_tags(written) == tags


@pytest.mark.parametrize("written", ["x" * 51, ",".join(map(str, range(31)))])
def test_too_many_or_too_long_tags_are_refused(written: str) -> None:
    assert refusal(rules.parse_tags, written) == "invalid_tags"


def test_a_description_has_a_limit_in_characters_after_cleaning() -> None:
    assert rules.check_description(" " + "ä" * 2200 + "\0\n") == "ä" * 2200
    assert refusal(rules.check_description, "ä" * 2201) == "too_long"
