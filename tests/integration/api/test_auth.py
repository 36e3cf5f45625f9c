"""Registering and signing in, as the phone app reads the answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from popoff.accounts import service
from popoff.accounts.models import Token, User
from popoff.kernel import clock
from tests.support.people import PASSWORD, People

REGISTER, LOGIN, CHECK = "/api/auth/register/", "/api/auth/login/", "/api/auth/check_token/"
DUPLICATE = "Account with username or email already exists"
ADA = {"username": "ada", "email": "ada@people.example", "password": PASSWORD, "phoneNumber": "+41 79 000 00 00"}


def test_registering_signs_in_and_says_who_one_is(client: FlaskClient) -> None:
    answer = client.post(REGISTER, data=ADA)
    assert answer.status_code == 201
    token = answer.json.pop("token")
    assert len(bytes.fromhex(token)) == 32
    assert client.get(CHECK, headers={"Authorization": f"Token {token}"}).json == {"username": "ada"}
    assert client.post(REGISTER, data=ADA | {"username": "b" + "a" * 29, "email": "b@x.io"}).status_code == 201


def test_the_app_can_call_the_phone_number_by_either_name(client: FlaskClient) -> None:
    for name, key in (("ada", "phoneNumber"), ("eve", "phone_number")):
        body = {"username": name, "email": f"{name}@x.io", "password": PASSWORD, key: "+41790000000"}
        assert client.post(REGISTER, data=body).json["phone_number"] == "+41790000000"


def test_a_password_is_kept_as_argon2id_and_a_token_as_its_hash(people: People, session: sa.orm.Session) -> None:
    token = people.ada.token
    assert session.scalars(sa.select(User.password_hash)).one().startswith("$argon2id$")
    assert token.encode() not in session.scalars(sa.select(Token.token_hash)).one()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"username": ""}, {"username": ["This field may not be blank."]}),
        ({"username": None}, {"username": ["This field is required."]}),
        ({"email": ""}, {"email": ["This field may not be blank."]}),
        ({"email": "ada at example"}, {"email": ["Enter a valid email address."]}),
        ({"email": "Ada <ada@x.io>"}, {"email": ["Enter a valid email address."]}),
        ({"password": ""}, {"password": ["This field may not be blank."]}),
        ({"phoneNumber": "1" * 41}, {"phoneNumber": ["String should have at most 40 characters."]}),
    ],
)
def test_register_names_the_field_at_fault(
    client: FlaskClient, change: dict[str, str | None], fields: dict[str, list[str]]
) -> None:
    body = {key: value for key, value in (ADA | change).items() if value is not None}
    answer = client.post(REGISTER, data=body)
    assert answer.status_code == 400
    assert fields.items() <= answer.json.items()
    assert "non_field_errors" not in answer.json


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "../../etc"}, "invalid_username"),
        ({"username": "  "}, "invalid_username"),
        ({"username": "a"}, "invalid_username"),
        ({"username": "ada lovelace"}, "invalid_username"),
        ({"username": "<b>ada</b>"}, "invalid_username"),
        ({"username": "x" * 31}, "invalid_username"),
        ({"username": "ADMIN"}, "invalid_username"),
        ({"password": "a"}, "weak_password"),
        ({"password": "x" * 257}, "weak_password"),
        ({"password": "Password123"}, "weak_password"),
        ({"password": "ada@people.example"}, "weak_password"),
    ],
)
def test_register_explains_what_will_not_do_in_a_sentence(
    client: FlaskClient, change: dict[str, str], code: str
) -> None:
    answer = client.post(REGISTER, data=ADA | change)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert answer.json["non_field_errors"] == [answer.json["message"]]
    assert answer.json["message"].endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"email": "other@people.example"},
        {"username": "other"},
        {"username": "ADA", "email": "other@people.example"},
        {"username": "\uff21\uff24\uff21", "email": "other@people.example"},
        {"username": "other", "email": "ADA@People.Example"},
        {},
    ],
    ids=["same name", "same address", "name in capitals", "wide letters", "address in capitals", "both"],
)
def test_a_duplicate_is_refused_with_the_sentence_that_the_app_shows(
    client: FlaskClient, change: dict[str, str]
) -> None:
    assert client.post(REGISTER, data=ADA).status_code == 201
    answer = client.post(REGISTER, data=ADA | change)
    assert (answer.status_code, answer.json["code"]) == (400, "account_exists")
    assert answer.json["non_field_errors"] == [DUPLICATE]
    assert not {"username", "email"} & answer.json.keys()


@pytest.mark.parametrize("name", ["ada", "ADA", " ada ", "ada@people.example", "Ada@People.Example "])
def test_one_signs_in_by_name_or_by_address(people: People, client: FlaskClient, name: str) -> None:
    assert people.ada
    answer = client.post(LOGIN, data={"username": name, "password": PASSWORD})
    assert answer.json["username"] == "ada"
    assert client.get(CHECK, headers={"Authorization": f"Token {answer.json['token']}"}).status_code == 200


def test_the_address_may_come_under_its_own_name(people: People, client: FlaskClient) -> None:
    assert people.ada
    assert client.post(LOGIN, json={"email": "ada@people.example", "password": PASSWORD}).json["username"] == "ada"


@pytest.mark.parametrize(
    ("body", "field"),
    [({"username": "", "password": PASSWORD}, "username"), ({"username": "ada"}, "password")],
)
def test_login_names_the_missing_field(client: FlaskClient, body: dict[str, str], field: str) -> None:
    answer = client.post(LOGIN, data=body)
    assert answer.status_code == 400
    assert field in answer.json
    assert "non_field_errors" not in answer.json


def test_a_wrong_password_and_an_unknown_name_are_told_alike(people: People, client: FlaskClient) -> None:
    assert people.ada
    wrong, unknown = (
        client.post(LOGIN, data={"username": name, "password": "not it"}, headers={"X-Request-Id": "the-same"})
        for name in ("ada", "nobody")
    )
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json == unknown.json
    assert wrong.json["non_field_errors"] == ["Unable to log in with provided credentials."]


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "token", "BEARER"])
def test_a_token_is_taken_under_either_word(people: People, client: FlaskClient, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {people.ada.token}"}
    assert client.get(CHECK, headers=headers).json == {"username": "ada"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "not_authenticated"),
        ({"Authorization": ""}, "not_authenticated"),
        ({"Authorization": "Token"}, "not_authenticated"),
        ({"Authorization": "Token "}, "not_authenticated"),
        ({"Authorization": "Basic YWRhOnBhc3N3b3Jk"}, "not_authenticated"),
        ({"Authorization": "Token " + "0" * 64}, "invalid_token"),
        ({"Authorization": "Token \xff\xfe"}, "invalid_token"),
        ({"Authorization": "Token " + "0" * 40, "Cookie": "popoff_session=made-up"}, "invalid_token"),
    ],
)
def test_without_a_good_token_check_token_answers_401(client: FlaskClient, headers: dict[str, str], code: str) -> None:
    answer = client.get(CHECK, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"] == "Token"


def test_a_token_lives_as_long_as_it_is_used(people: People) -> None:
    ada = people.ada
    for day in (50, 100, 150):
        with clock.shifted(timedelta(days=day)):
            assert ada.get(CHECK).status_code == 200
    with clock.shifted(timedelta(days=150 + 61)):
        answer = ada.get(CHECK)
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_token")


def test_use_is_noted_once_an_hour(people: People, session: sa.orm.Session) -> None:
    ada = people.ada
    before = session.scalars(sa.select(Token.last_used_at)).one()
    for minutes, noted in ((59, False), (61, True)):
        with clock.shifted(timedelta(minutes=minutes)):
            assert ada.get(CHECK).status_code == 200
        assert (session.scalars(sa.select(Token.last_used_at)).one() > before) is noted


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_logout_ends_this_device_and_no_other(people: People, client: FlaskClient, method: str) -> None:
    ada = people.ada
    other = client.post(LOGIN, data={"username": "ada", "password": PASSWORD}).json["token"]
    assert ada._send(method, "/api/auth/logout/").status_code == 200
    assert ada.get(CHECK).status_code == 401
    assert client.get(CHECK, headers={"Authorization": f"Token {other}"}).status_code == 200


def test_devices_are_listed_and_signed_out_one_by_one(people: People, client: FlaskClient) -> None:
    ada, body = people.ada, {"username": "ada", "password": PASSWORD}
    tablet = client.post(LOGIN, data=body, headers={"User-Agent": "tablet"}).json["token"]
    client.post(LOGIN, data=body, headers={"User-Agent": "fridge"})
    listed = ada.get("/api/auth/devices/").json["devices"]
    assert [device["device"] for device in listed if not device["current"]] == ["fridge", "tablet"]
    (mine,) = [device for device in listed if device["current"]]
    assert mine["address"] == "127.0.0.1"
    fridge = listed[0]["id"]
    assert people.eve.delete(f"/api/auth/devices/{fridge}/").json["code"] == "device_not_found"
    assert ada.delete(f"/api/auth/devices/{fridge}/").status_code == 200
    assert ada.delete(f"/api/auth/devices/{fridge}/").status_code == 404
    assert ada.delete("/api/auth/devices/").status_code == 200
    assert client.get(CHECK, headers={"Authorization": f"Token {tablet}"}).status_code == 401
    assert [device["current"] for device in ada.get("/api/auth/devices/").json["devices"]] == [True]


def test_a_new_password_signs_the_other_devices_out(people: People, client: FlaskClient) -> None:
    ada, body = people.ada, {"username": "ada", "password": PASSWORD}
    other = client.post(LOGIN, data=body).json["token"]
    changed = ada.post("/api/auth/password/", json={"old_password": PASSWORD, "new_password": "staple battery horse"})
    assert changed.status_code == 200
    assert ada.get(CHECK).status_code == 200
    assert client.get(CHECK, headers={"Authorization": f"Token {other}"}).status_code == 401
    assert client.post(LOGIN, data=body).status_code == 400
    assert client.post(LOGIN, data=body | {"password": "staple battery horse"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"old_password": "not the old one", "new_password": "staple battery horse"}, "wrong_credentials"),
        ({"old_password": PASSWORD, "new_password": "short"}, "weak_password"),
        ({"old_password": PASSWORD, "new_password": ""}, "invalid"),
    ],
)
def test_a_password_is_changed_only_for_a_better_one_by_its_owner(
    people: People, client: FlaskClient, body: dict[str, str], code: str
) -> None:
    answer = people.ada.post("/api/auth/password/", data=body)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert client.post(LOGIN, data={"username": "ada", "password": PASSWORD}).status_code == 200


def test_the_suspended_can_neither_sign_in_nor_go_on(
    people: People, client: FlaskClient, session: sa.orm.Session
) -> None:
    ada = people.ada
    until = clock.now() + timedelta(days=7)
    session.execute(sa.update(User).values(suspended_until=until))
    session.commit()
    assert ada.get(CHECK).json["code"] == "account_suspended"
    answer = client.post(LOGIN, data={"username": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json["code"]) == (400, "account_suspended")
    with clock.shifted(timedelta(days=8)):
        assert client.post(LOGIN, data={"username": "ada", "password": PASSWORD}).status_code == 200


def test_signing_in_renews_a_hash_of_former_strength(
    people: People, client: FlaskClient, session: sa.orm.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert people.ada
    before = session.scalars(sa.select(User.password_hash)).one()
    monkeypatch.setattr(service, "_hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    for _ in range(2):
        assert client.post(LOGIN, data={"username": "ada", "password": PASSWORD}).status_code == 200
    assert "m=16,t=2" in session.scalars(sa.select(User.password_hash)).one() != before


def test_stale_tokens_and_old_failures_are_forgotten(people: People, client: FlaskClient) -> None:
    assert people.ada
    client.post(LOGIN, data={"username": "ada", "password": "not it at all"})
    assert service.tidy() == 0
    with clock.shifted(timedelta(hours=2)):
        assert service.tidy() == 3  # of the account, of the address, and of both together
    with clock.shifted(timedelta(days=61)):
        assert service.tidy() == 1
