"""A candidate takes over only when it is surely better on fresh data, and what fails its checks never does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb

from models_ml import registry, retrain
from models_ml.registry import Card, Model, Needs
from models_ml.retrain import Judge, Verdict, consider, judge_of

FEATURES = ["a", "b"]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain, "RESAMPLES", 100)


def answers(model: Model, fresh: pd.DataFrame) -> np.ndarray:
    return model.predict(fresh[FEATURES].to_numpy(np.float32))


def figure(fresh: pd.DataFrame, answered: np.ndarray) -> float:
    return float(np.mean((fresh.truth.to_numpy() - answered) ** 2))


JUDGE = Judge("squared error", answers, figure, higher_is_better=False)


def material(size: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame(draw.random((size, 2)), columns=FEATURES)
    return frame.assign(truth=2 * frame.a - frame.b + draw.normal(0, 0.3, size))


def saved(store: Path, version: str, rounds: int, seed: int = 1, **changes: object) -> str:
    learnt = material(400, seed)
    rows = learnt[FEATURES].to_numpy(np.float32)
    matrix = xgb.DMatrix(rows, learnt.truth, feature_names=FEATURES)
    booster = xgb.train({"max_depth": 2, "nthread": 1, "seed": seed}, matrix, rounds)
    card = Card("engagement", version, "2026-11-01", "test", 1, {}, FEATURES, {"r2": 0.5}, {"r2": 0.1}, ["Of tests."])
    registry.save(Card(**{**card.__dict__, **changes}), {"model": booster}, rows[:2], store)
    return version


@pytest.fixture
def store(tmp_path: Path) -> Path:
    registry.promote("engagement", saved(tmp_path, "now", 3), tmp_path)
    return tmp_path


def ask(store: Path, candidate: str, fresh: pd.DataFrame | None = None, judge: Judge = JUDGE) -> Verdict:
    return consider(
        "engagement", candidate, material(500, 9) if fresh is None else fresh, store, others=(), judge=judge
    )


def in_use(store: Path) -> str:
    return registry.load("engagement", [store]).version


def test_a_surely_better_candidate_takes_over_and_the_verdict_says_why(store: Path) -> None:
    verdict = ask(store, saved(store, "new", 40))
    assert verdict.promoted
    assert in_use(store) == "new"
    assert verdict.candidate_figure < verdict.current_figure
    assert verdict.certainty > 0.99
    assert (verdict.current, verdict.rows) == ("now", 500)
    assert "squared error" in verdict.reason
    assert "now" in verdict.reason


def test_a_worse_candidate_stays_in_the_shadow(store: Path) -> None:
    verdict = ask(store, saved(store, "new", 1))
    assert not verdict.promoted
    assert verdict.candidate_figure > verdict.current_figure
    assert in_use(store) == "now"


def test_better_by_noise_alone_is_not_better(store: Path) -> None:
    """Twins of the same quality: at most a few of many may pass, though about half have the better figure."""
    verdicts = []
    for seed in range(2, 8):
        verdicts.append(ask(store, saved(store, f"twin-{seed}", 3, seed), material(120, 50 + seed)))
        registry.promote("engagement", "now", store)
    assert sum(verdict.candidate_figure < verdict.current_figure for verdict in verdicts) >= 1
    assert sum(verdict.promoted for verdict in verdicts) <= 1
    assert all(verdict.certainty < 0.95 for verdict in verdicts if not verdict.promoted)


def test_a_figure_that_should_be_high_is_read_so(store: Path) -> None:
    high = Judge(
        "minus squared error", answers, lambda fresh, answered: -figure(fresh, answered), higher_is_better=True
    )
    assert not ask(store, saved(store, "worse", 1), judge=high).promoted
    assert ask(store, saved(store, "better", 40), judge=high).promoted


def test_a_verdict_can_be_left_to_be_carried_out(store: Path) -> None:
    new = saved(store, "new", 40)
    verdict = consider("engagement", new, material(500, 9), store, others=(), judge=JUDGE, promote=False)
    assert (verdict.promoted, verdict.outcome, in_use(store)) == (True, "better", "now")
    assert ask(store, new) == verdict
    assert in_use(store) == "new"


def test_rows_of_one_unit_are_one_case(store: Path) -> None:
    fresh = material(500, 9).assign(post=lambda frame: np.arange(len(frame)) // 50)
    by_post = Judge("squared error", answers, figure, higher_is_better=False, unit="post")
    verdict = ask(store, saved(store, "new", 40), fresh, by_post)
    assert not verdict.promoted
    assert "only 10 fresh cases" in verdict.reason


def _spoil(store: Path) -> None:
    path = store / "engagement" / "new" / "model.ubj"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _below_its_floor(store: Path) -> None:
    path = store / "engagement" / "new" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {"r2": 0.0}}))


@pytest.mark.parametrize(("spoil", "said"), [(_spoil, "not the file"), (_below_its_floor, "at least 0.1")])
def test_a_candidate_that_fails_its_cards_checks_is_refused_and_the_former_stays(
    store: Path, spoil: object, said: str
) -> None:
    saved(store, "new", 40)
    spoil(store)  # type: ignore[operator]
    verdict = ask(store, "new")
    assert not verdict.promoted
    assert verdict.reason.startswith("Refused: ")
    assert said in verdict.reason
    assert in_use(store) == "now"


def test_where_nothing_is_in_use_a_sound_candidate_begins(tmp_path: Path) -> None:
    verdict = ask(tmp_path, saved(tmp_path, "first", 3))
    assert verdict.promoted
    assert verdict.current is None
    assert in_use(tmp_path) == "first"


def test_where_what_is_in_use_cannot_answer_a_sound_candidate_takes_over(store: Path) -> None:
    def fails(model: Model, fresh: pd.DataFrame) -> np.ndarray:
        if model.version == "now":
            raise ValueError("feature names mismatch")
        return answers(model, fresh)

    def nothing(model: Model, fresh: pd.DataFrame) -> np.ndarray:
        return answers(model, fresh) * (np.nan if model.version == "now" else 1)

    for answering in (fails, nothing):
        registry.promote("engagement", "now", store)
        judge = Judge("squared error", answering, figure, higher_is_better=False)
        verdict = ask(store, saved(store, "new", 1), judge=judge)
        assert (verdict.promoted, verdict.outcome, verdict.current) == (True, "first", "now")
        assert in_use(store) == "new"


def test_what_other_code_made_counts_as_absent(store: Path) -> None:
    judge = Judge("squared error", answers, figure, higher_is_better=False, needs=Needs(["b", "a"]))
    learnt = material(400, 1)
    matrix = xgb.DMatrix(learnt[["b", "a"]], learnt.truth)
    card = Card("engagement", "new", "2026-11-01", "test", 1, {}, ["b", "a"], {}, {}, ["Of tests."])
    registry.save(card, {"model": xgb.train({"nthread": 1}, matrix, 1)}, np.zeros((1, 2), np.float32), store)
    verdict = ask(store, "new", judge=judge)
    assert (verdict.promoted, verdict.outcome, verdict.current) == (True, "first", None)
    assert "other features" in verdict.reason
    assert ask(store, "now", judge=judge).outcome == "refused"


def test_what_is_in_use_is_not_compared_with_itself(store: Path) -> None:
    verdict = ask(store, "now")
    assert not verdict.promoted
    assert "already in use" in verdict.reason


def test_every_verdict_on_the_same_data_is_the_same(store: Path) -> None:
    candidate = saved(store, "twin", 3, 2)
    assert ask(store, candidate) == ask(store, candidate)


def test_a_model_without_a_judge_is_an_error_of_the_caller() -> None:
    assert judge_of("engagement").unit == "post"
    with pytest.raises(ValueError, match="nothing by which"):
        judge_of("weather")
