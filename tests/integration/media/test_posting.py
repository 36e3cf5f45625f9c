"""What the routes of uploads and posts accept and refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import orm
from werkzeug.test import TestResponse

import config
from popoff.adapters import storage
from popoff.adapters.storage import StoreUnavailable
from popoff.kernel.db import db
from popoff.kernel.errors import NotFound
from popoff.media import queries, rules
from popoff.media.models import Post, Upload
from popoff.media.service import retry
from tests.support.outbox import jobs_of, run_due
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.wire import Wire, folder_of, post, posted, status, stored, upload
from workers import transcode

SINGLE = {"fileName": "x.mp4", "fileType": "video/mp4"}
PACKAGE = {"base_name": "IMG_1", "type": "application/x-mpegURL"}


def refusal(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def try_post(person: Any, path: str, **fields: str) -> TestResponse:
    return person.post("/api/media/post/", data={"file_path": path, **fields})


# --- whose upload it is ---------------------------------------------------------------------------------------------


def test_nobody_posts_or_deletes_the_upload_of_another(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    path = ticket["video_file_path"]
    assert refusal(try_post(people.eve, path)) == (400, "unknown_file")
    post_id = post(people.ada, ticket)
    assert refusal(try_post(people.eve, path)) == (400, "unknown_file")
    for answer in (
        people.eve.delete("/api/media/delete_post/", data={"video_id": post_id}),
        people.eve.get(f"/api/media/post/{post_id}/"),
        people.eve.patch(f"/api/media/post/{post_id}/", json={"description": "mine"}),
    ):
        assert refusal(answer) == (404, "post_not_found")
    assert stored(folder_of(ticket)) == {"source": len(tiny)}


def test_nobody_reads_or_ends_the_resumable_upload_of_another(people: People) -> None:
    form = {"file_name": "x.mp4", "file_type": "video/mp4", "file_size": 7}
    here = f"/api/media/uploads/{people.ada.post('/api/media/uploads/', data=form).json['upload_id']}/"
    for answer in (
        people.eve.get(here),
        people.eve.delete(here),
        people.eve.post(f"{here}parts/", json={"parts": [1]}),
        people.eve.post(f"{here}complete/"),
    ):
        assert refusal(answer) == (404, "upload_not_found")
    for part in (0, 2, -1):
        assert refusal(people.ada.post(f"{here}parts/", json={"parts": [part]})) == (400, "invalid_part")


def test_a_single_upload_has_no_parts_to_join(people: People) -> None:
    upload_id = people.ada.post("/api/media/upload/", data=SINGLE).json["video_file_path"].split("/")[2]
    assert refusal(people.ada.post(f"/api/media/uploads/{upload_id}/complete/")) == (409, "upload_not_open")
    assert people.ada.get("/api/media/uploads/not-an-id/").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.replace("/source", "/thumbnail"),
        lambda path: path.replace("/source", "/hls/master.m3u8"),
        lambda path: path + "/",
        lambda path: "/" + path,
        lambda path: path.upper(),
        lambda path: path.replace("users/", "users/../users/"),
        lambda path: "x" * 1000,
    ],
)
def test_only_the_path_that_was_handed_out_can_be_posted(
    change: Callable[[str], str], people: People, wire: Wire, tiny: bytes
) -> None:
    path = upload(people.ada, wire, tiny, thumbnail=b"no picture")["video_file_path"]
    assert refusal(try_post(people.ada, change(path))) == (400, "unknown_file")


def test_what_was_not_uploaded_cannot_be_posted(people: People, wire: Wire) -> None:
    single = people.ada.post("/api/media/upload/", data=SINGLE).json
    refused = try_post(people.ada, single["video_file_path"])
    assert refusal(refused) == (400, "upload_incomplete")
    assert refused.json["file_path"] == ["x.mp4 has not been uploaded."]
    form = {**PACKAGE, "files[]": ["playlist.m3u8", "segment_000.ts", "segment_001.ts"]}
    package = people.ada.post("/api/media/upload_hls/", data=form).json
    wire.put(package["upload_urls"]["playlist.m3u8"], b"#EXTM3U", "application/x-mpegURL")
    wire.put(package["upload_urls"]["segment_001.ts"], b"sound and vision", "video/MP2T")
    refused = try_post(people.ada, package["video_file_path"])
    assert refused.json["message"] == "segment_000.ts has not been uploaded."
    wire.put(package["upload_urls"]["segment_000.ts"], b"sound and vision", "video/MP2T")
    assert try_post(people.ada, package["video_file_path"]).status_code == 201


# --- names, types, sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../../other/x", "../../../other/x.ts", "page.html", "a\\b.ts"])
def test_names_of_clients_sign_nothing(name: str, people: People, session: orm.Session) -> None:
    answer = people.ada.post("/api/media/upload_hls/", data={**PACKAGE, "files[]": ["playlist.m3u8", name]})
    assert refusal(answer) == (400, "invalid_package")
    assert "signature" not in answer.text
    assert session.scalars(sa.select(Upload)).all() == []


def test_names_of_clients_reach_no_key(people: People) -> None:
    files = ["evil_playlist.m3u8", "evil_segment.ts"]
    package = people.ada.post("/api/media/upload_hls/", data={**PACKAGE, "base_name": "evil", "files[]": files}).json
    assert set(package["upload_urls"]) == set(files)
    single = people.ada.post("/api/media/upload/", data={**SINGLE, "fileName": "../../evil.mp4"}).json
    for link in (*package["upload_urls"].values(), single["video_url"], single["thumb_url"]):
        assert "evil" not in link


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("upload", {**SINGLE, "fileType": "text/html"}, "unsupported_type"),
        ("upload", {**SINGLE, "file_size": "0"}, "invalid"),
        ("upload", {**SINGLE, "file_size": "abc"}, "invalid"),
        ("upload", {**SINGLE, "file_size": str(2 * 1024**3 + 1)}, "invalid_size"),
        ("upload", {"fileName": "x.mp4"}, "invalid"),
        ("upload_hls", {**PACKAGE, "type": "video/mp4", "files[]": ["p.m3u8", "s.ts"]}, "unsupported_type"),
        ("upload_hls", PACKAGE, "invalid"),
        ("uploads", {"file_name": "x", "file_type": "video/mp4"}, "invalid"),
        ("uploads", {"file_name": "x", "file_type": "video/mp4", "file_size": str(2 * 1024**3 + 1)}, "invalid_size"),
        ("uploads", {"file_name": "x", "file_type": "image/png", "file_size": "1"}, "unsupported_type"),
    ],
)
def test_uploads_of_the_wrong_kind_are_not_begun(
    path: str, form: dict[str, Any], code: str, people: People, session: orm.Session
) -> None:
    assert refusal(people.ada.post(f"/api/media/{path}/", data=form)) == (400, code)
    assert session.scalars(sa.select(Upload)).all() == []


def test_too_many_open_uploads_have_to_be_posted_or_given_up_first(
    people: People, wire: Wire, tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MAX_OPEN_UPLOADS", 2)
    ticket = upload(people.ada, wire, tiny)
    people.ada.post("/api/media/upload/", data=SINGLE)
    refused = people.ada.post("/api/media/upload/", data=SINGLE)
    assert refusal(refused) == (429, "too_many_uploads")
    assert int(refused.headers["Retry-After"]) > 0
    assert people.eve.post("/api/media/upload/", data=SINGLE).status_code == 200
    post(people.ada, ticket)
    assert people.ada.post("/api/media/upload/", data=SINGLE).status_code == 200


def test_a_file_that_is_too_large_is_not_posted(people: People, wire: Wire, any_store: str) -> None:
    """The folder store refuses it as it comes; S3 takes any size on a link without one, so posting looks."""
    with config.override(max_upload_bytes=1000):
        ticket = people.ada.post("/api/media/upload/", data=SINGLE).json
        sent = wire.put(ticket["video_url"], bytes(1001), "video/mp4")
        if any_store == "folder":
            assert (sent.status, sent.text) == (413, "This file is too large.")
        else:
            refused = try_post(people.ada, ticket["video_file_path"])
            assert refusal(refused) == (413, "file_too_large")


def test_the_files_of_a_package_count_together(people: People, wire: Wire, any_store: str) -> None:
    form = {**PACKAGE, "files[]": ["p.m3u8", "a.ts", "b.ts"]}
    with config.override(max_upload_bytes=1000):
        ticket = people.ada.post("/api/media/upload_hls/", data=form).json
        for name, url in ticket["upload_urls"].items():
            kind = "application/x-mpegURL" if name == "p.m3u8" else "video/MP2T"
            assert wire.put(url, bytes(400), kind).status == 200
        assert refusal(try_post(people.ada, ticket["video_file_path"])) == (413, "file_too_large")


# --- captions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"description": "x" * 2201}, "too_long"),
        ({"description": "x" * 100_001}, "invalid"),
        ({"tags": "x" * 51}, "invalid_tags"),
        ({"tags": ",".join(map(str, range(31)))}, "invalid_tags"),
    ],
)
def test_captions_have_limits_when_posted_and_when_changed(
    fields: dict[str, str], code: str, people: People, wire: Wire, tiny: bytes
) -> None:
    ticket = upload(people.ada, wire, tiny)
    assert refusal(try_post(people.ada, ticket["video_file_path"], **fields)) == (400, code)
    post_id = post(people.ada, ticket)
    assert refusal(people.ada.patch(f"/api/media/post/{post_id}/", json=fields)) == (400, code)
    assert status(people.ada, post_id)["description"] == ""


def test_a_caption_can_be_changed_and_is_understood_anew(people: People, wire: Wire, tiny: bytes) -> None:
    post_id = posted(people.ada, wire, tiny, description="Soup", tags="food")
    changed = people.ada.patch(f"/api/media/post/{post_id}/", json={"description": "Fish soup\u202e\n"}).json
    assert (changed["description"], changed["tags"]) == ("Fish soup", ["food"])
    changed = people.ada.patch(f"/api/media/post/{post_id}/", data={"tags": ""}).json
    assert (changed["description"], changed["tags"]) == ("Fish soup", [])
    assert len(jobs_of("media.insight", post_id=post_id)) == 1, "one that waits serves both changes"


# --- one's own posts ------------------------------------------------------------------------------------------------


def test_own_posts_are_listed_in_every_stage_page_by_page(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries.of_owner, "__defaults__", (None, 2))
    people.ada, people.eve  # noqa: B018
    made = [make_post(name, indexed=False) for name in ("ada", "ada", "eve", "ada")]
    first = people.ada.get("/api/media/post/").json
    assert [shown["id"] for shown in first["posts"]] == [made[3], made[1]]
    last = people.ada.get("/api/media/post/", query_string={"cursor": first["next_cursor"]}).json
    assert ([shown["id"] for shown in last["posts"]], last["next_cursor"]) == ([made[0]], None)
    assert refusal(people.ada.get("/api/media/post/?cursor=x")) == (400, "invalid_cursor")


def test_a_failed_post_is_seen_by_its_owner_with_the_reason_and_by_nobody_else(people: People, wire: Wire) -> None:
    post_id = posted(people.ada, wire, b"This is not a film.\n" * 20)
    transcode.run(post_id)
    shown = people.ada.get("/api/media/post/").json["posts"][0]
    assert (shown["stage"], shown["failure_code"]) == ("failed", "not_media")
    assert shown["failure"] == "This file is not a video that we can read."
    assert (shown["playable"], shown["link"]) == (False, "")
    for profile in (people.ada, people.eve):
        assert profile.get("/api/media/get_user_posts/?username=ada").json["posts"] == []
    assert people.eve.get("/api/media/get_feed/").json["feed"] == []
    assert people.eve.get(f"/api/media/post/{post_id}/").status_code == 404
    assert people.eve.post("/api/post/like/", data={"video_id": post_id, "like": "true"}).status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "abc", "99999999999999999999999", "1.5", "null"])
def test_numbers_of_no_post_are_refused(number: str, people: People) -> None:
    assert people.ada.get(f"/api/media/post/{number}/").status_code in (400, 404)
    assert people.ada.delete("/api/media/delete_post/", data={"video_id": number}).status_code in (400, 404)


def test_a_person_can_take_their_uploads_with_them(people: People, wire: Wire, tiny: bytes) -> None:
    posted(people.ada, wire, tiny, description="Mine")
    posted(people.eve, wire, b"not mine")
    (mine,) = people.ada.get("/api/user/export/").json["posts"]
    assert mine["description"] == "Mine"
    (source,) = mine["files"]
    taken = wire.get(source["link"])
    assert taken.body == tiny
    assert 'filename="holiday.mp4"' in taken.headers["Content-Disposition"]
    assert taken.headers["Content-Security-Policy"].endswith("sandbox")


# --- once, whatever happens -----------------------------------------------------------------------------------------


def test_posting_again_gives_the_same_post(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    assert post(people.ada, ticket, description="once") == post(people.ada, ticket, description="twice")
    assert people.ada.get("/api/media/post/").json["posts"][0]["description"] == "once"
    assert len(jobs_of("media.transcode")) == 1


@pytest.mark.usefixtures("worker")
def test_a_post_is_taken_while_the_queue_is_away_and_runs_later(people: People, wire: Wire, tiny: bytes) -> None:
    ticket = upload(people.ada, wire, tiny)
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        first, again = post(people.ada, ticket), post(people.ada, ticket)
    assert first == again
    assert status(people.ada, first)["stage"] == "received"
    assert run_due("media.transcode") == ["media.transcode"]
    assert status(people.ada, first)["stage"] == "ready"


def at_once(*requests: Callable[[FlaskClient], TestResponse], app: Flask) -> list[TestResponse]:
    """The answers to requests that are made at the same time, each in a thread of its own."""
    barrier = threading.Barrier(len(requests))

    def make(request: Callable[[FlaskClient], TestResponse]) -> TestResponse:
        barrier.wait()
        return request(app.test_client())

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(make, requests))


def token(people: People) -> dict[str, str]:
    return {"Authorization": f"Token {people.ada.token}"}


def test_posting_twice_at_once_makes_one_post(platform_db: Flask, tiny: bytes) -> None:
    people = People(platform_db.test_client())
    form = {"file_path": upload(people.ada, Wire(platform_db.test_client()), tiny)["video_file_path"]}
    headers = token(people)

    def press_post(client: FlaskClient) -> TestResponse:
        return client.post("/api/media/post/", data=form, headers=headers)

    answers = at_once(*[press_post] * 6, app=platform_db)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    with platform_db.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Post)) == 1
        assert len(jobs_of("media.transcode")) == 1


def test_an_upload_is_either_posted_or_given_up_never_both(platform_db: Flask, tiny: bytes) -> None:
    people, wire = People(platform_db.test_client()), Wire(platform_db.test_client())
    headers = token(people)
    for _ in range(4):
        path = upload(people.ada, wire, tiny)["video_file_path"]
        posting, cancelling = at_once(
            lambda client, path=path: client.post("/api/media/post/", data={"file_path": path}, headers=headers),
            lambda client, path=path: client.delete(f"/api/media/uploads/{path.split('/')[2]}/", headers=headers),
            app=platform_db,
        )
        assert (posting.status_code, cancelling.status_code) in ((201, 409), (400, 200))


# --- trouble of ours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [(StoreUnavailable(), 503), (RuntimeError("/secret/path of ours"), 500), (OSError(28, "/secret/path"), 500)],
)
def test_trouble_of_ours_says_nothing_of_our_insides(
    error: Exception, expected: int, people: People, wire: Wire, tiny: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = upload(people.ada, wire, tiny)

    def stat(*_: object) -> None:
        raise error

    with monkeypatch.context() as trouble:
        trouble.setattr(storage.FolderStore, "stat", stat)
        answer = try_post(people.ada, ticket["video_file_path"])
    assert answer.status_code == expected
    assert "secret" not in answer.text
    assert answer.json["request_id"]
    assert try_post(people.ada, ticket["video_file_path"]).status_code == 201


def test_only_a_post_that_lives_can_be_tried_again(people: People, wire: Wire, tiny: bytes) -> None:
    post_id = posted(people.ada, wire, tiny)
    people.ada.delete("/api/media/delete_post/", data={"video_id": post_id})
    for gone in (post_id, 10**9):
        with pytest.raises(NotFound):
            retry(gone)
