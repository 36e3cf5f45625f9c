"""A person's data, all of it, and nobody else's."""

from __future__ import annotations

import json

import pytest

from popoff.moderation import queries as cases
from popoff.moderation import service as moderation
from popoff.moderation.rules import CaseState
from tests.support.people import PASSWORD, People
from tests.support.posts import make_post


@pytest.fixture
def export(people: People) -> dict[str, object]:
    mine, theirs = make_post(people.ada.username, "Mine", "music"), make_post(people.eve.username, "Theirs", "music")
    ada = people.ada
    ada.get("/api/media/get_feed/")
    ada.post("/api/post/like/", data={"video_id": theirs, "like": "true"})
    ada.post("/api/post/share/", data={"video_id": theirs})
    ada.post("/api/post/add_comment/", data={"video_id": theirs, "comment": "Lovely"})
    report = {"video_id": theirs, "watch_time": 5, "viewed_comments": True}
    ada.post("/api/post/update_posts_engagement/", json=report)
    ada.post("/api/post/report_video/", data={"video_id": theirs, "reason": "Spam"})
    ada.post("/api/user/mute_word/", data={"word": "#Spam"})
    ada.post("/api/user/mute_creator/", data={"username": "eve"})
    for name in ("eve", people.bob.username):
        ada.post("/api/user/add_follower/", data={"username": name})
    people.eve.post("/api/user/add_follower/", data={"username": "ada"})
    ada.post("/api/user/block_user/", data={"username": people.mallory.username})
    moderation.decide(cases.open_cases()[0]["id"], CaseState.DISMISSED, "Fine.")
    people.eve.post("/api/post/add_comment/", data={"video_id": mine, "comment": "A comment of eve's"})
    answer = ada.get("/api/user/export/")
    assert answer.status_code == 200
    return dict(answer.json)


def test_it_has_the_account_and_its_devices_without_secrets(export: dict[str, dict[str, object]]) -> None:
    account = export["account"]
    assert account["username"] == "ada"
    assert account["email"] == "ada@people.example"
    assert len(account["devices"]) == 1  # type: ignore[arg-type]
    assert not {"password_hash", "token_hash", "token"} & set(json.dumps(export).replace('"', " ").split())
    assert PASSWORD not in json.dumps(export)


def test_it_has_the_posts_and_nobody_elses(export: dict[str, list[dict[str, object]]]) -> None:
    (post,) = export["posts"]
    assert (post["description"], post["tags"], post["stage"]) == ("Mine", ["music"], "ready")


def test_it_has_everything_one_did(export: dict[str, dict[str, list[dict[str, object]]]]) -> None:
    activity = export["activity"]
    assert {name: len(rows) for name, rows in activity.items()} == {
        "likes": 1, "shares": 1, "comments": 1, "views": 1, "follows": 2, "followers": 1, "blocks": 1,
    }  # fmt: skip
    assert activity["comments"][0]["text"] == "Lovely"
    assert (activity["views"][0]["watch_ms"], activity["views"][0]["viewed_comments"]) == (5000, True)
    assert {row["username"] for row in activity["follows"]} == {"eve", "bob"}
    assert activity["followers"][0]["username"] == "eve"
    assert activity["blocks"][0]["username"] == "mallory"
    assert str(activity["likes"][0]["created_at"]).endswith("Z")


def test_it_has_what_was_learnt_and_what_came_of_reports(export: dict[str, object]) -> None:
    assert sum(export["interests"].values()) == pytest.approx(1)  # type: ignore[attr-defined]
    (report,) = export["reports"]  # type: ignore[misc]
    assert (report["reason"], report["state"]) == ("Spam", "dismissed")  # type: ignore[index]


def test_it_has_what_one_does_not_want_to_see(export: dict[str, dict[str, list[dict[str, object]]]]) -> None:
    wishes = export["wishes"]
    assert [row["post_id"] for row in wishes["not_interested"]] == [row["post_id"] for row in export["reports"]]
    assert ([row["word"] for row in wishes["words"]], [row["username"] for row in wishes["creators"]]) == (
        ["spam"],
        ["eve"],
    )


def test_it_has_what_the_feed_showed_and_why(export: dict[str, list[dict[str, object]]]) -> None:
    (impression,) = export["impressions"]
    assert impression["post_id"] == export["reports"][0]["post_id"]
    assert impression["source"] == "fresh"
    assert str(impression["served_at"]) <= str(impression["seen_at"])


def test_it_has_nothing_that_others_wrote(export: dict[str, object]) -> None:
    assert "A comment of eve's" not in json.dumps(export)
    assert "eve@people.example" not in json.dumps(export)
