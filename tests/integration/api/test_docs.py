"""The description at `/api/docs` is valid, whole, and true."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_restx import schemas
from werkzeug.test import TestResponse

from tests.support.people import PASSWORD, People
from tests.support.posts import make_post
from tests.support.swagger import Description

MOBILE_ROUTES = [
    ("POST", "/auth/login/"),
    ("POST", "/auth/register/"),
    ("GET", "/auth/check_token/"),
    ("GET", "/auth/logout/"),
    ("POST", "/auth/logout/"),
    ("GET", "/media/get_feed/"),
    ("GET", "/media/get_user_posts/"),
    ("POST", "/media/upload/"),
    ("POST", "/media/upload_hls/"),
    ("POST", "/media/post/"),
    ("DELETE", "/media/delete_post/"),
    ("POST", "/post/like/"),
    ("GET", "/post/get_comments/"),
    ("POST", "/post/get_comments/"),
    ("POST", "/post/add_comment/"),
    ("POST", "/post/update_posts_engagement/"),
    ("POST", "/post/report_video/"),
    ("POST", "/user/add_follower/"),
    ("GET", "/user/get_followers/"),
    ("GET", "/user/search/"),
    ("POST", "/user/block_user/"),
    ("GET", "/user/get_preferences/"),
    ("POST", "/user/reset_user_engagement/"),
    ("DELETE", "/user/delete_account/"),
]
KINDS = {"string", "integer", "number", "boolean", "array"}


@pytest.fixture
def description(client: FlaskClient) -> Description:
    return Description(client.get("/api/swagger.json").json)


def test_it_is_valid_swagger(description: Description) -> None:
    assert schemas.validate(description.document)


def test_every_reference_leads_somewhere(description: Description) -> None:
    named = set(re.findall(r'"#/definitions/(\w+)"', json.dumps(description.document)))
    assert named <= description.document["definitions"].keys()


def test_every_route_of_the_phone_app_is_described(description: Description) -> None:
    assert set(MOBILE_ROUTES) <= description.operations().keys()


def test_every_route_there_is_is_described(description: Description, app: Flask) -> None:
    real = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/api")))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.") and rule.endpoint not in ("api.docs", "api.specs")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert real == set(description.operations())


def test_every_route_says_what_it_does_takes_and_gives(description: Description) -> None:
    for route, operation in description.operations().items():
        assert len(operation["summary"]) > 5, route
        good = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert good and all("schema" in answer and answer["description"] != "Success" for answer in good), route
        assert operation["responses"]["default"]["schema"]["$ref"].endswith("/Error"), route
        assert "401" in operation["responses"] or operation.get("security") == [], route
        for parameter in operation.get("parameters", []):
            assert parameter["type"] in KINDS, (route, parameter)
            assert parameter.get("description") or len(parameter["name"]) > 3, (route, parameter)
            assert parameter["type"] != "array" or parameter["items"]["type"] in KINDS


def test_codes_in_the_description_are_snake_case_words(description: Description) -> None:
    for route, operation in description.operations().items():
        for status, answer in operation["responses"].items():
            if status.startswith("4"):
                codes = answer["description"].removeprefix("code: ").split(", ")
                assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes), (route, status)


def test_units_are_named_where_they_differ(description: Description) -> None:
    (watch_time,) = [
        parameter
        for parameter in description.operations()["POST", "/post/update_posts_engagement/"]["parameters"]
        if parameter["name"] == "watch_time"
    ]
    assert "Seconds" in watch_time["description"]
    assert "Milliseconds" in description.document["definitions"]["Card"]["properties"]["duration"]["description"]


def test_trying_out_from_the_page_sends_the_token(description: Description) -> None:
    (scheme,) = description.document["securityDefinitions"].values()
    assert (scheme["in"], scheme["name"]) == ("header", "Authorization")
    assert description.document["security"] == [{"token": []}]
    assert description.document["basePath"] == "/api"


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs/"])
def test_the_page_loads_its_parts_from_us(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    parts = re.findall(r'(?:src|href|data-description)="([^"]+)"', page.text)
    assert "/api/swagger.json" in parts
    assert all(part.startswith("/") and client.get(part).status_code == 200 for part in parts)
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]


Call = Callable[[People, int], tuple[str, str, TestResponse]]


def call(method: str, path: str, **options: Any) -> Call:
    """A request of ada's; `VIDEO` in a body is the number of eve's post."""

    def send(people: People, video_id: int) -> tuple[str, str, TestResponse]:
        real = path.format(video_id=video_id)
        filled = {
            kind: {name: video_id if value == "VIDEO" else value for name, value in values.items()}
            for kind, values in options.items()
        }
        return method, real.partition("?")[0], people.ada._send(method, "/api" + real, **filled)

    return send


VIDEO = {"video_id": "VIDEO"}
REAL = [
    call("GET", "/"),
    call("POST", "/auth/register/", data={"username": "zoe", "email": "zoe@x.io", "password": PASSWORD}),
    call("POST", "/auth/login/", data={"username": "ada", "password": PASSWORD}),
    call("GET", "/auth/check_token/"),
    call("GET", "/auth/logout/"),
    call("GET", "/auth/devices/"),
    call("DELETE", "/auth/devices/"),
    call("POST", "/auth/password/", data={"old_password": PASSWORD, "new_password": "staple battery horse"}),
    call("GET", "/user/search/?query=e"),
    call("GET", "/user/get_followers/"),
    call("POST", "/user/add_follower/", data={"username": "eve"}),
    call("POST", "/user/block_user/", data={"username": "eve"}),
    call("GET", "/user/get_blocked/"),
    call("GET", "/user/get_preferences/"),
    call("GET", "/user/export/"),
    call("POST", "/user/reset_user_engagement/"),
    call("DELETE", "/user/delete_account/"),
    call("POST", "/post/like/", data=VIDEO | {"like": "true"}),
    call("POST", "/post/add_comment/", data=VIDEO | {"comment": "Hi"}),
    call("GET", "/post/get_comments/?video_id={video_id}"),
    call("POST", "/post/get_comments/", data=VIDEO),
    call("POST", "/post/update_posts_engagement/", json=VIDEO | {"watch_time": 3}),
    call("POST", "/post/share/", data=VIDEO),
    call("POST", "/post/report_video/", data=VIDEO | {"reason": "Spam"}),
    call("POST", "/post/not_interested/", json=VIDEO),
    call("GET", "/post/reach/?video_id={video_id}"),
    call("GET", "/user/mutes/"),
    call("POST", "/user/mute_word/", data={"word": "Pasta"}),
    call("POST", "/user/unmute_word/", data={"word": "#!"}),
    call("POST", "/user/mute_creator/", data={"username": "eve"}),
    call("POST", "/user/unmute_creator/", data={"username": "eve"}),
    call("GET", "/media/get_feed/?batch_size=5"),
    call("GET", "/media/get_user_posts/?username=eve"),
    call("GET", "/media/post/"),
    call("POST", "/media/upload/", data={"fileName": "a.mp4", "fileType": "video/mp4"}),
    call("POST", "/post/like/", data={"video_id": "x", "like": "true"}),
    call("POST", "/post/add_comment/", data=VIDEO | {"comment": " "}),
    call("GET", "/media/post/{video_id}/"),
    call("POST", "/user/add_follower/", data={"username": "nobody"}),
    call("POST", "/auth/signup/", json={"name": "Zoe", "email": "zoe@x.io", "password": PASSWORD}),
    call("POST", "/auth/login/", json={"email": "ada@people.example", "password": PASSWORD}),
    call("POST", "/auth/login/", json={"email": "ada@people.example", "password": "not it"}),
    call("GET", "/content/"),
    call("POST", "/content/", json={"type": "LIVE", "title": "Live", "url": "https://live.example/"}),
    call("POST", "/content/", json={"type": "LIVE", "title": "Live", "url": "javascript:"}),
    call("GET", "/user/"),
]


@pytest.mark.parametrize("send", REAL, ids=range(len(REAL)))
def test_real_answers_are_as_described(people: People, description: Description, send: Call) -> None:
    post_id = make_post(people.eve.username, "A post", "music")
    make_post(people.ada.username, "Another", "music")
    people.ada.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
    people.ada.post("/api/post/add_comment/", data={"video_id": post_id, "comment": "First"})
    people.ada.post("/api/user/add_follower/", data={"username": "eve", "follow": "true"})
    people.ada.post("/api/user/block_user/", data={"username": people.bob.username})
    people.ada.post("/api/user/mute_creator/", data={"username": people.carl.username})
    people.ada.post("/api/user/mute_word/", data={"word": "Spam"})
    method, path, answer = send(people, post_id)
    assert answer.status_code < 500
    schema = description.schema_of(method, path, answer.status_code)
    description.assert_fits(answer, schema, closed=answer.status_code < 400)


def test_refusals_for_want_of_a_token_are_as_described(client: FlaskClient, description: Description) -> None:
    for (method, template), operation in description.operations().items():
        if operation.get("security") == []:
            continue
        path = template.replace("{video_id}", "1").replace("{device_id}", "1")
        path = re.sub(r"\{\w+\}", str(uuid.UUID(int=1)), path)
        answer = client.open(f"/api{path}", method=method)
        assert (answer.status_code, answer.json["code"]) == (401, "not_authenticated"), (method, path)
        description.assert_fits(answer, description.schema_of(method, path, 401), closed=False)
