"""Content: who posts, sees, changes and scores what, and what nobody can set."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from popoff.accounts.models import User
from popoff.adapters.jobs import Job
from popoff.kernel.db import db
from popoff.media import service as media
from popoff.media.models import Post
from popoff.media.rules import Visibility
from popoff.scoring import service as scoring
from tests.support.economy import Member, join, post_link, upload
from tests.support.people import People
from tests.support.posts import make_post
from tests.support.refusals import assert_refusal
from workers import rescore

ROLES = ("CONSUMER", "CREATOR", "MODERATOR", "ADMIN")
ROW = {
    "id", "creatorId", "type", "title", "description", "createdAt", "updatedAt", "likes", "shares", "commentCount",
    "watchTime", "length", "views", "url",
}  # fmt: skip
PARTS = {"communityGuidelines", "education", "delivery", "audioVisual", "length"}
EVERY_ROUTE = [
    ("GET", ""), ("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"),
    ("GET", "/{id}/engagement-score"), ("POST", "/{id}/engagement-score"),
    ("GET", "/{id}/quality-score"), ("POST", "/{id}/quality-score"),
]  # fmt: skip


@pytest.fixture
def ada(client: FlaskClient) -> Member:
    return join(client, "Ada", "CREATOR")


def ready_post(member: Member, description: str = "How to tie a knot", **more: Any) -> str:
    """The public id of a post that can be played."""
    post = db.session.get_one(Post, make_post(member.username, description, indexed=False, **more))
    return str(post.public_id)


def number_of(public_id: str) -> int:
    return db.session.scalars(sa.select(Post.id).where(Post.public_id == public_id)).one()


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
@pytest.mark.parametrize("kind", ["MISSING", "INVALID"])
def test_without_a_token_there_is_nothing(client: FlaskClient, ada: Member, method: str, path: str, kind: str) -> None:
    headers = {"Authorization": "Bearer gone"} if kind == "INVALID" else {}
    address = "/api/content" + path.format(id=ready_post(ada))
    refusal = assert_refusal(client.open(address, method=method, headers=headers, json={}), 401)
    assert refusal["status"] == f"{kind}_ACCESS_TOKEN"
    assert refusal["message"].lower() == f"{kind} access token".lower()


@pytest.mark.parametrize("role", ROLES)
def test_who_may_do_what_with_content(client: FlaskClient, ada: Member, role: str) -> None:
    content = f"/api/content/{ready_post(ada)}"
    caller = join(client, "Caller", role)
    assert set(caller.get(content).json) >= ROW
    assert isinstance(caller.get(f"{content}/engagement-score").json, float)
    assert isinstance(caller.post(f"{content}/engagement-score").json, float)
    assert set(caller.get(f"{content}/quality-score").json) == PARTS
    assert set(caller.post(f"{content}/quality-score").json) == PARTS
    assert assert_refusal(caller.put(content, json={"title": "Mine now"}), 403)["status"] == "FORBIDDEN"
    assert caller.get("/api/content").json == []
    own = post_link(caller)
    assert [row["id"] for row in caller.get("/api/content").json] == [own["id"]]
    assert caller.put(f"/api/content/{own['id']}", json={"title": "Changed"}).json["title"] == "Changed"
    assert ada.get(content).json["title"] == "How to tie a knot"


def test_an_upload_is_posted_by_its_path(ada: Member) -> None:
    body = {"type": "VIDEO", "title": "A knot", "description": "One minute", "tags": "knots,diy", "url": upload(ada)}
    answer = ada.post("/api/content", json=body)
    assert answer.status_code == 201
    row = answer.json
    assert set(row) >= ROW
    assert (row["type"], row["title"], row["description"], row["tags"]) == (
        "VIDEO", "A knot", "One minute", ["knots", "diy"],
    )  # fmt: skip
    assert (row["creatorId"], row["creator"]["name"], row["stage"], row["url"]) == (ada.id, "Ada", "received", "")
    again = ada.post("/api/content", json=body)
    assert (again.status_code, again.json["id"]) == (201, row["id"])


def test_a_broadcast_is_a_link_that_is_only_handed_on(people: People, ada: Member) -> None:
    row = post_link(ada, url="https://live.example/roof?camera=2")
    assert (row["type"], row["url"], row["length"]) == ("LIVE", "https://live.example/roof?camera=2", 0)
    assert row["createdAt"] <= row["updatedAt"]
    parts = row["contentQuality"]
    assert parts["communityGuidelines"]["score"] == 100
    assert parts["audioVisual"]["score"] is None and "kept elsewhere" in parts["audioVisual"]["feedback"]
    assert people.eve.get("/api/media/get_feed/").json["feed"] == []
    assert people.eve.get("/api/media/get_user_posts/", query_string={"username": ada.username}).json["posts"] == []
    numbered = number_of(row["id"])
    assert people.eve.post("/api/post/like/", data={"video_id": numbered, "like": "true"}).status_code == 404
    assert ada.delete("/api/media/delete_post/", data={"video_id": numbered}).status_code == 200
    assert_refusal(ada.get(f"/api/content/{row['id']}"), 404, "post_not_found")


def test_who_posts_becomes_a_creator(client: FlaskClient) -> None:
    ben = join(client, "Ben")
    post_link(ben)
    assert ben.get(f"/api/user/{ben.id}").json["role"] == "CREATOR"


def test_neither_owner_nor_counts_nor_scores_can_be_set(client: FlaskClient, ada: Member) -> None:
    ben = join(client, "Ben")
    wishes = {
        "creatorId": ben.id, "user_id": 1, "views": 1e9, "likes": 1e9, "shares": 5, "commentCount": 5, "length": 60,
        "watchTime": 1e9, "engagement": 100, "contentQuality": {}, "id": "mine", "createdAt": "2020-01-01T00:00:00Z",
        "visibility": "public", "stage": "ready", "playable_at": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    row = post_link(ada, **wishes)
    changed = ada.put(f"/api/content/{row['id']}", json={**wishes, "title": "New", "url": "https://x.example/"}).json
    for seen in (row, changed):
        assert seen["creatorId"] == ada.id and seen["id"] == row["id"]
        assert [seen[name] for name in ("views", "likes", "shares", "commentCount", "watchTime", "length")] == [0] * 6
        assert seen["engagement"] < 50 and seen["url"] == "https://live.example/roof"
    assert changed["createdAt"] == row["createdAt"] and changed["updatedAt"] > row["updatedAt"]
    assert ben.get("/api/content").json == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"title": None}, "invalid"),
        ({"title": "  \n "}, "empty_title"),
        ({"title": "t" * 201}, "too_long"),
        ({"url": None}, "invalid"),
        ({"url": "users/1/nothing/source"}, "unknown_file"),
        ({"url": "../../etc/passwd"}, "unknown_file"),
        ({"url": "javascript:alert(1)"}, "invalid_url"),
        ({"url": "data:text/html,<script>"}, "invalid_url"),
        ({"url": "file:///etc/passwd"}, "invalid_url"),
        ({"url": "https://user:secret@live.example/"}, "invalid_url"),
        ({"url": 'https://live.example/"onload="x'}, "invalid_url"),
        ({"url": "https:///nowhere"}, "invalid_url"),
        ({"url": "https://live.example:99999/"}, "invalid_url"),
        ({"url": "https://live.example/ roof"}, "invalid_url"),
        ({"url": "https://live.example/" + "x" * 2000}, "invalid_url"),
        ({"type": "PODCAST"}, "invalid"),
        ({"tags": ",".join(f"t{n}" for n in range(31))}, "invalid_tags"),
        ({"description": "d" * 2201}, "too_long"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(ada: Member, changes: dict[str, Any], code: str) -> None:
    body = {"type": "LIVE", "title": "Live", "url": "https://live.example/roof", **changes}
    answer = ada.post("/api/content", json={name: value for name, value in body.items() if value is not None})
    refusal = assert_refusal(answer, 400, code)
    assert "file_path" not in refusal
    assert ada.get("/api/content").json == []


def test_another_persons_upload_is_not_theirs_to_post(client: FlaskClient, ada: Member) -> None:
    path = upload(ada)
    answer = join(client, "Ben").post("/api/content", json={"type": "VIDEO", "title": "Mine", "url": path})
    assert "url" in assert_refusal(answer, 400, "unknown_file")


def test_content_whose_scoring_fails_is_not_posted(ada: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("the scorer is away")

    monkeypatch.setattr(scoring, "rescore", broken)
    body = {"type": "LIVE", "title": "Live", "url": "https://live.example/roof"}
    assert_refusal(ada.post("/api/content", json=body), 500, "internal_error")
    monkeypatch.undo()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Post)) == 0


# --- lists ----------------------------------------------------------------------------------------------------------


def test_lists_hold_ones_own_in_every_stage_and_of_others_what_all_may_see(client: FlaskClient, ada: Member) -> None:
    ben = join(client, "Ben")
    playable, live = ready_post(ada), post_link(ada)["id"]
    waiting = ada.post("/api/content", json={"type": "VIDEO", "title": "Waiting", "url": upload(ada)}).json["id"]
    hidden = ready_post(ada)
    media.set_visibility(number_of(hidden), Visibility.HIDDEN)
    assert [row["id"] for row in ada.get("/api/content").json] == [hidden, waiting, live, playable]
    of_ada = {"creatorId": ada.id}
    assert [row["id"] for row in ben.get("/api/content", query_string=of_ada).json] == [live, playable]
    lives = ben.get("/api/content", query_string={**of_ada, "type": "LIVE"}).json
    assert [row["id"] for row in lives] == [live]
    for unseen in (waiting, hidden):
        for method, path in EVERY_ROUTE[2:]:
            answer = ben._send(method, "/api/content" + path.format(id=unseen), json={})
            assert_refusal(answer, 404, "post_not_found")
    ada.post("/api/user/block_user/", data={"username": ben.username})
    assert ben.get("/api/content", query_string=of_ada).json == []
    assert_refusal(ben.get(f"/api/content/{playable}"), 404, "post_not_found")


@pytest.mark.parametrize(
    "query",
    [
        "creatorId[contains]=c",
        "creatorId[not]=x",
        "OR[0][views]=1",
        "views=1",
        "creator[email][contains]=a",
        "where={}",
    ],
)
def test_operators_and_unknown_filters_are_refused(client: FlaskClient, ada: Member, query: str) -> None:
    ready_post(ada)
    assert_refusal(join(client, "Ben").get(f"/api/content?{query}"), 400, "unknown_filter")


@pytest.mark.parametrize("query", ["creatorId=1", "creatorId={}", "type=ANY", "limit=0", "limit=1000", "cursor=x"])
def test_filters_take_only_what_they_are_for(ada: Member, query: str) -> None:
    assert_refusal(ada.get(f"/api/content?{query}"), 400)


def test_lists_come_in_pages(ada: Member) -> None:
    ids = [post_link(ada, f"Number {n}")["id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        answer = ada.get("/api/content", query_string={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += [row["id"] for row in answer.json]
        cursor = answer.headers.get("X-Next-Cursor")
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_posts_of_the_phone_app_are_content_too(people: People) -> None:
    post_id = make_post(people.ada.username, "A knot\nand how it holds", indexed=False)
    (row,) = people.ada.get("/api/content").json
    assert (row["type"], row["title"], row["length"]) == ("VIDEO", "A knot", 10.0)
    people.eve.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
    people.eve.post("/api/post/add_comment/", data={"video_id": post_id, "comment": "Nice"})
    people.eve.post("/api/post/share/", data={"video_id": post_id})
    people.eve.post("/api/post/update_posts_engagement/", json={"video_id": post_id, "watch_time": 7.5})
    row = people.eve.get(f"/api/content/{row['id']}").json
    counted = [row[name] for name in ("likes", "commentCount", "shares", "views", "watchTime")]
    assert counted == [1, 1, 1, 1, 7.5]


# --- scores ---------------------------------------------------------------------------------------------------------


def scored(content: str) -> None:
    """Run the job that was staged for a post, and take it off the list."""
    assert db.session.execute(sa.delete(Job).where(Job.name == "scoring.rescore")).rowcount == 1
    rescore.run(number_of(content))


def test_scores_follow_what_people_do(people: People, ada: Member) -> None:
    content = ready_post(ada)
    path = f"/api/content/{content}/engagement-score"
    ada.post(path)
    scored(content)
    before = ada.get(path).json
    assert 0 < before < 100
    people.eve.post("/api/post/update_posts_engagement/", json={"video_id": number_of(content), "watch_time": 10})
    people.eve.post("/api/post/like/", data={"video_id": number_of(content), "like": "true"})
    assert ada.post(path).json == before == ada.post(path).json, "what is stored, until a worker comes by"
    scored(content)
    after = ada.get(path).json
    assert after > before
    assert ada.get(path).json == after == ada.post(path).json


def test_a_get_stores_nothing(ada: Member) -> None:
    content = ready_post(ada)
    for path in ("", "/engagement-score", "/quality-score"):
        assert ada.get(f"/api/content/{content}{path}").status_code == 200
    ada.get("/api/content")
    for table in ("engagement_scores", "quality_scores", "reputations"):
        assert db.session.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0


def test_each_part_of_quality_has_a_score_and_a_sentence(ada: Member) -> None:
    parts = ada.post(f"/api/content/{ready_post(ada)}/quality-score").json
    assert set(parts) == PARTS
    for part in parts.values():
        assert 0 <= part["score"] <= 100
        assert part["feedback"].endswith(".")
    assert "540 by 960" in parts["audioVisual"]["feedback"] and "10.0 seconds" in parts["length"]["feedback"]


def test_authors_are_told_what_moved_their_engagement(client: FlaskClient, ada: Member) -> None:
    content = ready_post(ada)
    assert ada.get(f"/api/content/{content}").json["engagementReasons"] == []
    rescore.run(number_of(content))
    [listed] = ada.get("/api/content").json
    told = ada.get(f"/api/content/{content}").json["engagementReasons"]
    assert told == listed["engagementReasons"]
    assert len(told) in (2, 3)
    for reason in told:
        assert set(reason) == {"input", "points", "text"}
        assert f"{reason['points']:+.1f} points." in reason["text"]
    ben = join(client, "Ben")
    assert "engagementReasons" not in ben.get(f"/api/content/{content}").json
    [shown] = ben.get("/api/content", query_string={"creatorId": ada.id}).json
    assert "engagementReasons" not in shown


def test_new_words_are_judged_at_once(ada: Member) -> None:
    content = ready_post(ada)
    before = ada.get(f"/api/content/{content}").json["contentQuality"]["communityGuidelines"]["score"]
    changed = ada.put(f"/api/content/{content}", json={"description": "Free money! Double your money"}).json
    assert changed["contentQuality"]["communityGuidelines"]["score"] < before


def test_averages_of_a_creator_are_those_of_public_posts(client: FlaskClient, ada: Member) -> None:
    posts = [ready_post(ada) for _ in range(2)]
    ready_post(ada)  # never scored
    hidden = ready_post(ada, duration_ms=1000)
    scoring.rescore([number_of(id_) for id_ in (*posts, hidden)])
    rows = [ada.get(f"/api/content/{id_}/engagement-score").json for id_ in (*posts, hidden)]
    parts = [ada.get(f"/api/content/{id_}/quality-score").json for id_ in (*posts, hidden)]
    media.set_visibility(number_of(hidden), Visibility.HIDDEN)
    profile = join(client, "Ben").get(f"/api/user/{ada.id}").json
    assert profile["averageContentEngagement"] == pytest.approx(sum(rows[:2]) / 2)
    means = [sum(part["score"] for part in five.values()) / 5 for five in parts[:2]]
    assert profile["averageContentQuality"] == pytest.approx(sum(means) / 2)


@pytest.mark.parametrize("id_", ["1", "0", "c", "clx0f4b2k0000", "00000000-0000-0000-0000-000000000000"])
def test_unknown_content_is_not_found(ada: Member, id_: str) -> None:
    for method, path in EVERY_ROUTE[2:]:
        assert_refusal(ada._send(method, "/api/content" + path.format(id=id_), json={}), 404)


def test_no_answer_holds_secrets_or_numbers_of_people(ada: Member, client: FlaskClient) -> None:
    post_link(ada)
    person = db.session.scalars(sa.select(User).where(User.public_id == ada.id)).one()
    text = ada.get("/api/content").text
    assert person.password_hash not in text and person.email not in text
    assert f'"id":{person.id}' not in text
