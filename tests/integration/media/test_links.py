"""Signed links of the folder store as browsers and phones meet them: refusals, streams, other pages."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

import config
from popoff.adapters import storage
from popoff.adapters.storage import FolderStore, StoredFile, store
from tests.support.people import People
from tests.support.wire import Wire

KEY = "users/1/u/source"


def put_link(size: int | None = None, key: str = KEY) -> str:
    limits = {"max_bytes": 10_000, "exact_bytes": size, "expires_seconds": 60}
    return store().sign_put(key, content_type="video/mp4", **limits).url  # type: ignore[arg-type]


@pytest.fixture
def address(app: Flask) -> Iterator[tuple[str, int]]:
    """The application behind a real socket."""

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_refused_upload_is_answered_with_a_sentence(wire: Wire) -> None:
    for link, kind, status, code in (
        (put_link(), "text/html", 403, "wrong_content_type"),
        (put_link(5), "video/mp4", 403, "wrong_length"),
        (put_link().replace("signature=", "signature=x"), "video/mp4", 403, "bad_signature"),
        (put_link(key="users/1/x/source").replace("/x/", "/y/"), "video/mp4", 403, "bad_signature"),
    ):
        refused = wire.put(link, b"seven b", kind)
        assert (refused.status, refused.headers["X-Error-Code"]) == (status, code)
        assert refused.headers["Content-Type"].startswith("text/plain")
        assert refused.text.endswith(".")
        assert len(refused.text) < 100
    assert store().stat(KEY) is None


def test_an_upload_without_its_length_is_refused_with_411(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address)
    path = put_link().removeprefix(config.current().public_url)
    connection.putrequest("PUT", path)
    connection.putheader("Content-Type", "video/mp4")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Error-Code"]) == (411, "length_required")
    connection.close()


@pytest.mark.parametrize("size", [None, 5], ids=["sending what is wanted", "sending what is refused"])
def test_a_phone_that_hangs_up_is_no_trouble(size: int | None, address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address)
    path = put_link(size).removeprefix(config.current().public_url)
    connection.putrequest("PUT", path)
    connection.putheader("Content-Type", "video/mp4")
    connection.putheader("Content-Length", "9000")
    connection.endheaders()
    connection.send(bytes(10))
    connection.close()
    again = http.client.HTTPConnection(*address)
    again.request("PUT", path, body=b"whole", headers={"Content-Type": "video/mp4"})
    assert again.getresponse().status == 200
    again.close()
    assert store().read(KEY, 10) == b"whole"


def test_pages_of_other_origins_may_upload_and_play(wire: Wire) -> None:
    asked = wire.send("OPTIONS", put_link(), Origin="https://app.example", Access_Control_Request_Method="PUT")
    assert asked.status == 200
    assert "PUT" in asked.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in asked.headers["Access-Control-Allow-Headers"]
    sent = wire.put(put_link(), b"film", "video/mp4")
    assert (sent.headers["Access-Control-Allow-Origin"], sent.headers["Access-Control-Expose-Headers"][:4]) == (
        "*",
        "ETag",
    )
    assert sent.headers["ETag"] == f'"{store().stat(KEY).etag}"'  # type: ignore[union-attr]


def test_an_object_is_sent_under_its_own_name_and_never_as_a_page_of_ours(wire: Wire) -> None:
    store().put_bytes("users/1/u/pictures/a.jpg", b"<script>alert(1)</script>", "text/html")
    link = storage.play_link("users/1/u/pictures/a.jpg", "users/1/u/pictures")
    sent = wire.get(link)
    assert sent.headers["Content-Disposition"] == "inline; filename=a.jpg"
    assert sent.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    same = wire.get(
        storage.play_link("users/1/u/pictures/a.jpg", "users/1/u/pictures"), If_None_Match=sent.headers["ETag"]
    )
    assert (same.status, same.body) == (304, b"")


@pytest.mark.parametrize(("vanishes", "status"), [(1, 200), (2, 200), (9, 404)])
def test_an_object_replaced_while_it_is_opened_is_found_again(
    vanishes: int, status: int, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master playlist is replaced when the ladder is up, and people are playing it then."""
    store().put_bytes("users/1/u/hls/master.m3u8", b"#EXTM3U", "application/vnd.apple.mpegurl")
    locate = FolderStore.locate
    calls: list[str] = []

    def late(self: FolderStore, key: str, name: str | None = None) -> StoredFile:
        found = locate(self, key, name)
        calls.append(key)
        return StoredFile(Path("/nowhere"), found.info, found.headers) if len(calls) <= vanishes else found

    monkeypatch.setattr(FolderStore, "locate", late)
    link = storage.play_link("users/1/u/hls/master.m3u8", "users/1/u/hls")
    assert wire.get(link).status == status
    assert len(calls) <= 3


def test_where_a_bucket_is_set_the_links_of_the_folder_do_not_exist(wire: Wire, people: People) -> None:
    link = put_link()
    with config.override(s3_bucket="bucket", s3_endpoint_url="http://127.0.0.1:1"):
        assert wire.put(link, b"film", "video/mp4").status == 404
        assert wire.get(link).status == 404


def test_a_playlist_in_a_bucket_cannot_have_a_foreign_object_signed(
    wire: Wire, any_store: str, request: pytest.FixtureRequest
) -> None:
    """Our own playlists name no such thing; a bucket that others write to might."""
    for name in ("../source", "/users/1/u/source", "https://elsewhere.example/x.m4s", "a/../../source"):
        store().put_bytes("users/1/u/hls/evil.m3u8", f"#EXTM3U\n{name}\n".encode(), "application/vnd.apple.mpegurl")
        answer = wire.get(storage.play_link("users/1/u/hls/evil.m3u8", "users/1/u/hls"))
        assert "Signature" not in answer.text
        if any_store == "s3":
            assert answer.status == 400
