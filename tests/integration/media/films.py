"""A posted film and where it lies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import config
from popoff.adapters.storage import store
from tests.support.people import People, Person
from tests.support.wire import Wire, folder_of, post, status, stored, upload
from workers import transcode

TINY = {"source", "hls/master.m3u8", "hls/90/playlist.m3u8", "hls/90/init.mp4", "hls/90/seg_00000.m4s"}
PICTURES = {"pictures/thumbnail.jpg", "pictures/strip.jpg"}


@dataclass
class Film:
    """A posted upload and where it lies."""

    person: Person
    wire: Wire
    post_id: int
    folder: str

    @property
    def now(self) -> dict[str, Any]:
        return status(self.person, self.post_id)

    @property
    def files(self) -> set[str]:
        return set(stored(self.folder))

    def run(self) -> None:
        transcode.run(self.post_id)

    def delete(self) -> None:
        answer = self.person.delete("/api/media/delete_post/", data={"video_id": self.post_id})
        assert answer.status_code == 200


def film_of(people: People, wire: Wire, body: bytes, thumbnail: bytes | None = None) -> Film:
    ticket = upload(people.ada, wire, body, thumbnail=thumbnail)
    fields = {"thumbnail_path": ticket["thumb_file_path"]} if thumbnail is not None else {}
    return Film(people.ada, wire, post(people.ada, ticket, **fields), folder_of(ticket))


def leaks_nothing(film: Film) -> None:
    """No answer and no object says anything of this machine."""
    said = film.person.get(f"/api/media/post/{film.post_id}/").data + film.person.get("/api/media/post/").data
    secrets = [b"root:", os.fsencode(config.current().home), os.fsencode(config.PROJECT), b"/tmp/", b"ffmpeg"]
    for secret in secrets:
        assert secret not in said
    for name in film.files - {"source"}:
        assert b"root:" not in store().read(film.folder + name, 10**8)
