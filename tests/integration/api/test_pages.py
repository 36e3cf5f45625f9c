"""Pages in a browser: signing in, forms that nobody else can send, and headers that keep others out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import config
from popoff.accounts.models import Token, User
from popoff.kernel import clock
from tests.support.people import PASSWORD, People
from tests.support.posts import make_post

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def browser(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A browser of its own, with forms protected as in real life; ada and eve are registered."""
    assert people.ada and people.eve
    monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)
    # `g` ends with the request, but here the test's application context keeps it, and a token of a former session in it
    hooks = [lambda: g.pop("csrf_token", None) and None, *app.before_request_funcs[None]]
    monkeypatch.setitem(app.before_request_funcs, None, hooks)
    with app.test_client() as client:
        yield client


def token_of(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def sign_in(
    browser: FlaskClient, username: str = "ada", password: str = PASSWORD, path: str = "/login"
) -> TestResponse:
    form = {"username": username, "password": password, "csrf_token": token_of(browser.get(path))}
    return browser.post(path, data=form, headers=HTML)


def test_signing_in_leads_to_the_start_and_lasts(browser: FlaskClient) -> None:
    answer = sign_in(browser)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    cookie = next(value for value in answer.headers.getlist("Set-Cookie") if value.startswith("popoff_session="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert '<span class="who">ada</span>' in browser.get("/").text


@pytest.mark.parametrize("name", ["ada@people.example", "ADA"])
def test_one_signs_in_by_address_too(browser: FlaskClient, name: str) -> None:
    assert sign_in(browser, name).status_code == 302


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/console", "/console"),
        ("/creator/payouts?page=2", "/creator/payouts?page=2"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_afterwards_one_is_where_one_wanted_to_be_and_never_elsewhere(
    browser: FlaskClient, wanted: str, led_to: str
) -> None:
    form = {"username": "ada", "password": PASSWORD, "csrf_token": token_of(browser.get("/login"))}
    answer = browser.post("/login", query_string={"next": wanted}, data=form)
    assert answer.headers["Location"] == led_to


def test_the_form_survives_its_own_next_page(browser: FlaskClient) -> None:
    page = browser.get("/login?next=/console")
    assert 'action="' not in re.search(r"<form method=\"post\"[^>]*class=\"stack\"[^>]*>", page.text)[0]  # type: ignore[index]
    assert sign_in(browser, path="/login?next=/console").headers["Location"] == "/console"


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"username": "ada", "password": "not it at all"}, "Unable to log in with provided credentials."),
        ({"username": "nobody", "password": PASSWORD}, "Unable to log in with provided credentials."),
        ({"username": "", "password": PASSWORD}, "This field is required."),
        ({"username": "ada", "password": ""}, "This field is required."),
        ({"username": "a\0b", "password": PASSWORD}, "This holds a character that cannot be stored."),
        ({"username": "x" * 400, "password": PASSWORD}, "Field cannot be longer than 320 characters."),
    ],
)
def test_what_is_wrong_is_said_on_the_page(browser: FlaskClient, form: dict[str, str], problem: str) -> None:
    answer = browser.post("/login", data=form | {"csrf_token": token_of(browser.get("/login"))}, headers=HTML)
    assert answer.status_code in (200, 400)
    assert problem in answer.text
    assert form["password"] not in answer.text or not form["password"]


def test_guessing_is_slowed_on_the_page_too(browser: FlaskClient) -> None:
    answers = [sign_in(browser, password="not it at all") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429] * 2
    assert answers[-1].headers["Retry-After"] == "1"
    assert "Too many wrong logins. Please wait 1 second." in answers[-1].text


def test_a_form_without_its_token_is_refused(browser: FlaskClient) -> None:
    answer = browser.post("/login", data={"username": "ada", "password": PASSWORD}, headers=HTML)
    assert (answer.status_code, answer.mimetype) == (400, "text/html")
    assert "This page was open for too long." in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert browser.post("/logout").json["code"] == "form_expired"
    assert "ada" not in browser.get("/").text


def test_signing_out_makes_the_session_worthless(browser: FlaskClient, app: Flask, session: sa.orm.Session) -> None:
    sign_in(browser)
    kept = browser.get_cookie("popoff_session")
    assert kept is not None
    answer = browser.post("/logout", data={"csrf_token": token_of(browser.get("/"))})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    thief = app.test_client()
    thief.set_cookie("popoff_session", kept.value)
    assert '<span class="who">' not in thief.get("/").text
    assert session.scalar(sa.select(sa.func.count()).select_from(Token)) == 2


def test_a_browser_is_a_device_that_can_be_signed_out_from_the_phone(browser: FlaskClient, people: People) -> None:
    sign_in(browser)
    listed = people.ada.get("/api/auth/devices/").json["devices"]
    (here,) = [device for device in listed if not device["current"]]
    assert people.ada.delete(f"/api/auth/devices/{here['id']}/").status_code == 200
    assert '<span class="who">' not in browser.get("/").text


def test_a_session_planted_beforehand_is_not_taken_over(browser: FlaskClient) -> None:
    with browser.session_transaction() as planted:
        planted["planted"] = "by somebody else"
    sign_in(browser)
    with browser.session_transaction() as own:
        assert "planted" not in own


def test_the_cookie_of_a_page_opens_nothing_in_the_api(browser: FlaskClient) -> None:
    sign_in(browser)
    assert browser.get("/api/auth/check_token/").status_code == 401
    assert browser.post("/api/user/add_follower/", data={"username": "eve"}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/auth/login/"), ("GET", "/api/auth/check_token/"), ("GET", "/api/swagger.json")]
)
def test_the_api_sets_no_cookies(people: People, method: str, path: str) -> None:
    answer = people.ada._send(method, path, data={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize(
    "path", ["/", "/login", "/api/", "/api/auth/check_token/", "/api/nothing", "/nothing", "/healthz"]
)
def test_every_answer_keeps_other_sites_out(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert re.fullmatch("[0-9a-f]{32}", headers["X-Request-Id"])
    assert "Access-Control-Allow-Origin" not in headers
    assert (headers.get("Cache-Control") == "no-store") == path.startswith("/api")


@pytest.mark.parametrize(
    ("settings_", "allowed"),
    [
        ({}, ""),
        ({"s3_bucket": "clips"}, "https://*.amazonaws.com"),
        ({"s3_bucket": "clips", "s3_endpoint_url": "https://s3.example"}, "https://s3.example"),
    ],
)
def test_pages_may_play_from_the_bucket_and_from_nowhere_else(
    client: FlaskClient, settings_: dict[str, str], allowed: str
) -> None:
    with config.override(**settings_):
        policy = client.get("/login").headers["Content-Security-Policy"]
    assert f"media-src 'self' blob: {allowed};" in policy


def test_secure_connections_stay_secure_in_production(client: FlaskClient) -> None:
    with config.override(environment="production"):
        secure = client.get("/login", base_url="https://popoff.test")
        assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "Strict-Transport-Security" not in client.get("/login").headers


def test_the_start_says_how_things_are_and_shows_clips_to_those_who_are_signed_in(browser: FlaskClient) -> None:
    make_post("eve", "Three chords", "music")
    page = browser.get("/")
    assert "How it is doing" in page.text and "Three chords" not in page.text
    sign_in(browser)
    assert "Three chords" in browser.get("/").text


def test_a_page_that_is_not_there_says_so(browser: FlaskClient) -> None:
    answer = browser.get("/nothing", headers=HTML)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert answer.headers["X-Request-Id"] in answer.text


@pytest.mark.parametrize(("state", "seen"), [({}, True), ({"suspended_until": "later"}, False)])
def test_the_suspended_are_strangers_on_pages(
    browser: FlaskClient, session: sa.orm.Session, state: dict[str, str], seen: bool
) -> None:
    sign_in(browser)
    if state:
        session.execute(sa.update(User).values(suspended_until=clock.now().replace(year=2999)))
        session.commit()
    assert ('<span class="who">' in browser.get("/").text) is seen


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("10.1.2.3", 200), ("fd00::1", 200), ("93.184.216.34", 404), ("2606:2800:220:1::1", 404)],
)
def test_metrics_are_for_the_private_network(client: FlaskClient, address: str, status: int) -> None:
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_metrics_count_requests_by_route_and_never_by_path(client: FlaskClient, people: People) -> None:
    people.ada.get("/api/media/post/12345/")
    text = client.get("/metrics").text
    assert 'popoff_http_requests_total{method="GET",route="/api/media/post/<int:video_id>/",status="404"}' in text
    assert "12345" not in text


def test_an_unready_platform_says_what_is_missing(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    parts = answer.json
    assert parts.pop("workers").startswith("unavailable")
    assert parts == {"ready": False, "database": "ok", "redis": "ok", "store": "ok"}
    with config.override(redis_url="redis://127.0.0.1:1/0"):
        assert client.get("/readyz").json["redis"].startswith("unavailable")
