"""`/gift`: what giving needs, what it answers, what it leaves behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

import config
from popoff.audit.models import EntryRow
from popoff.kernel.db import db
from tests.support import ledger
from tests.support.economy import join, post_link
from tests.support.encodings import ENCODINGS, encoded
from tests.support.races import at_once
from tests.support.refusals import assert_refusal
from tests.support.staff import Cast, cast, number_of


@pytest.fixture
def people(client: FlaskClient) -> Cast:
    return cast(client)


def balance(people: Cast) -> float:
    amount: float = people.giver.get("/api/wallet").json["balance"]
    return amount


def entries() -> list[tuple[str, int | None]]:
    statement = sa.select(EntryRow.action, EntryRow.amount).order_by(EntryRow.id)
    rows = db.session.execute(statement.where(~EntryRow.action.startswith("accounts.")))
    return [(row.action, row.amount) for row in rows]


def body(people: Cast, **changes: Any) -> dict[str, Any]:
    return {"creatorId": people.creator.id, "contentId": people.content_id, "amount": 12.5, **changes}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_gift_answers_as_clients_know_it(people: Cast, encoding: str) -> None:
    answer = people.giver.post("/api/gift", **encoded(encoding, body(people)))
    assert answer.status_code == 201, answer.text
    row = answer.json
    assert row == {
        "id": row["id"],
        "consumerId": people.giver.id,
        "creatorId": people.creator.id,
        "contentId": people.content_id,
        "amount": 12.5,
        "status": "COMPLETED",
        "createdAt": row["createdAt"],
        "updatedAt": row["createdAt"],
    }
    assert len(row["id"]) == 24 and row["createdAt"].endswith("Z")
    assert balance(people) == 4987.5
    assert entries()[-1] == ("send_gift", 1250)
    ledger.prove()


@pytest.mark.parametrize(
    "amount",
    [
        0,
        -5,
        -0.01,
        0.001,
        1.005,
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        1e300,
        "",
        "five",
        True,
        False,
        [5],
        {},
        None,
    ],
    ids=repr,
)
def test_what_is_no_amount_of_money_is_refused(people: Cast, amount: object) -> None:
    assert_refusal(people.give(amount), 400, "invalid_amount")
    assert balance(people) == 5000
    assert entries() == []


def test_nan_in_a_body_is_not_json(people: Cast) -> None:
    text = json.dumps(body(people, amount=float("nan")))
    assert "NaN" in text
    answer = people.giver.post("/api/gift", data=text, content_type="application/json")
    assert_refusal(answer, 400, "malformed_body")


@pytest.mark.parametrize("missing", ["creatorId", "contentId", "amount"])
def test_nothing_may_be_missing(people: Cast, missing: str) -> None:
    sent = body(people)
    del sent[missing]
    answer = assert_refusal(people.giver.post("/api/gift", json=sent), 400, "invalid")
    assert answer["message"] == "Missing required fields" and missing in answer


@pytest.mark.parametrize("amount", ["0.1", 0.1, 0.30, "19.99", 1, "1.10"])
def test_cents_arrive_exactly(people: Cast, amount: object) -> None:
    assert people.give(amount).json["amount"] == float(str(amount))
    assert balance(people) == round(5000 - float(str(amount)), 2)


def test_more_than_there_is_cannot_be_given(client: FlaskClient) -> None:
    people = cast(client, money=1_000)
    assert_refusal(people.give(10.01), 400, "insufficient_funds")
    assert people.give(10).status_code == 201
    assert balance(people) == 0


def test_nobody_gives_to_themselves_and_the_log_says_who_tried(people: Cast) -> None:
    refused = people.creator.post("/api/gift", json=body(people))
    assert assert_refusal(refused, 400, "self_gift")["error"] == "Suspicious gifting detected: cannot gift yourself"
    assert entries() == [("suspicious_gifting", 1250)]
    rows = people.admin.get("/api/audit/flagged").json
    assert [row["action"] for row in rows] == ["SUSPICIOUS_GIFTING"]


def test_another_name_for_the_creator_does_not_hide_a_gift_to_oneself(people: Cast) -> None:
    refused = people.creator.post("/api/gift", json=body(people, creatorId=people.other.id))
    assert_refusal(refused, 400, "self_gift")


def test_content_and_creator_belong_together(people: Cast) -> None:
    assert_refusal(
        people.giver.post("/api/gift", json=body(people, creatorId=people.other.id)), 400, "creator_mismatch"
    )


@pytest.mark.parametrize(("field", "code"), [("creatorId", "user_not_found"), ("contentId", "post_not_found")])
def test_who_and_what_must_exist(people: Cast, field: str, code: str) -> None:
    unknown = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
    assert_refusal(people.giver.post("/api/gift", json=body(people, **{field: unknown})), 404, code)
    assert_refusal(people.giver.post("/api/gift", json=body(people, **{field: "17"})), 400, "invalid")
    assert entries() == []


def test_the_daily_limit_is_exact(people: Cast) -> None:
    assert people.give(1999.99).status_code == 201
    assert assert_refusal(people.give(0.02), 400, "daily_limit_exceeded")["error"] == "Daily gift limit exceeded"
    assert people.give(0.01).status_code == 201
    assert_refusal(people.give(0.01), 400, "daily_limit_exceeded")


def test_a_negative_gift_makes_no_room_under_the_limit(people: Cast) -> None:
    assert people.give(2000).status_code == 201
    assert_refusal(people.give(-1000), 400, "invalid_amount")
    assert_refusal(people.give(0.01), 400, "daily_limit_exceeded")


def test_the_same_key_is_the_same_gift(people: Cast) -> None:
    first, again = (people.give(5, **{"Idempotency-Key": "k-1"}) for _ in range(2))
    assert (again.status_code, again.json) == (201, first.json)
    assert balance(people) == 4995
    assert_refusal(people.give(6, **{"Idempotency-Key": "k-1"}), 409, "idempotency_conflict")


def test_without_a_key_each_request_is_a_gift_of_its_own(people: Cast) -> None:
    assert people.give(5).json["id"] != people.give(5).json["id"]
    assert balance(people) == 4990


def test_a_key_of_somebody_else_means_nothing(people: Cast) -> None:
    ledger.grant(number_of(people.other), 1_000)
    headers = {"Idempotency-Key": "mine"}
    one = people.giver.post("/api/gift", json=body(people, amount=5), headers=headers)
    two = people.other.post("/api/gift", json=body(people, amount=5), headers=headers)
    assert (one.status_code, two.status_code) == (201, 201)
    assert one.json["id"] != two.json["id"]


@pytest.mark.parametrize("key", ["", "x" * 101, "tab\there"])
def test_keys_are_short_and_visible(people: Cast, key: str) -> None:
    assert_refusal(people.give(5, **{"Idempotency-Key": key}), 400, "invalid_key")


def test_giving_the_same_again_within_the_hour_is_noted(people: Cast) -> None:
    people.give(5)
    second = people.give(6).json
    (noted,) = people.admin.get("/api/audit/flagged").json
    assert (noted["action"], noted["giftId"], noted["amount"]) == ("POTENTIAL_GAMING", second["id"], 6)


def test_both_sides_see_the_gift_with_the_other_and_the_post(people: Cast) -> None:
    given = people.give(5).json
    (sent,) = people.giver.get(f"/api/gift/sent/{people.giver.id}").json
    (received,) = people.creator.get(f"/api/gift/received/{people.creator.id}").json
    assert (sent["id"], sent["creator"]["id"], sent["content"]["id"]) == (
        given["id"],
        people.creator.id,
        people.content_id,
    )
    assert (received["id"], received["consumer"]["id"]) == (given["id"], people.giver.id)
    assert sent["content"]["title"] == "Live from the roof"
    for row in (sent["creator"], received["consumer"]):
        assert not {"email", "password", "walletBalance"} & row.keys()


def test_lists_come_in_pages_and_ids_lead_nowhere_else(people: Cast) -> None:
    given = [people.give(1).json["id"] for _ in range(5)]
    seen, cursor = [], ""
    while True:
        answer = people.giver.get(f"/api/gift/sent/{people.giver.id}?limit=2{cursor}")
        seen += [row["id"] for row in answer.json]
        if "X-Next-Cursor" not in answer.headers:
            break
        cursor = f"&cursor={answer.headers['X-Next-Cursor']}"
    assert seen == given[::-1]
    assert_refusal(people.giver.get(f"/api/gift/sent/{people.giver.id}?cursor=x"), 400, "invalid_cursor")


def test_a_gift_outlives_the_post_it_was_for(people: Cast) -> None:
    people.give(5)
    other = post_link(people.creator, "Another")
    assert other["id"] != people.content_id
    (row,) = people.giver.get(f"/api/gift/sent/{people.giver.id}").json
    assert row["contentId"] == people.content_id


def test_staff_take_a_gift_back_once(people: Cast) -> None:
    gift = people.give(5).json
    taken = people.finance.post(f"/api/gift/{gift['id']}/reverse", json={"reason": "stolen card"})
    assert (taken.status_code, taken.json["status"]) == (200, "REVERSED")
    assert balance(people) == 5000
    again = people.finance.post(f"/api/gift/{gift['id']}/reverse", json={"reason": "once more"})
    assert_refusal(again, 409, "already_reversed")
    assert_refusal(people.finance.post("/api/gift/none/reverse", json={"reason": "x"}), 404, "gift_not_found")
    ledger.prove()


def test_staff_do_not_take_back_what_they_gave_or_got(people: Cast, client: FlaskClient) -> None:
    ledger.grant(number_of(people.finance), 1_000)
    gift = people.finance.post("/api/gift", json=body(people, amount=5)).json
    refused = people.finance.post(f"/api/gift/{gift['id']}/reverse", json={"reason": "I want it back"})
    assert_refusal(refused, 403, "own_matter")


def test_many_gifts_at_once_spend_exactly_what_is_there(platform_db: Flask) -> None:
    with platform_db.app_context():
        people = cast(platform_db.test_client(), money=1_000)
        db.session.remove()

    def give(_: int) -> int:
        client = platform_db.test_client()
        headers = {"Authorization": f"Token {people.giver.token}"}
        return client.post("/api/gift", json=body(people, amount=1), headers=headers).status_code

    codes = at_once([lambda number=number: give(number) for number in range(64)])
    assert sorted(codes) == [201] * 10 + [400] * 54
    with platform_db.app_context():
        assert ledger.has(ledger.wallet(number_of(people.giver))) == 0
        ledger.prove()


def test_the_limit_holds_whatever_arrives_at_once(platform_db: Flask) -> None:
    with platform_db.app_context():
        people = cast(platform_db.test_client(), money=500_000)
        db.session.remove()

    def give(_: int) -> int:
        headers = {"Authorization": f"Token {people.giver.token}"}
        return platform_db.test_client().post("/api/gift", json=body(people, amount=300), headers=headers).status_code

    codes = at_once([lambda number=number: give(number) for number in range(64)])
    assert codes.count(201) == config.current().daily_gift_limit // 30_000
    assert set(codes) == {201, 400}


def test_a_new_person_has_nothing_to_give(client: FlaskClient) -> None:
    creator, giver = join(client, role="CREATOR"), join(client)
    content = post_link(creator)
    sent = {"creatorId": creator.id, "contentId": content["id"], "amount": 1}
    assert_refusal(giver.post("/api/gift", json=sent), 400, "insufficient_funds")
