"""Pages out of scored candidates."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.ranking.selection import Offer, Page, Rules, select
from models_ml.ranking.tables import NOBODY

FOOD, PETS = 0, 1
CALM = Rules(explore=0.0)
LIVELY = Rules(temperature=0.04, explore=0.0)


def offer(scores, creators=None, topics=None, owed=()) -> Offer:
    """Posts of as many creators and of no topic, but for what is given."""
    number = len(scores)
    return Offer(
        scores=np.asarray(scores, dtype=np.float64),
        creators=np.arange(number) if creators is None else np.asarray(creators),
        topics=np.full(number, NOBODY) if topics is None else np.asarray(topics),
        owed=np.isin(np.arange(number), np.asarray(owed)),
    )


def page(candidates: Offer, places: int, rules: Rules = CALM, seed: int = 7, after: int = NOBODY) -> Page:
    return select(candidates, places, rules, np.random.default_rng(seed), after)


def rows(*arguments, **options) -> list[int]:
    return page(*arguments, **options).rows.tolist()


def test_takes_what_there_is() -> None:
    assert rows(offer([1, 2, 3]), 5) == [2, 1, 0]
    assert rows(offer([]), 5) == rows(offer([1, 2]), 0) == rows(offer([1, 2]), -1) == []


def test_without_chance_the_best_come_first() -> None:
    assert rows(offer([1, 4, 3, 2]), 3) == [1, 2, 3]


def test_the_same_chance_gives_the_same_page() -> None:
    candidates = offer(np.linspace(0.4, 0.5, 50), owed=range(20))
    first, second, other = (rows(candidates, 8, Rules(temperature=0.04), seed) for seed in (1, 1, 2))
    assert first == second != other


def test_better_posts_are_shown_more_often_but_not_always() -> None:
    candidates = offer(np.linspace(0.4, 0.6, 20))
    shown = Counter(row for seed in range(300) for row in rows(candidates, 5, LIVELY, seed))
    assert shown[19] > shown[10] > shown[0]
    assert 100 < shown[19] < 300
    assert len(shown) == 20


def test_posts_far_below_the_best_wait() -> None:
    candidates = offer(np.linspace(0, 1, 1000))
    shown = {row for seed in range(50) for row in rows(candidates, 5, LIVELY, seed)}
    assert min(shown) >= 1000 - 5 * LIVELY.reach


def test_the_stated_share_goes_to_posts_that_are_owed_an_audience() -> None:
    candidates = offer(np.where(np.arange(100) < 90, 0.8, 0.0), owed=range(90, 100))
    pages = [page(candidates, 5, Rules(explore=0.1), seed) for seed in range(400)]
    assert np.mean([found.explored.mean() for found in pages]) == pytest.approx(0.1, abs=0.03)
    assert all((found.rows[found.explored] >= 90).all() for found in pages)
    assert not any(found.explored[:2].any() for found in pages), "who comes for the best finds it first"


def test_who_explores_is_drawn_evenly_from_the_pool_that_is_told() -> None:
    candidates = offer(np.arange(40), owed=range(20))
    pages = [page(candidates, 5, Rules(explore=0.2, pool=4), seed) for seed in range(800)]
    assert {tuple(sorted(pool.tolist())) for found in pages for pool in found.pools if pool is not None} == {
        (16, 17, 18, 19)
    }
    drawn = Counter(int(row) for found in pages for row in found.rows[found.explored])
    assert all(150 < drawn[row] < 250 for row in (16, 17, 18, 19))


def test_an_owed_post_that_comes_by_its_own_score_keeps_its_place() -> None:
    candidates = offer(np.arange(40), owed=range(20, 40))
    for seed in range(50):
        found = page(candidates, 10, Rules(explore=0.3), seed)
        assert [row for row, out in zip(found.rows, found.explored, strict=True) if not out] == list(range(39, 32, -1))


def test_without_such_posts_the_page_is_full_all_the_same() -> None:
    found = page(offer(range(30)), 6, Rules(explore=0.5))
    assert len(found.rows) == 6
    assert not found.explored.any()


def test_exploration_can_be_all_or_nothing() -> None:
    owed = offer(range(30), owed=range(30))
    assert page(owed, 6, Rules(explore=1.0)).explored.all()
    assert not page(owed, 6, Rules(explore=0.0)).explored.any()


def test_a_creator_fills_no_page_while_others_are_left() -> None:
    creators = np.where(np.arange(40) < 30, 1, np.arange(40))
    shown = creators[rows(offer(np.arange(40, 0, -1), creators), 6)]
    assert (shown == 1).sum() == CALM.per_creator


def test_a_single_creator_may_fill_it_when_alone() -> None:
    assert len(rows(offer(range(8), [1] * 8), 5)) == 5


def test_creators_who_are_not_known_are_not_one() -> None:
    assert rows(offer([4, 3, 2, 1], [NOBODY] * 4), 4) == [0, 1, 2, 3]


def test_a_topic_fills_no_page_while_others_are_left() -> None:
    topics = [FOOD] * 30 + [PETS] * 10
    assert Counter(topics[row] for row in rows(offer(np.arange(40, 0, -1), topics=topics), 5)) == {FOOD: 3, PETS: 2}


@pytest.mark.parametrize(("lost", "left"), [(0.0, 6), (0.1, 5), (0.5, 3), (0.9, 0), (1.0, 0)])
def test_a_topic_that_loses_places_has_fewer(lost: float, left: int) -> None:
    candidates = offer(np.arange(40, 0, -1), topics=[FOOD] * 20 + [NOBODY] * 20)
    spared = replace(candidates, spared=np.where(candidates.topics == FOOD, lost, 0.0))
    assert sum(row < 20 for row in rows(spared, 10)) == left


def test_a_topic_without_places_fills_the_page_when_alone_and_explores_nothing() -> None:
    alone = replace(offer([2, 1], topics=[FOOD, FOOD], owed=[0, 1]), spared=np.ones(2))
    shown = page(alone, 2, Rules(explore=1.0))
    assert (shown.rows.tolist(), shown.explored.any()) == ([0, 1], False)


def test_what_is_of_no_topic_is_not_one() -> None:
    topics = [NOBODY] * 30 + [PETS] * 10
    assert max(rows(offer(np.arange(40, 0, -1), topics=topics), 5)) < 30


def test_who_made_the_last_post_before_does_not_open_the_page() -> None:
    candidates = offer([3, 2, 1], [1, 1, 2])
    assert [candidates.creators[row] for row in rows(candidates, 3, after=1)] == [2, 1, 1]
    assert [candidates.creators[row] for row in rows(candidates, 3, after=9)] == [1, 2, 1]


def test_topics_alternate_where_it_costs_little() -> None:
    candidates = offer([4, 3, 2, 1], topics=[FOOD, FOOD, PETS, PETS])
    assert [candidates.topics[row] for row in rows(candidates, 4, Rules(explore=0, topic_share=1.0))][:2] == [
        FOOD,
        PETS,
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 1), st.booleans(), st.floats(0, 1)), max_size=40),
    st.integers(0, 25),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_a_page_is_full_without_repeats_and_without_neighbours_of_one_creator(posts, size, share, seed) -> None:
    creators, topics, owed, scores = ([post[part] for post in posts] for part in range(4))
    candidates = offer(
        np.array(scores), np.array(creators, dtype=int), np.array(topics, dtype=int), np.flatnonzero(owed)
    )
    found = page(candidates, size, Rules(explore=share, temperature=0.04), seed)
    chosen = found.rows.tolist()
    assert len(chosen) == len(set(chosen)) == len(found.pools) == min(size, len(posts))
    assert all(pool is None or row in pool for row, pool in zip(chosen, found.pools, strict=True))
    shown = [creators[row] for row in chosen]
    most = max(Counter(shown).values(), default=0)
    assert sum(a == b for a, b in pairwise(shown)) == max(0, 2 * most - len(shown) - 1)
