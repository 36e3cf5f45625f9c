"""Joining, signing in and profiles: who gets what, and what nobody gets."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from popoff.accounts.models import User
from popoff.kernel.db import db
from popoff.kernel.money import to_minor
from popoff.ledger import service as ledger
from popoff.ledger.rules import Kind, Move
from tests.support.economy import Member, join
from tests.support.people import PASSWORD, People
from tests.support.races import at_once
from tests.support.refusals import assert_refusal

SIGNUP, LOGIN = "/api/auth/signup", "/api/auth/login"
NINA = {"name": "Nina O'Hara", "email": "nina@members.example", "password": PASSWORD, "role": "CREATOR"}
COOKIE = "X-Access-Token"
ROLES = ("CONSUMER", "CREATOR", "MODERATOR", "ADMIN")


def grant(member: Member, amount: str) -> None:
    user_id = db.session.scalar(sa.select(User.id).where(User.public_id == member.id))
    mint, wallet = ledger.account(Kind.MINT), ledger.account(Kind.WALLET, user_id)
    ledger.transfer(f"grant {member.id}", [Move(mint, wallet, to_minor(amount))], fingerprint="x", reference="test")


def test_signing_up_gives_the_person_a_token_in_three_places(client: FlaskClient) -> None:
    answer = client.post(SIGNUP, json=NINA)
    assert answer.status_code == 201
    row = answer.json
    assert (row["name"], row["email"], row["role"]) == ("Nina O'Hara", "nina@members.example", "CREATOR")
    assert (row["walletBalance"], row["averageContentEngagement"], row["averageContentQuality"]) == (0, 0, 0)
    assert row["createdAt"].endswith("Z") and row["updatedAt"].endswith("Z")
    assert answer.headers["Authorization"] == f"Bearer {row['token']}"
    cookie = client.get_cookie(COOKIE, path="/api")
    assert cookie is not None and cookie.value == row["token"]
    assert cookie.http_only and cookie.same_site == "Strict" and cookie.path == "/api" and not cookie.secure
    assert "password" not in answer.text.replace(PASSWORD, "password") and "argon2" not in answer.text


def test_over_https_the_cookie_never_travels_in_the_clear(client: FlaskClient) -> None:
    client.post(SIGNUP, json=NINA, base_url="https://localhost")
    cookie = client.get_cookie(COOKIE, path="/api")
    assert cookie is not None and cookie.secure


def test_a_form_which_may_be_another_sites_gives_no_cookie(client: FlaskClient) -> None:
    answer = client.post(SIGNUP, data=NINA)
    assert answer.status_code == 201 and answer.json["token"]
    assert "Set-Cookie" not in answer.headers


def test_who_join_at_once_get_names_of_their_own_and_an_address_is_taken_once(platform_db: Flask) -> None:
    def joining(email: str) -> int:
        return platform_db.test_client().post(SIGNUP, json={**NINA, "email": email}).status_code

    emails = [f"nina{n}@members.example" for n in range(6)] + [NINA["email"]] * 6
    statuses = at_once([functools.partial(joining, email) for email in emails])
    assert statuses[:6] == [201] * 6
    assert sorted(statuses[6:]) == [201] + [400] * 5
    with platform_db.app_context():
        assert db.session.scalar(sa.select(sa.func.count(User.username_key.distinct()))) == 7


@pytest.mark.parametrize(("sent", "kept"), [("creator", "CREATOR"), ("Consumer", "CONSUMER"), (None, "CONSUMER")])
def test_people_choose_between_two_roles(client: FlaskClient, sent: str | None, kept: str) -> None:
    body = {**NINA, "role": sent} if sent else {name: NINA[name] for name in ("name", "email", "password")}
    assert client.post(SIGNUP, json=body).json["role"] == kept


@pytest.mark.parametrize("role", ["ADMIN", "admin", "Moderator", "MODERATOR", " ADMIN ", "User", "", "ADMIN\u0000"])
def test_nobody_signs_up_as_staff(client: FlaskClient, role: str) -> None:
    assert_refusal(client.post(SIGNUP, json={**NINA, "role": role}), 400)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(User)) == 0


def test_who_is_added_without_signing_in_is_a_creator_and_gets_no_token(client: FlaskClient) -> None:
    answer = client.post("/api/user", json={**NINA, "role": "ADMIN", "walletBalance": 1e6})
    assert (answer.status_code, answer.json["role"], answer.json["walletBalance"]) == (201, "CREATOR", 0)
    assert "token" not in answer.json and "Set-Cookie" not in answer.headers and "argon2" not in answer.text
    assert_refusal(client.post("/api/user/", data=NINA), 400, "account_exists")
    assert client.post(LOGIN, json={"email": NINA["email"], "password": PASSWORD}).status_code == 200


def test_a_wallet_cannot_be_brought_along(client: FlaskClient) -> None:
    answer = client.post(SIGNUP, json={**NINA, "walletBalance": 1e6, "id": "mine", "averageContentQuality": 100})
    assert (answer.json["walletBalance"], answer.json["averageContentQuality"]) == (0, 0)
    assert answer.json["id"] != "mine"


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"name": None}, "invalid", "Missing required fields"),
        ({"email": ""}, "invalid", "Missing required fields"),
        ({"password": None}, "invalid", "Missing required fields"),
        ({"email": "nowhere"}, "invalid_email", None),
        ({"password": "short"}, "weak_password", None),
        ({"name": "\u200b\u200b"}, "invalid_name", None),
        ({"name": "n" * 101}, "invalid_name", None),
        ({"name": ["Nina"]}, "invalid", None),
    ],
)
def test_what_does_not_fit_is_refused(
    client: FlaskClient, changes: dict[str, Any], code: str, message: str | None
) -> None:
    body = {name: value for name, value in {**NINA, **changes}.items() if value is not None}
    refusal = assert_refusal(client.post(SIGNUP, json=body), 400, code)
    assert message is None or refusal["message"] == message


def test_an_address_joins_once(client: FlaskClient) -> None:
    assert client.post(SIGNUP, json=NINA).status_code == 201
    refusal = assert_refusal(client.post(SIGNUP, json={**NINA, "email": "NINA@members.example"}), 400, "account_exists")
    assert refusal["message"] == "Email already registered"


def test_people_of_one_name_get_usernames_of_their_own(client: FlaskClient) -> None:
    rows = [client.post(SIGNUP, json={**NINA, "email": f"nina{n}@members.example"}).json for n in range(3)]
    assert {row["name"] for row in rows} == {"Nina O'Hara"}
    assert len({row["username"] for row in rows}) == 3
    assert rows[0]["username"] == "Nina.O.Hara" and all(row["username"].startswith("Nina.O.Hara") for row in rows)


@pytest.mark.parametrize("name", ["admin", "王", "🎬", "_", "x" * 100, "Ó-Ó", "a.", "م"])
def test_every_name_leads_to_an_account_that_works(client: FlaskClient, name: str) -> None:
    row = client.post(SIGNUP, json={**NINA, "name": name}).json
    assert row["name"] == name
    signed_in = client.post("/api/auth/login/", data={"username": row["username"], "password": PASSWORD})
    assert signed_in.json["id"] == row["id"]


# --- signing in -----------------------------------------------------------------------------------------------------


def test_the_phone_app_gets_the_union_and_never_a_cookie(people: People, client: FlaskClient) -> None:
    assert people.ada
    for name in ("ada", "ada@people.example"):
        answer = client.post("/api/auth/login/", data={"username": name, "password": PASSWORD})
        assert answer.status_code == 200
        assert {"token", "username", "id", "name", "email", "role", "walletBalance"} <= set(answer.json)
        assert "Set-Cookie" not in answer.headers and "Authorization" not in answer.headers
    by_form = client.post("/api/auth/login/", data={"email": "ada@people.example", "password": PASSWORD})
    by_name = client.post("/api/auth/login/", json={"username": "ada", "password": PASSWORD})
    assert "Set-Cookie" not in by_form.headers and "Set-Cookie" not in by_name.headers


def test_signing_in_by_email_gives_what_signing_up_gave(client: FlaskClient) -> None:
    joined = client.post(SIGNUP, json=NINA).json
    answer = client.post(LOGIN, json={"email": NINA["email"], "password": PASSWORD})
    assert answer.status_code == 200
    assert {**answer.json, "token": ""} == {**joined, "token": ""}
    assert answer.headers["Authorization"] == f"Bearer {answer.json['token']}"
    cookie = client.get_cookie(COOKIE, path="/api")
    assert cookie is not None and cookie.value == answer.json["token"] != joined["token"]


def test_wrong_credentials_are_401_for_these_clients_and_stay_counted(client: FlaskClient) -> None:
    client.post(SIGNUP, json=NINA)
    for email in (NINA["email"], "nobody@members.example"):
        refusal = assert_refusal(client.post(LOGIN, json={"email": email, "password": "wrong one"}), 401)
        assert refusal["message"] == "Invalid credentials" and "status" not in refusal
    answers = [client.post(LOGIN, json={"email": NINA["email"], "password": "wrong one"}) for _ in range(8)]
    assert answers[-1].status_code == 429 and answers[-1].json["code"] == "login_throttled"


@pytest.mark.parametrize("body", [{"email": "a@b.example"}, {"password": PASSWORD}, {}])
def test_signing_in_needs_both(client: FlaskClient, body: dict[str, str]) -> None:
    assert assert_refusal(client.post(LOGIN, json=body), 400)["message"] == "Missing email or password"


# --- the cookie -----------------------------------------------------------------------------------------------------


def test_a_browser_is_known_by_its_cookie_where_that_is_taken(client: FlaskClient) -> None:
    nina = client.post(SIGNUP, json=NINA).json
    assert client.get(f"/api/user/{nina['id']}").json["email"] == NINA["email"]
    assert client.put(f"/api/user/{nina['id']}", json={"name": "Nina"}).json["name"] == "Nina"
    assert client.get("/api/media/get_feed/").status_code == 401


def test_a_token_in_the_header_wins_over_the_cookie(client: FlaskClient) -> None:
    other = join(client, "Olga")
    nina = client.post(SIGNUP, json=NINA).json
    assert "email" not in other.get(f"/api/user/{nina['id']}").json
    assert client.get(f"/api/user/{nina['id']}", headers={"Authorization": "Bearer gone"}).status_code == 401


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"name": "Eve"}, "headers": {"Origin": "https://evil.example"}},
        {"json": {"name": "Eve"}, "headers": {"Origin": "null"}},
        {"json": {"name": "Eve"}, "headers": {"Sec-Fetch-Site": "same-site"}},
        {"json": {"name": "Eve"}, "headers": {"Sec-Fetch-Site": "cross-site"}},
        {"data": {"name": "Eve"}},
        {"data": '{"name": "Eve"}', "content_type": "text/plain"},
    ],
)
def test_another_sites_page_cannot_act_with_the_cookie(client: FlaskClient, request_: dict[str, Any]) -> None:
    nina = client.post(SIGNUP, json=NINA).json
    assert_refusal(client.put(f"/api/user/{nina['id']}", **request_), 403, "cross_site_request")
    assert client.get(f"/api/user/{nina['id']}").json["name"] == NINA["name"]
    with_header = {**request_.get("headers", {}), "Authorization": f"Bearer {nina['token']}"}
    sent_on_purpose = client.put(f"/api/user/{nina['id']}", **{**request_, "headers": with_header})
    assert sent_on_purpose.status_code in (200, 415)


@pytest.mark.parametrize("origin", ["http://popoff.test", "http://localhost"])
def test_our_own_pages_can(client: FlaskClient, origin: str) -> None:
    nina = client.post(SIGNUP, json=NINA).json
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert client.put(f"/api/user/{nina['id']}", json={"name": "Nina"}, headers=headers).status_code == 200


def test_signing_out_takes_the_cookie_back(client: FlaskClient) -> None:
    nina = client.post(SIGNUP, json=NINA).json
    assert client.post("/api/auth/logout").status_code == 200
    assert client.get_cookie(COOKIE, path="/api") is None
    headers = {"Authorization": f"Bearer {nina['token']}"}
    assert client.get(f"/api/user/{nina['id']}", headers=headers).status_code == 401


# --- profiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [None, "gone", *ROLES])
def test_who_gets_what_of_people(client: FlaskClient, role: str | None) -> None:
    ada = join(client, "Ada", "CREATOR")
    grant(ada, "12.50")
    one, everybody = f"/api/user/{ada.id}", "/api/user"
    if role in (None, "gone"):
        headers = {"Authorization": "Bearer gone"} if role else {}
        status, words = ("INVALID", "Invalid") if role else ("MISSING", "Missing")
        for answer in (
            client.get(one, headers=headers),
            client.get(everybody, headers=headers),
            client.put(one, json={"name": "Eve"}, headers=headers),
        ):
            refusal = assert_refusal(answer, 401)
            assert refusal["status"] == f"{status}_ACCESS_TOKEN"
            assert refusal["message"] == f"{words} access token"
        return
    caller = join(client, "Caller", role)
    listed = caller.get(everybody)
    row = caller.get(one).json
    if role == "ADMIN":
        assert [person["id"] for person in listed.json] == [caller.id, ada.id]
        assert row["email"] == ada.email
    else:
        assert assert_refusal(listed, 403, "forbidden")["status"] == "FORBIDDEN"
        assert "email" not in row
    assert (row["id"], row["name"], row["role"]) == (ada.id, "Ada", "CREATOR")
    assert "walletBalance" not in row and "walletBalance" not in listed.text and "12.5" not in listed.text
    assert "argon2" not in listed.text and "password" not in listed.text
    own = caller.get(f"/api/user/{caller.id}").json
    assert (own["email"], own["walletBalance"]) == (caller.email, 0)
    assert assert_refusal(caller.put(one, json={"name": "Eve"}), 403, "forbidden")["status"] == "FORBIDDEN"
    assert ada.get(one).json["name"] == "Ada"
    assert ada.get(one).json["walletBalance"] == 12.5


def test_neither_role_nor_wallet_nor_anything_but_the_profile_can_be_set(client: FlaskClient) -> None:
    ada = join(client, "Ada")
    before = ada.get(f"/api/user/{ada.id}").json
    wishes = {
        "name": "Ada L", "role": "ADMIN", "walletBalance": 1e6, "id": "0", "averageContentQuality": 100,
        "createdAt": "2020-01-01T00:00:00Z", "username": "boss", "suspended_until": None, "public_id": before["id"],
    }  # fmt: skip
    after = ada.put(f"/api/user/{ada.id}", json=wishes).json
    assert {**after, "updatedAt": ""} == {**before, "name": "Ada L", "updatedAt": ""}
    assert after["updatedAt"] > before["updatedAt"]


@pytest.mark.parametrize("changes", [{"password": "another good one"}, {"email": "ada@elsewhere.example"}])
def test_what_one_signs_in_with_changes_only_with_the_password(client: FlaskClient, changes: dict[str, str]) -> None:
    ada = join(client, "Ada")
    other_device = client.post("/api/auth/login/", data={"username": ada.username, "password": PASSWORD}).json["token"]
    path = f"/api/user/{ada.id}"
    assert_refusal(ada.put(path, json=changes), 400, "password_required")
    assert_refusal(ada.put(path, json={**changes, "currentPassword": "not it at all"}), 400, "wrong_credentials")
    assert ada.put(path, json={**changes, "currentPassword": PASSWORD}).status_code == 200
    email, password = changes.get("email", ada.email), changes.get("password", PASSWORD)
    assert client.post(LOGIN, json={"email": email, "password": password}).status_code == 200
    before = client.post(LOGIN, json={"email": ada.email, "password": PASSWORD})
    assert before.status_code == 401
    stays = client.get("/api/auth/check_token/", headers={"Authorization": f"Token {other_device}"}).status_code
    assert stays == (401 if "password" in changes else 200)


def test_an_address_of_somebody_else_is_not_taken(client: FlaskClient) -> None:
    ada, bela = join(client, "Ada"), join(client, "Bela")
    answer = ada.put(f"/api/user/{ada.id}", json={"email": bela.email, "currentPassword": PASSWORD})
    assert_refusal(answer, 400, "account_exists")


@pytest.mark.parametrize("id_", ["1", "0", "-1", "ada", "clx0f4b2k0000", "00000000-0000-0000-0000-000000000000"])
def test_unknown_ids_are_not_found(client: FlaskClient, id_: str) -> None:
    ada = join(client, "Ada")
    assert_refusal(ada.get(f"/api/user/{id_}"), 404)
    assert_refusal(ada.put(f"/api/user/{id_}", json={"name": "Eve"}), 404)


def test_who_blocked_one_another_are_not_there_for_one_another(client: FlaskClient) -> None:
    ada, bela = join(client, "Ada"), join(client, "Bela")
    ada.post("/api/user/block_user/", data={"username": bela.username})
    for person, other in ((ada, bela), (bela, ada)):
        assert_refusal(person.get(f"/api/user/{other.id}"), 404, "user_not_found")
        assert_refusal(person.put(f"/api/user/{other.id}", json={"name": "Eve"}), 404, "user_not_found")


def test_everybody_is_listed_in_pages(client: FlaskClient) -> None:
    boss = join(client, "Boss", "ADMIN")
    others = [join(client).id for _ in range(4)]
    seen, cursor = [], ""
    while True:
        answer = boss.get("/api/user", query_string={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [row["id"] for row in answer.json]
        cursor = answer.headers.get("X-Next-Cursor", "")
        if not cursor:
            break
    assert seen == [*reversed(others), boss.id]
    assert_refusal(boss.get("/api/user", query_string={"cursor": "nonsense"}), 400, "invalid_cursor")


def test_ids_tell_no_numbers(client: FlaskClient) -> None:
    ids = [join(client).id for _ in range(3)]
    assert len(set(ids)) == 3 and all(len(id_) == 36 and not id_.isdigit() for id_ in ids)
