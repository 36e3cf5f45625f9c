"""Every refusal has one shape, and nothing of our insides gets out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DataError, OperationalError

import config
from popoff import create_app
from popoff.accounts import queries
from popoff.kernel import errors
from popoff.social import service
from popoff.web.errors import STATUS
from tests.support.people import PASSWORD, People
from tests.support.posts import make_post
from tests.support.refusals import INSIDES, assert_refusal


@pytest.fixture
def break_comments(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a handler raise."""

    def with_error(error: BaseException) -> None:
        def broken(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(service, "add_comment", broken)

    return with_error


@pytest.fixture
def comment(people: People) -> Any:
    post_id = make_post(people.ada.username)
    return lambda **body: people.ada.post(
        "/api/post/add_comment/", **({"data": {"video_id": post_id, "comment": "Hi"}} | body)
    )


@pytest.mark.parametrize(("family", "status"), STATUS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_each_family_of_errors_has_its_status(
    break_comments: Any, comment: Any, family: type[errors.DomainError], status: int
) -> None:
    break_comments(family("It cannot be.", code="it_cannot_be"))
    body = assert_refusal(comment(), status, "it_cannot_be")
    assert body["non_field_errors"] == ["It cannot be."]


def test_a_field_at_fault_takes_the_place_of_the_general_list(break_comments: Any, comment: Any) -> None:
    break_comments(errors.Invalid("Not like this.", field="comment"))
    body = assert_refusal(comment(), 400, "invalid")
    assert body["comment"] == ["Not like this."]
    assert "non_field_errors" not in body


def test_when_to_come_back_is_in_header_and_body(break_comments: Any, comment: Any) -> None:
    break_comments(errors.TooMany(retry_after=7))
    answer = comment()
    assert assert_refusal(answer, 429, "too_many_requests")["retry_after"] == 7
    assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("password is hunter2, see /srv/app.py"),
        KeyError("hunter2"),
        RecursionError("hunter2"),
        AssertionError,
        OSError(28, "hunter2"),
        UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "hunter2"),
    ],
    ids=lambda error: getattr(error, "__name__", type(error).__name__),
)
def test_an_unexpected_error_is_a_500_with_a_request_id_and_nothing_else(
    break_comments: Any, comment: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    break_comments(error)
    answer = comment()
    body = assert_refusal(answer, 500, "internal_error")
    assert body["message"] == "Something went wrong on our side."
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "unexpected_error" in str(record.msg) and body["request_id"] in str(record.msg)


@pytest.mark.parametrize("lost", [OperationalError("SELECT 1", {}, Exception("server closed the connection"))])
def test_a_database_that_goes_away_is_a_503(break_comments: Any, comment: Any, lost: Exception) -> None:
    break_comments(lost)
    answer = comment()
    assert_refusal(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "2"


def test_a_value_that_slips_through_to_the_database_is_still_a_refusal(break_comments: Any, comment: Any) -> None:
    break_comments(DataError("INSERT ...", {}, Exception("bigint out of range")))
    assert_refusal(comment(), 400, "invalid")


@pytest.fixture
def client_without_database(settings: config.Settings) -> Iterator[FlaskClient]:
    with config.override(database_url="postgresql://popoff:hunter2@127.0.0.1:1/popoff"):
        yield create_app().test_client()


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/api/media/get_feed/", {"headers": {"Authorization": "Token abc"}}),
        ("POST", "/api/auth/login/", {"data": {"username": "ada", "password": PASSWORD}}),
    ],
)
def test_without_a_database_requests_are_told_to_come_back(
    client_without_database: FlaskClient, method: str, path: str, options: Any
) -> None:
    assert_refusal(client_without_database.open(path, method=method, **options), 503, "unavailable")


def test_without_a_database_the_process_is_up_but_not_ready(client_without_database: FlaskClient) -> None:
    assert client_without_database.get("/healthz").json == {"status": "ok"}
    answer = client_without_database.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["ready"] is False
    assert answer.json["database"] == "unavailable (OperationalError)"
    assert answer.json["redis"] == answer.json["store"] == "ok"


def test_without_a_database_pages_still_apologise(client_without_database: FlaskClient) -> None:
    with client_without_database.session_transaction() as browser:
        browser["_user_id"] = "a token of former days"
    answer = client_without_database.get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "busy" in answer.text and not INSIDES.search(answer.text)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing/here/", 404, "no_such_route"),
        ("GET", "/api/post/", 404, "no_such_route"),
        ("GET", "/nothing/here", 404, "no_such_route"),
        ("GET", "/api/post/like/", 405, "method_not_allowed"),
        ("PUT", "/api/auth/login/", 405, "method_not_allowed"),
        ("GET", "/api/media/post/0x10/", 404, "no_such_route"),
        ("GET", "/api/media/post/%00/", 404, "no_such_route"),
        ("GET", "/api/media/uploads/a%00b/", 404, "no_such_route"),
        ("GET", "/api/media/post/99999999999999999999999/", 404, "no_such_route"),
        ("DELETE", "/api/auth/devices/99999999999999999999999/", 404, "no_such_route"),
    ],
)
def test_what_is_not_there_is_said_in_the_same_shape(
    people: People, method: str, path: str, status: int, code: str
) -> None:
    answer = people.ada._send(method, path)
    assert_refusal(answer, status, code)
    if status == 405:
        assert answer.headers["Allow"]


def test_a_request_keeps_the_id_that_it_came_with(client: FlaskClient) -> None:
    sent = client.get("/api/auth/check_token/", headers={"X-Request-Id": "from-the-phone-42"})
    assert sent.json["request_id"] == sent.headers["X-Request-Id"] == "from-the-phone-42"
    odd = client.get("/api/auth/check_token/", headers={"X-Request-Id": "<script>"})
    assert re.fullmatch("[0-9a-f]{32}", odd.headers["X-Request-Id"])


def test_nothing_is_left_of_a_request_that_failed(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account is made, then signing it in fails: there must be no half of it."""

    def broken(*_: object) -> None:
        raise RuntimeError("no token today")

    monkeypatch.setattr("popoff.accounts.service.issue_token", broken)
    body = {"username": "zoe", "email": "zoe@x.io", "password": PASSWORD}
    assert app.test_client().post("/api/auth/register/", data=body).status_code == 500
    assert queries.by_login("zoe") is None
