"""The object store of an installation without S3: a folder, and signed links that our own web process serves.

`sign_*` make links under `/media/store/`; `accept_put`, `accept_part` and `verify_get` are what the web edge calls
for them. They know no web framework and raise the errors of `interface`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from popoff.adapters.storage import keys, signing
from popoff.adapters.storage.files import Files, disk_errors
from popoff.adapters.storage.interface import (
    CHUNK_BYTES,
    ByteStream,
    IncompleteBody,
    InvalidRange,
    LengthRequired,
    ObjectInfo,
    Part,
    SignedPut,
    StoreUnavailable,
    TooLargeObject,
    WrongContentType,
    WrongLength,
    check_limits,
    check_part_number,
    check_parts,
)
from popoff.adapters.storage.uploads import Uploads
from popoff.kernel import clock


class Readable(Protocol):
    """The body of a request."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class StoredFile:
    """A file to send: its path, what it is, and headers to send with it beside length, etag and ranges.

    The path may vanish when the object is replaced or deleted meanwhile.
    """

    path: Path
    info: ObjectInfo
    headers: dict[str, str] = field(default_factory=dict)


class FolderStore:
    """A `Store` in the folder `root`. `secret` signs its links; `base_url()` is what they start with."""

    def __init__(self, root: Path, secret: str, base_url: Callable[[], str]):
        self._root = root
        self._secret = secret
        self._base_url = base_url
        self._files = Files(root / "objects")
        self._uploads = Uploads(root / "multipart")

    # links

    def _link(self, method: str, key: str, expires_seconds: int, **conditions: object) -> str:
        fields = {name: str(value) for name, value in conditions.items() if value is not None}
        fields["expires"] = str(int(clock.timestamp()) + expires_seconds)
        query = signing.sign_query(self._secret, method, keys.check(key), fields)
        return f"{self._base_url().rstrip('/')}{signing.STORE_PATH}/{key}?{query}"

    def sign_put(
        self, key: str, *, content_type: str, max_bytes: int, exact_bytes: int | None = None, expires_seconds: int
    ) -> SignedPut:
        check_limits(max_bytes, exact_bytes, expires_seconds)
        url = self._link("PUT", key, expires_seconds, type=content_type, max=max_bytes, exact=exact_bytes)
        return SignedPut(url, {"Content-Type": content_type})

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
        check_limits(max_bytes, exact_bytes, expires_seconds)
        check_part_number(number)
        limits = {"max": max_bytes, "exact": exact_bytes}
        return SignedPut(self._link("PART", key, expires_seconds, upload=upload_id, part=number, **limits), {})

    def sign_get(self, key: str, *, expires_seconds: int, download_name: str | None = None) -> str:
        check_limits(0, None, expires_seconds)
        return self._link("GET", key, expires_seconds, name=download_name)

    # what the web edge calls for these links

    def accept_put(
        self, key: str, query: Mapping[str, str], content_type: str | None, content_length: int | None, stream: Readable
    ) -> ObjectInfo:
        """Store the body of a PUT to a link of `sign_put`. `query` is the whole query string of the link.

        Raises BadSignature, LinkExpired, WrongContentType, WrongLength, LengthRequired, TooLargeObject,
        IncompleteBody, InvalidKey, StoreUnavailable; nothing is stored then.
        """
        limits = signing.verify_query(self._secret, "PUT", keys.check(key), query)
        if (content_type or "").strip() != limits["type"]:
            raise WrongContentType
        length = _allowed_length(limits, content_length)
        with self._files.draft(key) as draft:
            _receive(stream, length, draft.write)
            return draft.publish(limits["type"])

    def accept_part(self, key: str, query: Mapping[str, str], content_length: int | None, stream: Readable) -> Part:
        """Store the body of a PUT to a link of `sign_part` (its query has `upload`); errors as for `accept_put`,
        and UploadNotFound. The answer has to carry the part's etag, in quotes, in the ETag header."""
        limits = signing.verify_query(self._secret, "PART", keys.check(key), query)
        length = _allowed_length(limits, content_length)
        upload_id = limits["upload"]
        self._uploads.content_type(key, upload_id)
        return self._uploads.receive(upload_id, int(limits["part"]), lambda write: _receive(stream, length, write))

    def verify_get(self, key: str, query: Mapping[str, str]) -> StoredFile:
        """The file behind a link of `sign_get`. Raises BadSignature, LinkExpired, ObjectNotFound, InvalidKey."""
        limits = signing.verify_query(self._secret, "GET", keys.check(key), query)
        return self.locate(key, limits.get("name"))

    def locate(self, key: str, download_name: str | None = None) -> StoredFile:
        """The file of an object whose reader was let in otherwise (a play link). Raises ObjectNotFound."""
        file, path, record = self._files.open(key)
        file.close()
        headers = {"Content-Type": record.content_type, "X-Content-Type-Options": "nosniff"}
        if record.cache_control:
            headers["Cache-Control"] = record.cache_control
        if download_name:
            headers["Content-Disposition"] = signing.content_disposition(download_name)
        return StoredFile(path, record.info(key), headers)

    # objects

    def stat(self, key: str) -> ObjectInfo | None:
        record = self._files.record(keys.check(key))
        return record.info(key) if record else None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self._files.walk(keys.check_prefix(prefix, allow_empty=True))

    def download(self, key: str, path: Path, max_bytes: int | None = None) -> ObjectInfo:
        file, _, record = self._files.open(key)
        with file:
            if max_bytes is not None and record.size > max_bytes:
                raise TooLargeObject
            with disk_errors():
                try:
                    with path.open("wb") as target:
                        shutil.copyfileobj(file, target, CHUNK_BYTES)
                except BaseException:  # a job's time limit too
                    path.unlink(missing_ok=True)
                    raise
        return record.info(key)

    def read(self, key: str, max_bytes: int) -> bytes:
        file, _, record = self._files.open(key)
        with file, disk_errors():
            if record.size > max_bytes:
                raise TooLargeObject
            return file.read()

    def open(self, key: str, start: int = 0, length: int | None = None) -> ByteStream:
        file, _, record = self._files.open(key)
        if (start or length is not None) and start >= record.size:
            file.close()
            raise InvalidRange
        with disk_errors():
            file.seek(start)
        rest = record.size - start
        return ByteStream(_reader(file), file.close, rest if length is None else min(length, rest))

    def put_bytes(self, key: str, data: bytes, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        with self._files.draft(key) as draft:
            draft.write(data)
            return draft.publish(content_type, cache_control)

    def put_file(self, key: str, path: Path, content_type: str, cache_control: str | None = None) -> ObjectInfo:
        with path.open("rb") as source, self._files.draft(key) as draft:
            while chunk := source.read(CHUNK_BYTES):
                draft.write(chunk)
            return draft.publish(content_type, cache_control)

    def copy(self, source: str, target: str) -> ObjectInfo:
        return self._files.copy(source, keys.check(target))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._files.remove(key)

    def delete_prefix(self, prefix: str) -> int:
        return sum(self._files.remove(info.key) for info in self._files.walk(keys.check_prefix(prefix)))

    def check(self) -> None:
        with disk_errors():
            self._root.mkdir(parents=True, exist_ok=True)
            if not os.access(self._root, os.W_OK | os.X_OK):
                raise StoreUnavailable

    # multipart

    def start_multipart(self, key: str, content_type: str) -> str:
        return self._uploads.start(keys.check(key), content_type)

    def parts(self, key: str, upload_id: str) -> Sequence[Part]:
        self._uploads.content_type(keys.check(key), upload_id)
        return self._uploads.parts(upload_id)

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        content_type = self._uploads.content_type(keys.check(key), upload_id)
        check_parts(parts)
        with self._files.draft(key) as draft:
            etag, size = self._uploads.assemble(upload_id, parts, draft)
            info = draft.publish(content_type, etag=etag, size=size)
        self._uploads.drop(upload_id)
        return info

    def abort_multipart(self, key: str, upload_id: str) -> None:
        if self._uploads.is_open(keys.check(key), upload_id):
            self._uploads.drop(upload_id)

    def sweep_temporary(self, *, files_seconds: int = 3600, uploads_seconds: int = 7 * 24 * 3600) -> int:
        return self._files.sweep(files_seconds) + self._uploads.sweep(files_seconds, uploads_seconds)


def _allowed_length(limits: Mapping[str, str], content_length: int | None) -> int:
    """The declared length of a body, when the link takes it."""
    if content_length is None:
        raise LengthRequired
    if content_length > int(limits["max"]):
        raise TooLargeObject
    if "exact" in limits and content_length != int(limits["exact"]):
        raise WrongLength
    return content_length


def _receive(stream: Readable, length: int, write: Callable[[bytes], object]) -> None:
    """Pass on exactly `length` bytes. Raises IncompleteBody when the stream ends or breaks before."""
    while length > 0:
        try:
            chunk = stream.read(min(CHUNK_BYTES, length))
        except OSError as error:
            raise IncompleteBody from error
        if not chunk:
            raise IncompleteBody
        length -= len(chunk)
        write(chunk)


def _reader(file: BinaryIO) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        with disk_errors():
            return file.read(size)

    return read
