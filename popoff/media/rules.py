"""Decisions about uploads, captions and links. Pure."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from popoff.kernel import words
from popoff.kernel.errors import Invalid


class Stage(enum.StrEnum):
    """Where a post is on its way to being played; a failed post carries a failure code."""

    RECEIVED = "received"
    PROBING = "probing"
    TRANSCODING = "transcoding"
    READY = "ready"
    FAILED = "failed"


UNFINISHED = (Stage.RECEIVED, Stage.PROBING, Stage.TRANSCODING)


class Visibility(enum.StrEnum):
    PUBLIC = "public"
    HIDDEN = "hidden"
    REMOVED = "removed"


class UploadKind(enum.StrEnum):
    """How the files of a post come to us; a LINK has none: its film is kept elsewhere."""

    SINGLE = "single"
    PACKAGE = "package"
    MULTIPART = "multipart"
    LINK = "link"


class PostKind(enum.StrEnum):
    """A film, or what goes (or went) out live."""

    VIDEO = "video"
    LIVE = "live"


class FileRole(enum.StrEnum):
    SOURCE = "source"
    PLAYLIST = "playlist"
    SEGMENT = "segment"
    THUMBNAIL = "thumbnail"


@dataclass(frozen=True)
class PlannedFile:
    """A file the client may PUT: its own name for it, the key we chose, and the type it must be sent with."""

    label: str
    name: str
    content_type: str
    role: FileRole


PLAYLIST_TYPE = "application/x-mpegURL"
SEGMENT_TYPE = "video/MP2T"
THUMBNAIL_TYPE = "image/jpeg"
MAX_PACKAGE_FILES = 1200
MAX_THUMBNAIL_BYTES = 8 * 1024**2
MAX_PLAYLIST_BYTES = 1024**2
PART_BYTES = 16 * 1024**2
MAX_OPEN_UPLOADS = 50
"""Uploads one person may have begun without posting them."""

DESCRIPTION_LENGTH = 2200
TITLE_LENGTH = 200
LINK_LENGTH = 2000
MAX_TAGS = 30
TAG_LENGTH = 50

_PACKAGE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LINK_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~\u00a1-\ud7ff\uf900-\ufdcf\ufdf0-\uffef]+")
"""Visible ones, without quotation marks, angle brackets and what else does not belong into an address."""
_VIDEO_TYPE = re.compile(r"video/[a-z0-9][a-z0-9.+-]{0,60}", re.IGNORECASE)
_THUMBNAIL = PlannedFile("thumbnail.jpg", "thumbnail", THUMBNAIL_TYPE, FileRole.THUMBNAIL)

HLS_FOLDER = "hls"
MASTER_PLAYLIST = "master.m3u8"
PICTURES_FOLDER = "pictures"
"""Links are given for these two folders only, and nothing in them was made by anybody but us."""


def folder_of(user_id: int) -> str:
    """Everything of a person in the store."""
    return f"users/{user_id}/"


def prefix(user_id: int, upload_id: str) -> str:
    """The folder of an upload in the store, with everything made from it."""
    return f"{folder_of(user_id)}{upload_id}/"


def check_video_type(content_type: str) -> str:
    """Raises Invalid (code `unsupported_type`). Only a first sieve: the probe decides what a file really is."""
    if not _VIDEO_TYPE.fullmatch(content_type):
        raise Invalid("Only videos can be uploaded here.", code="unsupported_type", field="fileType")
    return content_type


def plan_single(file_name: str, content_type: str) -> list[PlannedFile]:
    """One source of any name and a thumbnail."""
    label = _label(file_name)
    return [PlannedFile(label, "source", check_video_type(content_type), FileRole.SOURCE), _THUMBNAIL]


def plan_package(names: Sequence[str], playlist_type: str) -> list[PlannedFile]:
    """An HLS package as the phone makes it: one playlist, MPEG-TS segments, and a thumbnail.

    Raises Invalid (code `invalid_package`) for anything else: other suffixes, paths, doubles, too many.
    """
    if playlist_type != PLAYLIST_TYPE:
        raise Invalid(f"The type of a package is {PLAYLIST_TYPE}.", code="unsupported_type", field="type")
    playlists = [name for name in names if name.endswith(".m3u8")]
    segments = [name for name in names if name.endswith(".ts")]
    fits = (
        len(playlists) == 1
        and bool(segments)
        and len(playlists) + len(segments) == len(names) == len(set(names))
        and len(names) <= MAX_PACKAGE_FILES
        and all(_PACKAGE_NAME.fullmatch(name) and ".." not in name for name in names)
    )
    if not fits:
        raise Invalid(
            f"A package is one .m3u8 playlist and its .ts segments, at most {MAX_PACKAGE_FILES} files, by plain names.",
            code="invalid_package",
            field="files",
        )
    planned = [PlannedFile(playlists[0], "package/playlist.m3u8", PLAYLIST_TYPE, FileRole.PLAYLIST)]
    planned += [
        PlannedFile(name, f"package/{index:05}.ts", SEGMENT_TYPE, FileRole.SEGMENT)
        for index, name in enumerate(segments)
    ]
    return [*planned, _THUMBNAIL]


def check_size(size: int, limit: int) -> int:
    """A file of `size` bytes, of at most `limit`. Raises Invalid (code `invalid_size`)."""
    if not 0 < size <= limit:
        raise Invalid(f"Files have between 1 and {limit} bytes.", code="invalid_size", field="file_size")
    return size


def part_count(size: int) -> int:
    """How many parts of PART_BYTES a file of `size` bytes has."""
    return -(-size // PART_BYTES)


def part_bytes(size: int, number: int) -> int:
    """The exact length of part `number` (from 1) of a file of `size` bytes."""
    return min(PART_BYTES, size - (number - 1) * PART_BYTES)


def _label(name: str) -> str:
    """A client's file name as a harmless label: never part of a key."""
    plain = "".join(char for char in name if unicodedata.category(char)[0] != "C")
    return plain.replace("/", "_").replace("\\", "_").strip()[:200] or "video"


def check_description(text: str) -> str:
    """Raises Invalid (code `too_long`)."""
    return words.bounded(text, DESCRIPTION_LENGTH, "description")


def check_title(text: str) -> str:
    """Titles have one line. Raises Invalid (codes `empty_title`, `too_long`)."""
    cleaned = words.bounded(" ".join(words.clean(text).split()), TITLE_LENGTH, "title")
    if not cleaned:
        raise Invalid("Give it a title.", code="empty_title", field="title")
    return cleaned


def is_link(address: str) -> bool:
    """Whether this is meant for an address in the web, rather than the path of an upload."""
    return ":" in address


def check_link(address: str) -> str:
    """An address that can be put into a page: http(s), a host, no name or password, nothing but visible characters.

    Nobody here ever fetches it. Raises Invalid (code `invalid_url`).
    """
    refusal = Invalid("This is not the address of a video.", code="invalid_url", field="url")
    if len(address) > LINK_LENGTH or not _LINK_CHARACTERS.fullmatch(address):
        raise refusal
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or "@" in parts.netloc or port == 0:
        raise refusal
    return address


def parse_tags(text: str) -> list[str]:
    """`"Dance, #Fun,,fun"` -> `["dance", "fun"]`. Raises Invalid (code `invalid_tags`)."""
    found: dict[str, None] = {}
    for word in re.split(r"[,\n]", text):
        tag = unicodedata.normalize("NFKC", words.clean(word)).lstrip("#").casefold().strip()
        if tag:
            found[tag] = None
    if len(found) > MAX_TAGS or any(len(tag) > TAG_LENGTH for tag in found):
        raise Invalid(
            f"A post has at most {MAX_TAGS} tags of at most {TAG_LENGTH} characters.", code="invalid_tags", field="tags"
        )
    return list(found)
