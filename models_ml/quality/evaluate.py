"""What the model shows on films and strengths that it was not trained on.

Run by `python -m models_ml.evaluate quality`; real films are looked at too when QUALITY_MEDIA names their folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from models_ml import registry
from models_ml.evaluate import Figure
from models_ml.quality import degrade, material, measure
from models_ml.quality import score as scoring
from models_ml.quality import train as training

STRENGTHS = (0.15, 0.4, 0.65, 0.9)
"""Of every kind of fault; the seeds that make them are others than in training."""
SEED = 4711
FLOORS = {
    "pairs_clean_wins": 0.97,
    **{f"fall_{kind}": 0.9 for kind in degrade.KINDS},
    **{f"named_{kind}": 0.9 for kind in degrade.KINDS},
}
"""Below these a model is refused when it is loaded."""


def plan(source: material.Source, seed: int) -> tuple[dict[str, float], ...]:
    """What is done to a held-out film: each fault in each strength, and a clean copy first."""
    kinds = [kind for kind in degrade.PICTURE if source.moves or kind != "freeze"]
    return ({}, *({kind: strength} for kind in kinds for strength in STRENGTHS))


def held_out(media: Path | None, processes: int, *, quick: bool = False) -> list[training.Row]:
    """Spoilt films and sounds that nothing was trained on."""
    found = material.sources(material.HELD_OUT, material.REAL_HELD_OUT, media)
    rows = training.films(found[:2] if quick else found, SEED, processes, plan)
    sounds = [(f"tone-{seed}", material.tone(seed)) for seed in range(1000, 1002 if quick else 1006)]
    for start in (16.0, 22.0):
        samples = None if quick else material.real_sound(media, start)
        if samples is not None:
            sounds.append((f"real-{start:g}", samples))
    for name, samples in sounds:
        faults: list[dict[str, float]] = [{}, *({kind: s} for kind in degrade.SOUND for s in STRENGTHS)]
        rows += training.hear(name, samples, faults, SEED)
    return rows


def figures(model: registry.Model, media: Path | None, processes: int = 2, *, quick: bool = False) -> dict[str, float]:
    """All figures of a model, by name; `fall_<kind>` is minus the mean Spearman correlation over films. The last one,
    `cpu_over_transcode`, depends on the machine."""
    rows = held_out(media, processes, quick=quick)
    found = summary(rows, model)
    found["reencoded_points"] = reencoded(model, media, quick=quick)
    found["cpu_over_transcode"] = time_against_transcode(model, media)
    return found


def summary(rows: Sequence[training.Row], model: registry.Model) -> dict[str, float]:
    """Figures from rows of held-out material."""
    severities = scoring.severities([_whole(row.measured) for row in rows], model)
    worth = [(scoring.points(found, "audioVisual") + scoring.points(found, "delivery")) / 2 for found in severities]
    by_source: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        by_source.setdefault(row.source, []).append(index)
    found: dict[str, float] = {}
    wins: list[bool] = []
    named: list[bool] = []
    for kind in degrade.KINDS:
        falls = []
        own: list[bool] = []
        for places in by_source.values():
            clean = next(place for place in places if not rows[place].faults)
            spoilt = [place for place in places if kind in rows[place].faults]
            if not spoilt:
                continue
            series = [clean, *spoilt]
            strengths = [rows[place].faults.get(kind, 0.0) for place in series]
            falls.append(-float(stats.spearmanr(strengths, [worth[place] for place in series])[0]))
            wins += [worth[clean] > worth[place] for place in spoilt]
            own += [
                _named(rows[place].measured, severities[place], kind)
                for place in spoilt
                if rows[place].faults[kind] >= 0.3
            ]
        found[f"fall_{kind}"] = float(np.nan_to_num(np.mean(falls)))
        found[f"fall_worst_{kind}"] = float(np.nan_to_num(np.min(falls)))
        found[f"named_{kind}"] = float(np.mean(own))
        named += own
    found["pairs"] = float(len(wins))
    found["pairs_clean_wins"] = float(np.mean(wins))
    found["named"] = float(np.mean(named))
    clean_rows = [index for index, row in enumerate(rows) if not row.faults]
    found["clean_points"] = float(np.mean([worth[index] for index in clean_rows]))
    return found


def _whole(measured: Mapping[str, float]) -> dict[str, float]:
    return {"has_sound": 0.0, "seconds": 2.4, **measured}


def _named(measured: Mapping[str, float], found: Mapping[str, float], kind: str) -> bool:
    """Whether a fault is among those that the feedback names."""
    return any(
        loss.cause == kind and loss.points >= scoring.LEAST_POINTS
        for part in ("audioVisual", "delivery")
        for loss in scoring.losses_of(_whole(measured), found, {}, part)[: scoring.NAMED]
    )


def reencoded(model: registry.Model, media: Path | None, *, quick: bool = False) -> float:
    """The largest difference in points between two encodes of a clean held-out film at the same quality."""
    found = material.sources(material.HELD_OUT, material.REAL_HELD_OUT, media)
    most = 0.0
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        for source in found[:2] if quick else found:
            clip = material.make(source, Path(folder))
            rows = []
            for preset in ("superfast", "medium"):
                path = Path(folder) / f"{preset}.mp4"
                degrade.encode(clip.path, path, "null", 20, preset)
                rows.append(measure.measure(path))
            severities = scoring.severities(rows, model)
            for part in ("audioVisual", "delivery"):
                one, other = (scoring.points(row, part) for row in severities)
                most = max(most, abs(one - other))
    return most


def time_against_transcode(model: registry.Model, media: Path | None) -> float:
    """CPU time to score a film over that of its transcode (H.264 in its own size and in 360 lines, AAC, superfast); the
    best of two runs each."""
    found = material.sources(material.HELD_OUT[-1:], material.REAL_HELD_OUT[:1], media)[-1]
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        path = Path(found.what) if found.how == "file" else material.make(found, Path(folder)).path
        coded = ["-c:v", "libx264", "-preset", "superfast", "-crf", "23"]
        renditions = [
            *("-i", str(path), "-filter_complex", "[0:v]split[a][b];[b]scale=-2:360[c]"),
            *("-map", "[a]", "-map", "0:a?", *coded, "-c:a", "aac", str(Path(folder) / "own.mp4")),
            *("-map", "[c]", *coded, str(Path(folder) / "small.mp4")),
        ]
        scoring.judge(measure.measure(path), model)
        own, transcode = [], []
        for _ in range(2):
            began = os.times()
            scoring.judge(measure.measure(path), model)
            between = os.times()
            degrade.run(renditions)
            after = os.times()
            own.append(between.user + between.system - began.user - began.system)
            transcode.append(
                after.children_user + after.children_system - between.children_user - between.children_system
            )
    return min(own) / min(transcode)


def evaluate(*, quick: bool) -> list[Figure]:
    """The figures of the shipped model against what is asked of it."""
    named = os.environ.get("QUALITY_MEDIA")
    media = Path(named) if named else None
    found = figures(registry.load(scoring.NAME, needs=scoring.NEEDS), media, quick=quick)
    table = []
    for kind in degrade.KINDS:
        fall = -found[f"fall_{kind}"]
        table.append(Figure("quality", f"{kind}: score against strength, Spearman", fall, "<= -0.9", fall <= -0.9))
    for kind in degrade.KINDS:
        share = found[f"named_{kind}"]
        table.append(Figure("quality", f"{kind}: named when it is the cause", share, ">= 0.9", share >= 0.9))
    wins, moved = found["pairs_clean_wins"], found["reencoded_points"]
    table.append(Figure("quality", "clean beats its spoilt copy", wins, ">= 0.98", wins >= 0.98))
    table.append(Figure("quality", "two encodes of a film differ by points", moved, "< 3", moved < 3))
    part = found["cpu_over_transcode"]
    table.append(Figure("quality", "CPU time to score over that of its transcode", part, "< 0.5", part < 0.5))
    return table
