"""The parts of the feed: tables of neighbours, trends, what events are worth, and words."""

import numpy as np
import pytest
from scipy import sparse

from models_ml.ranking.content import Content, pieces
from models_ml.ranking.history import gains
from models_ml.ranking.tables import NOBODY, Neighbours
from models_ml.ranking.trends import HALF_LIVES, HOUR, Trends


def test_tables_keep_the_strongest() -> None:
    table = Neighbours(2)
    table.fill(sparse.csr_matrix(np.array([[0, 3, 1, 2], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)))
    assert table.ids[0].tolist() == [1, 3]
    assert table.total[0] == 6
    assert table.ids[2].tolist() == [0, NOBODY]


def test_tables_learn_one_pair_at_a_time_and_drop_the_weakest() -> None:
    table = Neighbours(2)
    table.grow(1)
    for column, weight in ((5, 1.0), (6, 2.0), (5, 3.0), (7, 2.5)):
        table.add(0, column, weight)
    assert sorted(table.ids[0].tolist()) == [5, 7]
    assert table.weights[0].max() == 4


def test_weights_between_posts_are_read_back_and_scratch_is_left_clean() -> None:
    table, slots = Neighbours(4), np.full(10, NOBODY, dtype=np.int32)
    table.grow(10)
    table.add(3, 8, 2.0)
    table.add(3, 9, 1.0)
    found = table.among(np.array([3, 4], dtype=np.int32), np.array([9, 2, 8], dtype=np.int32), slots)
    assert found.tolist() == [[1, 0, 2], [0, 0, 0]]
    assert (slots == NOBODY).all()


def test_trends_halve_and_agree_however_they_were_counted() -> None:
    posts, times = np.array([0, 1, 0]), np.array([0.0, HOUR, 3 * HOUR])
    counted, added = Trends(), Trends()
    counted.fill(posts, times, np.ones(3), 2)
    added.grow(2)
    for post, time in zip(posts, times, strict=True):
        added.add(post, time, 1.0)
    now = 4 * HOUR
    expected = [
        sum(np.exp2(-(now - t) / life) for p, t in zip(posts, times, strict=True) if p == 0) for life in HALF_LIVES
    ]
    assert counted.at(np.array([0]), now)[0] == pytest.approx(expected)
    assert added.at(np.array([0]), now)[0] == pytest.approx(expected)


def test_trends_survive_years() -> None:
    trends = Trends()
    trends.grow(2)
    trends.add(0, 0.0, 1.0)
    for day in range(0, 1500, 30):
        trends.add(1, day * 24 * HOUR, 1.0)
    assert np.isfinite(trends.sums).all()
    assert trends.leading(0, 1).tolist() == [1]


def test_leaders_are_those_with_most() -> None:
    chance, trends = np.random.default_rng(0), Trends(leaders=5)
    trends.grow(40)
    for step in range(600):
        trends.add(int(chance.integers(40) * chance.random()), step * 60.0, 1.0)
    for window in range(len(HALF_LIVES)):
        assert set(trends.leading(window, 5)) == set(np.argsort(-trends.sums[:40, window])[:5])


def test_a_hate_outweighs_a_like_and_a_like_outweighs_watching() -> None:
    column = {"like": np.array([1.0, 0, 0, 0]), "hate": np.array([0.0, 1, 0, 0])}
    watch = {"watch_ms": np.array([0.0, 9e3, 9e3, 100]), "duration_ms": np.full(4, 1e4)}
    assert gains({**column, **watch}, 4).tolist() == pytest.approx([1, -1, 0.8, -0.1])


def test_of_a_bare_event_it_is_taken_that_the_post_was_chosen() -> None:
    assert gains({}, 2).tolist() == [1, 1]
    assert gains({"like": np.array([0.0])}, 1).tolist() == [0]


def test_words_place_like_beside_like() -> None:
    titles = [
        "red soup kitchen",
        "soup kitchen recipe",
        "kitchen recipe",
        "rope climbing wall",
        "wall rope summit",
        "summit",
    ]
    content = Content.learn([pieces(title) for title in titles])
    soup, rope, cook = content.place([pieces("soup recipe"), pieces("climbing rope"), pieces("kitchen soup")])
    assert soup @ cook > soup @ rope
    assert not content.place([pieces("zzz")]).any()
