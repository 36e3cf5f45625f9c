"""The shipped ranker: learnt from simulated towns by one command, with a card that says what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from models_ml import registry
from models_ml import train as commands
from models_ml.ranking import train
from models_ml.ranking.features import NAMES
from models_ml.ranking.ranker import NEEDS, RULE, Ranker, rule
from models_ml.ranking.rehearsal import OTHERS
from models_ml.ranking.simulate.lessons import Told, taught
from models_ml.ranking.simulate.town import Plan
from models_ml.registry import Card

MADE_AT = datetime(2026, 1, 2, tzinfo=UTC)
TINY = Plan(people=15, posts=200, sessions=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def card(store: Path) -> Card:
    return train.train(1, store, MADE_AT, quick=True)


def test_the_card_says_what_it_was_learnt_from_and_how_good_it_is(card: Card, store: Path) -> None:
    assert list(card.features) == list(NAMES) and card.limits and card.data["lessons"] > 0
    assert {f"{figure}_{name}" for figure in ("ndcg", "hr", "pleasure") for name in ("rule", "shipped", "own")} <= set(
        card.metrics
    )
    written = registry.read_card(store / "ranking" / card.version / "card.json")
    assert written.metrics == card.metrics and written.files == card.files


def test_learning_again_gives_the_same_trees_and_figures(card: Card, tmp_path: Path) -> None:
    again = train.train(1, tmp_path, MADE_AT, quick=True)
    assert again.version == card.version and again.files == card.files
    assert again.metrics == card.metrics


def test_a_version_that_is_not_better_than_the_rule_is_refused(
    card: Card, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = registry._booster(store / "ranking" / card.version / "model.ubj", card.files["model.ubj"], card)
    worse = {**card.metrics, "gain_pleasure_over_rule": -0.01}
    told = {**vars(card), "metrics": worse, "version": "ranking-worse"}
    registry.save(Card(**told), {"model": trees}, np.zeros((1, len(NAMES)), np.float32), store)
    with pytest.raises(registry.Refused, match="gain_pleasure_over_rule"):
        registry.promote("ranking", "ranking-worse", store, NEEDS)


def test_lessons_are_on_the_scale_of_choices_whatever_a_platform_tells() -> None:
    silent = Told(text=False, creators=False, watch=False, silence=False)
    for told in (Told(), silent):
        lessons = [each for each in taught(7, TINY, told, Ranker(), own=0.5, rate=0.5) if each.weight > 1]
        rows = np.concatenate([lesson.features for lesson in lessons])
        assert rows.shape[1] == len(NAMES)
        assert 0.2 < np.concatenate([lesson.labels for lesson in lessons]).mean() * (OTHERS + 1) < 5
        known = ~np.isnan(rows[:, NAMES.index("creator_posts")])
        assert known.all() if told.creators else not known.any()


def test_the_shipped_ranker_passes_its_checks_and_beats_the_rule() -> None:
    shipped = registry.load("ranking", needs=NEEDS)
    metrics = shipped.card.metrics
    for figure in ("ndcg", "hr", "pleasure"):
        assert metrics[f"{figure}_shipped"] > metrics[f"{figure}_rule"]
    assert metrics["gain_real_ndcg_high"] >= 0, "on real likes it is not surely worse"


def test_the_shipped_ranker_prefers_what_is_taken_well_where_the_rule_cannot_tell() -> None:
    ranker = Ranker(registry.load("ranking", needs=NEEDS).boosters["model"])
    rows = np.zeros((2, len(NAMES)), dtype=np.float32)
    for name in NAMES:
        if name.startswith(("topic_leaning", "topic_taken")):
            rows[:, NAMES.index(name)] = (1.0, -1.0)
            assert name not in RULE
    assert rule(rows)[0] == rule(rows)[1]
    better, worse = ranker.score(rows)
    assert better > worse


def test_the_command_is_among_those_that_train(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        commands.main(["ranking", "--help"])
    assert "--quick" in capsys.readouterr().out
