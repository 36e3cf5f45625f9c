"""What is usual is found in counts that were drawn from a known prior, and percentiles keep their promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models_ml.engagement import columns, priors
from models_ml.engagement.population import population
from models_ml.engagement.priors import Prior, Scale


@pytest.fixture(scope="module")
def scale() -> Scale:
    return priors.learn(columns.checked(population(4000, 11), later=True))


@pytest.mark.parametrize(("mean", "strength"), [(0.08, 30.0), (0.3, 4.0), (0.9, 0.7)])
def test_the_prior_that_counts_were_drawn_from_is_found(mean: float, strength: float) -> None:
    draw = np.random.default_rng(4)
    views = draw.integers(1, 300, 4000)
    likes = draw.binomial(views, draw.beta(mean * strength, (1 - mean) * strength, 4000))
    found = priors.beta_binomial(pd.Series(likes), pd.Series(views))
    assert found.mean == pytest.approx(mean, rel=0.05)
    assert found.strength == pytest.approx(strength, rel=0.15)


def test_a_shrunk_rate_is_the_prior_without_views_and_the_raw_rate_with_many() -> None:
    prior = Prior(0.1, 30.0)
    none, some, many = prior.shrunk(np.array([0.0, 30.0, 5e5]), np.array([0.0, 30.0, 1e6]))
    assert none == pytest.approx(0.1)
    assert some == pytest.approx(0.55)
    assert many == pytest.approx(0.5, abs=1e-4)


def test_percentiles_rise_with_the_rate_and_never_with_views(scale: Scale) -> None:
    rates, views = np.meshgrid(np.linspace(0.001, 0.6, 60), np.geomspace(0.5, 1e6, 50), indexing="ij")
    for age in (0.1, 30.0, 100.0, 5000.0, np.nan):
        shares = scale.percentile(rates.ravel(), np.full(rates.size, age), views.ravel()).reshape(rates.shape)
        assert (np.diff(shares, axis=0) >= -1e-12).all()
        assert (np.diff(shares, axis=1) <= 1e-12).all()
        assert shares.min() >= 0
        assert shares.max() <= 1


def test_posts_of_a_bracket_fall_evenly_below_their_rates(scale: Scale) -> None:
    drawn = population(4000, 12)
    shares = scale.percentile(*(drawn[name].to_numpy() for name in ("true_rate", "age_hours", "views")))
    assert np.mean(shares < 0.25) == pytest.approx(0.25, abs=0.05)
    assert np.mean(shares < 0.75) == pytest.approx(0.75, abs=0.05)


def test_a_scale_survives_its_card(scale: Scale) -> None:
    assert Scale.from_json(scale.as_json()) == scale
