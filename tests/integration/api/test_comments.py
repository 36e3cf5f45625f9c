from __future__ import annotations

import pytest

from tests.support.counts import assert_exact, counted
from tests.support.encodings import encoded
from tests.support.people import People, Person
from tests.support.posts import make_post

ADD, GET, DELETE = "/api/post/add_comment/", "/api/post/get_comments/", "/api/post/delete_comment/"


@pytest.fixture
def post_id(people: People) -> int:
    assert people.ada and people.eve
    return make_post("ada")


def say(person: Person, post_id: int, text: str) -> int:
    answer = person.post(ADD, data={"video_id": post_id, "comment": text})
    assert answer.status_code == 200, answer.text
    return int(answer.json["id"])


def texts(person: Person, post_id: int) -> list[str]:
    return [comment["comment"] for comment in person.post(GET, data={"video_id": post_id}).json["comments"]]


def test_a_comment_is_kept_to_the_letter_and_read_by_post_and_by_get(people: People, post_id: int) -> None:
    text = 'Schön! 🌅\nWhere is "it"? <b>& %_\\'
    say(people.eve, post_id, text)
    by_post = people.ada.post(GET, data={"video_id": post_id}).json
    by_get = people.ada.get(GET, query_string={"video_id": post_id}).json
    assert by_post == by_get
    (comment,) = by_post["comments"]
    assert (comment["user"], comment["comment"]) == ("eve", text)
    assert counted()[0][post_id] == {"comments": 1}


@pytest.mark.parametrize("text", ["", " ", " \n\t\r ", "\u00a0\u2003", "\u202e"], ids=ascii)
def test_a_blank_comment_is_refused_before_it_is_counted(people: People, post_id: int, text: str) -> None:
    answer = people.eve.post(ADD, data={"video_id": post_id, "comment": text})
    assert (answer.status_code, answer.json["code"]) == (400, "empty_comment")
    assert answer.json["error"] == "Comment cannot be empty."
    assert counted() == ({}, {})
    assert texts(people.ada, post_id) == []


@pytest.mark.parametrize(
    ("size", "encoding", "status", "code"),
    [
        (1000, "data", 200, None),
        (1001, "data", 400, "too_long"),
        (100_001, "json", 400, "invalid"),
        (10**6, "data", 400, "invalid"),
        (10**6, "multipart", 413, "too_large"),
        (10**6, "json", 400, "invalid"),
        (2 * 10**6, "json", 413, "too_large"),
    ],
)
def test_endless_comments_are_refused_before_they_are_counted(
    people: People, post_id: int, size: int, encoding: str, status: int, code: str | None
) -> None:
    answer = people.eve.post(ADD, **encoded(encoding, {"video_id": post_id, "comment": "x" * size}))
    assert (answer.status_code, answer.json.get("code")) == (status, code)
    assert len(texts(people.ada, post_id)) == (status == 200)
    assert_exact()


def test_comments_come_in_pages_newest_first(people: People, post_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popoff.social.queries.comments.__defaults__", (2,))
    for text in ("one", "two", "three", "four", "five"):
        say(people.eve, post_id, text)
    pages, cursor = [], None
    while cursor != "":
        query = {"video_id": post_id, **({"cursor": cursor} if cursor else {})}
        page = people.ada.get(GET, query_string=query).json
        pages.append([comment["comment"] for comment in page["comments"]])
        cursor = page["next_cursor"] or ""
    assert pages == [["five", "four"], ["three", "two"], ["one"]]


@pytest.mark.parametrize("cursor", ["x", "W10", "WzFd.", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd", "WyJhIl0"])
def test_a_cursor_of_ones_own_making_is_refused(people: People, post_id: int, cursor: str) -> None:
    answer = people.ada.get(GET, query_string={"video_id": post_id, "cursor": cursor})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor")


def test_a_comment_is_taken_back_by_its_author_or_under_ones_own_post(people: People, post_id: int) -> None:
    first, second = say(people.eve, post_id, "one"), say(people.eve, post_id, "two")
    refused = people.bob.delete(DELETE, data={"comment_id": first})
    assert (refused.status_code, refused.json["code"]) == (404, "comment_not_found")
    assert people.eve.delete(DELETE, data={"comment_id": first}).status_code == 200
    assert people.eve.delete(DELETE, data={"comment_id": first}).status_code == 404
    assert people.ada.delete(DELETE, json={"comment_id": second}).json == {"message": "Comment deleted successfully."}
    assert texts(people.ada, post_id) == []
    assert_exact()
