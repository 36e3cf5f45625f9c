"""What surrounds every handler: who may call, behind which proxy, and one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

import config
from popoff import create_app
from popoff.accounts import service
from popoff.accounts.models import User
from popoff.accounts.rules import Permission, Role
from popoff.adapters import jobs
from popoff.adapters.jobs import Job
from popoff.kernel.db import db
from popoff.web import auth
from popoff.web.access import needs, public
from tests.support.people import PASSWORD, People
from tests.support.refusals import assert_refusal

HTML = {"Accept": "text/html"}


@pytest.fixture
def own_app(session: sa.orm.Session, settings: config.Settings) -> Iterator[Flask]:
    """An application with a few routes of the tests' own, on pages and below /api."""
    app = create_app()
    routes = Blueprint("tests", __name__)

    @routes.route("/desk", methods=["GET", "POST"])
    @routes.route("/api/desk", methods=["GET", "POST"])
    @needs(Permission.MODERATE)
    def desk() -> str:
        return f"{auth.me().username} at the desk"

    @routes.route("/api/stage")
    @public
    def stage() -> str:
        jobs.stage("jobs.tidy")
        return "staged"

    @routes.route("/api/forgotten")
    def forgotten() -> str:
        return "nobody said who may call this"

    app.register_blueprint(routes)
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def own_client(own_app: Flask) -> FlaskClient:
    return own_app.test_client()


@pytest.mark.parametrize(
    ("role", "status"), [(Role.CONSUMER, 403), (Role.CREATOR, 403), (Role.MODERATOR, 200), (Role.ADMIN, 200)]
)
def test_a_route_opens_to_those_whose_role_has_the_permission(
    own_client: FlaskClient, role: Role, status: int, session: sa.orm.Session
) -> None:
    ada = People(own_client).ada
    assert service.set_role("ada@people.example", role).role == role
    session.commit()
    answer = ada.get("/api/desk")
    if status == 200:
        assert answer.text == "ada at the desk"
    else:
        assert assert_refusal(answer, 403, "forbidden")["message"] == "Access denied."


def test_a_page_that_needs_signing_in_leads_to_it_and_back(own_client: FlaskClient, session: sa.orm.Session) -> None:
    assert People(own_client).ada
    service.set_role("ada", Role.MODERATOR)
    session.commit()
    led = own_client.get("/desk?case=7", headers=HTML)
    assert (led.status_code, led.headers["Location"]) == (302, "/login?next=/desk?case%3D7")
    form = {"username": "ada", "password": PASSWORD}
    back = own_client.post(led.headers["Location"], data=form, headers=HTML)
    assert back.headers["Location"] == "/desk?case=7"
    assert own_client.get(back.headers["Location"]).text == "ada at the desk"


def test_whatever_is_no_page_is_answered_with_401(own_client: FlaskClient) -> None:
    assert_refusal(own_client.get("/api/desk", headers=HTML), 401, "not_authenticated")
    assert own_client.post("/desk", headers=HTML).status_code == 401
    assert own_client.get("/desk").status_code == 401


def test_a_route_that_says_nothing_of_access_is_closed(own_client: FlaskClient) -> None:
    assert_refusal(own_client.get("/api/forgotten"), 500, "internal_error")


def test_a_commit_that_fails_leaves_nothing_behind_and_says_so(
    own_client: FlaskClient, session: sa.orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    sent: list[Any] = []
    monkeypatch.setattr(jobs, "send_staged", lambda: sent.append("staged"))
    with monkeypatch.context() as broken:
        broken.setattr(type(session), "commit", lost)
        assert_refusal(own_client.get("/api/stage"), 503, "unavailable")
    assert sent == []
    assert session.scalars(sa.select(Job.id)).all() == []
    assert own_client.get("/api/stage").text == "staged"
    assert sent == ["staged"]
    assert len(session.scalars(sa.select(Job.id)).all()) == 1


@pytest.mark.parametrize(
    ("proxies", "address"), [(0, "127.0.0.1"), (1, "203.0.113.5"), (2, "198.51.100.1"), (3, "127.0.0.1")]
)
def test_forwarded_addresses_are_believed_only_from_our_own_proxies(
    session: sa.orm.Session, settings: config.Settings, proxies: int, address: str
) -> None:
    with config.override(trusted_proxies=proxies):
        client = create_app().test_client()
        ada = People(client)
        client.environ_base["HTTP_X_FORWARDED_FOR"] = "198.51.100.1, 203.0.113.5"
        (device,) = ada.ada.get("/api/auth/devices/").json["devices"]
    assert device["address"] == address


def test_doubled_slashes_lead_to_the_real_address(client: FlaskClient) -> None:
    answer = client.get("/api//auth/check_token/")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/api/auth/check_token/")


@pytest.mark.parametrize("name", ["nobody", ""])
def test_nobody_gets_no_role(session: sa.orm.Session, name: str) -> None:
    with pytest.raises(service.NotFound) as refused:
        service.set_role(name, Role.ADMIN)
    assert refused.value.error_code == "user_not_found"


@pytest.mark.parametrize(("before", "after"), [(Role.CONSUMER, Role.CREATOR), (Role.MODERATOR, Role.MODERATOR)])
def test_who_posts_is_a_creator_and_staff_stay_staff(
    people: People, session: sa.orm.Session, before: Role, after: Role
) -> None:
    assert people.ada
    user = service.set_role("ada", before)
    service.became_creator(user.id)
    assert session.scalars(sa.select(User.role)).one() == after


def test_options_tell_the_methods_without_a_token(client: FlaskClient) -> None:
    answer = client.options("/api/post/like/", headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]
