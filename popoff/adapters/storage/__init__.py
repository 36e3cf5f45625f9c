"""Where media lives: an S3 bucket when one is set, else a folder with signed links, behind one interface.

from popoff.adapters import storage

storage.store().put_file(key, path, "video/mp4", storage.IMMUTABLE)
storage.play_link(key=f"{folder}/master.m3u8", prefix=folder)
"""

from __future__ import annotations

import functools
import os
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import config
from popoff.adapters.storage import signing
from popoff.adapters.storage.folder import FolderStore, StoredFile
from popoff.adapters.storage.interface import (
    IMMUTABLE,
    MIN_PART_BYTES,
    BadSignature,
    ByteStream,
    IncompleteBody,
    InvalidKey,
    InvalidPart,
    InvalidRange,
    LengthRequired,
    LinkExpired,
    ObjectInfo,
    ObjectNotFound,
    Part,
    SignedPut,
    Store,
    StoreUnavailable,
    TooLargeObject,
    UploadNotFound,
    WrongContentType,
    WrongLength,
)

if TYPE_CHECKING:
    from popoff.adapters.storage.s3 import S3Store

__all__ = [
    "IMMUTABLE",
    "MIN_PART_BYTES",
    "BadSignature",
    "ByteStream",
    "FolderStore",
    "IncompleteBody",
    "InvalidKey",
    "InvalidPart",
    "InvalidRange",
    "LengthRequired",
    "LinkExpired",
    "ObjectInfo",
    "ObjectNotFound",
    "Part",
    "S3Store",
    "SignedPut",
    "Store",
    "StoreUnavailable",
    "StoredFile",
    "TooLargeObject",
    "UploadNotFound",
    "WrongContentType",
    "WrongLength",
    "base_url",
    "base_url_var",
    "check_grant",
    "play_link",
    "store",
]


def __getattr__(name: str) -> Any:
    """`S3Store`, when it is asked for: its library takes long to load, and a folder store does not need it."""
    if name == "S3Store":
        from popoff.adapters.storage.s3 import S3Store

        return S3Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


base_url_var: ContextVar[str | None] = ContextVar("storage_base_url", default=None)
"""The address under which this request reached us; the web edge sets it, so that links lead back the same way."""


def base_url() -> str:
    """What our own links start with: PUBLIC_URL, else the address of the request, else this machine's."""
    settings = config.current()
    return settings.public_url or base_url_var.get() or f"http://127.0.0.1:{settings.port}"


def store() -> Store:
    """The store that the settings name."""
    s = config.current()
    if not s.s3_bucket:
        return _folder_store(s.store_folder, s.secret_key)
    return _s3_store(
        os.getpid(), s.s3_bucket, s.s3_endpoint_url, s.s3_region, s.s3_access_key_id, s.s3_secret_access_key
    )


def play_link(key: str, prefix: str) -> str:
    """A link that plays `key` and whatever its playlists name under `prefix` (a folder that holds `key`).

    Good for LINK_EXPIRY_SECONDS and up to ten minutes more, and the same for all calls within ten minutes.
    """
    settings = config.current()
    expires_at = signing.window_expiry(settings.link_expiry_seconds)
    return signing.play_link(base_url(), key, prefix, expires_at, settings.secret_key)


def check_grant(grant: str, key: str) -> str:
    """The prefix a play link grants. Raises BadSignature, LinkExpired, InvalidKey."""
    return signing.check_grant(grant, key, config.current().secret_key)


@functools.lru_cache(maxsize=4)
def _folder_store(root: Path, secret: str) -> FolderStore:
    return FolderStore(root, secret, base_url)


@functools.lru_cache(maxsize=4)
def _s3_store(pid: int, bucket: str, endpoint_url: str, region: str, key_id: str, secret: str) -> S3Store:
    from popoff.adapters.storage.s3 import S3Store

    # by process: a connection that a parent opened must not be used by its fork
    return S3Store(bucket, endpoint_url=endpoint_url, region=region, access_key_id=key_id, secret_access_key=secret)
