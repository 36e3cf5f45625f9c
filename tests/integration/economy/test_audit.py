"""`/audit`: the log for staff, flags on it, and proofs for everybody."""

from __future__ import annotations

import hashlib
import json

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.audit import service
from popoff.audit.models import EntryRow
from popoff.audit.verify import open_checkpoint, parse_key, verify_consistency, verify_inclusion
from popoff.kernel.db import db
from tests.integration.economy.scene import Scene, entry_of, settled
from tests.support.refusals import assert_refusal
from tests.support.staff import Cast, cast


@pytest.fixture
def people(client: FlaskClient) -> Cast:
    return cast(client)


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    return settled(client)


def test_a_row_is_as_clients_know_it(people: Cast) -> None:
    gift = people.give(5).json
    (row,) = people.admin.get("/api/audit?action=SEND_GIFT").json
    assert (row["action"], row["amount"], row["giftId"]) == ("SEND_GIFT", 5, gift["id"])
    assert row["userId"] not in ("", None, people.giver.id)
    assert (row["seq"], row["hash"], row["prevHash"]) == (None, None, None)
    service.chain_committed()
    (row,) = people.admin.get("/api/audit?action=send_gift").json
    assert len(row["hash"]) == 64 and row["seq"] >= 0


def test_an_entry_can_be_hashed_again_by_anybody(scene: Scene) -> None:
    row = scene.people.admin.get(f"/api/audit/{scene.log}").json
    text = json.dumps(row["entry"], sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"\0" + bytes.fromhex(row["prevHash"]) + text).hexdigest()
    assert digest == row["hash"]


def test_the_first_entry_follows_zeros_and_each_the_one_before(scene: Scene) -> None:
    rows = scene.people.admin.get("/api/audit").json[::-1]
    assert rows[0]["prevHash"] == "0" * 64
    assert [row["prevHash"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]


def test_filters_narrow_and_pages_lead_on(scene: Scene) -> None:
    admin, people = scene.people.admin, scene.people
    everything = [row["id"] for row in admin.get("/api/audit").json]
    first = admin.get("/api/audit?limit=2")
    second = admin.get(f"/api/audit?limit=200&cursor={first.headers['X-Next-Cursor']}")
    assert [row["id"] for row in (*first.json, *second.json)] == everything
    by_user = admin.get(f"/api/audit?user={people.giver.id}").json
    assert [row["id"] for row in by_user] == [scene.log]
    assert [row["id"] for row in admin.get(f"/api/audit?subject={scene.gift}").json] == [scene.log]
    assert admin.get("/api/audit?until=2020-01-01T00:00:00Z").json == []


@pytest.mark.parametrize(
    "query", ["cursor=x", "since=yesterday", "since=2026-01-01T00:00:00", "limit=0", "user=17", "limit=100000"]
)
def test_queries_that_make_no_sense_are_refused(people: Cast, query: str) -> None:
    assert people.admin.get(f"/api/audit?{query}").status_code == 400


def test_operators_in_a_query_are_only_words(scene: Scene) -> None:
    admin = scene.people.admin
    assert admin.get("/api/audit?action[contains]=gift").json == admin.get("/api/audit").json
    assert admin.get("/api/audit?action=%25").json == []
    assert admin.get("/api/audit?subject=%27%20OR%201=1").json == []


def test_unknown_entries_are_not_found(people: Cast) -> None:
    for entry_id in ("0" * 26, "1", "x" * 300):
        assert_refusal(people.admin.get(f"/api/audit/{entry_id}"), 404, "entry_not_found")
        refused = people.admin.post(f"/api/audit/{entry_id}/flag", json={"reason": "odd"})
        assert_refusal(refused, 404, "entry_not_found")


def test_a_flag_is_a_new_entry_and_changes_none(scene: Scene) -> None:
    moderator = scene.people.moderator
    before = scene.people.admin.get(f"/api/audit/{scene.log}").json
    answer = moderator.post(f"/api/audit/{scene.log}/flag", json={"reason": "Looks odd", "description": "Too much"})
    assert answer.status_code == 200
    flag = answer.json
    assert (flag["reporterId"], flag["auditLogId"]) == (moderator.id, scene.log)
    assert (flag["reason"], flag["description"], flag["state"]) == ("Looks odd", "Too much", "OPEN")
    after = scene.people.admin.get(f"/api/audit/{scene.log}").json
    assert {**after, "flags": []} == before
    (entry,) = scene.people.admin.get("/api/audit?action=audit.flag").json
    assert entry["subject"] == scene.log


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"reason": None}])
def test_a_flag_needs_a_reason(scene: Scene, body: dict[str, object]) -> None:
    assert scene.people.admin.post(f"/api/audit/{scene.log}/flag", json=body).status_code == 400


def test_flagged_entries_are_listed_with_their_flags(scene: Scene) -> None:
    people = scene.people
    for staff in (people.moderator, people.admin):
        staff.post(f"/api/audit/{scene.log}/flag", json={"reason": f"{staff.username} says so"})
    (row,) = people.finance.get("/api/audit/flagged").json
    assert (row["id"], [flag["reporterId"] for flag in row["flags"]]) == (
        scene.log,
        [people.admin.id, people.moderator.id],
    )
    assert people.finance.get("/api/audit/flagged?state=CLEARED").json == []


def test_a_flag_is_decided_by_finance_and_everybody_on_the_staff_reads_why(scene: Scene) -> None:
    people = scene.people
    flag = people.moderator.post(f"/api/audit/{scene.log}/flag", json={"reason": "odd"}).json
    path = f"/api/audit/flags/{flag['id']}/decision"
    decided = people.finance.post(path, json={"outcome": "CLEARED", "reason": "a fan"})
    assert (decided.status_code, decided.json["state"]) == (200, "CLEARED")
    assert decided.json["decisions"][0]["decidedBy"] == people.finance.id
    again = people.admin.post(path, json={"outcome": "CONFIRMED", "reason": "no"})
    assert_refusal(again, 409, "flag_decided")
    (row,) = people.moderator.get("/api/audit/flagged?state=cleared").json
    assert row["flags"][0]["decisions"][0]["reason"] == "a fan"


def test_a_confirmed_flag_is_taken_back_by_somebody_else(scene: Scene) -> None:
    people = scene.people
    flag = people.moderator.post(f"/api/audit/{scene.log}/flag", json={"reason": "odd"}).json
    path = f"/api/audit/flags/{flag['id']}/decision"
    people.finance.post(path, json={"outcome": "CONFIRMED", "reason": "it is"})
    taken_back = {"outcome": "CLEARED", "reason": "it is not"}
    assert_refusal(people.finance.post(path, json=taken_back), 403, "four_eyes")
    assert people.admin.post(path, json=taken_back).json["state"] == "CLEARED"


def test_a_scan_counts_flags_and_tells_why(people: Cast) -> None:
    gifts = [people.give(1).json["id"] for _ in range(11)]
    result = people.moderator.post("/api/audit/scan")
    assert result.status_code == 200
    body = result.json
    assert (body["count"], body["anomalies_detected"], body["flags_raised"]) == (11, 2, 2)
    assert [row["giftId"] for row in body["flagged_logs"]] == [gifts[10], gifts[9]]
    assert body["flagged_logs"][0]["flags"][0]["reason"] == "The giver made 11 gifts to this creator within an hour."
    again = people.moderator.post("/api/audit/scan").json
    assert (again["anomalies_detected"], again["flags_raised"]) == (2, 0)


def test_a_scan_of_nothing_finds_nothing(people: Cast) -> None:
    empty = people.admin.post("/api/audit/scan").json
    assert empty == {"count": 0, "anomalies_detected": 0, "flags_raised": 0, "flagged_logs": []}


def test_before_the_first_checkpoint_there_is_none_and_asking_makes_none(client: FlaskClient) -> None:
    for path in ("checkpoint", "proof/inclusion?index=0", "proof/consistency?old=1"):
        assert_refusal(client.get(f"/api/audit/{path}"), 404, "checkpoint_not_found")


def test_anybody_can_prove_that_the_log_holds_an_entry(scene: Scene, client: FlaskClient) -> None:
    anybody = client.application.test_client()
    head = anybody.get("/api/audit/checkpoint").json
    signed = open_checkpoint(head["note"], parse_key(head["key"]))
    assert (signed.size, signed.root.hex()) == (head["size"], head["root"])
    row = scene.people.admin.get(f"/api/audit/{scene.log}").json
    proof = anybody.get(f"/api/audit/proof/inclusion?index={row['seq']}").json
    steps = [bytes.fromhex(step) for step in proof["proof"]]
    assert proof["leafHash"] == row["hash"] and proof["root"] == head["root"]
    leaf = bytes.fromhex(row["hash"])
    assert verify_inclusion(leaf, row["seq"], head["size"], steps, signed.root)


def test_anybody_can_prove_that_the_log_only_grew(scene: Scene, client: FlaskClient) -> None:
    old = client.get("/api/audit/checkpoint").json
    scene.people.give(5)
    service.chain_committed()
    service.checkpoint()
    new = client.get("/api/audit/checkpoint").json
    assert new["size"] > old["size"]
    assert client.get(f"/api/audit/checkpoint?size={old['size']}").json == old
    proof = client.get(f"/api/audit/proof/consistency?old={old['size']}").json
    roots = (bytes.fromhex(old["root"]), bytes.fromhex(new["root"]))
    steps = [bytes.fromhex(step) for step in proof["proof"]]
    assert verify_consistency(old["size"], new["size"], *roots, steps)


@pytest.mark.parametrize(
    "path",
    [
        "proof/inclusion?index=100000",
        "proof/inclusion?index=0&size=100000",
        "proof/inclusion?index=-1",
        "proof/inclusion",
        "proof/inclusion?index=99999999999999999999",
        "proof/consistency?old=0",
        "proof/consistency?old=2&new=1",
        "proof/consistency?old=1&new=100000",
    ],
)
def test_proofs_of_what_is_not_there_are_refused(scene: Scene, client: FlaskClient, path: str) -> None:
    assert client.get(f"/api/audit/{path}").status_code == 400


def test_nothing_that_staff_can_do_changes_an_entry(scene: Scene) -> None:
    people = scene.people
    before = db.session.execute(sa.select(EntryRow.public_id, sa.cast(EntryRow.data, sa.Text))).all()
    flag = people.admin.post(f"/api/audit/{scene.log}/flag", json={"reason": "odd"}).json
    people.finance.post(f"/api/audit/flags/{flag['id']}/decision", json={"outcome": "CLEARED", "reason": "fine"})
    people.admin.post("/api/audit/scan")
    after = db.session.execute(sa.select(EntryRow.public_id, sa.cast(EntryRow.data, sa.Text))).all()
    assert set(before) <= set(after) and len(after) == len(before) + 3
    assert entry_of(scene.gift) == scene.log
