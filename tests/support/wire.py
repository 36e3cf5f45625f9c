"""Uploading and playing as a client does it: links are opened where they lead.

Our own addresses go to the test client, a real S3 server is asked over HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from flask.testing import FlaskClient

import config
from popoff.adapters.storage import store
from tests.support.people import Person


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Wire:
    """Opens links."""

    def __init__(self, client: FlaskClient):
        self._client = client

    def send(self, method: str, url: str, body: bytes = b"", **headers: str) -> Answer:
        """`headers` with underscores; redirects are followed."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        own = config.current().public_url
        if url.startswith(own):
            stream = BytesIO(body) if method == "PUT" else None  # which has a length even when it is empty
            answer = self._client.open(url.removeprefix(own), method=method, input_stream=stream, headers=sent)
            if answer.status_code in (301, 302, 307):
                return self.send(method, answer.headers["Location"], body, **headers)
            return Answer(answer.status_code, answer.data, answer.headers)
        found = httpx.request(method, url, content=body, headers=sent)
        return Answer(found.status_code, found.content, found.headers)

    def get(self, url: str, **headers: str) -> Answer:
        return self.send("GET", url, **headers)

    def put(self, url: str, body: bytes, content_type: str = "") -> Answer:
        return self.send("PUT", url, body, **({"content_type": content_type} if content_type else {}))

    def play(self, link: str) -> dict[str, Answer]:
        """Everything a player fetches for a master playlist, by its name there (`480/playlist.m3u8`, ...)."""
        master = self.get(link)
        assert master.status == 200, master.text
        found = {"master.m3u8": master}
        for name in names_in(master.text):
            playlist_link = link.rpartition("/")[0] + "/" + name
            found[name] = self.get(playlist_link)
            for piece in names_in(found[name].text):
                url = piece if "://" in piece else playlist_link.rpartition("/")[0] + "/" + piece
                plain = piece.partition("?")[0].rpartition("/")[2]
                found[f"{name.rpartition('/')[0]}/{plain}"] = self.get(url)
        return found


def names_in(playlist: str) -> list[str]:
    """What a playlist names: init files and entries."""
    maps = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', playlist)
    return maps + [line for line in playlist.splitlines() if line and not line.startswith("#")]


# --- uploads --------------------------------------------------------------------------------------------------------


def upload(
    person: Person, wire: Wire, body: bytes, *, exact: bool = True, thumbnail: bytes | None = None
) -> dict[str, Any]:
    """Upload one file by its presigned link; the ticket."""
    data: dict[str, Any] = {"fileName": "holiday.mp4", "fileType": "video/mp4"}
    begun = person.post("/api/media/upload/", data={**data, "file_size": len(body)} if exact and body else data)
    assert begun.status_code == 200, begun.text
    sent = wire.put(begun.json["video_url"], body, "video/mp4")
    assert sent.status == 200, sent.text
    if thumbnail is not None:
        assert wire.put(begun.json["thumb_url"], thumbnail, "image/jpeg").status == 200
    return begun.json


def upload_package(person: Person, wire: Wire, playlist: Path) -> dict[str, Any]:
    """Upload an HLS package as the phone does; the ticket."""
    files = {path.name: path.read_bytes() for path in [playlist, *playlist.parent.glob("*.ts")]}
    form = {"base_name": "IMG_1", "files[]": list(files), "type": "application/x-mpegURL"}
    begun = person.post("/api/media/upload_hls/", data=form)
    assert begun.status_code == 200, begun.text
    for name, url in begun.json["upload_urls"].items():
        kind = "application/x-mpegURL" if name.endswith(".m3u8") else "video/MP2T"
        assert wire.put(url, files[name], kind).status == 200
    return begun.json


def post(person: Person, ticket: Mapping[str, Any], **fields: str) -> int:
    """Post an upload; the id of the post."""
    path = ticket.get("video_file_path") or ticket["file_path"]
    answer = person.post("/api/media/post/", data={"file_path": path, "description": "", "tags": "", **fields})
    assert answer.status_code == 201, answer.text
    return int(answer.json["id"])


def posted(person: Person, wire: Wire, body: bytes, **fields: str) -> int:
    """Upload and post one file; the id of the post."""
    return post(person, upload(person, wire, body), **fields)


def status(person: Person, post_id: int) -> dict[str, Any]:
    answer = person.get(f"/api/media/post/{post_id}/")
    assert answer.status_code == 200, answer.text
    return answer.json


def folder_of(ticket: Mapping[str, Any]) -> str:
    """The folder of an upload in the store."""
    path: str = ticket.get("video_file_path") or ticket["file_path"]
    return "/".join(path.split("/")[:3]) + "/"


def stored(prefix: str = "") -> dict[str, int]:
    """Bytes by key of what is in the store."""
    return {info.key.removeprefix(prefix): info.size for info in store().list(prefix)}
