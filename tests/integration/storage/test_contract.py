"""What every object store has to do. The same tests run against the folder store and a real S3 server."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from popoff.adapters.storage import (
    IMMUTABLE,
    MIN_PART_BYTES,
    InvalidKey,
    InvalidPart,
    InvalidRange,
    ObjectNotFound,
    Part,
    Store,
    TooLargeObject,
    UploadNotFound,
)
from popoff.kernel import clock

KEY = "users/42/8f14e45f/source.mp4"
DATA = bytes(range(256)) * 8
NOT_OPEN = "0" * 32


def put(url: str, data: bytes, content_type: str | None = "video/mp4") -> httpx.Response:
    """What the phone app sends: raw bytes, a length, Content-Type, and no header of ours."""
    return httpx.put(url, content=data, headers={"Content-Type": content_type} if content_type else {})


def sign(store: Store, **limits: int) -> str:
    chosen = {"max_bytes": 10_000, "expires_seconds": 60, **limits}
    signed = store.sign_put(KEY, content_type="video/mp4", **chosen)
    assert signed.headers == {"Content-Type": "video/mp4"}
    return signed.url


# objects


def test_what_was_put_is_read_back(store: Store) -> None:
    before = clock.now()
    put_info = store.put_bytes(KEY, DATA, "video/mp4")
    info = store.stat(KEY)
    assert info is not None
    assert (info.key, info.size, info.content_type) == (KEY, len(DATA), "video/mp4")
    assert info.etag == put_info.etag and '"' not in info.etag
    assert abs(info.modified - before) < timedelta(seconds=5)
    assert store.read(KEY, max_bytes=len(DATA)) == DATA


def test_a_second_put_replaces_bytes_and_type(store: Store) -> None:
    first = store.put_bytes(KEY, DATA, "video/mp4")
    store.put_bytes(KEY, b"other", "text/plain")
    info = store.stat(KEY)
    assert info is not None and (info.size, info.content_type) == (5, "text/plain")
    assert info.etag != first.etag
    assert store.read(KEY, 5) == b"other"


def test_an_empty_object_is_an_object(store: Store) -> None:
    store.put_bytes(KEY, b"", "video/mp4")
    assert store.stat(KEY).size == 0  # type: ignore[union-attr]
    assert store.read(KEY, 0) == b"" == b"".join(store.open(KEY))


def test_what_is_not_there(store: Store, tmp_path: Path) -> None:
    assert store.stat(KEY) is None
    for reading in (
        lambda: store.read(KEY, 10),
        lambda: store.open(KEY),
        lambda: store.download(KEY, tmp_path / "out"),
        lambda: store.copy(KEY, "users/42/other"),
    ):
        with pytest.raises(ObjectNotFound):
            reading()
    assert not (tmp_path / "out").exists()
    assert store.stat("users/42/other") is None


def test_reading_stops_at_the_limit(store: Store, tmp_path: Path) -> None:
    store.put_bytes(KEY, DATA, "video/mp4")
    with pytest.raises(TooLargeObject):
        store.read(KEY, len(DATA) - 1)
    with pytest.raises(TooLargeObject):
        store.download(KEY, tmp_path / "out", max_bytes=len(DATA) - 1)
    assert not (tmp_path / "out").exists()


def test_files_go_in_and_out(store: Store, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(DATA * 300)
    store.put_file(KEY, source, "video/mp4")
    info = store.download(KEY, target, max_bytes=len(DATA) * 300)
    assert info == store.stat(KEY)
    assert target.read_bytes() == source.read_bytes()


def test_open_reads_ranges(store: Store) -> None:
    store.put_bytes(KEY, DATA, "video/mp4")
    with store.open(KEY) as stream:
        assert b"".join(stream) == DATA
    assert b"".join(store.open(KEY, start=100)) == DATA[100:]
    assert b"".join(store.open(KEY, start=100, length=7)) == DATA[100:107]
    assert b"".join(store.open(KEY, start=len(DATA) - 1, length=7)) == DATA[-1:]
    with pytest.raises(InvalidRange):
        store.open(KEY, start=len(DATA))


def test_list_names_all_in_order_over_pages(store: Store) -> None:
    names = [f"users/42/{n:02d}.ts" for n in range(23)] + ["users/42/a-b", "users/42/a.b", "users/42/a/b"]
    for name in [*reversed(names), "users/420/x", "users/4/x"]:
        store.put_bytes(name, name.encode(), "video/MP2T")
    assert [info.key for info in store.list("users/42/")] == names
    assert next(store.list("users/4/")) == next(info for info in store.list() if info.key == "users/4/x")
    assert [info.size for info in store.list("users/420/")] == [len("users/420/x")]
    assert list(store.list("nothing/")) == []


def test_a_key_and_a_folder_can_have_one_name(store: Store) -> None:
    store.put_bytes("a/b", b"1", "text/plain")
    store.put_bytes("a", b"2", "text/plain")
    assert [info.key for info in store.list()] == ["a", "a/b"]
    store.delete(["a"])
    assert [info.key for info in store.list()] == ["a/b"]


def test_copy_keeps_bytes_and_type_and_leaves_the_source(store: Store) -> None:
    original = store.put_bytes(KEY, DATA, "video/mp4")
    copied = store.copy(KEY, "users/42/copy.mp4")
    assert (copied.key, copied.size, copied.content_type) == ("users/42/copy.mp4", len(DATA), "video/mp4")
    assert copied.etag == original.etag
    store.put_bytes(KEY, b"new", "text/plain")
    assert store.read("users/42/copy.mp4", 10_000) == DATA
    store.delete(["users/42/copy.mp4"])
    assert store.read(KEY, 10) == b"new"


def test_delete_takes_many_and_does_not_mind_missing_ones(store: Store) -> None:
    for name in ("a/1", "a/2", "a/3"):
        store.put_bytes(name, b"x", "text/plain")
    store.delete(["a/1", "a/none", "a/3"])
    store.delete([])
    assert [info.key for info in store.list()] == ["a/2"]


def test_delete_prefix_ends_at_the_slash(store: Store) -> None:
    for n in range(22):
        store.put_bytes(f"users/4/x/{n}", b"x", "text/plain")
    store.put_bytes("users/42/x", b"x", "text/plain")
    assert store.delete_prefix("users/4/") == 22
    assert store.delete_prefix("users/4/") == 0
    assert [info.key for info in store.list()] == ["users/42/x"]


def test_only_whole_folders_are_deleted(store: Store) -> None:
    store.put_bytes("users/42/x", b"x", "text/plain")
    for prefix in ("", "users/4", "/", "users/../", "users//"):
        with pytest.raises(InvalidKey):
            store.delete_prefix(prefix)
    assert store.stat("users/42/x")


def test_no_method_takes_a_key_outside_the_grammar(store: Store, tmp_path: Path) -> None:
    key = "users/42/../43/x"
    file = tmp_path / "file"
    file.write_bytes(b"x")
    calls: list[Callable[[], object]] = [
        lambda: store.sign_put(key, content_type="video/mp4", max_bytes=1, expires_seconds=1),
        lambda: store.sign_get(key, expires_seconds=1),
        lambda: store.stat(key),
        lambda: store.read(key, 1),
        lambda: store.open(key),
        lambda: store.download(key, file),
        lambda: store.put_bytes(key, b"", "text/plain"),
        lambda: store.put_file(key, file, "text/plain"),
        lambda: store.copy(key, "a"),
        lambda: store.copy("a", key),
        lambda: store.delete([key]),
        lambda: store.start_multipart(key, "video/mp4"),
        lambda: store.sign_part(key, NOT_OPEN, 1, max_bytes=1, expires_seconds=1),
        lambda: store.parts(key, NOT_OPEN),
        lambda: store.complete_multipart(key, NOT_OPEN, [Part(1, "x", 1)]),
        lambda: store.abort_multipart(key, NOT_OPEN),
    ]
    for call in calls:
        with pytest.raises(InvalidKey):
            call()


def test_check_passes(store: Store) -> None:
    store.check()


# signed uploads


def test_a_link_takes_the_upload_of_the_app(store: Store) -> None:
    response = put(sign(store), DATA)
    assert response.status_code == 200
    info = store.stat(KEY)
    assert info is not None and (info.size, info.content_type) == (len(DATA), "video/mp4")
    assert store.read(KEY, 10_000) == DATA


@pytest.mark.parametrize("content_type", ["text/html", "video/mp4; charset=utf-8", None])
def test_a_link_takes_no_other_type(store: Store, content_type: str | None) -> None:
    assert put(sign(store), DATA, content_type).status_code == 403
    assert store.stat(KEY) is None


def test_a_link_takes_only_the_declared_length(store: Store) -> None:
    url = sign(store, exact_bytes=100)
    assert put(url, DATA[:99]).status_code == 403
    assert put(url, DATA[:101]).status_code in (403, 413)
    assert store.stat(KEY) is None
    assert put(url, DATA[:100]).status_code == 200


def test_a_link_cannot_be_altered(store: Store) -> None:
    url = sign(store)
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    altered = [url.replace(KEY, "users/43/8f14e45f/source.mp4"), url + "&x=1", url.split("?")[0]]
    for name, (value,) in query.items():
        other = str(int(value) + 9) if value.isdigit() else value[:-1] + ("0" if value[-1] != "0" else "1")
        altered.append(url.split("?")[0] + "?" + str(httpx.QueryParams({**query, name: other})))
    for other_url in altered:
        assert other_url != url
        assert put(other_url, DATA).status_code in (400, 403), other_url
    assert list(store.list()) == []


def test_an_upload_link_cannot_read_and_a_read_link_cannot_write(store: Store) -> None:
    store.put_bytes(KEY, DATA, "video/mp4")
    assert httpx.get(sign(store)).status_code == 403
    assert put(store.sign_get(KEY, expires_seconds=60), b"x").status_code == 403
    assert store.read(KEY, 10_000) == DATA


def test_links_expire(store: Store) -> None:
    store.put_bytes(KEY, DATA, "video/mp4")
    upload_id = store.start_multipart("m", "video/mp4")
    links = [sign(store, expires_seconds=1), store.sign_part("m", upload_id, 1, max_bytes=9, expires_seconds=1).url]
    read = store.sign_get(KEY, expires_seconds=1)
    time.sleep(2.1)
    assert [put(link, b"late").status_code for link in links] == [403, 403]
    assert httpx.get(read).status_code == 403
    assert store.read(KEY, 10_000) == DATA


def test_impossible_limits_are_not_signed(store: Store) -> None:
    for name, value in (("expires_seconds", 0), ("expires_seconds", 8 * 24 * 3600), ("exact_bytes", 10_001)):
        with pytest.raises(ValueError):
            sign(store, **{name: value})


# signed reading


def test_a_link_reads_whole_and_in_ranges(store: Store) -> None:
    store.put_bytes(KEY, DATA, "video/mp4", IMMUTABLE)
    url = store.sign_get(KEY, expires_seconds=60)
    whole = httpx.get(url)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["cache-control"] == IMMUTABLE
    assert not whole.headers.get("content-disposition", "").startswith("attachment")
    some = httpx.get(url, headers={"Range": "bytes=10-19"})
    assert (some.status_code, some.content) == (206, DATA[10:20])
    assert some.headers["content-range"] == f"bytes 10-19/{len(DATA)}"
    assert httpx.get(url, headers={"Range": f"bytes={len(DATA)}-"}).status_code == 416


def test_a_link_reads_only_its_object(store: Store) -> None:
    for name in ("a/1", "a/2"):
        store.put_bytes(name, b"x", "text/plain")
    assert httpx.get(store.sign_get("a/1", expires_seconds=60).replace("a/1", "a/2")).status_code == 403
    assert httpx.get(store.sign_get("a/3", expires_seconds=60)).status_code == 404


def test_a_download_has_its_name(store: Store) -> None:
    store.put_bytes(KEY, DATA, "video/mp4")
    response = httpx.get(store.sign_get(KEY, expires_seconds=60, download_name='Été "1".mp4'))
    assert response.status_code == 200
    assert (
        response.headers["content-disposition"]
        == "attachment; filename=\"Ete '1'.mp4\"; filename*=UTF-8''%C3%89t%C3%A9%20%221%22.mp4"
    )


# multipart


def send_part(store: Store, upload_id: str, number: int, data: bytes, key: str = KEY) -> Part:
    signed = store.sign_part(key, upload_id, number, max_bytes=len(data), expires_seconds=60)
    response = httpx.put(signed.url, content=data, headers=signed.headers)
    assert response.status_code == 200, response.text
    return Part(number, response.headers["etag"].strip('"'), len(data))


def test_a_large_file_comes_in_parts_and_can_be_resumed(store: Store) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    assert list(store.parts(KEY, upload_id)) == []
    third = send_part(store, upload_id, 3, b"tail")
    first = send_part(store, upload_id, 1, b"1" * MIN_PART_BYTES)
    send_part(store, upload_id, 2, b"broken")
    second = send_part(store, upload_id, 2, b"2" * (MIN_PART_BYTES + 1))
    assert list(store.parts(KEY, upload_id)) == [first, second, third]
    assert store.stat(KEY) is None and list(store.list()) == []

    info = store.complete_multipart(KEY, upload_id, [first, second, third])
    assert info == store.stat(KEY)
    assert (info.size, info.content_type) == (2 * MIN_PART_BYTES + 5, "video/mp4")
    assert info.etag.endswith("-3")
    assert store.read(KEY, info.size) == b"1" * MIN_PART_BYTES + b"2" * (MIN_PART_BYTES + 1) + b"tail"


def test_parts_that_do_not_fit_are_refused(store: Store) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    small = send_part(store, upload_id, 1, b"small")
    last = send_part(store, upload_id, 2, b"last")
    forged = Part(1, "0" * 32, 5)
    missing = Part(7, small.etag, 5)
    for parts in ([], [small, last], [last, small], [last, last], [forged], [missing]):
        with pytest.raises(InvalidPart):
            store.complete_multipart(KEY, upload_id, parts)
    assert store.stat(KEY) is None
    assert store.complete_multipart(KEY, upload_id, [last]).size == 4


def test_a_part_link_is_bound_to_its_part_and_length(store: Store) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    signed = store.sign_part(KEY, upload_id, 1, max_bytes=100, exact_bytes=10, expires_seconds=60)
    assert httpx.put(signed.url, content=b"x" * 9).status_code == 403
    assert httpx.put(signed.url, content=b"x" * 11).status_code in (403, 413)
    query = httpx.URL(signed.url).params
    number = next(name for name in query if name in ("part", "partNumber"))
    assert httpx.put(signed.url, params={**query, number: "2"}, content=b"x" * 10).status_code == 403
    assert list(store.parts(KEY, upload_id)) == []
    assert httpx.put(signed.url, content=b"x" * 10).status_code == 200
    for number_out_of_range in (0, 10_001):
        with pytest.raises(InvalidPart):
            store.sign_part(KEY, upload_id, number_out_of_range, max_bytes=1, expires_seconds=60)


def test_an_aborted_upload_is_gone(store: Store) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    part = send_part(store, upload_id, 1, b"x")
    url = store.sign_part(KEY, upload_id, 2, max_bytes=9, expires_seconds=60).url
    store.abort_multipart(KEY, upload_id)
    store.abort_multipart(KEY, upload_id)
    assert httpx.put(url, content=b"late").status_code == 404
    with pytest.raises(UploadNotFound):
        store.parts(KEY, upload_id)
    with pytest.raises(UploadNotFound):
        store.complete_multipart(KEY, upload_id, [part])
    assert store.stat(KEY) is None


def test_an_upload_belongs_to_its_key(store: Store) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    part = send_part(store, upload_id, 1, b"x")
    with pytest.raises(UploadNotFound):
        store.parts("users/43/x", upload_id)
    with pytest.raises(UploadNotFound):
        store.complete_multipart("users/43/x", upload_id, [part])
    store.abort_multipart("users/43/x", upload_id)
    assert list(store.parts(KEY, upload_id)) == [part]


@pytest.mark.parametrize("upload_id", [NOT_OPEN, "../../objects", "x"])
def test_an_unknown_upload(store: Store, upload_id: str) -> None:
    with pytest.raises(UploadNotFound):
        store.parts(KEY, upload_id)
    store.abort_multipart(KEY, upload_id)


def test_abandoned_uploads_are_swept(store: Store) -> None:
    old = store.start_multipart(KEY, "video/mp4")
    send_part(store, old, 1, b"x")
    kept = store.put_bytes("kept", DATA, "video/mp4")
    assert store.sweep_temporary() == 0
    with clock.shifted(timedelta(days=8)):
        assert store.sweep_temporary() == 1
    with pytest.raises(UploadNotFound):
        store.parts(KEY, old)
    assert store.read("kept", 10_000) == DATA and kept.size == len(DATA)
