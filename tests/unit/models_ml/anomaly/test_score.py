"""Judging gifts: learnt on a small economy, asked about what is plain and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from models_ml import registry
from models_ml.anomaly import heldout, learn, score
from models_ml.anomaly.features import NAMES
from models_ml.anomaly.learn import Material, Trained
from models_ml.anomaly.score import AT_ONCE, LATER, VIEWS
from models_ml.anomaly.simulate import KINDS, Economy
from models_ml.registry import Card, Model


@pytest.fixture(scope="module")
def known(economy: Economy, measured: pd.DataFrame) -> Material:
    kinds = economy.gifts["kind"].to_numpy(dtype=str)
    return Material(measured.to_numpy(np.float32), kinds, score.bonds(economy.gifts))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn, "ROUNDS", 30)
        yield


@pytest.fixture(scope="module")
def trained(known: Material) -> Trained:
    return learn.fit([known], known, seed=2)


@pytest.fixture(scope="module")
def model(trained: Trained, known: Material, tmp_path_factory: pytest.TempPathFactory) -> Model:
    store: Path = tmp_path_factory.mktemp("store")
    card = Card("anomaly", "anomaly-1", "2026-11-01T00:00:00Z", "test", 2, {}, NAMES, {}, {}, (),
                parameters=trained.parameters)  # fmt: skip
    registry.save(card, {"model": trained.booster}, known.rows[:3], store)
    return registry.load_version("anomaly", "anomaly-1", store)


def test_what_it_learnt_it_finds_and_says_why(
    model: Model, known: Material, economy: Economy, measured: pd.DataFrame
) -> None:
    verdict = score.judge(measured, economy.gifts, model, view=LATER)
    assert list(verdict.index) == list(measured.index)
    assert verdict["probability"].between(0, 1).all()
    flagged = verdict["flagged"].to_numpy(bool)
    assert known.fraud[flagged].mean() >= learn.PRECISION
    assert flagged[known.fraud].mean() > 0.5
    assert all(1 <= len(reasons) <= score.MOST_REASONS for reasons in verdict.loc[flagged, "reasons"])
    assert all(reasons == () for reasons in verdict.loc[~flagged, "reasons"])


def test_a_later_look_finds_more_than_one_at_once(trained: Trained, known: Material) -> None:
    later, at_once = (learn.average_precision(trained.probability(known, view), known.fraud) for view in VIEWS[::-1])
    assert later > at_once


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_at_once_nothing_is_known_of_what_follows(
    model: Model, economy: Economy, measured: pd.DataFrame, part: float
) -> None:
    past = economy.gifts["time"] <= economy.gifts["time"].quantile(part)
    then = score.judge(measured[past], economy.gifts[past], model)
    whole = score.judge(measured, economy.gifts, model)
    np.testing.assert_allclose(then["probability"], whole.loc[past, "probability"], rtol=1e-6)


def test_nothing_is_judged_to_nothing(model: Model, economy: Economy, measured: pd.DataFrame) -> None:
    verdict = score.judge(measured.head(0), economy.gifts.head(0), model)
    assert list(verdict.columns) == ["probability", "flagged", "reasons"]


def test_a_missing_feature_is_an_error(model: Model, economy: Economy, measured: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="hour_count"):
        score.judge(measured.drop(columns="hour_count"), economy.gifts, model)


def test_a_model_of_other_code_is_refused(model: Model, economy: Economy, measured: pd.DataFrame) -> None:
    old = Model(replace(model.card, parameters={"threshold": 0.5}), model.boosters)
    with pytest.raises(registry.Refused, match="no view 'at_once'"):
        score.judge(measured, economy.gifts, old)


def test_training_again_gives_the_same(known: Material, trained: Trained) -> None:
    again = learn.fit([known], known, seed=2)
    assert again.parameters == trained.parameters
    assert again.booster.save_raw("json") == trained.booster.save_raw("json")


def test_the_look_without_kinds_looks_only_towards_fraud(trained: Trained, known: Material) -> None:
    row = np.nan_to_num(np.nanmedian(known.rows, axis=0))[None].astype(np.float32)
    high, low, missing = row.copy(), row.copy(), row.copy()
    column = NAMES.index("hour_count")
    high[0, column], low[0, column], missing[0, column] = 500, 0, np.nan
    far = [score.tails(rows, trained.parameters["tails"])[0, column] for rows in (high, low, missing)]
    assert far == [4.0, 0.0, 0.0]


def test_nothing_suspicious_speaks_for_a_gift(trained: Trained) -> None:
    assert all(weight >= 0 for curve in trained.parameters["views"].values() for weight in curve["weights"])


def test_probabilities_say_how_often(trained: Trained, known: Material) -> None:
    for view in VIEWS:
        assert trained.probability(known, view).mean() == pytest.approx(known.fraud.mean(), rel=0.1)


def test_economies_side_by_side_do_not_know_one_another(known: Material, trained: Trained) -> None:
    alone, twice = trained.probability(known), trained.probability(learn.joined([known, known]))
    np.testing.assert_allclose(twice, np.concatenate([alone, alone]), rtol=1e-6)


def test_the_threshold_keeps_its_precision() -> None:
    chances = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.1])
    fraud = np.array([True, True, False, True, True, False])
    assert learn.cut_at(chances, fraud, 0.95) == 0.8
    assert learn.cut_at(chances, fraud, 0.8) == 0.6
    assert learn.cut_at(chances, ~fraud, 0.95) == 1.0


def test_average_precision_is_what_others_call_it() -> None:
    dice = np.random.default_rng(1)
    chances, fraud = dice.integers(0, 40, 500) / 40, dice.random(500) < 0.1
    assert learn.average_precision(chances, fraud) == pytest.approx(average_precision_score(fraud, chances))


def test_without_fraud_there_is_nothing_to_learn(known: Material) -> None:
    with pytest.raises(ValueError, match="no fraud"):
        learn.fit([known.without(KINDS)], known, seed=1)


def test_a_group_that_is_held_out_is_asked_about_and_not_learnt(
    known: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[str] = []
    boost = learn._boost

    def watched(learnt: Material, seed: int) -> object:
        taught.extend(np.unique(learnt.kinds))
        return boost(learnt, seed)

    monkeypatch.setattr(learn, "_boost", watched)
    group = heldout.GROUPS[3]
    fold = heldout.fold(3, [known], known, [known.without([kind for kind in KINDS if kind not in group])])
    assert set(fold.recalls) == set(group)
    assert not set(taught) & set(group)
    assert len(set(taught)) == len(KINDS) - 2 + 1
    assert 0.2 < fold.at_once <= 1
    assert set(sum(heldout.GROUPS, ())) == set(KINDS)


def test_the_shipped_model_stands_by_its_card(measured: pd.DataFrame, economy: Economy) -> None:
    honest = (economy.gifts["kind"] == "honest").to_numpy()
    for view in (AT_ONCE, LATER):
        flagged = score.judge(measured, economy.gifts, view=view)["flagged"]
        assert flagged[honest].mean() < 0.004
        assert flagged[~honest].mean() > 0.3
