"""Ranking, selection and reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popoff.feed import rules
from popoff.feed.categories import OTHER
from popoff.feed.rules import Candidates, Interest, Kind, Selection, Source, interest_scores, rank, reasons, select

DAY = 86400.0
EYE = np.eye(256, dtype=np.float32)
FOOD, PETS = "Food (recipes)", "Animals (cats)"


def candidates(n: int, **arrays) -> Candidates:
    """n posts of n authors that differ in nothing, but for the arrays given."""
    defaults = {
        "post_ids": np.arange(n) + 1000,
        "author_ids": np.arange(n),
        "vectors": np.zeros((n, 256), dtype=np.float32),
        "categories": [OTHER] * n,
        "age_s": np.full(n, 10 * DAY),
        "views": np.full(n, 1000),
        "likes": np.full(n, 60),
        "comments": np.full(n, 5),
        "shares": np.full(n, 5),
        "followed": np.zeros(n, dtype=bool),
        "sources": np.full(n, int(Source.POPULAR)),
    }
    given_arrays = {k: v if k == "categories" else np.asarray(v) for k, v in arrays.items()}
    return Candidates(**{**defaults, **given_arrays})


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_arrays_must_belong_together():
    with pytest.raises(ValueError, match="differ in length"):
        candidates(3, views=[1, 2])


class TestScores:
    def test_interest_is_a_hundred_at_the_heart_of_the_main_interest_and_zero_away_from_all(self):
        interests = [Interest(EYE[0], {FOOD: 9.0}), Interest(EYE[1], {PETS: 0.9})]
        scores, nearest = interest_scores(np.stack([EYE[0], EYE[1], EYE[2], -EYE[0], 0 * EYE[0]]), interests)
        assert scores == pytest.approx([100, 100 * 0.1**rules.SHARE_DAMPING, 0, 0, 0])
        assert nearest[:2].tolist() == [0, 1]

    def test_without_history_interest_is_zero(self):
        scores, nearest = interest_scores(EYE[:3], [])
        assert scores.tolist() == [0, 0, 0]
        assert nearest.tolist() == [-1, -1, -1]

    def test_one_like_on_the_first_view_does_not_beat_a_hundred_on_a_thousand(self):
        zero = np.zeros(2, dtype=np.int64)
        lucky, proven = rules.engagement_rate(np.array([1, 1000]), np.array([1, 150]), zero, zero)
        assert lucky < proven

    def test_newer_posts_rank_higher(self):
        posts = candidates(4, age_s=[-5.0, DAY, 10 * DAY, 300 * DAY])
        assert rules.recency(posts.age_s)[0] == 1
        assert (np.diff(rank(posts, []).rank_score) < 0).all()

    def test_recency_halves(self):
        assert rules.recency(np.array([rules.RECENCY_HALF_LIFE_S]))[0] == pytest.approx(0.5)

    def test_the_stated_weights(self):
        posts = candidates(1, vectors=EYE[:1], age_s=[0.0], views=[0], likes=[0], comments=[0], shares=[0])
        ranked = rank(posts, [Interest(EYE[0], {FOOD: 1.0})])
        assert ranked.rank_score[0] == pytest.approx(0.6 + 0.2 * 0.5 + 0.2)
        assert ranked.interest_score[0] == pytest.approx(100)

    def test_followed_creators_rank_a_little_higher(self):
        plain, followed = rank(candidates(2, followed=[False, True]), []).rank_score
        assert followed == pytest.approx(plain + rules.FOLLOWED_BONUS)

    @given(st.integers(0, 10**9), st.integers(0, 10**8), st.integers(0, 10**7), st.floats(0, 1e9), st.floats(1, 1e7))
    def test_more_likes_never_lower_and_more_age_never_raises_a_score_of_the_right_scale(
        self, views, likes, more, age, older
    ):
        posts = candidates(3, views=[views] * 3, likes=[likes, likes + more, likes], age_s=[age, age, age + older])
        plain, liked, old = rank(posts, []).rank_score
        assert 0 <= old <= plain <= liked <= 1


def batches(draw_seed: int, posts: Candidates, size: int, **options) -> Selection:
    return select(posts, rank(posts, []).rank_score, size, rng(draw_seed), **options)


class TestSelect:
    def test_takes_what_there_is(self):
        assert len(batches(1, candidates(3), 5).positions) == 3
        assert len(batches(1, candidates(0), 5).positions) == 0
        assert len(batches(1, candidates(3), 0).positions) == 0
        assert len(batches(1, candidates(3), -1).positions) == 0

    def test_same_generator_same_batch(self):
        posts = candidates(50, likes=np.arange(50))
        first, second, other = (batches(seed, posts, 8).positions.tolist() for seed in (1, 1, 2))
        assert first == second != other

    def test_better_posts_are_shown_more_often_but_not_always(self):
        posts = candidates(20)
        score = np.linspace(0.4, 0.6, 20)
        shown = Counter(i for seed in range(300) for i in select(posts, score, 5, rng(seed)).positions.tolist())
        assert shown[19] > shown[10] > shown[0]
        assert 100 < shown[19] < 300
        assert len(shown) == 20

    def test_posts_far_below_the_best_wait(self):
        posts = candidates(1000)
        score = np.linspace(0, 1, 1000)
        shown = {i for seed in range(50) for i in select(posts, score, 5, rng(seed)).positions.tolist()}
        assert min(shown) >= 1000 - 5 * rules.POOL_FACTOR

    def test_the_stated_share_goes_to_posts_with_little_audience(self):
        views = np.where(np.arange(100) < 90, 10_000, 0)
        score = np.where(views == 0, 0.0, 0.8)
        posts = candidates(100, views=views)
        chosen = [select(posts, score, 5, rng(seed), exploration=0.1) for seed in range(400)]
        explored = np.mean([selection.explored.mean() for selection in chosen])
        assert explored == pytest.approx(0.1, abs=0.03)
        assert all((selection.positions[selection.explored] >= 90).all() for selection in chosen)
        assert not any(selection.explored[0] for selection in chosen)

    def test_posts_owed_a_first_audience_explore_even_when_seen(self):
        sources = np.full(30, int(Source.POPULAR))
        sources[4] |= int(Source.FRESH)
        selection = select(candidates(30, sources=sources), np.zeros(30), 5, rng(), exploration=0.2)
        assert selection.positions[selection.explored].tolist() == [4]

    def test_without_such_posts_the_batch_is_full_all_the_same(self):
        selection = batches(3, candidates(30), 6, exploration=0.5)
        assert len(selection.positions) == 6
        assert not selection.explored.any()

    def test_exploration_can_be_all_or_nothing(self):
        fresh = candidates(30, views=np.zeros(30, dtype=int))
        assert batches(1, fresh, 6, exploration=1.0).explored.all()
        assert not batches(1, fresh, 6, exploration=0.0).explored.any()

    def test_an_author_fills_no_batch_while_others_are_left(self):
        authors = np.where(np.arange(40) < 30, 1, np.arange(40))
        score = np.where(np.arange(40) < 30, 1.0, 0.0)
        posts = candidates(40, author_ids=authors)
        for seed in range(20):
            shown = authors[select(posts, score, 6, rng(seed)).positions]
            assert (shown == 1).sum() == rules.PER_AUTHOR

    def test_a_single_author_may_fill_it_when_alone(self):
        assert len(batches(1, candidates(8, author_ids=np.ones(8, dtype=int)), 5).positions) == 5

    def test_a_category_fills_no_batch_while_others_are_left(self):
        names = [FOOD] * 30 + [PETS] * 10
        score = np.where(np.arange(40) < 30, 1.0, 0.5)
        for seed in range(20):
            positions = select(candidates(40, categories=names), score, 5, rng(seed)).positions
            assert Counter(names[i] for i in positions) == {FOOD: 3, PETS: 2}

    def test_what_is_in_no_category_is_not_one(self):
        score = np.where(np.arange(40) < 30, 1.0, 0.5)
        posts = candidates(40, categories=[OTHER] * 30 + [PETS] * 10)
        assert (select(posts, score, 5, rng()).positions < 30).all()

    def test_the_last_author_before_the_batch_does_not_open_it(self):
        posts = candidates(3, author_ids=[1, 1, 2])
        for seed in range(20):
            order = posts.author_ids[batches(seed, posts, 3, after_author=1, exploration=0.0).positions].tolist()
            assert order == [2, 1, 1]
            order = posts.author_ids[batches(seed, posts, 3, after_author=9, exploration=0.0).positions].tolist()
            assert order == [1, 2, 1]

    def test_categories_alternate_where_it_costs_little(self):
        posts = candidates(4, categories=[FOOD, FOOD, PETS, PETS])
        for seed in range(20):
            shown = [posts.categories[i] for i in batches(seed, posts, 4).positions]
            assert shown[0] != shown[1]

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from([FOOD, PETS, OTHER]), st.integers(0, 200)), max_size=40),
        st.integers(0, 25),
        st.floats(0, 1),
        st.integers(0, 2**32 - 1),
    )
    def test_a_batch_is_full_without_repeats_and_without_neighbours_of_one_author(self, posts, size, share, seed):
        n = len(posts)
        authors, names, views = ([p[k] for p in posts] for k in range(3))
        pool = candidates(
            n, author_ids=np.array(authors, dtype=int), categories=names, views=np.array(views, dtype=int)
        )
        selection = batches(seed, pool, size, exploration=share)
        positions = selection.positions.tolist()
        assert len(positions) == len(set(positions)) == len(selection.explored) == min(size, n)
        shown = [authors[i] for i in positions]
        most = max(Counter(shown).values(), default=0)
        repeats = sum(a == b for a, b in pairwise(shown))
        assert repeats == max(0, 2 * most - len(shown) - 1)


class TestReasons:
    def reasons_for(self, posts, interests=(), explored=None):
        n = len(posts)
        selection = Selection(np.arange(n), np.zeros(n, dtype=bool) if explored is None else np.array(explored))
        return reasons(posts, rank(posts, interests), interests, selection)

    def test_interest_names_the_category(self):
        interests = [Interest(EYE[0], {FOOD: 5.0, PETS: 1.0}), Interest(EYE[1], {OTHER: 1.0})]
        vectors = np.stack([EYE[0], EYE[0], EYE[0], EYE[1]])
        found = self.reasons_for(candidates(4, vectors=vectors, categories=[FOOD, PETS, OTHER, OTHER]), interests)
        assert [r.kind for r in found] == [Kind.INTEREST] * 4
        assert [r.label for r in found] == [FOOD, PETS, FOOD, None]
        assert [r.text for r in found[2:]] == ["Because you like Food", "Like what you have watched"]

    def test_the_other_reasons(self):
        posts = candidates(
            5,
            followed=[True, False, False, False, False],
            age_s=[DAY, 9 * DAY, DAY, 9 * DAY, DAY],
            likes=[500, 500, 0, 0, 500],
            views=[1000, 1000, 10, 1000, 0],
        )
        found = self.reasons_for(posts, explored=[False, False, False, True, True])
        assert [r.kind for r in found] == [Kind.FOLLOWING, Kind.POPULAR, Kind.FRESH, Kind.EXPLORE, Kind.FRESH]
        assert len({r.text for r in found}) == 4

    def test_every_kind_has_a_sentence(self):
        assert all(rules.Reason(kind).text for kind in Kind)


def test_ranking_a_thousand_candidates_needs_no_loop():
    n = 1000
    generator = rng()
    vectors = generator.normal(size=(n, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    posts = replace(candidates(n), vectors=vectors)
    interests = [Interest(vectors[i], {FOOD: 1.0}) for i in range(rules.MAX_INTERESTS)]
    ranked = rank(posts, interests)
    assert ranked.interest_score[: rules.MAX_INTERESTS] == pytest.approx(100, abs=1e-3)
    assert ranked.rank_score.shape == ranked.engagement.shape == ranked.recency.shape == (n,)
    assert ranked.nearest[: rules.MAX_INTERESTS].tolist() == list(range(rules.MAX_INTERESTS))
