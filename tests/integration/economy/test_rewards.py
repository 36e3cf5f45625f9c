"""`/reward`: totals, breakdowns and statements, which all agree."""

from __future__ import annotations

import csv
import io

import pytest
from flask.testing import FlaskClient

from popoff.kernel.money import to_minor
from tests.integration.economy.scene import Scene, settled
from tests.support.refusals import assert_refusal
from tests.support.staff import Cast, cast


@pytest.fixture
def people(client: FlaskClient) -> Cast:
    return cast(client)


@pytest.fixture
def scene(client: FlaskClient) -> Scene:
    return settled(client, cents=1234)


def total(people: Cast) -> dict[str, object]:
    answers = [people.creator.get(f"/api/reward/{path}") for path in paths(people, "total")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    row: dict[str, object] = answers[0].json
    return row


def breakdown(people: Cast) -> dict[str, object]:
    one, two = (people.creator.get(f"/api/reward/{path}") for path in paths(people, "breakdown"))
    assert one.json == two.json
    row: dict[str, object] = one.json
    return row


def paths(people: Cast, what: str) -> tuple[str, str]:
    """As the README of the old service spells it, and as its code does."""
    return f"{people.creator.id}/{what}", f"{what}/{people.creator.id}"


def test_somebody_new_has_earned_nothing(people: Cast) -> None:
    assert total(people) == {"totalRewards": 0, "settled": 0, "estimated": 0, "currency": "EUR"}
    empty = breakdown(people)
    assert (empty["totalReward"], empty["contentBreakdown"]) == (0, [])


def test_an_open_period_is_an_estimate_and_says_so(people: Cast) -> None:
    people.give(100)
    row = total(people)
    assert (row["totalRewards"], row["settled"], row["estimated"]) == (40, 0, 40)


def test_total_breakdown_statement_and_wallet_agree_to_the_cent(scene: Scene) -> None:
    people = scene.people
    row, parts = total(people), breakdown(people)
    (line,) = parts["contentBreakdown"]  # type: ignore[misc]
    statement = people.creator.get(f"/api/reward/statements/{scene.statement}").json
    wallet = people.creator.get("/api/wallet").json
    assert row["totalRewards"] == parts["totalReward"] == line["totalReward"] == statement["total"] == wallet["balance"]
    assert row["totalRewards"] == row["settled"] == 4.94  # 40 % of 12.34, to the nearest cent
    assert (line["contentId"], line["percentageOfTotal"]) == (people.content_id, 100)
    assert (parts["totalGifts"], parts["giftReward"]) == (12.34, 4.94)
    assert sum(to_minor(one["total"]) for one in statement["lines"]) == to_minor(statement["total"])


def test_looking_changes_nothing(scene: Scene) -> None:
    assert [total(scene.people) for _ in range(2)] == [total(scene.people)] * 2


def test_a_statement_says_by_which_terms_it_was_made(scene: Scene) -> None:
    statement = scene.people.creator.get(f"/api/reward/statements/{scene.statement}").json
    terms = statement["terms"]
    assert (terms["giftShare"], terms["adShare"], terms["fundShare"]) == (40, 30, 30)
    assert (terms["adPool"], terms["creatorFund"], len(terms["inputs"])) == (10_000, 20_000, 64)
    assert statement["paid"] is True


def test_the_csv_sums_up_to_the_statement(scene: Scene) -> None:
    answer = scene.people.creator.get(f"/api/reward/statements/{scene.statement}/csv")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-{scene.statement}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["total"] for row in rows] == ["4.94", "4.94"]


def test_the_pdf_is_a_pdf_and_the_same_each_time(scene: Scene) -> None:
    one, two = (scene.people.creator.get(f"/api/reward/statements/{scene.statement}/pdf") for _ in range(2))
    assert one.mimetype == "application/pdf" and one.data.startswith(b"%PDF-")
    assert one.data == two.data


def test_a_list_of_statements_is_of_one_creator(scene: Scene) -> None:
    people = scene.people
    own = people.creator.get("/api/reward/statements").json
    assert [row["id"] for row in own] == [scene.statement]
    assert people.finance.get(f"/api/reward/{people.creator.id}/statements").json == own
    assert people.other.get("/api/reward/statements").json == []


@pytest.mark.parametrize("path", ["", "/csv", "/pdf"])
def test_another_persons_statement_is_not_there(scene: Scene, path: str) -> None:
    refused = scene.people.other.get(f"/api/reward/statements/{scene.statement}{path}")
    assert_refusal(refused, 404, "statement_not_found")
    assert_refusal(scene.people.creator.get(f"/api/reward/statements/none{path}"), 404, "statement_not_found")


@pytest.mark.parametrize("body", [{"from": "0001-01-01T00:00:00+14:00"}, {"to": "9999-12-31T23:59:59-14:00"}])
def test_a_period_is_a_time_that_there_is(people: Cast, body: dict[str, str]) -> None:
    period = {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z", **body}
    assert_refusal(people.finance.post("/api/reward/periods", json=period), 400, "invalid")


@pytest.mark.parametrize("creator_id", ["17", "me", "x" * 36])
def test_ids_that_are_none_lead_nowhere(people: Cast, creator_id: str) -> None:
    assert people.creator.get(f"/api/reward/{creator_id}/total").status_code == 404
