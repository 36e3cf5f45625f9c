"""What the folder store does beyond the contract: a disk that interrupts, is shared, and may hold symlinks."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from popoff.adapters.storage import (
    MIN_PART_BYTES,
    FolderStore,
    IncompleteBody,
    InvalidKey,
    LengthRequired,
    ObjectNotFound,
    Part,
    Store,
    StoreUnavailable,
    TooLargeObject,
    UploadNotFound,
    WrongContentType,
    WrongLength,
)
from popoff.kernel import clock

KEY = "users/42/8f14/source.mp4"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    chosen: Store = FolderStore(tmp_path / "store", "a secret of the tests", lambda: "http://host")
    assert isinstance(chosen, FolderStore)
    return chosen


def files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "store").rglob("*") if path.is_file())


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def put_query(store: FolderStore, max_bytes: int = 100, exact_bytes: int | None = None) -> dict[str, str]:
    signed = store.sign_put(
        KEY, content_type="video/mp4", max_bytes=max_bytes, exact_bytes=exact_bytes, expires_seconds=60
    )
    return query_of(signed.url)


class Breaking(io.RawIOBase):
    """A body whose connection breaks after some bytes."""

    def __init__(self, given: bytes, during: Callable[[], None] = lambda: None):
        self._given, self._during = given, during

    def read(self, size: int = -1, /) -> bytes:
        self._during()
        if not self._given:
            raise ConnectionResetError
        given, self._given = self._given[:size], self._given[size:]
        return given


# accepting uploads


def test_the_size_is_bounded_before_and_while_it_arrives(store: FolderStore, tmp_path: Path) -> None:
    body = io.BytesIO(b"x" * 500)
    with pytest.raises(TooLargeObject):
        store.accept_put(KEY, put_query(store), "video/mp4", 101, body)
    assert body.tell() == 0
    assert store.accept_put(KEY, put_query(store), "video/mp4", 100, body).size == 100
    assert body.tell() == 100


def test_what_a_link_does_not_take_is_refused(store: FolderStore, tmp_path: Path) -> None:
    body = io.BytesIO(b"x" * 50)
    for query, content_type, length, error in (
        (put_query(store), "text/html", 50, WrongContentType),
        (put_query(store), None, 50, WrongContentType),
        (put_query(store), "video/mp4", None, LengthRequired),
        (put_query(store, exact_bytes=51), "video/mp4", 50, WrongLength),
        (put_query(store), "video/mp4", 51, IncompleteBody),
    ):
        body.seek(0)
        with pytest.raises(error):
            store.accept_put(KEY, query, content_type, length, body)
    assert store.stat(KEY) is None
    assert files(tmp_path) == []


def test_a_broken_upload_leaves_the_old_object_and_no_rubbish(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"old", "video/mp4")
    seen: list[bytes] = []
    body = Breaking(b"x" * 10, during=lambda: seen.append(store.read(KEY, 10)))
    with pytest.raises(IncompleteBody):
        store.accept_put(KEY, put_query(store), "video/mp4", 50, body)
    assert seen == [b"old", b"old"]
    assert store.read(KEY, 10) == b"old"
    assert len(files(tmp_path)) == 2


def test_a_broken_part_leaves_nothing(store: FolderStore, tmp_path: Path) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    query = query_of(store.sign_part(KEY, upload_id, 1, max_bytes=100, expires_seconds=60).url)
    with pytest.raises(IncompleteBody):
        store.accept_part(KEY, query, 50, Breaking(b"x" * 10))
    assert list(store.parts(KEY, upload_id)) == []
    assert files(tmp_path) == ["upload.json"]


def test_a_part_may_arrive_while_its_upload_is_aborted(store: FolderStore, tmp_path: Path) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    query = query_of(store.sign_part(KEY, upload_id, 1, max_bytes=100, expires_seconds=60).url)
    body = Breaking(b"x" * 10, during=lambda: store.abort_multipart(KEY, upload_id))
    with pytest.raises((UploadNotFound, StoreUnavailable)):
        store.accept_part(KEY, query, 10, body)
    assert files(tmp_path) == []


def test_a_completed_upload_is_closed(store: FolderStore, tmp_path: Path) -> None:
    upload_id = store.start_multipart(KEY, "video/mp4")
    query = query_of(store.sign_part(KEY, upload_id, 1, max_bytes=100, expires_seconds=60).url)
    part = store.accept_part(KEY, query, 3, io.BytesIO(b"abc"))
    assert part == Part(1, "900150983cd24fb0d6963f7d28e17f72", 3)
    store.complete_multipart(KEY, upload_id, [part])
    for call in (
        lambda: store.parts(KEY, upload_id),
        lambda: store.complete_multipart(KEY, upload_id, [part]),
        lambda: store.accept_part(KEY, query, 3, io.BytesIO(b"abc")),
    ):
        with pytest.raises(UploadNotFound):
            call()
    assert store.read(KEY, MIN_PART_BYTES) == b"abc"


# what is on the disk


def test_a_full_disk_is_unavailable_and_keeps_the_old_object(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put_bytes(KEY, b"old", "video/mp4")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable):
        store.put_bytes(KEY, b"new", "video/mp4")
    with pytest.raises(StoreUnavailable):
        store.start_multipart(KEY, "video/mp4")
    monkeypatch.undo()
    assert store.read(KEY, 10) == b"old"


def test_deleting_takes_the_bytes_and_the_empty_folders(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"x", "video/mp4")
    store.put_bytes("users/43/x", b"x", "video/mp4")
    store.delete([KEY])
    assert not (tmp_path / "store/objects/users/42").exists()
    assert len(files(tmp_path)) == 2


def test_replacing_removes_the_version_before(store: FolderStore, tmp_path: Path) -> None:
    for text in (b"1", b"2", b"3"):
        store.put_bytes(KEY, text, "video/mp4")
    assert len(files(tmp_path)) == 2


def test_a_reader_keeps_what_it_opened(store: FolderStore) -> None:
    store.put_bytes(KEY, b"old" * 500_000, "video/mp4")
    stream = store.open(KEY)
    first = next(stream)
    store.put_bytes(KEY, b"new", "video/mp4")
    assert first + b"".join(stream) == b"old" * 500_000


def test_a_copy_shares_no_fate(store: FolderStore) -> None:
    store.put_bytes(KEY, b"x" * 1000, "video/mp4")
    assert store.copy(KEY, KEY).size == 1000
    store.copy(KEY, "copy")
    store.delete([KEY])
    assert store.read("copy", 1000) == b"x" * 1000


def test_copying_works_without_hard_links(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store.put_bytes(KEY, b"x" * 1000, "video/mp4")
    assert store.copy(KEY, "copy").size == 1000
    assert store.read("copy", 1000) == b"x" * 1000


def test_writers_readers_and_deleters_never_see_a_mixture(store: FolderStore) -> None:
    """Every read gives one writer's bytes, length and type together, or nothing."""
    stop = threading.Event()
    problems: list[object] = []

    def write(letter: str) -> None:
        for n in range(60):
            store.put_bytes(KEY, letter.encode() * (n * 997), f"text/{letter}")
            if n % 7 == 0:
                store.delete([KEY])

    def read() -> None:
        while not stop.is_set():
            try:
                data = store.read(KEY, 10**6)
                stat = store.stat(KEY)
            except ObjectNotFound:
                continue
            if len(set(data)) > 1 or (stat and stat.content_type not in ("text/a", "text/b")):
                problems.append((len(data), stat))

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, letter) for letter in "ab"]
        wait(writers)
        stop.set()
    for future in readers + writers:
        future.result()
    assert problems == []


def test_only_old_rubbish_is_swept(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"kept", "video/mp4")
    folder = tmp_path / "store/objects/users/42/8f14"
    rubbish = [folder / "source.mp4~0123456789abcdef", folder / "gone.mp4~0123456789abcdef.record"]
    foreign = [folder / "a b~c", folder / "notes.txt"]
    for path in rubbish + foreign:
        path.write_bytes(b"x")
    (tmp_path / "store/multipart/0123").mkdir(parents=True)
    assert store.sweep_temporary() == 0
    with clock.shifted(timedelta(minutes=61)):
        assert store.sweep_temporary() == 3
    assert not any(path.exists() for path in rubbish)
    assert all(path.exists() for path in foreign)
    assert store.read(KEY, 10) == b"kept"
    assert [info.key for info in store.list()] == [KEY]


def test_a_copy_of_an_old_object_survives_the_sweep(store: FolderStore) -> None:
    store.put_bytes(KEY, b"kept", "video/mp4")
    with clock.shifted(timedelta(days=1)):
        store.copy(KEY, "copy")
        store.sweep_temporary()
        assert store.read("copy", 10) == store.read(KEY, 10) == b"kept"


def test_symlinks_lead_nowhere(store: FolderStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd~").write_text('{"version": "v"}')
    (outside / "passwd~v").write_text("secret")
    root = tmp_path / "store/objects"
    root.mkdir(parents=True)
    (root / "out").symlink_to(outside)
    (root / "file~").symlink_to(outside / "passwd~")
    for call in (
        lambda: store.read("out/passwd", 10),
        lambda: store.put_bytes("out/new", b"x", "text/plain"),
        lambda: store.delete(["out/passwd"]),
        lambda: list(store.list("out/")),
        lambda: store.delete_prefix("out/"),
    ):
        with pytest.raises(InvalidKey):
            call()
    with pytest.raises(ObjectNotFound):
        store.read("file", 10)
    assert list(store.list()) == []
    assert sorted(path.name for path in outside.iterdir()) == ["passwd~", "passwd~v"]


def test_a_version_that_is_a_symlink_is_not_read(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"x", "video/mp4")
    (tmp_path / "secret").write_text("secret")
    version = next(path for path in (tmp_path / "store").rglob("source.mp4~?*"))
    version.unlink()
    version.symlink_to(tmp_path / "secret")
    with pytest.raises(StoreUnavailable):
        store.read(KEY, 10)


def test_a_damaged_record_is_unavailable_not_missing(store: FolderStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"x", "video/mp4")
    (tmp_path / "store/objects" / f"{KEY}~").write_text("{")
    with pytest.raises(StoreUnavailable):
        store.stat(KEY)


def test_check_needs_a_folder(store: FolderStore, tmp_path: Path) -> None:
    store.check()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        FolderStore(tmp_path / "file" / "store", "s", lambda: "").check()


def test_what_the_edge_sends_with_a_file(store: FolderStore) -> None:
    store.put_bytes(KEY, b"x", "video/mp4", "max-age=1")
    url = store.sign_get(KEY, expires_seconds=60, download_name="clip.mp4")
    assert url.startswith(f"http://host/media/store/{KEY}?")
    file = store.verify_get(KEY, query_of(url))
    assert file.path.read_bytes() == b"x"
    assert file.info == store.stat(KEY)
    assert file.headers == {
        "Content-Type": "video/mp4",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "max-age=1",
        "Content-Disposition": "attachment; filename=\"clip.mp4\"; filename*=UTF-8''clip.mp4",
    }
    assert set(store.locate(KEY).headers) == {"Content-Type", "X-Content-Type-Options", "Cache-Control"}
    with pytest.raises(ObjectNotFound):
        store.locate("nothing")
