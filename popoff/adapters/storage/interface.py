"""What an object store can do for PopOff, and the errors it answers with.

Two implementations, `folder.FolderStore` and `s3.S3Store`, pass one contract suite. Whoever uses a store
needs to know only this module.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from popoff.kernel import errors

MIN_PART_BYTES = 5 * 1024**2
"""Smallest part of a multipart upload, except the last one (S3's rule; the folder store keeps it too)."""

MAX_PARTS = 10_000
MAX_EXPIRY_SECONDS = 7 * 24 * 3600
IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of objects that never change under their key (renditions, thumbnails)."""

CHUNK_BYTES = 256 * 1024


class StoreUnavailable(errors.Unavailable):
    """The store does not answer, or answers with something only an operator can put right."""

    code = "store_unavailable"
    message = "The media store does not answer. Please try again."


class ObjectNotFound(errors.NotFound):
    code = "object_not_found"
    message = "There is no such file."


class UploadNotFound(errors.NotFound):
    """No multipart upload of this id and key is open: never started, completed or aborted."""

    code = "upload_not_found"
    message = "There is no such upload."


class InvalidKey(errors.Invalid):
    code = "invalid_key"
    message = "This is not a valid name of a file."


class InvalidPart(errors.Invalid):
    """A part that is missing, too small, out of order or not the one that was uploaded."""

    code = "invalid_part"
    message = "The parts of this upload do not fit together."


class InvalidRange(errors.Invalid):
    code = "invalid_range"
    message = "The file is shorter than that."


class IncompleteBody(errors.Invalid):
    code = "incomplete_body"
    message = "The upload ended before all of it arrived."


class LengthRequired(errors.Invalid):
    code = "length_required"
    message = "An upload has to say its length (Content-Length)."


class TooLargeObject(errors.TooLarge):
    code = "object_too_large"
    message = "This file is too large."


class BadSignature(errors.Forbidden):
    code = "bad_signature"
    message = "This link is not valid."


class LinkExpired(errors.Forbidden):
    code = "link_expired"
    message = "This link has expired."


class WrongContentType(errors.Forbidden):
    code = "wrong_content_type"
    message = "This link takes another type of file."


class WrongLength(errors.Forbidden):
    code = "wrong_length"
    message = "This link takes a file of another length."


@dataclass(frozen=True)
class ObjectInfo:
    """`size` in bytes; `content_type` may be None in listings (S3 does not list it); `etag` without quotes."""

    key: str
    size: int
    content_type: str | None
    etag: str
    modified: datetime


@dataclass(frozen=True)
class SignedPut:
    """Where to PUT the raw bytes, and the headers the client has to set itself."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Part:
    """A part of a multipart upload: its number from 1, its etag without quotes, its size in bytes."""

    number: int
    etag: str
    size: int


class ByteStream(Iterator[bytes]):
    """The bytes of an object in chunks. Close it, or use it in a `with` block; WSGI servers close what they send."""

    def __init__(self, read: Callable[[int], bytes], close: Callable[[], None], length: int):
        self._read, self._close, self._left = read, close, length

    def __next__(self) -> bytes:
        chunk = self._read(min(CHUNK_BYTES, self._left)) if self._left > 0 else b""
        if not chunk:
            self.close()
            if self._left > 0:
                raise StoreUnavailable
            raise StopIteration
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._left = 0
        self._close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Store(Protocol):
    """Objects under server-made keys (`keys.check`).

    Every method raises InvalidKey for a key outside the grammar and StoreUnavailable when the store fails.
    Prefixes are whole folders: empty, or ending in a slash.
    """

    def sign_put(
        self, key: str, *, content_type: str, max_bytes: int, exact_bytes: int | None = None, expires_seconds: int
    ) -> SignedPut:
        """A link that takes one PUT of `content_type` within `expires_seconds` (1 to 604800).

        The client sets only Content-Type. Another type, a tampered or an expired link gets 403. With `exact_bytes`
        another length gets 403 (413 from the folder store when it is longer). S3 cannot bound the size of a
        presigned PUT whose length is unknown, so there `max_bytes` alone binds nothing: whoever accepts the upload
        checks `stat(key).size` afterwards. The folder store refuses more than `max_bytes` with 413 as it arrives.
        Raises ValueError when `exact_bytes` exceeds `max_bytes`.
        """
        ...

    def sign_get(self, key: str, *, expires_seconds: int, download_name: str | None = None) -> str:
        """A link to read the object; with `download_name` browsers save it under that name."""
        ...

    def stat(self, key: str) -> ObjectInfo | None:
        """What is stored under `key`; None when nothing is."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object under `prefix` in the order of keys, read page by page."""
        ...

    def download(self, key: str, path: Path, max_bytes: int | None = None) -> ObjectInfo:
        """Write the object to `path`; on an error no file is left there. Raises ObjectNotFound, TooLargeObject."""
        ...

    def read(self, key: str, max_bytes: int) -> bytes:
        """All of a small object. Raises ObjectNotFound, TooLargeObject."""
        ...

    def open(self, key: str, start: int = 0, length: int | None = None) -> ByteStream:
        """Bytes from `start` on, at most `length`. Raises ObjectNotFound, InvalidRange (`start` past the end)."""
        ...

    def put_bytes(self, key: str, data: bytes, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        """Store `data`, replacing what was there; readers see the old or the new object, never a mixture."""
        ...

    def put_file(self, key: str, path: Path, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        """Store the contents of `path`, replacing what was there."""
        ...

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Copy inside the store (up to 5 GiB), type and all. Raises ObjectNotFound."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete these objects; those that do not exist are fine."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Delete every object under `prefix`, which may not be empty; answers how many there were."""
        ...

    def check(self) -> None:
        """Cheap and bounded to a few seconds: raises StoreUnavailable when the store cannot be used."""
        ...

    def start_multipart(self, key: str, content_type: str) -> str:
        """Open a multipart upload of a large object; answers its id."""
        ...

    def sign_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        *,
        max_bytes: int,
        exact_bytes: int | None = None,
        expires_seconds: int,
    ) -> SignedPut:
        """A link that takes part `number` (1 to 10000) as one PUT; the limits are those of `sign_put`.

        A part may be sent again and replaces the earlier one. Its etag comes back in the ETag header.
        """
        ...

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        """The parts that have arrived, by number. Raises UploadNotFound (some S3 servers keep answering for an upload
        that was completed)."""
        ...

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        """Make one object of `parts`, by number; other parts are dropped.

        Raises UploadNotFound and InvalidPart: for an empty or unordered list, a part that is not there with that
        etag, or one under 5 MiB that is not the last. Asked again after success, it may raise UploadNotFound:
        `stat` tells whether the object is there.
        """
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that does not exist is fine."""
        ...

    def sweep_temporary(self, *, files_seconds: int = 3600, uploads_seconds: int = 7 * 24 * 3600) -> int:
        """Drop what was left half-done: writes untouched for `files_seconds`, multipart uploads started more than
        `uploads_seconds` ago. Answers how many things were dropped. Safe while others write."""
        ...


def check_limits(max_bytes: int, exact_bytes: int | None, expires_seconds: int) -> None:
    """Raise ValueError for limits that no link can have."""
    if not 0 < expires_seconds <= MAX_EXPIRY_SECONDS:
        raise ValueError(f"a link lives 1 to {MAX_EXPIRY_SECONDS} seconds, not {expires_seconds}")
    if max_bytes < 0 or (exact_bytes is not None and not 0 <= exact_bytes <= max_bytes):
        raise ValueError(f"impossible sizes: at most {max_bytes}, exactly {exact_bytes}")


def check_part_number(number: int) -> None:
    """Raise InvalidPart for a number outside 1 to 10000."""
    if not 1 <= number <= MAX_PARTS:
        raise InvalidPart(f"The number of a part is between 1 and {MAX_PARTS}.", field="number")


def check_parts(parts: Sequence[Part]) -> None:
    """Raise InvalidPart for a list that is empty or not in the order of its numbers, each once."""
    numbers = [part.number for part in parts]
    if not numbers or any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise InvalidPart
