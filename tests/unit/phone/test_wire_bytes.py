"""The phone replay puts the same bytes on the wire as the captured app.

The captures below are those of the mobile contract: the request line, the headers with lower-cased names
in any order, the body to the byte. A boundary is random by nature: its form is checked, its text is not.
"""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.node import NodeUnavailable, phone_node

TOKEN = "Token 0123456789abcdef0123456789abcdef01234567"
ACCEPT = "application/json, text/plain, */*"
BOUNDARY_FORM = {
    "android": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
    "ios": re.compile(r"[A-Za-z0-9_.-]{70}"),
}
# The connection is the transport's own; iOS names itself and its languages in a way no capture lays down.
NOT_COMPARED = {"host", "connection"}
NOT_CAPTURED_ON_IOS = {"user-agent", "accept-encoding", "accept-language"}
ANDROID_SYSTEM = {"user-agent": "okhttp/4.9.2", "accept-encoding": "gzip"}


@dataclass(frozen=True)
class Captured:
    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def boundary(self) -> str | None:
        found = re.search(r"boundary=(.+)$", self.headers.get("content-type", ""))
        return found[1] if found else None


Sent = tuple[str, list[Captured]]  # a style, and all its phone sent


class _Capture(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            headers: dict[str, str] = {}
            while header := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
                name, _, value = header.partition(": ")
                headers[name.lower()] = value
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self.server.captured.append(Captured(line, headers, body))  # type: ignore[attr-defined]
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


@contextmanager
def _capture_server() -> Iterator[tuple[str, list[Captured]]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Capture) as server:
        server.daemon_threads = True
        server.captured = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api", server.captured  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["android", "ios"])
def sent(request: pytest.FixtureRequest) -> Sent:
    """Everything one phone of the style sends in wire.mjs, in order."""
    try:
        node = phone_node()
    except NodeUnavailable as problem:
        pytest.fail(str(problem), pytrace=False)
    with _capture_server() as (base, captured):
        done = node.run("wire.mjs", "--base", base, "--style", request.param, timeout=60)
    assert done.returncode == 0, done.stderr
    return request.param, captured


def _parts(style: str, *fields: tuple[str, str]) -> bytes:
    """A multipart body with BOUNDARY for its boundary, as the style writes it."""
    lines: list[str] = []
    for name, value in fields:
        lines += ["--BOUNDARY", f'content-disposition: form-data; name="{name}"']
        if style == "android":
            lines.append(f"Content-Length: {len(value.encode())}")
        lines += ["", value]
    return "\r\n".join([*lines, "--BOUNDARY--", ""]).encode()


def _check(
    sent: Sent,
    line: str,
    *fields: tuple[str, str],
    ios_line: str | None = None,
    token: str | None = TOKEN,
    length: dict[str, str] | None = None,
    raw: tuple[str, bytes] | None = None,
) -> None:
    """The request of this line is the captured one. `length`: style -> the Content-Length seen in the capture."""
    style, captured = sent
    wanted_line = f"{ios_line if ios_line and style == 'ios' else line} HTTP/1.1"
    request = next((one for one in captured if one.line == wanted_line), None)
    assert request, f"{wanted_line} was not sent; sent: {[one.line for one in captured]}"

    headers = {"accept": ACCEPT}
    body = b""
    if fields:
        boundary = request.boundary
        assert boundary is not None, request.headers
        assert BOUNDARY_FORM[style].fullmatch(boundary), boundary
        headers["content-type"] = f"multipart/form-data; boundary={boundary}"
        body = _parts(style, *fields).replace(b"BOUNDARY", boundary.encode())
    elif raw:
        headers["content-type"], body = raw
    if body or line.startswith("POST"):
        headers["content-length"] = str(len(body))
    if token:
        headers["authorization"] = token
    left_out = NOT_COMPARED | (NOT_CAPTURED_ON_IOS if style == "ios" else set())
    headers |= ANDROID_SYSTEM if style == "android" else {}

    assert request.body == body
    assert {name: value for name, value in request.headers.items() if name not in left_out} == headers
    if length and style in length:
        assert request.headers["content-length"] == length[style], "the capture has another length"


def test_register(sent: Sent) -> None:
    _check(
        sent,
        "POST /api/auth/register/",
        ("username", "alice"),
        ("email", "a@x.io"),
        ("password", "pw"),
        ("phoneNumber", ""),
        token=None,
        length={"android": "503"},
    )


def test_the_feed_names_what_it_has(sent: Sent) -> None:
    _check(
        sent,
        "GET /api/media/get_feed/?batch_size=5&exclude_ids[]=11&exclude_ids[]=42&followers_only=true",
        ios_line="GET /api/media/get_feed/?batch_size=5&exclude_ids%5B%5D=11&exclude_ids%5B%5D=42&followers_only=true",
    )


def test_the_first_feed_has_nothing_to_exclude(sent: Sent) -> None:
    _check(sent, "GET /api/media/get_feed/?batch_size=5&followers_only=false")


def test_upload_hls(sent: Sent) -> None:
    _check(
        sent,
        "POST /api/media/upload_hls/",
        ("base_name", "IMG_1"),
        ("files[]", "playlist.m3u8"),
        ("files[]", "segment_000.ts"),
        ("files[]", "segment_001.ts"),
        ("type", "application/x-mpegURL"),
        length={"android": "667"},
    )


def test_a_post_leaves_null_out_and_keeps_what_is_empty(sent: Sent) -> None:
    _check(
        sent,
        "POST /api/media/post/",
        ("file_path", "v"),
        ("thumbnail_path", "t"),
        ("length", "15234.5"),
        ("width", "360"),
        ("height", "640"),
        ("description", "Grüße\n☀️"),
        ("tags", ""),
    )


def test_delete_post_has_a_multipart_body(sent: Sent) -> None:
    _check(sent, "DELETE /api/media/delete_post/", ("video_id", "42"), length={"android": "156"})


def test_like(sent: Sent) -> None:
    _check(sent, "POST /api/post/like/", ("video_id", "42"), ("like", "true"), length={"ios": "332"})


def test_engagement_is_json(sent: Sent) -> None:
    body = b'{"video_id":42,"watch_time":3.2000000000000006,"liked":true,"commented":false,"viewed_comments":false}'
    _check(
        sent,
        "POST /api/post/update_posts_engagement/",
        raw=("application/json", body),
        length={"android": "102", "ios": "102"},
    )


def test_follow(sent: Sent) -> None:
    _check(sent, "POST /api/user/add_follower/", ("username", "bob"), length={"android": "157"})


def test_queries_are_encoded_as_axios_does(sent: Sent) -> None:
    _check(sent, "GET /api/user/search/?query=al+ice%2Bx")
    _check(sent, "GET /api/media/get_user_posts/?username=")


def test_a_path_without_a_leading_slash_is_joined(sent: Sent) -> None:
    _check(sent, "GET /api/user/get_preferences/")


def test_reset_has_no_body_and_says_so(sent: Sent) -> None:
    _check(sent, "POST /api/user/reset_user_engagement/", length={"android": "0", "ios": "0"})


def test_requests_without_a_body_have_no_content_type(sent: Sent) -> None:
    _check(sent, "DELETE /api/user/delete_account/")
    _check(sent, "GET /api/auth/check_token/", token=None)
