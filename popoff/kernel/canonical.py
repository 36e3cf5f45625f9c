"""Canonical JSON: one value, one sequence of bytes, so that a hash over it means something.

As RFC 8785 (JCS), restricted to values about which no two programs disagree: objects with ASCII names, arrays,
strings, booleans, null, and whole numbers up to 2^53 - 1. Fractions are refused: money is whole cents, time is text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

JSON = None | bool | int | str | Sequence["JSON"] | Mapping[str, "JSON"]

MAX_INTEGER = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""


class NotCanonical(ValueError):
    """This value has no canonical form; the message says which part of it."""


def encode(value: JSON) -> bytes:
    """The canonical bytes: members sorted by name, no spaces, UTF-8. Raises NotCanonical."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _plain(value: object) -> object:
    """`value` in the types that orjson writes without asking us."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise NotCanonical(f"{value} is too large for JSON")
        return int(value)
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise NotCanonical(f"{value!r} is not Unicode text")
        return str(value)
    if isinstance(value, Mapping):
        return {_name(name): _plain(member) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(member) for member in value]
    raise NotCanonical(f"{type(value).__name__} has no canonical form: {value!r}")


def _name(name: object) -> str:
    """Names are ASCII, so that sorting by UTF-8 bytes, by code points and by UTF-16 units is one and the same."""
    if not isinstance(name, str) or not name.isascii():
        raise NotCanonical(f"{name!r} cannot name a member")
    return str(name)
