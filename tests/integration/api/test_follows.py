from __future__ import annotations

import pytest

from tests.support.counts import assert_exact, counted
from tests.support.people import People, Person

FOLLOW, FOLLOWED, SEARCH = "/api/user/add_follower/", "/api/user/get_followers/", "/api/user/search/"


def names(person: Person, path: str = FOLLOWED, **query: str) -> list[str]:
    return [account["username"] for account in person.get(path, query_string=query).json["accounts"]]


def test_follow_is_a_toggle(people: People) -> None:
    assert people.ada
    for following in (True, False, True):
        answer = people.eve.post(FOLLOW, data={"username": "ADA"})
        assert answer.status_code == 201
        assert answer.json["is_following"] is following
        sentence = "Now following user." if following else "User unfollowed successfully."
        assert answer.json["message"] == sentence
        profile = people.eve.get("/api/media/get_user_posts/?username=ada").json
        assert (profile["is_following"], profile["total_followers"]) == (following, int(following))
        assert names(people.eve) == (["ada"] if following else [])
        assert_exact()
    assert names(people.ada) == []


@pytest.mark.parametrize(("wanted", "after"), [("true", True), ("false", False)])
def test_follow_can_be_a_state_too(people: People, wanted: str, after: bool) -> None:
    assert people.ada
    for _ in range(2):
        answer = people.eve.post(FOLLOW, data={"username": "ada", "follow": wanted})
        assert answer.json["is_following"] is after
    assert_exact()


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("eve", 400, "follow_self"), ("EVE", 400, "follow_self"), ("nobody", 404, "user_not_found"), ("", 400, "invalid")],
)
def test_nobody_follows_themselves_or_no_one(people: People, name: str, status: int, code: str) -> None:
    answer = people.eve.post(FOLLOW, data={"username": name})
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert {"follow_self": "You cannot follow yourself.", "user_not_found": "User not found."}.get(
        code, answer.json["error"]
    ) == answer.json["error"]
    assert counted() == ({}, {})


def test_the_followed_are_listed_the_latest_first_and_in_pages(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("popoff.social.queries.following.__defaults__", (2,))
    for name in ("ada", "bob", "cleo", "dan", "fay"):
        assert people[name]
        people.eve.post(FOLLOW, data={"username": name})
    first = people.eve.get(FOLLOWED).json
    assert [account["username"] for account in first["accounts"]] == ["fay", "dan"]
    second = people.eve.get(FOLLOWED, query_string={"cursor": first["next_cursor"]}).json
    assert [account["username"] for account in second["accounts"]] == ["cleo", "bob"]
    third = people.eve.get(FOLLOWED, query_string={"cursor": second["next_cursor"]}).json
    assert [account["username"] for account in third["accounts"]] == ["ada"]
    assert third["next_cursor"] is None
    assert first["accounts"][0] == {
        "username": "fay", "num_followers": 1, "total_likes": 0, "total_posts": 0, "is_following": True,
    }  # fmt: skip


@pytest.mark.parametrize("cursor", ["x", "WzEsMl0", "W05hTiwxXQ", "WzEuNSwgOTIyMzM3MjAzNjg1NDc3NTgwOF0"])
def test_a_cursor_of_ones_own_making_is_refused(people: People, cursor: str) -> None:
    answer = people.eve.get(FOLLOWED, query_string={"cursor": cursor})
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_cursor")


def test_search_finds_parts_of_names_and_puts_beginnings_and_the_followed_first(people: People) -> None:
    for name in ("marianne", "ann", "annika", "joanna", "bob"):
        assert people[name]
    people.bob.post(FOLLOW, data={"username": "annika"})
    people.bob.post(FOLLOW, data={"username": "joanna"})
    people.ann.post(FOLLOW, data={"username": "joanna"})
    assert names(people.bob, SEARCH, query=" ANN ") == ["annika", "ann", "joanna", "marianne"]
    assert names(people.ann, SEARCH, query="ann") == ["annika", "joanna", "marianne"]


@pytest.mark.parametrize("odd", ["%", "_", "\\", "a%a", "100%", "o'x", '"', "no one + nowhere", "'; DROP TABLE users"])
def test_search_takes_every_character_literally(people: People, odd: str) -> None:
    assert people.ada and people.annika
    assert names(people.eve, SEARCH, query=odd) == []


def test_search_finds_names_with_marks_in_them(people: People) -> None:
    assert people["under_score"] and people["underxscore"]
    assert names(people.eve, SEARCH, query="r_s") == ["under_score"]


@pytest.mark.parametrize("query", [{}, {"query": ""}, {"query": "  "}])
def test_a_search_for_nothing_is_refused(people: People, query: dict[str, str]) -> None:
    answer = people.eve.get(SEARCH, query_string=query)
    assert (answer.status_code, answer.json["error"]) == (400, "Query parameter is required")
