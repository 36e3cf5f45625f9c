"""Requests of every encoding, and requests that make no sense: the former work, the latter are refused in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.encodings import ENCODINGS, encoded
from tests.support.people import PASSWORD, People
from tests.support.posts import make_post
from tests.support.refusals import assert_refusal

NUL = "a\0b"

ROUTES: list[tuple[str, str, dict[str, object]]] = [
    ("POST", "/api/auth/register/", {"username": "zoe", "email": "z@x.io", "password": PASSWORD, "phoneNumber": "1"}),
    ("POST", "/api/auth/login/", {"username": "ada", "password": PASSWORD}),
    ("POST", "/api/auth/password/", {"old_password": PASSWORD, "new_password": "staple battery horse"}),
    ("POST", "/api/user/add_follower/", {"username": "eve", "follow": True}),
    ("POST", "/api/user/block_user/", {"username": "eve"}),
    ("POST", "/api/user/unblock_user/", {"username": "eve"}),
    ("DELETE", "/api/user/delete_account/", {"password": PASSWORD}),
    ("POST", "/api/post/like/", {"video_id": 0, "like": True}),
    ("POST", "/api/post/get_comments/", {"video_id": 0}),
    ("POST", "/api/post/add_comment/", {"video_id": 0, "comment": "Hi"}),
    ("POST", "/api/post/update_posts_engagement/", {"video_id": 0, "watch_time": 3.5, "liked": False}),
    ("POST", "/api/post/share/", {"video_id": 0}),
    ("POST", "/api/post/report_video/", {"video_id": 0, "reason": "Inappropriate content"}),
    ("POST", "/api/media/upload/", {"fileName": "a.mp4", "fileType": "video/mp4"}),
    ("POST", "/api/media/upload_hls/", {"files[]": ["a.m3u8", "0.ts"], "type": "application/x-mpegURL"}),
    ("POST", "/api/media/uploads/", {"file_name": "a.mp4", "file_type": "video/mp4", "file_size": 1000}),
    ("POST", "/api/user/reset_user_engagement/", {}),
    ("POST", "/api/auth/logout/", {}),
]  # fmt: skip


@pytest.fixture
def ready(people: People) -> People:
    """ada, and a post of eve's under the number that `ROUTES` leave open."""
    assert people.ada and people.eve
    post_id = make_post("eve")
    for _, _, body in ROUTES:
        if "video_id" in body:
            body["video_id"] = post_id
    return people


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("slash", [True, False], ids=["slash", "bare"])
def test_every_route_reads_every_encoding_with_and_without_the_slash(
    ready: People, method: str, path: str, body: dict[str, object], encoding: str, slash: bool
) -> None:
    answer = ready.ada._send(method, path if slash else path.rstrip("/"), **encoded(encoding, body))
    assert answer.status_code in (200, 201), answer.text
    assert "Set-Cookie" not in answer.headers


MALFORMED = [
    (b'{"video_id": 1,', "application/json", 400, "malformed_body"),
    (b"[1, 2]", "application/json", 400, "malformed_body"),
    (b"null", "application/json", 400, "malformed_body"),
    (b'"video_id"', "application/json", 400, "malformed_body"),
    (b"[" * 100_000, "application/json", 400, "malformed_body"),
    (b'{"a":' * 100_000, "application/json", 400, "malformed_body"),
    (b'{"comment": "\\ud800", "video_id": 1}', "application/json", 400, "malformed_body"),
    (b'{"comment": "\xff", "video_id": 1}', "application/json", 400, "malformed_body"),
    (b'{"video_id": NaN}', "application/json", 400, "malformed_body"),
    (b"", "application/json", 400, "invalid"),
    (b"{}", "application/json; charset=utf-8", 400, "invalid"),
    (b"video_id=1", "text/plain", 415, "unsupported_media_type"),
    (b"<video_id>1</video_id>", "application/xml", 415, "unsupported_media_type"),
    (b"video_id=1", "", 415, "unsupported_media_type"),
    (b"", "text/plain", 400, "invalid"),
    (b"no boundary in here", "multipart/form-data", 400, "invalid"),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x", 400, "invalid"),
    (b"%%%=%zz&video_id=%", "application/x-www-form-urlencoded", 400, "invalid"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "code"), MALFORMED)
def test_a_body_that_cannot_be_read_is_refused(
    people: People, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = people.ada.post("/api/post/add_comment/", data=body, content_type=content_type)
    assert_refusal(answer, status, code)


@pytest.mark.parametrize(
    ("path", "body"),
    [(path, body) for method, path, body in ROUTES if method == "POST" and body and "uploads" not in path],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nul_characters_are_refused_in_every_text(ready: People, path: str, body: dict[str, object]) -> None:
    for field, value in body.items():
        texts = [NUL] if isinstance(value, list) else NUL
        for encoding in ENCODINGS:
            answer = ready.ada.post(path, **encoded(encoding, body | {field: texts}))
            refusal = assert_refusal(answer, 400, "invalid")
            assert field.removesuffix("[]") in refusal


@pytest.mark.parametrize(
    "path",
    ["/api/user/search/?query=a%00", "/api/media/get_user_posts/?username=%00", "/api/user/get_followers/?cursor=%00"],
)
def test_nul_characters_are_refused_in_queries(people: People, path: str) -> None:
    assert_refusal(people.ada.get(path), 400, "invalid")


@pytest.mark.parametrize(
    "video_id", ["", "x", "1.5", "-1", "0", "9223372036854775808", "1" * 400, "1e3", "[]", "null", "NaN"]
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_numbers_that_are_no_posts_are_refused(people: People, encoding: str, video_id: str) -> None:
    answer = people.ada.post("/api/post/share/", **encoded(encoding, {"video_id": video_id}))
    assert assert_refusal(answer, 400, "invalid")["video_id"]


@pytest.mark.parametrize("video_id", [None, [], {}, "x", 1.5, -1, 0, 2**63, 10**400, False])
def test_json_that_is_no_number_is_refused(people: People, video_id: object) -> None:
    assert_refusal(people.ada.post("/api/post/share/", json={"video_id": video_id}), 400)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("batch_size=-1", "batch_size"),
        ("batch_size=0", "batch_size"),
        ("batch_size=abc", "batch_size"),
        ("batch_size=", "batch_size"),
        ("batch_size=51", "batch_size"),
        ("batch_size=1e9", "batch_size"),
        ("exclude_ids[]=x", "exclude_ids"),
        ("exclude_ids[]=1&exclude_ids[]=x", "exclude_ids"),
        ("exclude_ids%5B%5D=-4", "exclude_ids"),
        ("exclude_ids=9223372036854775808", "exclude_ids"),
        ("followers_only=perhaps", "followers_only"),
    ],
)
def test_a_feed_request_that_makes_no_sense_is_refused(people: People, query: str, field: str) -> None:
    body = assert_refusal(people.ada.get(f"/api/media/get_feed/?{query}"), 400, "invalid")
    assert len(body[field]) == 1
    assert "non_field_errors" not in body


def test_of_very_many_excluded_posts_the_last_count(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    first, last = make_post("eve", age=timedelta(hours=2)), make_post("eve", age=timedelta(hours=1))
    excluded = [first, *range(10**9, 10**9 + 1999), last]
    query = "&".join(f"exclude_ids[]={number}" for number in excluded)
    answer = people.ada.get(f"/api/media/get_feed/?{query}")
    assert [card["id"] for card in answer.json["feed"]] == [first]


def test_a_package_of_many_files_fits_into_a_form(people: People) -> None:
    files = ["playlist.m3u8", *(f"segment_{number:03}.ts" for number in range(1100))]
    body = {"base_name": "IMG_1", "files[]": files, "type": "application/x-mpegURL"}
    answer = people.ada.post("/api/media/upload_hls/", **encoded("multipart", body))
    assert answer.status_code == 200
    assert len(answer.json["upload_urls"]) == 1101
