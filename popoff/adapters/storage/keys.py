"""The one grammar of keys. Keys are made by the server; a name that comes from a client is never part of one."""

from __future__ import annotations

import re

from popoff.adapters.storage.interface import InvalidKey

MAX_KEY = 512
MAX_SEGMENT = 200  # a segment is a name in the folder store, where names end at 255 bytes
_KEY = re.compile(rf"(?:[A-Za-z0-9_.-]{{1,{MAX_SEGMENT}}}/)*[A-Za-z0-9_.-]{{1,{MAX_SEGMENT}}}", re.ASCII)


def check(key: str) -> str:
    """`key` itself when it is valid, for example `users/42/5f1c/source.mp4`.

    Segments of `[a-zA-Z0-9_.-]`, 1 to 200 characters, none of them `.` or `..`, between single slashes,
    512 characters altogether. Raises InvalidKey.
    """
    if len(key) > MAX_KEY or not _KEY.fullmatch(key) or any(part in (".", "..") for part in key.split("/")):
        raise InvalidKey
    return key


def check_prefix(prefix: str, *, allow_empty: bool = False) -> str:
    """`prefix` itself when it is a valid key followed by a slash. Raises InvalidKey.

    The slash is asked for because `users/4` would mean `users/42/...` too.
    """
    if not (prefix == "" and allow_empty):
        if not prefix.endswith("/"):
            raise InvalidKey
        check(prefix[:-1])
    return prefix


def is_under(key: str, prefix: str) -> bool:
    """Whether `key` lies in the folder `prefix` (with or without its closing slash)."""
    return key.startswith(prefix.rstrip("/") + "/")


def sibling(key: str, reference: str) -> str:
    """The key that a relative `reference` inside the object `key` means (a segment named by a playlist).

    `sibling("users/42/a/v0.m3u8", "v0_001.m4s")` is `users/42/a/v0_001.m4s`. It always lies in the folder of `key`
    or below. Raises InvalidKey.
    """
    folder = key.rpartition("/")[0]
    return check(f"{folder}/{reference}" if folder else reference)
