from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from popoff.adapters.storage import InvalidKey, keys


@pytest.mark.parametrize("key", ["a", "users/42/5f1c/source.mp4", "A-b_c.D/...", "a" * 200, "/".join(["a" * 101] * 5)])
def test_valid_keys_come_back(key: str) -> None:
    assert keys.check(key) == key


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a b", "a~b", "ä", "a?b", "a%2e", "a\\b"),
        *("a\n", "\na", "a\x00", "٣", "a" * 201, "/".join(["a" * 102] * 5)),
    ],
)
def test_everything_else_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        keys.check(key)


@given(st.text(alphabet="ab./~\n é", max_size=12))
def test_a_valid_key_never_leads_elsewhere(key: str) -> None:
    try:
        keys.check(key)
    except InvalidKey:
        return
    assert posixpath.normpath("/root/" + key) == "/root/" + key


def test_prefixes_are_whole_folders() -> None:
    assert keys.check_prefix("users/42/") == "users/42/"
    assert keys.check_prefix("", allow_empty=True) == ""
    for prefix in ("", "/", "users/4", "users//", "../", "a/../"):
        with pytest.raises(InvalidKey):
            keys.check_prefix(prefix)


def test_is_under_ends_at_the_slash() -> None:
    assert keys.is_under("users/4/x", "users/4") and keys.is_under("users/4/x", "users/4/")
    assert not keys.is_under("users/42/x", "users/4")
    assert not keys.is_under("users/4", "users/4")


def test_a_sibling_stays_in_its_folder() -> None:
    assert keys.sibling("users/42/a/v0.m3u8", "v0_001.m4s") == "users/42/a/v0_001.m4s"
    assert keys.sibling("v0.m3u8", "v0_001.m4s") == "v0_001.m4s"
    for reference in ("../b/x.ts", "/users/43/x.ts", "http://127.0.0.1/x.ts", "file:x", "x.ts?y", ""):
        with pytest.raises(InvalidKey):
            keys.sibling("users/42/a/v0.m3u8", reference)
