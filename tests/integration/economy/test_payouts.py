"""`/payout`: from asking to the bank and back."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

import config
from popoff.accounts import service
from popoff.accounts.rules import Role
from popoff.kernel import clock
from popoff.kernel.clock import rfc3339
from popoff.kernel.db import db
from tests.integration.economy.scene import IBAN, Scene, ask_for_payout, settled
from tests.support import rewards
from tests.support.economy import join
from tests.support.races import at_once
from tests.support.refusals import assert_refusal

REASON = {"reason": "a good one"}


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    """The creator has 400.00."""
    return settled(client)


@pytest.fixture
def payout(scene: Scene) -> str:
    return ask_for_payout(scene)


def step(scene: Scene, who: str, payout: str, what: str, body: dict[str, object] | None = None):  # type: ignore[no-untyped-def]
    return scene.member(who).post(f"/api/payout/{payout}/{what}", **({} if body is None else {"json": body}))


def balance(scene: Scene) -> float:
    amount: float = scene.people.creator.get("/api/wallet").json["balance"]
    return amount


def test_a_payout_takes_the_money_at_once_and_waits(scene: Scene, payout: str) -> None:
    assert balance(scene) == 300
    (row,) = scene.people.creator.get("/api/payout").json
    assert (row["id"], row["amount"], row["state"], row["exported"]) == (payout, 100, "PENDING", False)
    (open_row,) = scene.people.finance.get("/api/payout/open").json
    assert (open_row["userId"], open_row["approvedBy"]) == (scene.people.creator.id, None)
    rewards.prove()


def test_without_a_bank_account_there_is_nowhere_to_pay_to(scene: Scene) -> None:
    creator = scene.people.creator
    assert_refusal(creator.get("/api/payout/account"), 404, "bank_account_missing")
    assert_refusal(creator.post("/api/payout", json={"amount": 100}), 400, "bank_account_missing")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"holder": "A B", "iban": "DE00370400440532013000"}, "invalid_iban"),
        ({"holder": "A B", "iban": "nonsense"}, "invalid_iban"),
        ({"holder": "A", "iban": IBAN}, "invalid_holder"),
        ({"holder": "A B", "iban": IBAN, "bic": "?"}, "invalid_bic"),
        ({"iban": IBAN}, "invalid"),
    ],
)
def test_an_account_must_be_one(scene: Scene, body: dict[str, str], code: str) -> None:
    assert_refusal(scene.people.creator.put("/api/payout/account", json=body), 400, code)


def test_nobody_reads_anothers_bank_account(scene: Scene, payout: str) -> None:
    assert scene.people.creator.get("/api/payout/account").json["iban"] == IBAN
    for person in (scene.people.other, scene.people.admin):
        assert_refusal(person.get("/api/payout/account"), 404, "bank_account_missing")
    assert IBAN not in scene.people.admin.get("/api/payout/open").text


@pytest.mark.parametrize(
    ("amount", "code"), [(9.99, "payout_too_small"), (300.01, "nothing_payable"), (-5, "invalid_amount")]
)
def test_only_what_was_earned_is_paid(scene: Scene, payout: str, amount: float, code: str) -> None:
    assert_refusal(scene.people.creator.post("/api/payout", json={"amount": amount}), 400, code)


def test_what_was_granted_cannot_be_paid_out(scene: Scene) -> None:
    giver = scene.people.giver
    giver.put("/api/payout/account", json={"holder": "Gus Giver", "iban": IBAN})
    assert_refusal(giver.post("/api/payout", json={"amount": 100}), 400, "nothing_payable")


def test_the_same_key_is_the_same_payout(scene: Scene, payout: str) -> None:
    headers = {"Idempotency-Key": "k"}
    one, two = (scene.people.creator.post("/api/payout", json={"amount": 50}, headers=headers) for _ in range(2))
    assert one.json == two.json
    other = scene.people.creator.post("/api/payout", json={"amount": 51}, headers=headers)
    assert_refusal(other, 409, "idempotency_conflict")
    assert balance(scene) == 250


def test_the_whole_way_to_the_bank(scene: Scene, payout: str) -> None:
    approved = step(scene, "finance", payout, "approve").json
    assert (approved["state"], approved["approvedBy"]) == ("APPROVED", scene.people.finance.id)
    export = scene.people.finance.post("/api/payout/exports")
    assert export.status_code == 201
    (order,) = csv.DictReader(io.StringIO(scene.people.finance.get(export.json["csv"]).text))
    assert (order["reference"], order["iban"], order["amount"]) == (payout, IBAN, "100.00")
    paid = step(scene, "admin", payout, "paid").json
    assert (paid["state"], paid["exported"]) == ("PAID", True)
    assert_refusal(scene.people.finance.post("/api/payout/exports"), 409, "nothing_to_export")
    rewards.prove()


def test_with_a_debtor_there_is_a_file_for_the_banks_programs(scene: Scene, payout: str) -> None:
    step(scene, "finance", payout, "approve")
    with config.override(payout_debtor_name="PopOff Ltd", payout_debtor_iban=IBAN):
        export = scene.people.finance.post("/api/payout/exports").json
        answer = scene.people.finance.get(export["pain001"])
    assert answer.mimetype == "application/xml"
    names = {"p": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
    document = ElementTree.fromstring(answer.data)
    assert document.findtext(".//p:CtrlSum", namespaces=names) == "100.00"
    without = scene.people.finance.get(f"/api/payout/exports/{export['id']}/pain001")
    assert_refusal(without, 404, "debtor_missing")


def test_who_asked_or_is_paid_does_not_approve(client: FlaskClient, scene: Scene, payout: str) -> None:
    service.set_role(scene.people.creator.username, Role.FINANCE)
    assert_refusal(step(scene, "creator", payout, "approve"), 403, "four_eyes")
    assert step(scene, "finance", payout, "approve").status_code == 200


def test_a_held_payout_waits_until_it_is_released(scene: Scene, payout: str) -> None:
    held = step(scene, "finance", payout, "hold", {**REASON, "until": rfc3339(clock.now() + timedelta(days=1))}).json
    assert (held["state"], held["reason"]) == ("HELD", "a good one")
    assert_refusal(step(scene, "admin", payout, "approve"), 409, "payout_held")
    assert step(scene, "finance", payout, "release").json["state"] == "PENDING"
    assert step(scene, "admin", payout, "approve").json["state"] == "APPROVED"


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "soon"])
def test_a_hold_ends_at_a_time_that_there_is(scene: Scene, payout: str, until: str) -> None:
    assert_refusal(step(scene, "finance", payout, "hold", {**REASON, "until": until}), 400, "invalid")


@pytest.mark.parametrize("what", ["hold", "release", "paid", "failed", "reversed"])
def test_nobody_decides_about_money_that_is_on_its_way_to_them(scene: Scene, payout: str, what: str) -> None:
    service.set_role(scene.people.creator.username, Role.FINANCE)
    for before in {"paid": ["approve"], "failed": ["approve"], "reversed": ["approve", "paid"]}.get(what, []):
        assert step(scene, "finance", payout, before).status_code == 200
    assert_refusal(step(scene, "creator", payout, what, REASON), 403, "own_matter")
    assert balance(scene) == 300


def test_what_was_approved_for_one_account_is_not_paid_to_another(scene: Scene, payout: str) -> None:
    step(scene, "finance", payout, "approve")
    other = {"holder": "Cleo Creator", "iban": "GB82WEST12345698765432"}
    assert scene.people.creator.put("/api/payout/account", json=other).status_code == 200
    (held,) = scene.people.finance.get("/api/payout/open").json
    assert (held["state"], held["reason"], held["approvedBy"]) == ("HELD", "the bank account was changed", None)
    assert_refusal(scene.people.finance.post("/api/payout/exports"), 409, "nothing_to_export")
    for what in ("release", "approve"):
        assert step(scene, "admin", payout, what).status_code == 200
    export = scene.people.finance.post("/api/payout/exports").json
    assert "GB82WEST12345698765432" in scene.people.finance.get(export["csv"]).text


def test_what_the_bank_was_told_stays_until_it_has_paid(scene: Scene, payout: str) -> None:
    creator, other = scene.people.creator, {"holder": "Cleo Creator", "iban": "GB82WEST12345698765432"}
    step(scene, "finance", payout, "approve")
    export = scene.people.finance.post("/api/payout/exports").json
    told = scene.people.finance.get(export["csv"]).text
    assert_refusal(creator.put("/api/payout/account", json=other), 409, "payout_exported")
    assert creator.put("/api/payout/account", json={"holder": "Cleo Creator", "iban": IBAN}).status_code == 200
    assert scene.people.finance.get(export["csv"]).text == told
    step(scene, "admin", payout, "paid")
    assert creator.put("/api/payout/account", json=other).json["iban"] == other["iban"]


def test_an_account_that_is_named_again_at_once_is_one_account(platform_db: Flask) -> None:
    with platform_db.app_context():
        member = join(platform_db.test_client())
        db.session.remove()

    def put() -> int:
        headers = {"Authorization": f"Token {member.token}"}
        body = {"holder": "Cleo Creator", "iban": IBAN}
        return platform_db.test_client().put("/api/payout/account", json=body, headers=headers).status_code

    assert at_once([put] * 8) == [200] * 8


@pytest.mark.parametrize(("steps", "end"), [(["failed"], "FAILED"), (["approve", "paid", "reversed"], "REVERSED")])
def test_money_that_does_not_arrive_comes_back(scene: Scene, payout: str, steps: list[str], end: str) -> None:
    for what in steps:
        answer = step(scene, "finance", payout, what, REASON if what in ("failed", "reversed") else None)
        assert answer.status_code == 200, answer.text
    assert answer.json["state"] == end
    assert balance(scene) == 400
    rewards.prove()


@pytest.mark.parametrize("what", ["paid", "reversed", "release"])
def test_steps_are_not_skipped(scene: Scene, payout: str, what: str) -> None:
    assert_refusal(step(scene, "finance", payout, what, REASON), 409, "payout_state")
    assert_refusal(step(scene, "finance", "none", what, REASON), 404, "payout_not_found")


def test_flagged_gifts_are_not_paid_out_until_somebody_decides(scene: Scene, payout: str) -> None:
    people = scene.people
    flag = people.moderator.post(f"/api/audit/{scene.log}/flag", json={"reason": "odd"}).json
    assert people.creator.get("/api/wallet").json["payable"] == 0
    assert_refusal(step(scene, "finance", payout, "approve"), 409, "gifts_flagged")
    assert_refusal(people.creator.post("/api/payout", json={"amount": 50}), 400, "nothing_payable")
    cleared = {"outcome": "CLEARED", "reason": "a fan"}
    assert people.finance.post(f"/api/audit/flags/{flag['id']}/decision", json=cleared).status_code == 200
    assert step(scene, "finance", payout, "approve").status_code == 200


def test_every_step_is_in_the_log(scene: Scene, payout: str) -> None:
    for who, what in (("finance", "hold"), ("finance", "release"), ("finance", "approve"), ("admin", "paid")):
        step(scene, who, payout, what, REASON)
    rows = scene.people.admin.get(f"/api/audit?subject={payout}").json
    expected = ["PAYOUT_PAID", "PAYOUT_APPROVED", "PAYOUT_RELEASED", "PAYOUT_HELD", "PAYOUT_REQUESTED"]
    assert [row["action"] for row in rows] == expected
