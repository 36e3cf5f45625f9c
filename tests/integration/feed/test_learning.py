"""What the feed learns of a person, and that the very next page knows it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

import config
from popoff.adapters import insight as insight_module
from popoff.adapters.insight import insight
from popoff.feed import categories, queries, rules
from popoff.feed import service as feed
from popoff.feed.categories import categorise
from popoff.kernel import clock
from popoff.social import service as social
from tests.integration.feed.conftest import Register
from tests.support.people import People
from tests.support.posts import make_post

CAPTIONS = {
    "music": ("A song on my guitar", "Piano melody", "Karaoke with a singer", "Drum and bass concert"),
    "food": ("Pasta recipe", "Baking bread at home", "Street food tour", "My kitchen, cooking curry"),
    "sports": ("Football goals", "Basketball dunk", "Tennis match point", "Boxing knockout"),
}
LABELS = {topic: categorise(captions[0]) for topic, captions in CAPTIONS.items()}


@pytest.fixture
def viewer(register: Register) -> int:
    """Somebody before a catalogue of three topics, twelve posts each, by three authors."""
    for author in ("ada", "bela", "chen"):
        register(author)
    for number in range(36):
        topic = list(CAPTIONS)[number % 3]
        make_post(("ada", "bela", "chen")[number // 3 % 3], CAPTIONS[topic][number % 4], age=timedelta(days=2))
    return register("viewer")


def share_of(viewer: int, topic: str) -> float:
    """Part of a topic in twenty pages."""
    captions = [
        item["description"] for seed in range(20) for item in feed.page(viewer, 5, rng=np.random.default_rng(seed))
    ]
    return sum(caption in CAPTIONS[topic] for caption in captions) / len(captions)


def enjoy(viewer: int, author: str, caption: str, **engagement: object) -> int:
    post_id = make_post(author, caption)
    feed.learn(viewer, post_id, **{"watch_ms": 10_000, "liked": True, **engagement})  # type: ignore[arg-type]
    social.record_view(viewer, post_id, 10.0)
    return post_id


def test_the_next_page_prefers_what_is_like_the_last(viewer: int) -> None:
    before = share_of(viewer, "music")
    enjoy(viewer, "ada", "Guitar and piano song")
    after = share_of(viewer, "music")
    assert before < 0.5 < after
    assert after > before + 0.2


def test_preferences_are_shares_that_sum_to_one(viewer: int) -> None:
    assert queries.preferences(viewer) == {}
    for caption in ("Guitar and piano song", "Singing karaoke", "Pasta recipe"):
        enjoy(viewer, "ada", caption)
    preferences = queries.preferences(viewer)
    assert sum(preferences.values()) == pytest.approx(1)
    assert list(preferences) == [LABELS["music"], LABELS["food"]]
    assert preferences[LABELS["music"]] > preferences[LABELS["food"]] > 0


@pytest.mark.parametrize("rejection", [{"watch_ms": 500, "liked": False}, {"rejected": True}])
def test_skipping_and_reporting_lower_a_topic(viewer: int, rejection: dict[str, object]) -> None:
    for caption in ("Guitar and piano song", "Pasta recipe"):
        enjoy(viewer, "ada", caption)
    before = queries.preferences(viewer)[LABELS["music"]]
    enjoy(viewer, "bela", "Another guitar song", **rejection)
    assert queries.preferences(viewer)[LABELS["music"]] < before


def test_a_report_through_the_api_lowers_the_topic(people: People, viewer: int) -> None:
    liked = [make_post("ada", caption) for caption in ("Guitar and piano song", "Pasta recipe")]
    for post_id in liked:
        people.eve.post("/api/post/like/", data={"video_id": post_id, "like": "true"})
    before = people.eve.get("/api/user/get_preferences/").json
    offending = make_post("bela", "Another guitar song")
    people.eve.post("/api/post/report_video/", data={"video_id": offending, "reason": "Inappropriate content"})
    after = people.eve.get("/api/user/get_preferences/").json
    assert after[LABELS["music"]] < before[LABELS["music"]]


def test_a_reset_forgets(viewer: int) -> None:
    enjoy(viewer, "ada", "Guitar and piano song")
    before = feed.page(viewer, 5, rng=np.random.default_rng(1))
    feed.reset(viewer)
    after = feed.page(viewer, 5, rng=np.random.default_rng(1))
    assert queries.preferences(viewer) == {}
    assert max(item["interest_score"] for item in before) > 0
    assert {item["interest_score"] for item in after} == {0.0}


def test_interests_fade_with_time(viewer: int) -> None:
    enjoy(viewer, "ada", "Guitar and piano song")
    weight = queries.interests(viewer)[0].weight
    with clock.shifted(rules.INTEREST_HALF_LIFE):
        enjoy(viewer, "ada", "Pasta recipe", liked=False, watch_ms=5000)
    music = next(i for i in queries.interests(viewer) if i.label == LABELS["music"])
    assert music.weight == pytest.approx(weight / 2, rel=0.1)


class AnotherModel(type(insight())):  # type: ignore[misc]
    """The same vectors under another name."""

    model = "another-1"


@pytest.fixture
def another_model(viewer: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insight_module, "_LOCAL", AnotherModel())


def test_vectors_of_another_model_are_ignored(viewer: int, another_model: None) -> None:
    post_id = queries_any_post(viewer)
    feed.learn(viewer, post_id, watch_ms=10_000, liked=True)
    assert queries.interests(viewer) == []
    assert feed.interest_scores(viewer, [post_id]) == {}
    assert {item["interest_score"] for item in feed.page(viewer, 50)} == {0.0}


def test_another_model_starts_interests_anew(
    viewer: int, request: pytest.FixtureRequest, settings: config.Settings
) -> None:
    enjoy(viewer, "ada", "Guitar and piano song")
    request.getfixturevalue("another_model")
    assert queries.interests(viewer, insight().model) == []
    enjoy(viewer, "ada", "Pasta recipe")
    assert list(queries.preferences(viewer)) == [LABELS["food"]]


def queries_any_post(viewer: int) -> int:
    return int(feed.page(viewer, 1)[0]["id"])


def test_interest_scores_of_given_posts(viewer: int) -> None:
    enjoy(viewer, "ada", "Guitar and piano song")
    music, food = make_post("ada", "Piano and guitar song"), make_post("ada", "Pasta recipe")
    silent = make_post("ada", "")
    scores = feed.interest_scores(viewer, [music, food, silent])
    assert scores[music] > 60 > scores[food]
    assert silent not in scores


def test_posts_that_are_unknown_or_wordless_teach_nothing(viewer: int) -> None:
    for post_id in (make_post("ada", ""), make_post("ada", "Guitar", indexed=False), 10**9):
        feed.learn(viewer, post_id, watch_ms=10_000, liked=True)
    assert queries.interests(viewer) == []


def test_a_post_that_is_gone_is_not_indexed(viewer: int) -> None:
    feed.index_post(10**9, None, LABELS["music"], insight().model)
    assert queries.vectors_of([10**9], insight().model) == {}


def test_a_post_indexed_again_takes_the_new_vector(viewer: int) -> None:
    post_id = make_post("ada", "Guitar")
    vector = insight().embed(["Pasta recipe"])[0]
    feed.index_post(post_id, vector, LABELS["food"], insight().model)
    np.testing.assert_allclose(queries.vectors_of([post_id], insight().model)[post_id], vector, atol=1e-6)


def test_a_newcomer_who_says_what_they_like_begins_with_it(people: People, viewer: int) -> None:
    offered = {topic["name"]: topic["label"] for topic in people.eve.get("/api/user/topics/").json["topics"]}
    assert LABELS["food"] in offered.values()
    shares = people.eve.post("/api/user/topics/", json={"topics": [LABELS["food"]]}).json
    assert shares == {LABELS["food"]: pytest.approx(1)}
    page = people.eve.get("/api/media/get_feed/?batch_size=5").json["feed"]
    assert sum(item["description"] in CAPTIONS["food"] for item in page) >= 3
    assert people.eve.post("/api/user/topics/", json={"topics": [LABELS["food"]]}).json == shares
    refused = people.eve.post("/api/user/topics/", json={"topics": ["Weather"]})
    assert (refused.status_code, refused.json["code"]) == (400, "unknown_topic")


def test_what_one_does_outweighs_what_one_said(viewer: int) -> None:
    feed.choose_topics(viewer, [categories.short_name(LABELS["sports"])])
    for caption in CAPTIONS["music"][:2]:
        enjoy(viewer, "ada", caption)
    assert next(iter(queries.preferences(viewer))) == LABELS["music"]


def test_a_topic_without_posts_is_passed_over(viewer: int) -> None:
    absent = next(label for label in categories.CATEGORIES if label not in (*LABELS.values(), categories.OTHER))
    feed.choose_topics(viewer, [absent])
    assert queries.preferences(viewer) == {}
