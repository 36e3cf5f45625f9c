"""Ratios over people, and what another ranker would have brought: on drawn data, where the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models_ml.ranking import offpolicy
from models_ml.ranking.offpolicy import Explored, first_of
from models_ml.ranking.ratios import difference, ratio

REPEATS = 400
POOL = 6


def drawn(seed: int, people: int = 80) -> tuple[Explored, np.ndarray]:
    """Places of people with tastes of their own; a ranker that knows a part of them; with what it would have shown.

    Each person has 1 to 12 places, so those of one person hang together.
    """
    chance = np.random.default_rng(seed)
    whose = np.repeat(np.arange(people), chance.integers(1, 13, people))
    mood = chance.normal(0.0, 0.2, people)[whose]
    worth = np.clip(chance.normal(0.3, 0.3, (len(whose), POOL)) + mood[:, None], -1, 1)
    choice = (worth + chance.normal(0, 0.3, worth.shape)).argmax(axis=1)
    shown = chance.integers(POOL, size=len(whose))
    rows = np.arange(len(whose))
    explored = Explored(whose, worth[rows, shown], np.full(len(whose), float(POOL)))
    return explored, (shown == choice).astype(np.float64)


@pytest.fixture(scope="module")
def truth() -> float:
    """What that ranker's places are worth, from very many of them, looked at and not estimated."""
    chance = np.random.default_rng(99)
    number = 200_000
    mood = chance.normal(0.0, 0.2, number)
    worth = np.clip(chance.normal(0.3, 0.3, (number, POOL)) + mood[:, None], -1, 1)
    choice = (worth + chance.normal(0, 0.3, worth.shape)).argmax(axis=1)
    return float(worth[np.arange(number), choice].mean())


@pytest.mark.parametrize("kind", ["plain", "normalised"])
def test_estimates_hit_the_truth_and_their_intervals_cover_it_as_often_as_they_say(truth: float, kind: str) -> None:
    found = [getattr(offpolicy.estimate(*drawn(seed)), kind) for seed in range(REPEATS)]
    values = np.array([each.value for each in found])
    assert abs(values.mean() - truth) < 3 * values.std() / math.sqrt(REPEATS)
    covered = np.mean([each.interval[0] <= truth <= each.interval[1] for each in found])
    assert 0.92 <= covered <= 0.98


def test_the_normalised_estimate_is_the_narrower_one() -> None:
    widths = [[each.interval[1] - each.interval[0] for each in (found.plain, found.normalised)]
              for found in (offpolicy.estimate(*drawn(seed)) for seed in range(50))]  # fmt: skip
    plain, normalised = np.mean(widths, axis=0)
    assert normalised < plain


def test_what_chance_itself_would_bring_is_what_was_brought() -> None:
    explored, _ = drawn(1)
    by_chance = offpolicy.estimate(explored, np.full(len(explored), 1 / POOL))
    assert by_chance.plain.value == pytest.approx(explored.rewards.mean())
    assert by_chance.normalised.value == pytest.approx(explored.rewards.mean())
    assert by_chance.is_telling


def test_a_ranker_that_never_agrees_has_no_estimate() -> None:
    explored, _ = drawn(1)
    nothing = offpolicy.estimate(explored, np.zeros(len(explored)))
    assert math.isnan(nothing.normalised.value)
    assert not nothing.is_telling


def test_equal_scores_share_the_chance_and_unknown_posts_have_none() -> None:
    scores = np.array([0.5, 2.0, 2.0, np.nan])
    assert [first_of(scores, place) for place in range(4)] == [0.0, 0.5, 0.5, 0.0]
    assert first_of(np.array([np.nan, np.nan]), 0) == 0.0


def test_places_must_fit_together() -> None:
    with pytest.raises(ValueError, match="fit together"):
        Explored(np.array([1]), np.array([1.0, 2.0]), np.array([3.0]))
    with pytest.raises(ValueError, match="fit together"):
        Explored(np.array([1]), np.array([1.0]), np.array([0.0]))


def test_intervals_of_a_ratio_cover_it_when_people_are_drawn() -> None:
    covered = 0
    for seed in range(REPEATS):
        chance = np.random.default_rng(seed)
        sessions = chance.integers(1, 8, 60)
        watched = sessions * np.maximum(chance.normal(50, 20, 60), 0)
        low, high = ratio(watched, sessions).interval
        covered += low <= 50.08 <= high
    assert 0.92 <= covered / REPEATS <= 0.98


def test_rows_of_one_person_are_one_witness() -> None:
    people = np.repeat(np.arange(20), 10)
    values = np.repeat(np.random.default_rng(3).normal(size=20), 10)
    by_person, by_row = ratio(values, np.ones(200), people), ratio(values, np.ones(200))
    assert by_person.value == pytest.approx(by_row.value)
    assert by_person.error == pytest.approx(by_row.error * math.sqrt(10), rel=0.05)
    assert (by_person.people, by_row.people) == (20, 200)


def test_a_difference_is_sure_only_where_the_groups_stand_apart() -> None:
    chance = np.random.default_rng(4)
    low, same, high = (ratio(chance.normal(mean, 1, 200), np.ones(200)) for mean in (1.0, 1.0, 2.0))
    assert difference(high, low).surely_more
    assert difference(low, high).surely_less
    unsure = difference(low, same)
    assert not unsure.surely_more
    assert not unsure.surely_less


def test_nothing_is_said_of_nobody_or_of_one() -> None:
    assert math.isnan(ratio([], []).value)
    alone = ratio([3.0], [2.0])
    assert alone.value == 1.5
    assert all(math.isnan(end) for end in alone.interval)
    unsure = difference(alone, ratio([1.0, 2.0], [1.0, 1.0]))
    assert not unsure.surely_more
    assert not unsure.surely_less
