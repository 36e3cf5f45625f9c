"""Ranking, what pages are selected from, and reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.ranking.tables import NOBODY
from popoff.feed import rules
from popoff.feed.categories import OTHER
from popoff.feed.rules import Candidates, Cause, Interest, Kind, Source, interest_scores, rank, reason, relearnt

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


class TestLearnt:
    def test_a_usual_candidate_has_a_half_and_the_rules_speak_where_the_model_does_not(self):
        posts = candidates(3, followed=[False, True, False])
        before = rank(posts, [])
        after = relearnt(before, posts, np.array([-4.0, -4.0, np.nan]), usual=-4.0)
        assert after.rank_score == pytest.approx([0.5, 0.5 + rules.FOLLOWED_BONUS, before.rank_score[2]])

    @given(st.lists(st.floats(-50, 50), min_size=2, max_size=9))
    def test_its_order_stays_and_its_scale_is_that_of_the_rules(self, log_odds):
        posts = candidates(len(log_odds))
        score = relearnt(rank(posts, []), posts, np.array(log_odds), usual=-4.6).rank_score
        assert (np.diff(score[np.argsort(log_odds, kind="stable")]) >= 0).all()
        assert ((score >= 0) & (score <= 1)).all()


class TestOffer:
    def test_owed_posts_and_rarely_seen_ones_found_by_chance_are_in_line(self):
        sources = [Source.POPULAR, Source.OWED | Source.POPULAR, Source.RANDOM, Source.RANDOM]
        posts = candidates(4, sources=[int(source) for source in sources], views=[0, 1000, 0, 1000])
        assert rules.owed(posts).tolist() == [False, True, True, False]

    def test_categories_are_topics_and_other_is_none(self):
        topics = rules.offer(posts := candidates(4, categories=[FOOD, OTHER, PETS, FOOD]), rank(posts, [])).topics
        assert topics[0] == topics[3] != topics[2] != topics[1] == NOBODY
        nothing = candidates(0)
        assert len(rules.offer(nothing, rank(nothing, []))) == 0

    def test_followed_creators_alone_are_shown_whole_and_explore_nothing(self):
        assert (rules.selection(50, True).explore, rules.selection(50, True).per_creator) == (0.0, 50)
        assert rules.selection(2, False).explore == rules.EXPLORATION


class TestReasons:
    def reasons_for(self, posts, interests=(), explored=None, causes=None):
        ranked = rank(posts, interests)
        return [
            reason(
                posts,
                ranked,
                interests,
                row,
                explored=bool(explored and explored[row]),
                cause=causes[row] if causes else None,
            )
            for row in range(len(posts))
        ]

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

    def test_followed_creators_are_named_and_only_what_is_new_is_called_new(self):
        found = self.reasons_for(candidates(2, followed=[True, True], age_s=[DAY, 30 * DAY]))
        assert [r.about("ada").text for r in found] == ["New from ada, whom you follow", "From ada, whom you follow"]

    @pytest.mark.parametrize(
        ("cause", "text"),
        [
            (Cause("Pasta", "ada", liked=True, to_the_end=True), "Because you liked “Pasta”"),
            (Cause("Pasta", "ada", liked=False, to_the_end=True), "Because you watched “Pasta” to the end"),
            (Cause(" ", "ada", liked=False, to_the_end=False), "Because you watched a video of ada"),
            (Cause("One  and\ntwo " * 9, "ada", liked=True, to_the_end=False), None),
        ],
    )
    def test_what_was_met_is_named(self, cause, text):
        (found,) = self.reasons_for(candidates(1), causes=[cause])
        assert found.kind is Kind.WATCHED
        assert found.text == text if text else len(found.text) <= len("Because you liked “”") + rules.TITLE_LENGTH

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
