from __future__ import annotations

import json

import pytest

from popoff.kernel.db import db
from popoff.media.models import Post
from tests.support.command_line import popoff
from tests.support.people import People
from tests.support.posts import make_post


@pytest.fixture
def reported(people: People) -> int:
    """A post of ada that eve has reported."""
    people.ada, people.eve  # noqa: B018
    post_id = make_post("ada", "Drei Akkorde für Gitarre")
    people.eve.post("/api/post/report_video/", data={"video_id": post_id, "reason": "Inappropriate content"})
    return post_id


def test_open_cases_are_listed_as_json_lines(reported: int) -> None:
    (line,) = popoff("case", "list").output.splitlines()
    case = json.loads(line)
    assert (case["post_id"], case["reports"], case["description"]) == (reported, 1, "Drei Akkorde für Gitarre")


@pytest.mark.parametrize(("outcome", "visibility"), [("dismissed", "public"), ("removed", "removed")])
def test_a_decision_closes_the_case(reported: int, outcome: str, visibility: str) -> None:
    case_id = json.loads(popoff("case", "list").output)["id"]
    said = popoff("case", "decide", case_id, outcome, "--reason", "Seen it").output
    assert said == f"case {case_id} about post {reported} is closed: {outcome}\n"
    assert popoff("case", "list").output == ""
    db.session.expire_all()
    assert db.session.get_one(Post, reported).visibility == visibility


def test_a_case_that_is_not_there_is_one_sentence(people: People) -> None:
    popoff("case", "decide", 12345, "removed", "--reason", "Why", fails=True)
