"""Real clips and real sockets: the running platform over HTTP alone."""

from __future__ import annotations

import re
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import httpx
import pytest

from tests.support.live import Platform
from tests.support.wire import names_in

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.timeout(240)]

CLIPS = {
    "asl-bird.mkv", "asl-eat.mkv", "asl-hungry.mkv", "asl-milk.mkv", "asl-thanks.mkv", "asl-yes.mkv",
    "big-buck-bunny-480p-30s.mp4", "bottle-detection.mp4", "car-detection.mp4",
}  # fmt: skip
READY_SECONDS = 200


@pytest.fixture
def phone(live_platform: Platform) -> httpx.Client:
    """Somebody new, signed in."""
    name = f"p{uuid.uuid4().hex[:12]}"
    form = {"username": name, "email": f"{name}@people.example", "password": "correct horse battery"}
    client = httpx.Client(base_url=live_platform.base_url, timeout=30)
    token = client.post("/api/auth/register/", data=form).json()["token"]
    client.headers["Authorization"] = f"Token {token}"
    return client


def begin(phone: httpx.Client, size: int | None = None) -> dict[str, Any]:
    form = {"fileName": "x.mp4", "fileType": "video/mp4", **({"file_size": str(size)} if size else {})}
    answer = phone.post("/api/media/upload/", data=form)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def put(link: str, body: bytes, kind: str = "video/mp4") -> httpx.Response:
    return httpx.put(link, content=body, headers={"Content-Type": kind}, timeout=60)


def send(phone: httpx.Client, clip: Path) -> int:
    """Upload and post one clip; the id of the post."""
    body = clip.read_bytes()
    ticket = begin(phone, len(body))
    assert put(ticket["video_url"], body).status_code == 200
    posted = phone.post("/api/media/post/", data={"file_path": ticket["video_file_path"], "description": clip.name})
    assert posted.status_code == 201, posted.text
    return int(posted.json()["id"])


def wait(phone: httpx.Client, post_id: int) -> dict[str, Any]:
    """The post once it is ready or failed; its percentage never goes back."""
    deadline, percent = time.monotonic() + READY_SECONDS, 0
    while time.monotonic() < deadline:
        shown: dict[str, Any] = phone.get(f"/api/media/post/{post_id}/").json()
        assert shown["progress"] >= percent
        percent = shown["progress"]
        if shown["stage"] in ("ready", "failed"):
            return shown
        time.sleep(0.3)
    raise AssertionError(f"not ready after {READY_SECONDS} s: {shown}")


def fetch(link: str, folder: Path) -> Path:
    """One rendition as a file: its init file and segments one after the other."""
    playlist = httpx.get(link)
    assert playlist.status_code == 200
    joined = folder / f"{uuid.uuid4().hex}.mp4"
    with joined.open("wb") as file:
        for name in names_in(playlist.text):
            piece = httpx.get(link.rpartition("/")[0] + "/" + name)
            assert piece.status_code == 200
            file.write(piece.content)
    return joined


def check(shown: dict[str, Any], clip: Path, folder: Path) -> None:
    """Every rendition plays, is as long as the source within one frame, and has keyframes where the others have."""
    assert (shown["stage"], shown["failure_code"]) == ("ready", None), clip.name
    master = httpx.get(shown["link"])
    named = names_in(master.text)
    assert len(named) == len(shown["renditions"]) >= 1
    frame_ms = 1000 / shown["renditions"][0]["frame_rate"]
    with av.open(str(clip)) as source:
        own = float(source.duration or 0) / 1000
        assert min(shown["renditions"][0]["width"], shown["renditions"][0]["height"]) <= min(
            source.streams.video[0].width, source.streams.video[0].height
        )
    assert abs(shown["duration"] - own) <= max(frame_ms, 100), clip.name
    keyframes = []
    for name in named:
        with av.open(str(fetch(shown["link"].rpartition("/")[0] + "/" + name, folder))) as film:
            stream = film.streams.video[0]
            packets = [packet for packet in film.demux(stream) if packet.size and packet.pts is not None]
            base = float(stream.time_base or 0)
            assert abs(len(packets) * frame_ms - shown["duration"]) <= frame_ms, (clip.name, name)
            keyframes.append(
                [round(packet.pts * base, 4) for packet in packets if packet.is_keyframe and packet.pts is not None]
            )
    assert all(found == keyframes[0] for found in keyframes), clip.name
    for picture in ("thumbnail_link", "preview_link"):
        assert httpx.get(shown[picture]).content.startswith(b"\xff\xd8\xff")


def test_every_real_clip_becomes_a_film_that_plays(phone: httpx.Client, shared_media: Path, tmp_path: Path) -> None:
    clips = sorted(path for path in shared_media.iterdir() if path.suffix in (".mkv", ".mp4"))
    assert {clip.name for clip in clips} == CLIPS
    with ThreadPoolExecutor(len(clips)) as pool:
        posts = list(pool.map(lambda clip: send(phone, clip), clips))
    for clip, post_id in zip(clips, posts, strict=True):
        check(wait(phone, post_id), clip, tmp_path)
    listed = phone.get("/api/media/post/").json()["posts"]
    assert {shown["description"]: shown["stage"] for shown in listed} == dict.fromkeys(CLIPS, "ready")
    profile = phone.get("/api/media/get_user_posts/?username=").json()
    assert {card["id"] for card in profile["posts"]} == set(posts)


def test_a_hostile_upload_fails_with_its_code_and_is_gone_when_deleted(
    phone: httpx.Client, live_platform: Platform, tmp_path: Path
) -> None:
    """Also: an empty file can be sent through the real web server, and its objects are gone from the disk."""
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("#EXTM3U\n#EXTINF:2.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    posts = {send(phone, empty): "empty_file", send(phone, text): "not_media"}
    for post_id, code in posts.items():
        shown = wait(phone, post_id)
        assert (shown["stage"], shown["failure_code"]) == ("failed", code)
        assert phone.request("DELETE", "/api/media/delete_post/", data={"video_id": post_id}).status_code == 200
    mine = live_platform.home / "media" / "objects" / "users" / re.search(r"users/(\d+)/", begin(phone)["video_url"])[1]  # type: ignore[index]
    deadline = time.monotonic() + 30
    while mine.exists() and any(path.is_file() for path in mine.rglob("*")):
        assert time.monotonic() < deadline, sorted(mine.rglob("*"))
        time.sleep(0.1)


def test_a_client_that_is_still_sending_reads_why_it_is_refused(phone: httpx.Client) -> None:
    link = begin(phone)["thumb_url"]
    refused = put(link, bytes(24 * 1024**2), "image/jpeg")
    assert (refused.status_code, refused.text) == (413, "This file is too large.")
    refused = put(link, b"GIF89a", "image/gif")
    assert (refused.status_code, refused.headers["X-Error-Code"]) == (403, "wrong_content_type")
    chunked = httpx.put(link, content=iter([b"a", b"b"]), headers={"Content-Type": "image/jpeg"})
    assert chunked.status_code == 411


def test_one_who_stalls_is_answered_at_once_and_holds_nobody_up(phone: httpx.Client) -> None:
    link = urlsplit(begin(phone)["thumb_url"])
    asked = f"PUT {link.path}?{link.query} HTTP/1.1"
    headers = ["Host: x", "Content-Type: image/jpeg", "Content-Length: 50000000"]
    head = "\r\n".join([asked, *headers, "", ""])
    with socket.create_connection((str(link.hostname), link.port or 80), timeout=10) as stalled:
        stalled.sendall(head.encode() + bytes(1000))
        assert stalled.recv(100).startswith(b"HTTP/1.1 413 ")
