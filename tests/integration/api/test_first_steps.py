from __future__ import annotations

from tests.support.people import People
from tests.support.posts import make_post


def test_a_post_of_one_is_in_the_feed_of_another(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    post_id = make_post("ada", "Three chords on the guitar", "music,guitar")
    feed = people.eve.get("/api/media/get_feed/", query_string={"batch_size": 5}).json
    assert [item["id"] for item in feed["feed"]] == [post_id]
    assert feed["exhausted"] is True
    assert people.ada.get("/api/media/get_feed/").json["feed"] == []


def test_what_was_watched_is_learnt_and_not_shown_again(people: People) -> None:
    people.ada, people.eve  # noqa: B018
    post_id = make_post("ada", "Three chords on the guitar", "music,guitar")
    answer = people.eve.post(
        "/api/post/update_posts_engagement/", json={"video_id": post_id, "watch_time": 9.5, "liked": False}
    )
    assert answer.json["watch_time"] == 9.5
    assert sum(people.eve.get("/api/user/get_preferences/").json.values()) == 1
    page = people.eve.get("/api/media/get_feed/").json
    assert (page["feed"], page["exhausted"]) == ([], True)
