"""Judging gifts: learnt on a small economy, asked about what is plain and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from models_ml import registry
from models_ml.anomaly import score, train
from models_ml.anomaly.features import NAMES
from models_ml.anomaly.simulate import Economy
from models_ml.anomaly.train import Material
from models_ml.registry import Card, Model


@pytest.fixture(scope="module")
def known(economy: Economy, measured: pd.DataFrame) -> Material:
    return Material(measured.to_numpy(np.float32), economy.gifts["kind"].to_numpy(dtype=str))


@pytest.fixture(scope="module")
def trained(known: Material) -> train.Trained:
    return train.fit(known, known, seed=2)


@pytest.fixture(scope="module")
def model(trained: train.Trained, known: Material, tmp_path_factory: pytest.TempPathFactory) -> Model:
    store: Path = tmp_path_factory.mktemp("store")
    card = Card("anomaly", "anomaly-1", "2026-11-01T00:00:00Z", "test", 2, {}, NAMES, {}, {}, (),
                parameters=trained.parameters)  # fmt: skip
    registry.save(card, {"model": trained.booster}, known.rows[:3], store)
    return registry.load_version("anomaly", "anomaly-1", store)


def test_what_it_learnt_it_finds_and_says_why(model: Model, known: Material, measured: pd.DataFrame) -> None:
    verdict = score.judge(measured, model)
    assert list(verdict.index) == list(measured.index)
    assert verdict["probability"].between(0, 1).all()
    flagged = verdict["flagged"].to_numpy(bool)
    assert known.fraud[flagged].mean() >= train.PRECISION
    assert flagged[known.fraud].mean() > 0.5
    assert all(1 <= len(reasons) <= score.MOST_REASONS for reasons in verdict.loc[flagged, "reasons"])
    assert all(reasons == () for reasons in verdict.loc[~flagged, "reasons"])


def test_a_gift_is_judged_alone_as_among_others(model: Model, measured: pd.DataFrame) -> None:
    some = measured.iloc[::600]
    alone = pd.concat([score.judge(some.iloc[[place]], model) for place in range(len(some))])
    np.testing.assert_allclose(alone["probability"], score.judge(some, model)["probability"], rtol=1e-5)


def test_nothing_is_judged_to_nothing(model: Model, measured: pd.DataFrame) -> None:
    assert list(score.judge(measured.head(0), model).columns) == ["probability", "flagged", "reasons"]


def test_a_missing_feature_is_an_error(model: Model, measured: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="hour_count"):
        score.judge(measured.drop(columns="hour_count"), model)


def test_training_again_gives_the_same(known: Material, trained: train.Trained) -> None:
    again = train.fit(known, known, seed=2)
    assert again.parameters == trained.parameters
    assert again.booster.save_raw("json") == trained.booster.save_raw("json")


def test_the_view_without_kinds_looks_only_towards_fraud(trained: train.Trained, known: Material) -> None:
    row = np.nan_to_num(np.nanmedian(known.rows, axis=0))[None].astype(np.float32)
    high, low, missing = row.copy(), row.copy(), row.copy()
    column = NAMES.index("hour_count")
    high[0, column], low[0, column], missing[0, column] = 500, 0, np.nan
    far = [score.tails(rows, trained.parameters["tails"])[0, column] for rows in (high, low, missing)]
    assert far == [4.0, 0.0, 0.0]


def test_probabilities_say_how_often(trained: train.Trained, known: Material) -> None:
    assert trained.probability(known.rows).mean() == pytest.approx(known.fraud.mean(), rel=0.1)


def test_the_threshold_keeps_its_precision() -> None:
    chances = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.1])
    fraud = np.array([True, True, False, True, True, False])
    assert train.cut_at(chances, fraud, 0.95) == 0.8
    assert train.cut_at(chances, fraud, 0.8) == 0.6
    assert train.cut_at(chances, ~fraud, 0.95) == 1.0


def test_average_precision_is_what_others_call_it() -> None:
    dice = np.random.default_rng(1)
    chances, fraud = dice.integers(0, 40, 500) / 40, dice.random(500) < 0.1
    assert train.average_precision(chances, fraud) == pytest.approx(average_precision_score(fraud, chances))


def test_without_fraud_there_is_nothing_to_learn(known: Material) -> None:
    with pytest.raises(ValueError, match="no fraud"):
        train.fit(train.without(known, np.unique(known.kinds[known.fraud])), known, seed=1)


def test_the_shipped_model_stands_by_its_card(measured: pd.DataFrame, economy: Economy) -> None:
    verdict = score.judge(measured)
    honest = (economy.gifts["kind"] == "honest").to_numpy()
    assert verdict["flagged"][honest].mean() < 0.004
    assert verdict["flagged"][~honest].mean() > 0.3
