"""Objects as files: what the folder store keeps on disk, and how a half-written object is never seen.

An object `users/42/a.mp4` is two files in `objects/users/42/`:

    a.mp4~3f9c51d0a2b47e68   its bytes, a *version* that is never changed once written
    a.mp4~                   its *record*: JSON with the version's name, size, type, etag, time

Writing makes a new version under a fresh name, syncs it, and then replaces the record in one rename: bytes and type
change together or not at all, and two writers cannot mix. A version that no record names is rubbish of an
interrupted write; `sweep` removes it. Keys have no `~`, so objects cannot collide with these names, and
`a` and `a/b` can both be objects.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from popoff.adapters.storage import keys
from popoff.adapters.storage.interface import InvalidKey, ObjectInfo, ObjectNotFound, StoreUnavailable
from popoff.kernel import clock

_ATTEMPTS = 5  # a reader or writer that meets another process's replacement or clean-up tries again


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Failures of the disk (full, read-only, gone) as StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable from error


@dataclass(frozen=True)
class Record:
    version: str
    size: int
    content_type: str
    etag: str
    modified: float
    cache_control: str | None = None

    def info(self, key: str) -> ObjectInfo:
        return ObjectInfo(key, self.size, self.content_type, self.etag, datetime.fromtimestamp(self.modified, UTC))


class Files:
    """The objects under `root`. Every method takes valid keys and raises StoreUnavailable when the disk fails."""

    def __init__(self, root: Path):
        self.root = Path(os.path.realpath(root))

    def _path(self, key: str, version: str = "") -> Path:
        """Where the record or a version of `key` lies. Raises InvalidKey when a symlink leads out of the root."""
        path = self.root / f"{keys.check(key)}~{version}"
        if not Path(os.path.realpath(path.parent)).is_relative_to(self.root):
            raise InvalidKey
        return path

    def record(self, key: str) -> Record | None:
        with disk_errors():
            try:
                with _open_no_link(self._path(key)) as file:
                    return Record(**json.load(file))
            except (FileNotFoundError, NotADirectoryError):
                return None
            except (ValueError, TypeError) as error:
                raise StoreUnavailable from error

    def open(self, key: str) -> tuple[BinaryIO, Path, Record]:
        """The bytes of the object as an open file, its path and its record. Raises ObjectNotFound."""
        for _ in range(_ATTEMPTS):
            record = self.record(key)
            if record is None:
                raise ObjectNotFound
            path = self._path(key, record.version)
            with disk_errors(), contextlib.suppress(FileNotFoundError):
                return _open_no_link(path), path, record
        raise StoreUnavailable

    def draft(self, key: str) -> Draft:
        """Start a new version of `key`; use it in a `with` block."""
        version = secrets.token_hex(8)
        path = self._path(key, version)
        for _ in range(_ATTEMPTS):
            with disk_errors(), contextlib.suppress(FileNotFoundError):  # the folder was pruned as we came
                path.parent.mkdir(parents=True, exist_ok=True)
                return Draft(self, key, version, path)
        raise StoreUnavailable

    def publish(self, key: str, record: Record) -> ObjectInfo:
        """Make `record`, whose version is written and synced, the object; the version before it goes."""
        before = self.record(key)
        path = self._path(key)
        fresh = self._path(key, f"{record.version}.record")
        with disk_errors():
            with fresh.open("x") as file:
                json.dump(asdict(record), file)
                sync(file)
            fresh.replace(path)
            _sync_folder(path.parent)
            if before is not None:
                self._path(key, before.version).unlink(missing_ok=True)
        return record.info(key)

    def copy(self, source: str, target: str) -> ObjectInfo:
        """Give `target` the bytes of `source` without copying them, where the file system can (hard link)."""
        opened, path, record = self.open(source)
        with opened, self.draft(target) as draft:
            with disk_errors():
                os.utime(opened.fileno())  # fresh in the eyes of `sweep`, which must not take it before it is published
                draft.link(path, opened)
            return draft.publish(record.content_type, record.cache_control, etag=record.etag, size=record.size)

    def remove(self, key: str) -> bool:
        """Delete the object and the folders it leaves empty; whether there was one."""
        record = self.record(key)
        if record is None:
            return False
        path = self._path(key)
        with disk_errors():
            path.unlink(missing_ok=True)
            self._path(key, record.version).unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root:
                break
            try:
                folder.rmdir()
            except OSError:  # not empty: others live here
                break
        return True

    def walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects under `prefix` (empty, or ending in a slash) in the order of their keys."""
        folder = self.root / prefix
        if not Path(os.path.realpath(folder)).is_relative_to(self.root):
            raise InvalidKey
        with disk_errors():
            try:
                entries = list(os.scandir(folder))
            except (FileNotFoundError, NotADirectoryError):
                return
        names = [(entry.name + "/", True) for entry in entries if entry.is_dir(follow_symlinks=False)]
        names += [(entry.name[:-1], False) for entry in entries if entry.name.endswith("~")]
        for name, is_folder in sorted(names):
            if is_folder:
                yield from self.walk(prefix + name)
            elif record := self.record(prefix + name):
                yield record.info(prefix + name)

    def sweep(self, seconds: int) -> int:
        """Remove what interrupted writes left, untouched for `seconds`; how many files."""
        removed = 0
        before = clock.timestamp() - seconds
        for folder, _, names in os.walk(self.root):
            for name in names:
                leaf, mark, version = name.partition("~")
                path = Path(folder, name)
                if not mark or not version or not is_older(path, before):
                    continue
                try:
                    record = self.record(str((Path(folder) / leaf).relative_to(self.root)))
                except InvalidKey:  # not ours
                    continue
                if record is None or record.version != version:
                    with disk_errors():
                        path.unlink(missing_ok=True)
                    removed += 1
        return removed


class Draft:
    """A version while it is written. Leaving the `with` block without `publish` removes it."""

    def __init__(self, files: Files, key: str, version: str, path: Path):
        self._files, self._key, self._version, self._path = files, key, version, path
        self._file: BinaryIO = path.open("xb")
        self._hash = hashlib.md5(usedforsecurity=False)  # what S3 uses for etags
        self._published = False

    def write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.append(chunk)

    def append(self, chunk: bytes) -> None:
        """Write without hashing, when the etag is known otherwise."""
        with disk_errors():
            self._file.write(chunk)

    def link(self, path: Path, opened: BinaryIO) -> None:
        """Take the bytes of another version: `path`, open as `opened`."""
        self._file.close()
        self._path.unlink()
        try:
            os.link(path, self._path)
        except OSError:  # replaced meanwhile, or a file system without links
            with self._path.open("xb") as file:
                shutil.copyfileobj(opened, file)
        self._file = self._path.open("rb+")

    def publish(
        self, content_type: str, cache_control: str | None = None, *, etag: str | None = None, size: int | None = None
    ) -> ObjectInfo:
        with disk_errors():
            size = self._file.tell() if size is None else size
            sync(self._file)
            self._file.close()
        record = Record(
            version=self._version,
            size=size,
            content_type=content_type,
            etag=etag or self._hash.hexdigest(),
            modified=clock.timestamp(),
            cache_control=cache_control,
        )
        info = self._files.publish(self._key, record)
        self._published = True
        return info

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: Any) -> None:
        with disk_errors():
            try:
                self._file.close()
            finally:
                if not self._published:
                    self._path.unlink(missing_ok=True)


def _open_no_link(path: Path) -> BinaryIO:
    """Open for reading; a symlink is never one of our files and counts as missing."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, "a symlink", str(path)) from error
        raise


def is_older(path: Path, moment: float) -> bool:
    try:
        return path.lstat().st_mtime < moment
    except FileNotFoundError:
        return False


def sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
