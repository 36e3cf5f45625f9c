"""Interests learnt online."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from popoff.adapters.insight.local import LocalInsight
from popoff.feed import rules
from popoff.feed.rules import Interest, observe, preferences, shares, signal
from tests.unit.insight.captions import CAPTIONS

FOOD, PETS, GAMES = "Food (recipes)", "Animals (cats)", "Gaming (streams)"


def axis(*coordinates: float) -> np.ndarray:
    """A unit vector that begins with these coordinates."""
    vector = np.zeros(256, dtype=np.float32)
    vector[: len(coordinates)] = coordinates
    return vector / np.linalg.norm(vector)


def at_cosine(cosine: float) -> np.ndarray:
    return axis(cosine, (1 - cosine**2) ** 0.5)


def learnt(events, start=()):
    interests = list(start)
    for vector, strength, category in events:
        interests = observe(interests, vector, strength, category)
    return interests


NO_ACT = {"liked": False, "commented": False, "viewed_comments": False}


class TestSignal:
    def test_runs_from_a_skip_over_indifference_to_a_full_watch(self):
        assert signal(0, 20_000, **NO_ACT) == pytest.approx(-0.3)
        assert signal(5_000, 20_000, **NO_ACT) == pytest.approx(0)
        assert signal(20_000, 20_000, **NO_ACT) == pytest.approx(0.6)
        assert signal(90_000, 20_000, **NO_ACT) == pytest.approx(0.6)

    def test_half_a_minute_of_a_long_video_is_as_good_as_a_whole_short_one(self):
        assert signal(30_000, 600_000, **NO_ACT) == pytest.approx(0.6)
        assert signal(30_000, 0, **NO_ACT) == pytest.approx(0.6)

    def test_who_acts_has_not_skipped(self):
        assert signal(0, 20_000, **{**NO_ACT, "liked": True}) == pytest.approx(0.4)
        assert signal(500, 20_000, **{**NO_ACT, "viewed_comments": True}) == pytest.approx(0.1)
        assert signal(0, 20_000, shared=True, **NO_ACT) == pytest.approx(0.4)

    def test_nothing_says_more_than_one(self):
        assert signal(9e9, 1, liked=True, commented=True, viewed_comments=True, shared=True) == 1

    @given(st.floats(-1e6, 1e9), st.floats(-1e3, 1e9), st.booleans(), st.booleans(), st.booleans(), st.booleans())
    def test_stays_in_its_range_and_a_like_never_lowers_it(self, watch, duration, liked, commented, viewed, shared):
        acts = {"commented": commented, "viewed_comments": viewed, "shared": shared}
        said = signal(watch, duration, liked=liked, **acts)
        assert -0.3 <= said <= 1
        assert signal(watch, duration, liked=True, **acts) >= said


class TestObserve:
    def test_the_first_post_opens_an_interest_with_its_signal_as_weight(self):
        (interest,) = observe([], axis(1), 0.6, FOOD)
        np.testing.assert_array_equal(interest.vector, axis(1))
        assert interest.tallies == {FOOD: 0.6}
        assert interest.label == FOOD

    def test_a_near_post_moves_the_interest_a_tenth_of_the_way(self):
        (interest,) = learnt([(axis(1), 1.0, FOOD), (at_cosine(0.7), 1.0, FOOD)])
        expected = 0.9 * axis(1) + 0.1 * at_cosine(0.7)
        np.testing.assert_allclose(interest.vector, expected / np.linalg.norm(expected), atol=1e-6)
        assert interest.weight == pytest.approx(0.9 + 1)

    @pytest.mark.parametrize(("cosine", "count"), [(0.56, 1), (0.54, 2), (-1.0, 2)])
    def test_the_threshold_decides_between_joining_and_opening(self, cosine, count):
        assert len(learnt([(axis(1), 1.0, FOOD), (at_cosine(cosine), 1.0, PETS)])) == count

    def test_weak_signals_open_nothing_but_strengthen(self):
        assert observe([], axis(1), 0.05, FOOD) == []
        (interest,) = learnt([(axis(1), 1.0, FOOD), (axis(1), 0.05, FOOD)])
        assert interest.weight > 1

    def test_a_skip_takes_weight_and_moves_away_and_opens_nothing(self):
        assert observe([], axis(1), -0.3, FOOD) == []
        liked = learnt([(axis(1), 1.0, FOOD), (axis(0, 0, 1), 1.0, PETS)])
        after = {i.label: i for i in observe(liked, at_cosine(0.8), -0.3, FOOD)}
        before = {i.label: i for i in liked}
        assert after[FOOD].weight < before[FOOD].weight
        assert after[PETS].weight == before[PETS].weight
        assert after[FOOD].vector @ at_cosine(0.8) < before[FOOD].vector @ at_cosine(0.8)

    def test_a_report_takes_more_than_a_skip_but_not_the_whole_interest(self):
        liked = learnt([(axis(1), 1.0, FOOD)] * 5)
        skipped, reported = (observe(liked, axis(1), s, FOOD)[0].weight for s in (rules.SKIPPED, rules.REPORTED))
        assert 0.5 * liked[0].weight < reported < skipped < liked[0].weight

    def test_interests_that_have_come_near_become_one(self):
        start = [Interest(axis(1), {FOOD: 2.0}), Interest(at_cosine(0.845), {FOOD: 1.0, PETS: 1.0})]
        (merged,) = learnt([(at_cosine(0.94), 1.0, FOOD)], start)
        assert merged.tallies == pytest.approx({FOOD: 3 * 0.9 + 1, PETS: 0.9})
        assert np.linalg.norm(merged.vector) == pytest.approx(1, abs=1e-6)

    def test_the_weakest_make_room(self):
        eye = np.eye(256, dtype=np.float32)
        interests = learnt([(eye[i], 1.0 if i != 3 else 0.2, f"c{i}") for i in range(rules.MAX_INTERESTS + 1)])
        assert len(interests) == rules.MAX_INTERESTS
        assert "c3" not in {interest.label for interest in interests}

    def test_a_post_without_words_teaches_nothing(self):
        liked = learnt([(axis(1), 1.0, FOOD)])
        assert preferences(observe(liked, np.zeros(256, np.float32), 1.0, PETS)) == preferences(liked)
        assert observe([], np.zeros(256, np.float32), 1.0, PETS) == []

    def test_weights_halve_in_a_half_life_and_old_taste_gives_way(self):
        liked = learnt([(axis(1), 1.0, FOOD)] * 5)
        (aged,) = observe(liked, axis(1), 0.0, FOOD, elapsed=rules.INTEREST_HALF_LIFE)
        assert aged.weight == pytest.approx(liked[0].weight / 2)
        soon = preferences(observe(liked, axis(0, 0, 1), 1.0, PETS))
        late = preferences(observe(liked, axis(0, 0, 1), 1.0, PETS, elapsed=timedelta(days=120)))
        assert soon[PETS] < 0.25 < 0.75 < late[PETS]

    def test_time_never_runs_backwards(self):
        liked = learnt([(axis(1), 1.0, FOOD)])
        assert observe(liked, axis(1), 0.0, FOOD, elapsed=timedelta(days=-90))[0].weight == liked[0].weight

    def test_an_age_leaves_nothing_and_breaks_nothing(self):
        liked = learnt([(axis(1), 1.0, FOOD)])
        assert observe(liked, axis(1), 0.0, FOOD, elapsed=timedelta(days=365_000)) == []

    def test_does_not_change_what_it_is_given(self):
        liked = learnt([(axis(1), 1.0, FOOD)])
        vector, tallies = liked[0].vector.copy(), dict(liked[0].tallies)
        observe(liked, at_cosine(0.8), 1.0, PETS)
        np.testing.assert_array_equal(liked[0].vector, vector)
        assert liked[0].tallies == tallies


def test_a_change_of_taste_is_followed_within_ten_videos():
    local = LocalInsight()
    cooking, games = (local.embed(CAPTIONS[name]) for name in ("Food", "Gaming"))
    past = learnt([(cooking[i % len(cooking)], 1.0, FOOD) for i in range(200)])
    assert preferences(past) == {FOOD: pytest.approx(1)}
    now = learnt([(games[i % len(games)], 1.0, GAMES) for i in range(10)], past)
    assert next(iter(preferences(now))) == GAMES
    scores, _ = rules.interest_scores(np.concatenate([cooking, games]), now)
    assert scores[len(cooking) :].min() > scores[: len(cooking)].max() * 0.7
    assert scores[len(cooking) :].mean() > scores[: len(cooking)].mean()


def test_watching_alone_is_followed_too():
    watched = signal(20_000, 20_000, **NO_ACT)
    past = learnt([(axis(1), watched, FOOD)] * 200)
    now = learnt([(axis(0, 1), watched, PETS)] * 12, past)
    assert next(iter(preferences(now))) == PETS


def test_captions_of_one_topic_gather_in_one_interest():
    local = LocalInsight()
    events = [(v, 1.0, topic) for topic in ("Food", "Gaming", "Sports") for v in local.embed(CAPTIONS[topic])]
    assert {i.label for i in learnt(events)} == {"Food", "Gaming", "Sports"}
    assert len(learnt(events)) == 3


class TestPreferences:
    def test_nobody_knows_a_new_person(self):
        assert preferences([]) == {}
        assert shares([]).shape == (0,)

    def test_sorted_by_share(self):
        interests = learnt([(axis(1), 1.0, FOOD), (axis(0, 1), 0.5, PETS), (axis(1), 1.0, GAMES)])
        found = preferences(interests)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert set(found) == {FOOD, PETS, GAMES}


@st.composite
def lives(draw):
    """Engagements around a few directions, so that joining, opening, merging and skipping all happen."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = rng.normal(size=(draw(st.integers(1, 20)), 256))
    events = draw(
        st.lists(
            st.tuples(st.integers(0, len(centres) - 1), st.floats(-1, 1), st.floats(0, 3), st.floats(0, 400)),
            max_size=60,
        )
    )
    return [(centres[i] + spread * rng.normal(size=256), s, f"c{i % 5}", days) for i, s, spread, days in events]


@settings(max_examples=60, deadline=None)
@given(lives())
def test_whatever_happens_weights_are_positive_vectors_unit_and_shares_sum_to_one(events):
    interests: list[Interest] = []
    for vector, strength, category, days in events:
        vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        interests = observe(interests, vector, strength, category, elapsed=timedelta(days=days))
        assert len(interests) <= rules.MAX_INTERESTS
        for interest in interests:
            assert 0 < interest.weight <= 10 + 1e-9
            assert all(tally > 0 for tally in interest.tallies.values())
            assert np.linalg.norm(interest.vector) == pytest.approx(1, abs=1e-5)
        if interests:
            assert shares(interests).sum() == pytest.approx(1, abs=1e-9)
            assert sum(preferences(interests).values()) == pytest.approx(1, abs=1e-9)
            matrix = np.stack([interest.vector for interest in interests])
            assert np.triu(matrix @ matrix.T, k=1).max() < rules.MERGE_COSINE
    vectors, groups = rules.pack(interests)
    back = rules.unpack(vectors, groups)
    assert [i.tallies for i in back] == [i.tallies for i in interests]
    for one, other in zip(back, interests, strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)


def test_what_was_stored_wrongly_is_not_read():
    vectors, groups = rules.pack(learnt([(axis(1), 1.0, FOOD), (axis(0, 1), 1.0, PETS)]))
    with pytest.raises(ValueError, match="reshape"):
        rules.unpack(vectors[:-4], groups)
