"""Training: the same seed gives the same figures; what is missing is said in a sentence; the shipped card is whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from models_ml import registry
from models_ml.engagement import Unusable, judge, score, train
from models_ml.engagement.population import population

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_a_shadow_is_learnt_from_own_posts_alike_for_a_seed_and_is_not_in_use(tmp_path: Path) -> None:
    posts = population(800, 21)
    first, again = (train.shadow(posts, 5, tmp_path / name, NOW) for name in "ab")
    assert first == again
    assert first.metrics["gain_log_loss_over_shrunk"] > 0
    with pytest.raises(registry.Refused, match="no model"):
        registry.load("engagement", [tmp_path / "a"])
    model = registry.load_version("engagement", first.version, tmp_path / "a")
    assert score(posts, model).score.corr(posts.true_rate, method="spearman") > 0.7
    assert judge.figure(posts, judge.answers(model, posts)) == pytest.approx(first.metrics["log_loss"], abs=0.02)


def test_rows_of_one_post_are_kept_for_measuring_together() -> None:
    posts = population(1000, 22).assign(post=lambda frame: frame.post // 4)
    held_out = train._held_out(posts, 1)
    assert 0.15 < held_out.mean() < 0.35
    assert posts.assign(held=held_out).groupby("post").held.nunique().eq(1).all()


def test_too_few_posts_teach_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="at least 500"):
        train.shadow(population(100, 1), 1, tmp_path, NOW)


def test_later_counts_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="later"):
        train.shadow(population(600, 1).assign(later_views=0), 1, tmp_path, NOW)


def test_without_data_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--data", str(tmp_path), "--store", str(tmp_path)]) == 2
    assert "train.parquet" in capsys.readouterr().err
    assert not (tmp_path / "engagement").exists()


def test_the_shipped_model_passes_its_checks_and_says_what_it_is_of() -> None:
    card = registry.load("engagement").card
    assert set(card.files) == {"platform.ubj", "kuairand.ubj"}
    assert {"gain_log_loss_over_raw", "gain_log_loss_over_shrunk", "gain_log_loss_over_rules"} <= set(card.floors)
    assert "CC BY-SA" in card.data["real"]
    assert card.limits
