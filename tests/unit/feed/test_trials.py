"""Who gets the challenger, and what the numbers of an experiment say."""

from __future__ import annotations

import numpy as np
import pytest

from popoff.feed import trials
from popoff.feed.trials import COLUMNS, Outcome, Results

PEOPLE = 20_000


def of(name: str, share: float, people: int = PEOPLE) -> np.ndarray:
    return np.array([trials.is_challenged(name, share, user_id) for user_id in range(1, people + 1)])


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_as_many_people_get_the_challenger_as_were_meant_to(share: float) -> None:
    spread = 4 * np.sqrt(share * (1 - share) / PEOPLE)
    assert abs(of("spring", share).mean() - share) < spread


def test_places_are_spread_evenly() -> None:
    places = np.array([trials.place("spring", user_id) for user_id in range(PEOPLE)])
    found, _ = np.histogram(places, bins=20, range=(0, 1))
    expected = PEOPLE / 20
    assert ((found - expected) ** 2 / expected).sum() < 43.8, "chi-squared of 19 degrees, 0.1 %"


def test_a_person_stays_on_their_side_also_when_the_share_grows() -> None:
    few, many = of("spring", 0.1), of("spring", 0.3)
    assert (of("spring", 0.1) == few).all()
    assert (many[few]).all()


def test_sides_in_one_experiment_say_nothing_about_sides_in_another() -> None:
    spring, autumn = of("spring", 0.5), of("autumn", 0.5)
    assert abs((spring & autumn).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / PEOPLE)


def test_the_place_of_a_person_is_the_same_on_every_host_and_in_every_release() -> None:
    assert trials.place("spring", 7) == pytest.approx(0.4341252, abs=1e-6)


def lived(people: int, *, seconds: float = 0.0, hidden: float = 0.0, seed: int = 1) -> Results:
    """An experiment in which those with the challenger watch so many seconds longer, and hide so much more."""
    chance = np.random.default_rng(seed)
    challenged = of("spring", 0.5, people)
    columns = {name: np.zeros(people) for name in COLUMNS}
    columns["user_id"] = np.arange(1, people + 1, dtype=np.float64)
    columns["sessions"] = chance.integers(1, 6, people).astype(np.float64)
    columns["seen"] = columns["timed"] = 8 * columns["sessions"]
    columns["served"] = 10 * columns["sessions"]
    columns["by_challenger"] = columns["served"] * challenged
    columns["watch_s"] = columns["sessions"] * chance.normal(60 + seconds * challenged, 15, people)
    columns["parts_watched"] = 0.6 * columns["seen"]
    columns["hides"] = chance.binomial(columns["seen"].astype(int), 0.02 + hidden * challenged).astype(np.float64)
    return trials.compare("spring", 0.5, columns)


def test_a_better_challenger_is_found_out() -> None:
    found = lived(800, seconds=8)
    assert found.outcome is Outcome.BETTER
    assert found.sentence.startswith("Better: with the challenger ")
    low, high = found.differences["watch_s_per_session"].interval
    assert low < 8 < high
    assert found.challenger.measures["watch_s_per_session"].value == pytest.approx(68, abs=2)


def test_a_worse_challenger_is_found_out() -> None:
    found = lived(800, seconds=-8)
    assert found.outcome is Outcome.WORSE
    assert "fewer seconds are watched a session" in found.sentence


def test_a_challenger_that_people_hide_posts_of_is_worse_however_long_they_watch() -> None:
    found = lived(800, seconds=8, hidden=0.03)
    assert found.outcome is Outcome.WORSE
    assert "dismissed or reported" in found.sentence


def test_where_both_are_the_same_it_is_hardly_ever_decided() -> None:
    decided = [lived(200, seed=seed).differences["watch_s_per_session"] for seed in range(300)]
    assert np.mean([each.surely_more or each.surely_less for each in decided]) < 0.1


def test_with_few_people_nothing_is_decided() -> None:
    found = lived(50, seconds=100)
    assert found.outcome is Outcome.NOT_YET_KNOWN
    assert "30 are needed" in found.sentence


def test_everybody_counts_on_the_side_they_were_drawn_for() -> None:
    found = lived(200)
    assert found.current.people + found.challenger.people == 200
    assert found.challenger.people == of("spring", 0.5, 200).sum()
    assert found.current.counts["by_challenger"] == 0
    assert found.challenger.counts["by_challenger"] == found.challenger.counts["served"]


def test_nobody_at_all_is_no_error() -> None:
    found = trials.compare("spring", 0.5, {name: np.zeros(0) for name in COLUMNS})
    assert found.outcome is Outcome.NOT_YET_KNOWN
