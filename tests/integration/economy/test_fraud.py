"""`/fraud`: reports by people, cases for staff."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.integration.economy.scene import Scene, settled
from tests.support.encodings import ENCODINGS, encoded
from tests.support.refusals import assert_refusal


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    return settled(client)


def report(scene: Scene, subject: str, reason: str = "odd"):  # type: ignore[no-untyped-def]
    return scene.people.other.post("/api/fraud", json={"subject": subject, "reason": reason})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_report_answers_with_what_was_reported(scene: Scene, encoding: str) -> None:
    sent = {"subject": scene.gift, "reason": "Bought followers", "description": "I saw it"}
    answer = scene.people.other.post("/api/fraud", **encoded(encoding, sent))
    assert answer.status_code == 201
    row = answer.json
    assert (row["subject"], row["kind"], row["state"]) == (scene.gift, "GIFT", "OPEN")
    assert (row["reason"], row["description"]) == ("Bought followers", "I saw it")


def test_people_posts_gifts_and_entries_can_be_reported(scene: Scene) -> None:
    people = scene.people
    kinds = [report(scene, one).json["kind"] for one in (people.creator.id, people.content_id, scene.gift, scene.log)]
    assert kinds == ["PERSON", "CONTENT", "GIFT", "ENTRY"]


@pytest.mark.parametrize(
    "body",
    [{}, {"subject": "x"}, {"reason": "x"}, {"subject": "", "reason": "x"}, {"subject": "x", "reason": ""}],
)
def test_subject_and_reason_are_needed(scene: Scene, body: dict[str, str]) -> None:
    refused = assert_refusal(scene.people.other.post("/api/fraud", json=body), 400, "invalid")
    assert refused["message"] == "Missing required fields"


def test_what_does_not_exist_is_not_found(scene: Scene) -> None:
    for subject in ("17", "0" * 24, "0" * 26, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"):
        assert_refusal(report(scene, subject), 404, "subject_not_found")


def test_one_does_not_report_oneself(scene: Scene) -> None:
    people = scene.people
    refused = people.creator.post("/api/fraud", json={"subject": people.content_id, "reason": "mine"})
    assert_refusal(refused, 400, "report_self")


def test_staff_see_one_case_with_all_its_reports(scene: Scene) -> None:
    people = scene.people
    for reporter in (people.other, people.creator):
        reporter.post("/api/fraud", json={"subject": scene.gift, "reason": "odd"})
    (case,) = people.moderator.get("/api/fraud/cases?state=OPEN").json
    assert (case["subject"], case["kind"]) == (scene.gift, "GIFT")
    assert [row["reporterId"] for row in case["reports"]] == [people.other.id, people.creator.id]


def test_an_upheld_report_holds_the_gift(scene: Scene) -> None:
    people = scene.people
    case_id = report(scene, scene.gift).json["caseId"]
    path = f"/api/fraud/cases/{case_id}/decision"
    upheld = {"outcome": "UPHELD", "reason": "it is"}
    assert_refusal(people.moderator.post(path, json=upheld), 403, "forbidden")
    decided = people.finance.post(path, json=upheld)
    assert (decided.status_code, decided.json["state"], decided.json["decidedBy"]) == (200, "UPHELD", people.finance.id)
    (row,) = people.admin.get("/api/audit/flagged?state=CONFIRMED").json
    assert (row["giftId"], row["flags"][0]["rule"]) == (scene.gift, "REPORT")
    assert people.creator.get("/api/wallet").json["suspended"] == 400


def test_moderators_decide_about_people_and_posts(scene: Scene) -> None:
    case_id = report(scene, scene.people.creator.id).json["caseId"]
    path = f"/api/fraud/cases/{case_id}/decision"
    body = {"outcome": "upheld", "reason": "a fraud"}
    assert scene.people.moderator.post(path, json=body).json["state"] == "UPHELD"
    assert_refusal(scene.people.moderator.post(path, json=body), 404, "case_not_found")


@pytest.mark.parametrize("outcome", ["OPEN", "", "MAYBE", None])
def test_other_outcomes_are_refused(scene: Scene, outcome: str | None) -> None:
    case_id = report(scene, scene.gift).json["caseId"]
    answer = scene.people.finance.post(
        f"/api/fraud/cases/{case_id}/decision", json={"outcome": outcome, "reason": "so"}
    )
    assert_refusal(answer, 400, "invalid")
