"""Reports become cases, cases hide posts, decisions settle them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import config
from popoff.kernel.errors import Invalid, NotFound
from popoff.media.models import Post
from popoff.moderation import queries, service
from popoff.moderation.models import Case, Report
from popoff.moderation.rules import CaseState
from tests.support.people import People, Person
from tests.support.posts import make_post

REPORT = "/api/post/report_video/"


@pytest.fixture
def post_id(people: People) -> int:
    assert people.ada
    return make_post("ada", "Three chords", "music,guitar")


def report(person: Person, post_id: int, reason: str = "Inappropriate content") -> int:
    return person.post(REPORT, data={"video_id": post_id, "reason": reason}).status_code


def shown(people: People, post_id: int) -> bool:
    posts = people.viewer.get("/api/media/get_user_posts/?username=ada").json["posts"]
    return post_id in [post["id"] for post in posts]


def the_open_case() -> int:
    (case,) = queries.open_cases()
    return int(case["id"])


def test_a_report_is_answered_with_the_sentence_that_the_app_shows(people: People, post_id: int) -> None:
    answer = people.eve.post(REPORT, data={"video_id": post_id, "reason": "Inappropriate content"})
    assert (answer.status_code, answer.json) == (201, {"message": "Video reported successfully."})
    answer = people.eve.post(REPORT, data={"video_id": post_id, "reason": "Again"})
    assert (answer.status_code, answer.json) == (200, {"message": "You have already reported this video."})


def test_enough_people_hide_a_post_until_it_is_reviewed(people: People, post_id: int) -> None:
    for name, visible in (("eve", True), ("bob", True), ("cleo", False)):
        assert report(people[name], post_id) == 201
        assert shown(people, post_id) is visible
    own = people.ada.get(f"/api/media/post/{post_id}/").json
    assert own["visibility"] == "hidden"
    assert people.viewer.get("/api/media/get_feed/").json["feed"] == []
    assert report(people.dan, post_id) == 404


def test_one_person_hides_nothing_however_often_they_report(people: People, post_id: int) -> None:
    for number in range(6):
        report(people.eve, post_id, f"Reason {number}")
    assert shown(people, post_id)
    (case,) = queries.open_cases()
    assert case["reports"] == 1


def test_a_post_found_fine_is_not_hidden_again_by_the_same_people_but_by_others(people: People, post_id: int) -> None:
    for name in ("eve", "bob", "cleo"):
        report(people[name], post_id)
    service.decide(the_open_case(), CaseState.DISMISSED, "Nothing wrong with it.")
    assert shown(people, post_id)
    for name in ("eve", "bob", "cleo"):
        assert report(people[name], post_id) == 200
    assert shown(people, post_id)
    assert queries.open_cases() == []
    for name, visible in (("dan", True), ("fay", True), ("gus", False)):
        assert report(people[name], post_id) == 201
        assert shown(people, post_id) is visible


def test_a_post_found_bad_stays_away(people: People, post_id: int, session: sa.orm.Session) -> None:
    report(people.eve, post_id)
    case = service.decide(the_open_case(), CaseState.REMOVED, "  Against the rules. ")
    session.commit()
    assert not shown(people, post_id)
    assert (case.state, case.decision_reason) == ("removed", "Against the rules.")
    assert people.ada.get(f"/api/media/post/{post_id}/").json["visibility"] == "removed"
    assert report(people.bob, post_id) == 404


def test_the_threshold_is_a_setting(people: People, post_id: int) -> None:
    with config.override(report_threshold=1):
        report(people.eve, post_id)
    assert not shown(people, post_id)


def test_evidence_is_frozen(people: People, post_id: int, session: sa.orm.Session) -> None:
    report(people.eve, post_id)
    body = {"description": "Nothing to see here", "tags": "harmless"}
    assert people.ada.patch(f"/api/media/post/{post_id}/", json=body).status_code == 200
    report(people.bob, post_id)
    first, second = session.scalars(sa.select(Report.evidence).order_by(Report.id))
    assert (first["description"], first["tags"]) == ("Three chords", ["music", "guitar"])
    assert (second["description"], second["tags"]) == ("Nothing to see here", ["harmless"])
    assert first["user_id"] == session.scalars(sa.select(Post.user_id)).one()
    assert {"source_key", "thumbnail_key", "created_at"} <= first.keys()


def test_reports_about_one_post_are_one_case(people: People, post_id: int) -> None:
    other = make_post("ada", "Another")
    report(people.eve, other)
    for name in ("eve", "bob"):
        report(people[name], post_id)
    first, second = queries.open_cases()
    assert (first["post_id"], first["reports"], first["username"]) == (post_id, 2, "ada")
    assert (second["post_id"], second["reports"]) == (other, 1)


@pytest.mark.parametrize(
    ("reason", "code"),
    [("", "empty_reason"), (" \n", "empty_reason"), ("x" * 501, "too_long"), ("x" * 100_001, "invalid")],
)
def test_a_report_says_why(people: People, post_id: int, reason: str, code: str) -> None:
    answer = people.eve.post(REPORT, data={"video_id": post_id, "reason": reason})
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert queries.open_cases() == []


def test_nobody_reports_their_own_post(people: People, post_id: int) -> None:
    answer = people.ada.post(REPORT, data={"video_id": post_id, "reason": "Look at this"})
    assert (answer.status_code, answer.json["code"]) == (400, "report_self")


def test_a_case_is_decided_once_and_with_a_reason(people: People, post_id: int, session: sa.orm.Session) -> None:
    report(people.eve, post_id)
    case_id = the_open_case()
    with pytest.raises(Invalid):
        service.decide(case_id, CaseState.DISMISSED, " ")
    with pytest.raises(NotFound):
        service.decide(case_id, CaseState.OPEN, "Not a decision")
    service.decide(case_id, CaseState.DISMISSED, "Fine.")
    for case in (case_id, case_id + 1000):
        with pytest.raises(NotFound) as refused:
            service.decide(case, CaseState.REMOVED, "Too late")
        assert refused.value.error_code == "case_not_found"
    assert session.get_one(Case, case_id).state == "dismissed"


def test_a_case_outlives_its_reporters(people: People, post_id: int, session: sa.orm.Session) -> None:
    with config.override(report_threshold=1):
        report(people.eve, post_id)
    service.forget(session.scalars(sa.select(Report.reporter_id)).one())
    (case,) = queries.open_cases()
    assert (case["post_id"], case["reports"], case["visibility"]) == (post_id, 0, "hidden")
    service.decide(case["id"], CaseState.DISMISSED, "Fine.")
    assert shown(people, post_id)
