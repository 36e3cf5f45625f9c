"""What only a real S3 server shows, beyond the contract."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from popoff.adapters.storage import IMMUTABLE, S3Store, StoreUnavailable
from popoff.adapters.storage import s3 as module
from tests.support import swift


def test_without_exact_bytes_the_size_has_to_be_looked_up(s3_store: S3Store) -> None:
    """The limit of the interface that its docstring tells: should S3 ever bound this, `sign_put` may promise more."""
    url = s3_store.sign_put("a", content_type="video/mp4", max_bytes=10, expires_seconds=60).url
    assert httpx.put(url, content=b"x" * 11, headers={"Content-Type": "video/mp4"}).status_code == 200
    info = s3_store.stat("a")
    assert info is not None and info.size == 11


def test_a_browser_may_upload_from_another_origin(s3_store: S3Store) -> None:
    url = s3_store.sign_put("a", content_type="video/mp4", max_bytes=10, expires_seconds=60).url
    asked = {"Origin": "http://localhost:8000", "Access-Control-Request-Method": "PUT"}
    response = httpx.options(url, headers={**asked, "Access-Control-Request-Headers": "content-type"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] in ("*", "http://localhost:8000")


def test_a_large_file_goes_up_in_parts(s3_store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SINGLE_PUT_BYTES", 5 * 1024**2 * 4)
    source = tmp_path / "in"
    source.write_bytes(b"0123456789abcdef" * (21 * 1024**2 // 16))
    info = s3_store.put_file("a", source, "video/mp4", IMMUTABLE)
    assert (info.size, info.content_type) == (21 * 1024**2, "video/mp4")
    assert "-" in info.etag
    assert s3_store.download("a", tmp_path / "out").size == info.size
    assert (tmp_path / "out").read_bytes() == source.read_bytes()


def test_wrong_credentials_and_buckets_are_unavailable(s3_server: swift.Swift, s3_store: S3Store) -> None:
    wrong = {**s3_server.settings, "secret_access_key": "wrong"}
    for store in (S3Store("no-such-bucket", **s3_server.settings), S3Store("no-such-bucket", **wrong)):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.check()
        assert time.monotonic() - started < 3
        with pytest.raises(StoreUnavailable):
            store.put_bytes("a", b"x", "text/plain")
    s3_store.check()
