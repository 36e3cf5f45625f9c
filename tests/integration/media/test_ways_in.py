"""The three ways in, from the first request to the playing film, on each kind of store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import pytest
import sqlalchemy as sa
from sqlalchemy import orm

import config
from popoff.adapters import storage
from popoff.kernel import clock
from popoff.media import rules
from popoff.media.models import Upload
from tests.support import clips
from tests.support.people import People
from tests.support.wire import Answer, Wire, folder_of, names_in, post, status, stored, upload, upload_package
from workers import transcode

pytestmark = pytest.mark.usefixtures("any_store")


def frames_of(pieces: Mapping[str, Answer], name: str, folder: Path) -> tuple[int, list[float]]:
    """Pictures in a rendition, and the seconds at which its keyframes are."""
    joined = folder / f"{name}.mp4"
    wanted = [
        f"{name}/{piece.partition('?')[0].rpartition('/')[2]}"
        for piece in names_in(pieces[f"{name}/playlist.m3u8"].text)
    ]
    joined.write_bytes(b"".join(pieces[piece].body for piece in wanted))
    with av.open(str(joined)) as film:
        keys = [float(packet.pts * packet.time_base) for packet in film.demux(video=0) if packet.is_keyframe]
    with av.open(str(joined)) as film:
        return sum(1 for _ in film.decode(video=0)), keys


def check_film(shown: dict[str, Any], wire: Wire, folder: Path) -> dict[str, Answer]:
    """A ready post plays through its links: every rendition is whole, and all change at the same moments."""
    assert shown["stage"] == "ready"
    assert shown["progress"] == 100
    assert shown["playable"]
    assert shown["failure_code"] is None
    pieces = wire.play(shown["link"])
    assert {name: piece.status for name, piece in pieces.items() if piece.status != 200} == {}
    seen = [frames_of(pieces, made["name"], folder) for made in shown["renditions"]]
    rate = shown["renditions"][0]["frame_rate"]
    assert all(abs(frames / rate * 1000 - shown["duration"]) <= 1000 / rate for frames, _ in seen)
    assert all(keys == seen[0][1] for _, keys in seen)
    for link in ("thumbnail_link", "preview_link"):
        image = wire.get(shown[link])
        assert image.body.startswith(b"\xff\xd8\xff")
        assert image.headers["Content-Type"] == "image/jpeg"
    return pieces


def test_one_put_becomes_a_film_that_plays(people: People, wire: Wire, tmp_path: Path) -> None:
    ticket = upload(people.ada, wire, clips.clip("rotated.mp4").read_bytes())
    post_id = post(people.ada, ticket, description="Upright", tags="Phone, #Test")
    before = status(people.ada, post_id)
    assert (before["stage"], before["progress"], before["playable"]) == ("received", 0, False)
    assert (before["link"], before["thumbnail_link"], before["preview_link"]) == ("", "", "")
    transcode.run(post_id)
    shown = status(people.ada, post_id)
    assert (shown["description"], shown["tags"]) == ("Upright", ["phone", "test"])
    assert (shown["width"], shown["height"], shown["duration"]) == (360, 640, 2000)
    check_film(shown, wire, tmp_path)


def test_a_package_becomes_a_film_that_plays(people: People, wire: Wire, tmp_path: Path) -> None:
    (tmp_path / "phone").mkdir()
    ticket = upload_package(people.ada, wire, clips.hls_package(tmp_path / "phone", seconds=3, source=None))
    assert {"video_file_path", "thumb_url", "thumb_file_path"} < ticket.keys()
    post_id = post(people.ada, ticket, file_size="123", length="3000", width="640", height="360")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "phone").iterdir()}
    transcode.run(post_id)
    pieces = check_film(status(people.ada, post_id), wire, tmp_path)
    assert {name for name in pieces if name.startswith("360/seg")} == {"360/seg_00000.m4s", "360/seg_00001.m4s"}
    card = people.eve.get("/api/media/get_user_posts/", query_string={"username": "ada"}).json["posts"][0]
    assert card["file_size"] == sum(sizes.values()), "measured, not what the client told"
    assert abs(card["length"] - 3000) < 50


def test_a_large_file_goes_on_after_a_break(
    people: People, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, any_store: str
) -> None:
    monkeypatch.setattr(rules, "PART_BYTES", 5 * 1024**2)
    film = clips.clip("tiny.mp4").read_bytes()
    body = film + free_box(11 * 1024**2 - len(film))
    begun = people.ada.post(
        "/api/media/uploads/", data={"file_name": "long.mp4", "file_type": "video/mp4", "file_size": len(body)}
    )
    assert begun.status_code == 201
    assert begun.json["parts"] == 3
    here = f"/api/media/uploads/{begun.json['upload_id']}/"
    parts = {number: body[(number - 1) * 5 * 1024**2 : number * 5 * 1024**2] for number in (1, 2, 3)}
    links = people.ada.post(f"{here}parts/", data={"parts[]": [1, 2]}).json["urls"]
    assert wire.put(links["1"], parts[1]).status == 200
    assert wire.put(links["2"], parts[2][:-1]).status in (400, 403), "half a part"

    assert people.ada.get(here).json == {"parts": [{"number": 1, "size": 5 * 1024**2}]}
    assert people.ada.post(f"{here}complete/").json["code"] == "upload_incomplete"
    assert people.ada.post("/api/media/post/", data={"file_path": begun.json["file_path"]}).status_code == 400
    links = people.ada.post(f"{here}parts/", json={"parts": [1, 2, 3]}).json["urls"]
    for number in (3, 1, 2):  # in any order, and one of them twice
        assert wire.put(links[str(number)], parts[number]).status == 200
    assert [part["number"] for part in people.ada.get(here).json["parts"]] == [1, 2, 3]
    assert wire.put(begun.json["thumb_url"], b"no picture", "image/jpeg").status == 200

    for _ in range(2):
        assert people.ada.post(f"{here}complete/").json == {"file_path": begun.json["file_path"]}
    for closed in (people.ada.get(here), people.ada.post(f"{here}parts/", json={"parts": [1]})):
        assert (closed.status_code, closed.json["code"]) == (409, "upload_not_open")
    if any_store == "folder":  # this S3 server goes on taking parts, against S3's own rule
        assert wire.put(links["1"], parts[1]).status == 404
    assert stored(folder_of(begun.json))["source"] == len(body)
    post_id = post(people.ada, begun.json)
    transcode.run(post_id)
    check_film(status(people.ada, post_id), wire, tmp_path)


def free_box(size: int) -> bytes:
    """So many bytes that players of MP4 skip."""
    return size.to_bytes(4, "big") + b"free" + bytes(size - 8)


def test_joining_that_crashed_before_it_was_noted_can_be_repeated(
    people: People, wire: Wire, session: orm.Session
) -> None:
    form = {"file_name": "x.mp4", "file_type": "video/mp4", "file_size": 7}
    begun = people.ada.post("/api/media/uploads/", data=form).json
    here = f"/api/media/uploads/{begun['upload_id']}/"
    assert wire.put(people.ada.post(f"{here}parts/", json={"parts": [1]}).json["urls"]["1"], b"7 bytes").status == 200
    store, key = storage.store(), begun["file_path"]
    multipart_id = session.scalars(sa.select(Upload.multipart_id)).one()
    store.complete_multipart(key, multipart_id, store.parts(key, multipart_id))
    assert people.ada.post(f"{here}complete/").json == {"file_path": key}
    assert post(people.ada, begun)


def test_links_take_only_what_they_were_made_for(people: People, wire: Wire, tiny: bytes) -> None:
    form = {"fileName": "x.mp4", "fileType": "video/mp4", "file_size": len(tiny)}
    link = people.ada.post("/api/media/upload/", data=form).json["video_url"]
    assert wire.put(link, tiny, "text/html").status == 403
    assert wire.put(link, tiny + b"!", "video/mp4").status in (403, 413)
    assert wire.put(link, tiny[1:], "video/mp4").status == 403
    assert wire.put(re.sub("(?i)(signature=)....", r"\1AAAA", link), tiny, "video/mp4").status == 403
    assert wire.put(link.replace("/source", "/thumbnail"), tiny, "video/mp4").status == 403
    assert wire.put(link, tiny, "video/mp4").status == 200


def test_a_grant_opens_its_own_folder_and_nothing_else(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny, thumbnail=b"no picture")
    post_id = post(people.ada, ticket, thumbnail_path=ticket["thumb_file_path"])
    transcode.run(post_id)
    shown = status(people.ada, post_id)
    assert wire.get(shown["link"]).status == 200
    hls, _, _ = shown["link"].rpartition("/")
    folder = hls.removesuffix("/hls")
    for foreign in (
        f"{folder}/source",
        f"{folder}/thumbnail",
        f"{folder}/pictures/thumbnail.jpg",
        f"{hls}/../source",
        f"{hls}/%2e%2e/source",
        f"{hls}",
    ):
        assert wire.get(foreign).status in (400, 403, 404), foreign
    pictures = shown["thumbnail_link"].removesuffix("/pictures/thumbnail.jpg")
    assert wire.get(f"{pictures}/hls/master.m3u8").status == 403
    assert wire.get(f"{hls}/nothing.m3u8").status == 404
    grant = re.search(r"/play/([^/]+)/", shown["link"])[1]  # type: ignore[index]
    longer = re.sub(r"^\d+", "9999999999", grant)
    shallower = re.sub(r"\.4\.", ".3.", grant)
    assert longer != grant != shallower
    for tampered in (longer, shallower, grant[:-1] + "_", "x", "1.4." + "A" * 43):
        refused = wire.get(shown["link"].replace(grant, tampered))
        assert (refused.status, refused.headers["X-Error-Code"]) == (403, "bad_signature")
    with clock.shifted(timedelta(hours=7)):
        expired = wire.get(shown["link"])
    assert (expired.status, expired.text) == (403, "This link has expired.")


def test_players_may_ask_for_a_piece(people: People, wire: Wire, tiny: bytes, any_store: str) -> None:
    post_id = post(people.ada, upload(people.ada, wire, tiny))
    transcode.run(post_id)
    shown = status(people.ada, post_id)
    playlist = shown["link"].replace("master", "90/playlist")
    listed = wire.get(playlist)
    segment = names_in(listed.text)[-1]
    if any_store == "s3":
        assert segment.startswith(config.current().s3_endpoint_url), "straight from the bucket"
        assert listed.headers["Cache-Control"] == "max-age=10"
    else:
        assert segment == "seg_00000.m4s"
        segment = playlist.replace("playlist.m3u8", segment)
    whole = wire.get(segment).body
    piece = wire.get(segment, Range="bytes=100-199")
    assert (piece.status, piece.body) == (206, whole[100:200])
    assert piece.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"
    via_us = wire.get(playlist.replace("playlist.m3u8", "seg_00000.m4s"), Range="bytes=0-9")
    assert (via_us.status, via_us.body) == (206, whole[:10])
    assert wire.get(segment, Range=f"bytes={len(whole)}-").status == 416


def test_the_pieces_of_a_film_may_be_kept_by_caches_but_not_its_playlists(
    people: People, wire: Wire, tiny: bytes
) -> None:
    post_id = post(people.ada, upload(people.ada, wire, tiny))
    transcode.run(post_id)
    for name, piece in wire.play(status(people.ada, post_id)["link"]).items():
        wanted = "max-age=10" if name.endswith(".m3u8") else storage.IMMUTABLE
        assert piece.headers["Cache-Control"] == wanted, name
        if not name.endswith(".m3u8"):
            assert piece.headers["Content-Type"] in ("video/mp4", "video/iso.segment")
