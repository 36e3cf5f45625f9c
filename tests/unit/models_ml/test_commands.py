"""The commands under their names, those of before among them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from models_ml import evaluate, registry, train
from models_ml.engagement import evaluate as of_engagement

PROJECT = Path(train.__file__).parents[1]


@pytest.mark.parametrize(
    ("former", "model"), [("engagement", "engagement"), ("content_quality", "quality"), ("anomaly", "anomaly")]
)
def test_former_names_of_commands_train_the_models_of_today(
    former: str, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["former", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PROJECT / f"train_{former}_model.py"), run_name="__main__")
    assert ended.value.code == 0
    assert f"python -m models_ml.train {model}" in capsys.readouterr().out


def test_an_unknown_model_is_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["weather"]) == 2
    assert "quality|engagement|anomaly" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_a_missed_line_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(of_engagement.registry, "load", lambda name, **_: registry.load_version(name, "none", tmp_path))
    assert evaluate.main(["engagement", "--quick"]) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("engagement") and line.endswith("MISSED")


def test_all_models_are_in_the_table_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(name: str) -> SimpleNamespace:
        return SimpleNamespace(evaluate=lambda quick: [evaluate.Figure(name, "asked", 1.0, "", True)])

    monkeypatch.setattr(evaluate, "importlib", SimpleNamespace(import_module=judged))
    assert evaluate.main([]) == 0
    assert [line.split()[0].split(".")[1] for line in capsys.readouterr().out.splitlines()] == list(evaluate.MODELS)


def test_the_table_has_a_line_for_each_figure_and_its_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate.main(["engagement", "--quick", "--data", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert sum("(card)" in line for line in lines) == 2, "without the data its figures are those of the card"
    assert any(line.split()[-1] == "reached" for line in lines)
