"""Films are scored with reasons, and what cannot be measured is never a number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models_ml import registry
from models_ml.quality import __main__ as command
from models_ml.quality import causes, degrade, material, measure
from models_ml.quality import score as scoring


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> material.Clip:
    return material.make(material.Source("paint-77", "paint", "77"), tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def files(clean: material.Clip, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clean film and one for each fault of the picture, without sound."""
    folder, made = tmp_path_factory.mktemp("films"), {}
    for kind in ("clean", *degrade.PICTURE):
        made[kind] = folder / f"{kind}.mp4"
        faults = {} if kind == "clean" else {kind: 0.7}
        shape = clean.width, clean.height
        degrade.spoil_picture(
            clean.path, made[kind], faults, shape, clean.rate, clean.seconds, np.random.default_rng(9)
        )
    return made


@pytest.mark.parametrize("kind", degrade.PICTURE)
def test_a_fault_of_the_picture_costs_points_and_is_named(files: dict[str, Path], kind: str) -> None:
    good, bad = scoring.score(files["clean"]), scoring.score(files[kind])
    for part in ("audioVisual", "delivery"):
        assert (bad.scores[part] or 0) < (good.scores[part] or 0) - 5
        losses = bad.causes[part]
        assert kind in [loss.cause for loss in losses[: scoring.NAMED]]
        assert sum(loss.points for loss in losses) == pytest.approx(100 - (bad.scores[part] or 0), abs=0.02)
    named = next(loss for loss in bad.causes["audioVisual"] if loss.cause == kind)
    assert named.said.lower() in bad.feedback["audioVisual"].lower()


@pytest.mark.parametrize("kind", degrade.SOUND)
def test_a_fault_of_the_sound_costs_points_and_is_named(kind: str) -> None:
    model = registry.load("quality")
    from models_ml.quality import sound

    rows = [sound.sound(material.tone(31, 4.0))]
    rows.append(sound.sound(degrade.spoil_sound(material.tone(31, 4.0), {kind: 0.7}, np.random.default_rng(1))))
    good, bad = scoring.severities(rows, model)
    assert bad[kind] > good[kind] + 0.2
    assert scoring.points(bad, "delivery") < scoring.points(good, "delivery") - 5
    assert max(degrade.SOUND, key=lambda name: bad[name]) == kind


def test_five_parts_with_reasons_and_no_sound_is_said(files: dict[str, Path]) -> None:
    made = scoring.score(files["clean"], "How to paint #tutorial")
    assert tuple(made.scores) == tuple(made.feedback) == scoring.PARTS
    assert all(value is not None and 0 <= value <= 100 for value in made.scores.values())
    assert "no sound track" in made.feedback["audioVisual"]
    assert "never a decision" in made.feedback["communityGuidelines"]


def test_what_is_too_short_or_no_film_is_not_scored(tmp_path: Path, clean: material.Clip) -> None:
    short, text, cut = (tmp_path / name for name in ("short.mp4", "text.mp4", "cut.mp4"))
    degrade.run(["-i", str(clean.path), "-t", "0.5", "-an", str(short)])
    text.write_text("not a film")
    cut.write_bytes(short.read_bytes()[:200])
    for path in (short, text, cut, tmp_path / "nothing.mp4", tmp_path):
        made = scoring.score(path)
        assert set(made.scores.values()) == {None}
        assert made.missing
        assert all(reason.startswith("Not scored") for reason in made.feedback.values())
        assert made.unreadable == (path != short)


def test_a_film_with_more_pictures_than_are_read_is_as_long_as_it_says(
    clean: material.Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measure.decode(clean.path).seconds
    for limit in ("MAX_RUN", "MAX_FRAMES"):
        with monkeypatch.context() as patch:
            patch.setattr(measure, limit, 12)
            cut = measure.decode(clean.path)
        assert len(cut.runs[0][0]) == 12
        assert cut.seconds == pytest.approx(whole, abs=0.1)


@pytest.mark.parametrize("limit", ["TIME_LIMIT", "STALL_LIMIT"])
def test_a_film_that_takes_too_long_is_neither_shortened_nor_unreadable(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    monkeypatch.setattr(measure, limit, 1e-9)
    with pytest.raises(measure.OutOfTime):
        measure.measure(files["clean"])
    assert command.main([str(files["clean"])]) == command.OUT_OF_TIME
    assert capsys.readouterr().err.count("\n") == 1


def test_a_playlist_opens_no_other_file(tmp_path: Path, files: dict[str, Path]) -> None:
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:2,\n{files['clean']}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile '{files['clean']}'\n")
    for name in ("list.m3u8", "list.ffconcat"):
        assert scoring.score(tmp_path / name).unreadable


def test_the_command_prints_json_or_one_sentence(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(files["clean"]), "--caption", "How to paint"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"scores", "feedback", "measurements", "model"}
    assert answer["measurements"]["loudness_lufs"] is None
    assert command.main([str(tmp_path / "nothing.mp4")]) == command.UNREADABLE != 0
    told = capsys.readouterr()
    assert not told.out
    assert told.err.count("\n") == 1
    assert "Traceback" not in told.err


def test_the_shipped_model_is_held_to_what_is_always_worse() -> None:
    model = registry.load("quality")
    assert set(model.boosters) == {cause.name for cause in causes.LEARNT}
    row = np.full((21, len(model.card.features)), np.nan, dtype=np.float32)
    row[:, model.card.features.index("frozen_share")] = np.linspace(0, 1, 21)
    strengths = model.predict(row, "freeze")
    assert (np.diff(strengths) >= 0).all()
    assert strengths[-1] > strengths[0] + 0.5


def test_the_best_length_is_between_too_short_and_too_long() -> None:
    points = [scoring.length(seconds)[0] for seconds in (1, 2, 8, 30, 60, 120, 480, 4000)]
    assert points[2:5] == [100, 100, 100]
    assert points[:3] == sorted(points[:3])
    assert points[4:] == sorted(points[4:], reverse=True)
    assert scoring.length(2)[0] == scoring.length(480)[0] == pytest.approx(50)
