"""Every route of the money side with every role, as one table: who gets in, who does not, who need not even sign in.

A row says who may. Everybody else is refused: without a token by 401, with one by 403, or by 404 where the thing
itself is somebody else's and its being there is nobody's business.
"""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from popoff.web.access import PUBLIC, rule_of
from tests.integration.economy.scene import IBAN, Scene, whole
from tests.support.refusals import assert_refusal

ROLES = ("giver", "creator", "other", "moderator", "finance", "admin")
EVERYBODY = frozenset(ROLES)
STAFF = frozenset({"moderator", "finance", "admin"})
MONEY = frozenset({"finance", "admin"})
OWN = MONEY | {"creator"}
GIVERS = MONEY | {"giver"}
ALL_AND_NONE = EVERYBODY | {"nobody"}

REASON = {"reason": "a good one"}
GIFT = {"creatorId": "{creator}", "contentId": "{content}", "amount": 1}

TABLE: list[tuple[str, str, dict[str, object] | None, frozenset[str]]] = [
    ("POST", "/gift", GIFT, EVERYBODY),
    ("GET", "/gift/sent/{giver}", None, GIVERS),
    ("GET", "/gift/received/{creator}", None, OWN),
    ("POST", "/gift/{gift}/reverse", REASON, MONEY),
    ("GET", "/reward/{creator}/total", None, OWN),
    ("GET", "/reward/total/{creator}", None, OWN),
    ("GET", "/reward/{creator}/breakdown", None, OWN),
    ("GET", "/reward/breakdown/{creator}", None, OWN),
    ("GET", "/reward/{creator}/statements", None, OWN),
    ("GET", "/reward/periods", None, MONEY),
    ("POST", "/reward/periods", {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}, MONEY),
    ("GET", "/reward/statements", None, EVERYBODY),
    ("GET", "/reward/statements/{statement}", None, OWN),
    ("GET", "/reward/statements/{statement}/csv", None, OWN),
    ("GET", "/reward/statements/{statement}/pdf", None, OWN),
    ("GET", "/wallet", None, EVERYBODY),
    ("GET", "/wallet/entries", None, EVERYBODY),
    ("POST", "/wallet/top-up", {"amount": 5}, EVERYBODY),
    ("POST", "/payments/webhook/sandbox", None, ALL_AND_NONE),
    ("POST", "/payments/sandbox/{gift}", None, EVERYBODY),
    ("GET", "/payout", None, EVERYBODY),
    ("POST", "/payout", {"amount": 20}, EVERYBODY),
    ("GET", "/payout/account", None, EVERYBODY),
    ("PUT", "/payout/account", {"holder": "Some One", "iban": IBAN}, EVERYBODY),
    ("GET", "/payout/open", None, MONEY),
    ("GET", "/payout/{payout}", None, OWN),
    ("POST", "/payout/{payout}/approve", None, MONEY),
    ("POST", "/payout/{payout}/hold", REASON, MONEY),
    ("POST", "/payout/{payout}/release", None, MONEY),
    ("POST", "/payout/{payout}/paid", None, MONEY),
    ("POST", "/payout/{payout}/failed", REASON, MONEY),
    ("POST", "/payout/{payout}/reversed", REASON, MONEY),
    ("POST", "/payout/exports", None, MONEY),
    ("GET", "/payout/exports/{payout}/csv", None, MONEY),
    ("GET", "/payout/exports/{payout}/pain001", None, MONEY),
    ("GET", "/audit", None, STAFF),
    ("GET", "/audit/flagged", None, STAFF),
    ("GET", "/audit/{log}", None, STAFF),
    ("POST", "/audit/scan", None, STAFF),
    ("POST", "/audit/{log}/flag", REASON, STAFF),
    ("POST", "/audit/flags/{flag}/decision", {**REASON, "outcome": "CLEARED"}, MONEY),
    ("GET", "/audit/checkpoint", None, ALL_AND_NONE),
    ("GET", "/audit/proof/inclusion?index=0", None, ALL_AND_NONE),
    ("GET", "/audit/proof/consistency?old=1", None, ALL_AND_NONE),
    ("POST", "/fraud", {**REASON, "subject": "{gift}"}, EVERYBODY),
    ("GET", "/fraud/cases", None, STAFF),
    ("POST", "/fraud/cases/{case}/decision", {**REASON, "outcome": "DISMISSED"}, STAFF),
]
HIDDEN = ("/reward/statements/{", "/payout/{payout}")
"""Here what is somebody else's is as good as not there."""


def send(scene: Scene, client: FlaskClient, role: str, method: str, path: str, body: dict[str, object] | None):  # type: ignore[no-untyped-def]
    options = (
        {} if body is None else {"json": {n: scene.path(str(v))[4:] if "{" in str(v) else v for n, v in body.items()}}
    )
    if role == "nobody":
        return client.application.test_client().open(scene.path(path), method=method, **options)
    return scene.member(role)._send(method, scene.path(path), **options)


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    return whole(client)


@pytest.mark.parametrize(("method", "path", "body", "allowed"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_who_gets_in(
    scene: Scene, client: FlaskClient, method: str, path: str, body: dict[str, object] | None, allowed: frozenset[str]
) -> None:
    for role in ("nobody", *ROLES):
        answer = send(scene, client, role, method, path, body)
        if role in allowed:
            refused_entry = answer.status_code == 401 or (
                answer.is_json
                and answer.json is not None
                and isinstance(answer.json, dict)
                and answer.json.get("code") in ("forbidden", "not_authenticated")
            )
            assert not refused_entry and answer.status_code < 500, (role, answer.text)
        elif role == "nobody":
            assert assert_refusal(answer, 401, "not_authenticated")["status"] == "MISSING_ACCESS_TOKEN"
        elif method == "GET" and path.startswith(HIDDEN):
            assert_refusal(answer, 404)
        else:
            assert assert_refusal(answer, 403, "forbidden")["status"] == "FORBIDDEN"


def test_the_table_has_every_route(app: Flask) -> None:
    rooms = ("gift", "reward", "wallet", "payments", "payout", "audit", "fraud")
    real = set()
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(tuple(f"/api/{room}/" for room in rooms)):
            shape = "/".join("{}" if part.startswith("<") else part for part in rule.rule[4:].strip("/").split("/"))
            real |= {(method, shape) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    listed = set()
    for method, path, *_ in TABLE:
        parts = path.partition("?")[0].strip("/").replace("webhook/sandbox", "webhook/{}").split("/")
        listed.add((method, "/".join("{}" if part.startswith("{") else part for part in parts)))
    assert listed == real


def test_only_proofs_and_webhooks_need_no_account(app: Flask) -> None:
    rooms = ("gift", "reward", "wallet", "payments", "payout", "audit", "fraud")
    open_to_all = {
        rule.rule
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(tuple(f"/api/{room}/" for room in rooms))
        and rule_of(app, rule.endpoint, method) == PUBLIC
    }
    assert open_to_all == {
        "/api/audit/checkpoint/",
        "/api/audit/proof/inclusion/",
        "/api/audit/proof/consistency/",
        "/api/payments/webhook/<string:provider>/",
    }


def test_a_person_who_does_not_exist_looks_like_one_who_does(scene: Scene) -> None:
    unknown = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
    other, finance = scene.member("other"), scene.member("finance")
    for path in ("/api/gift/sent/{}", "/api/reward/{}/total", "/api/reward/{}/breakdown"):
        refusals = [other.get(path.format(ref)) for ref in (unknown, scene.member("creator").id)]
        assert [assert_refusal(answer, 403)["code"] for answer in refusals] == ["forbidden", "forbidden"]
        assert_refusal(finance.get(path.format(unknown)), 404, "user_not_found")


def test_proofs_hold_no_personal_data(scene: Scene, client: FlaskClient) -> None:
    anybody = client.application.test_client()
    texts = [
        anybody.get(f"/api/audit/{path}").text
        for path in ("checkpoint", "proof/inclusion?index=0", "proof/consistency?old=1")
    ]
    for member in vars(scene.people).values():
        for secret in (getattr(member, name, "") for name in ("id", "email", "username", "token")):
            assert not secret or all(secret not in text for text in texts)
