"""Each baseline on events so few that the right list can be seen."""

import numpy as np
import pandas as pd
import pytest

from models_ml.ranking.baselines import BASELINES, SETTINGS, baseline
from models_ml.ranking.baselines.base import leading, liked
from models_ml.ranking.baselines.factors import Als, Bpr
from models_ml.ranking.baselines.first import FirstPopOff
from models_ml.ranking.baselines.linear import Ease
from models_ml.ranking.baselines.neighbours import ItemKNN, SequentialRules
from models_ml.ranking.baselines.simple import Popular

HOUR, DAY = 3600, 86400
ITEMS = pd.DataFrame({"item_id": list("abcdefgh")})


def likes(*histories: str) -> pd.DataFrame:
    """Person 0 liked the letters of the first history in their order, and so on."""
    return pd.DataFrame([(person, item) for person, items in enumerate(histories) for item in items]).set_axis(
        ["user_id", "item_id"], axis=1
    )


TASTES = likes(*["abcd", "abcd", "abd", "bcd"] * 5, *["efgh", "efgh", "efh", "fgh"] * 5, "ab", "ef")
CIRCLES = {20 * 2: {"c", "d"}, 20 * 2 + 1: {"g", "h"}}


@pytest.mark.parametrize("name", BASELINES)
def test_a_list_has_no_repeats_and_nothing_seen_and_is_full_even_for_strangers(name):
    model = baseline(name).fit(TASTES, ITEMS)
    offered = model.recommend([0, 40, "a stranger"], 6)
    assert offered.shape == (3, 6)
    assert set(offered[0]) == set("efgh") | {None}
    assert set(offered[1]) == set("cdefgh")
    assert set(offered[2]) <= set("abcdefgh") and len(set(offered[2])) == 6
    assert set(model.recommend([0], 8, exclude_seen=False)[0]) == set("abcdefgh")


@pytest.mark.parametrize("model", [ItemKNN(damping=1), SequentialRules(), Ease(1), Als(2), Bpr(4, rounds=200)])
def test_people_are_offered_what_people_like_them_like(model):
    model.fit(TASTES, ITEMS)
    for person, circle in CIRCLES.items():
        assert set(model.recommend([person], 2)[0]) == circle


@pytest.mark.parametrize("name", BASELINES)
def test_a_post_can_be_offered_as_soon_as_somebody_liked_it_and_what_was_met_is_not_offered_again(name):
    model = baseline(name).fit(TASTES, ITEMS)
    model.observe({"user_id": "new", "item_id": "later", "like": True})
    model.observe({"user_id": "new", "item_id": "a", "like": False, "hate": True})
    model.observe({"user_id": "new", "item_id": "disliked by all", "like": False, "hate": True})
    assert "later" in model.recommend([0], 9, exclude_seen=False)[0]
    assert set(model.recommend(["new"], 8)[0]) == set("bcdefgh") | {None}


@pytest.mark.parametrize("name", BASELINES)
def test_relearning_gives_what_learning_from_everything_at_once_gives(name):
    half = len(TASTES) // 2
    step_by_step = baseline(name).fit(TASTES[:half], ITEMS)
    step_by_step.relearn_after = len(TASTES) - half
    for event in TASTES[half:].to_dict("records"):
        step_by_step.observe(event)
    at_once = baseline(name).fit(TASTES, ITEMS)
    people = [*CIRCLES, 0]
    assert step_by_step.recommend(people, 5).tolist() == at_once.recommend(people, 5).tolist()


def test_popular_counts_likes_within_the_window_and_then_all():
    events = pd.DataFrame(
        {"user_id": range(6), "item_id": list("aaabcc"), "ts": [0, 1, 2, 9 * HOUR, 9.5 * HOUR, 10 * HOUR]}
    )
    model = Popular(window=6 * HOUR).fit(events, ITEMS)
    assert model.recommend(["x"], 3, now=10 * HOUR)[0].tolist() == ["c", "b", "a"]
    assert model.recommend(["x"], 1, now=100 * HOUR)[0].tolist() == ["a"]
    model.observe({"user_id": 8, "item_id": "d", "ts": 99 * HOUR})
    assert model.recommend(["x"], 2, now=100 * HOUR)[0].tolist() == ["d", "a"]


def test_item_knn_is_the_cosine_of_audiences():
    model = ItemKNN(damping=0).fit(likes("ab", "ab", "b", "bc", "a"), ITEMS)
    assert model.score("nobody yet", ["b"]) < 0
    assert model.score(4, ["b"]) == pytest.approx(2 / np.sqrt(3 * 4))


def test_rules_go_by_what_follows_and_the_last_like_counts_most():
    model = SequentialRules(backwards=0).fit(likes(*["ab"] * 3, *["cd"] * 3, "ac", "ca"), ITEMS)
    assert model.recommend([6], 1)[0].tolist() == ["d"]
    assert model.recommend([7], 1)[0].tolist() == ["b"]


def test_ease_is_the_closed_form():
    events = likes("abc", "ab", "bc", "c", "ad")
    model = Ease(ridge=2.0).fit(events, ITEMS)
    order = [model.post_of[item] for item in "abcd"]
    met = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 1]])
    inverse = np.linalg.inv(met.T @ met + 2 * np.eye(4))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    assert model.weights[np.ix_(order, order)] == pytest.approx(expected, abs=1e-5)
    assert model.score(1, ["c"]) == pytest.approx(expected[0, 2] + expected[1, 2], abs=1e-5)


def test_als_solves_what_it_says_for_each_person():
    model = Als(factors=3, confidence=4.0, ridge=0.5, rounds=3).fit(TASTES, ITEMS)
    points = model.posts_at.astype(float)
    met = np.isin(model.ids, list("ab"))
    weights = 1 + 4.0 * met
    system = points.T @ (weights[:, None] * points) + 0.5 * np.eye(3)
    expected = points @ np.linalg.solve(system, points.T @ (weights * met))
    assert model.score(40, model.ids) == pytest.approx(expected, abs=1e-4)


def test_the_first_popoff_goes_by_words_and_holds_age_for_a_merit():
    items = pd.DataFrame({"item_id": [1, 2, 3], "title": ["cat purrs", "cat sleeps", "stock market news"]})
    events = pd.DataFrame({"user_id": ["x"], "item_id": [1], "ts": [0.0]})
    model = FirstPopOff().fit(events, items.assign(created=0.0))
    assert model.recommend(["x"], 2)[0].tolist() == [2, 3]
    aged = FirstPopOff().fit(events, items.assign(created=[0.0, 0.0, -1000.0 * DAY]))
    assert aged.recommend(["x"], 2)[0].tolist() == [3, 2]


def test_a_like_is_what_people_said_else_what_they_watched_else_that_they_came():
    watched = pd.DataFrame({"watch_ms": [9.0, 1.0, np.nan], "duration_ms": [10.0, 10.0, 10.0]})
    assert liked(watched).tolist() == [True, False, True]
    assert liked(watched.assign(like=[False, True, False])).tolist() == [False, True, False]
    assert liked(watched.assign(hate=[True, False, False])).tolist() == [False, False, True]
    assert liked(watched[[]]).tolist() == [True, True, True]


def test_leading_is_the_largest_first_and_of_equals_the_first():
    scores = np.array([[1, 3, 2, 3], [0, 0, 0, 0]], dtype=np.float32)
    assert leading(scores, 3).tolist() == [[1, 3, 2], [0, 1, 2]]


def test_settings_are_of_baselines_that_exist():
    for chosen in SETTINGS.values():
        for name, settings in chosen.items():
            BASELINES[name](**settings)
