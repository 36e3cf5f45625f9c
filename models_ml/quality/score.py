"""Five scores of a film with their reasons: `score(path, caption, tags) -> Scored`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models_ml import registry
from models_ml.quality import words
from models_ml.quality.causes import FEATURES, LEARNT, RULES
from models_ml.quality.measure import TooShort, Unreadable, measure

PARTS = ("communityGuidelines", "education", "delivery", "audioVisual", "length")
NAME = "quality"
NAMED = 3
"""So many causes are named at most,"""
LEAST_POINTS = 2.0
"""and those that cost at least this."""
DOUBT = 1.5
"""What a booster predicts is taken to this power: a slight suspicion costs little."""


def _check(parameters: Mapping[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError for parameters that `judge` cannot use."""
    for cause in LEARNT:
        registry.numbers(parameters["clean_contributions"][cause.name], len(FEATURES))


NEEDS = registry.Needs(FEATURES, [cause.name for cause in LEARNT], _check)
"""What judging films takes for granted of a model."""


@dataclass(frozen=True)
class Loss:
    """What a fault takes from a score. `points` are of 100; `because`: the measurements that the model went by."""

    cause: str
    points: float
    said: str
    because: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Scores of PARTS, 0 to 100 or None; feedback of each in words; `unreadable` when nothing was there to measure."""

    scores: Mapping[str, float | None]
    feedback: Mapping[str, str]
    measurements: Mapping[str, float | None]
    model: str
    causes: Mapping[str, Sequence[Loss]]
    missing: str = ""
    unreadable: bool = False


def score(
    path: str | Path,
    caption: str = "",
    tags: Sequence[str] = (),
    *,
    transcript: str = "",
    stores: Sequence[Path] = (registry.SHIPPED,),
) -> Scored:
    """Measure and judge a film. Never raises for a bad file: what cannot be read or is too short is not scored, and
    that needs no model.

    Raises registry.Refused when there is no model that can be used, measure.OutOfTime when the machine is too busy.
    """
    try:
        measured = measure(path)
    except Unreadable as reason:
        version = registry.in_use(NAME, stores)
        return _not_scored(str(reason), version, unreadable=not isinstance(reason, TooShort))
    return judge(measured, registry.load(NAME, stores, NEEDS), caption, tags, transcript)


def judge(
    measured: Mapping[str, float],
    model: registry.Model,
    caption: str = "",
    tags: Sequence[str] = (),
    transcript: str = "",
) -> Scored:
    """Scores of what was measured of a film."""
    said = words.read(caption, tags, transcript)
    found = severities([measured], model)[0]
    because = {cause.name: _because(measured, model, cause.name) for cause in LEARNT if found[cause.name] > 0.05}
    losses = {part: losses_of(measured, found, because, part) for part in ("audioVisual", "delivery")}
    made: dict[str, tuple[float | None, str]] = {part: _made(part, rows, measured) for part, rows in losses.items()}
    made["length"] = length(measured["seconds"])
    made["education"] = words.education(said, measured)
    made["communityGuidelines"] = words.guidelines(said, measured)
    scores = {part: None if (value := made[part][0]) is None else round(value, 2) for part in PARTS}
    numbers: dict[str, float | None] = {
        name: None if not math.isfinite(value) else round(float(value), 4)
        for name, value in {**measured, **said.counts()}.items()
    }
    return Scored(scores, {part: made[part][1] for part in PARTS}, numbers, model.version, losses)


def severities(rows: Sequence[Mapping[str, float]], model: registry.Model) -> list[dict[str, float]]:
    """How bad each fault is in each film, 0 to 1, by name. A film without sound has no faults of sound."""
    table = _table(rows, model)
    found = {cause.name: model.predict(table, cause.name) ** DOUBT for cause in LEARNT}
    made = []
    for index, row in enumerate(rows):
        known = {
            cause.name: any(not math.isnan(row.get(name, math.nan)) for name, sign in cause.measures.items() if sign)
            for cause in LEARNT
        }
        made.append({name: float(values[index]) if known[name] else 0.0 for name, values in found.items()})
        made[-1].update({rule.name: rule.severity(row) for rule in RULES})
    return made


def points(found: Mapping[str, float], part: str) -> float:
    """0 to 100: each fault takes its part of what the others have left."""
    return 100 * math.prod(1 - _weight(cause, part) * found[cause.name] for cause in (*LEARNT, *RULES))


def _weight(cause: object, part: str) -> float:
    return float(getattr(cause, "audio_visual" if part == "audioVisual" else "delivery")) / 100


def _table(rows: Sequence[Mapping[str, float]], model: registry.Model) -> registry.Matrix:
    return np.array([[row.get(name, math.nan) for name in model.card.features] for row in rows], dtype=np.float32)


def _because(measured: Mapping[str, float], model: registry.Model, cause: str) -> tuple[str, ...]:
    """The two measurements that speak most for a fault, by SHAP against the clean reference of the card."""
    own = model.contributions(_table([measured], model), cause)[0]
    clean = np.array(model.card.parameters["clean_contributions"][cause])
    order = np.argsort(clean - own)[:2]
    return tuple(model.card.features[place] for place in order if own[place] > clean[place])


def losses_of(
    measured: Mapping[str, float],
    found: Mapping[str, float],
    because: Mapping[str, tuple[str, ...]],
    part: str,
) -> list[Loss]:
    """The causes of what is missing to 100, the dearest first; their points add up to it."""
    parts = {cause.name: -math.log(1 - _weight(cause, part) * found[cause.name]) for cause in (*LEARNT, *RULES)}
    whole = sum(parts.values())
    missing = 100 - points(found, part)
    losses = [
        Loss(cause.name, missing * parts[cause.name] / whole, cause.said(measured), because.get(cause.name, ()))
        for cause in (*LEARNT, *RULES)
        if parts[cause.name] > 0
    ]
    return sorted(losses, key=lambda loss: -loss.points)


def _made(part: str, losses: Sequence[Loss], measured: Mapping[str, float]) -> tuple[float, str]:
    value = 100 - sum(loss.points for loss in losses)
    named = [loss for loss in losses[:NAMED] if loss.points >= LEAST_POINTS]
    if named:
        text = "; ".join(_sentence(loss) for loss in named)
        text = text[0].upper() + text[1:] + "."
    else:
        text = f"Nothing was found that lowers it by {LEAST_POINTS:.0f} points or more: {_clean(measured)}."
    if not measured["has_sound"]:
        text += " There is no sound track, so only the picture was judged."
    elif part == "delivery" and measured["speech"] >= words.SPEECH:
        text += " Somebody speaks."
    return max(0.0, value), text


def _sentence(loss: Loss) -> str:
    by = f", by {' and '.join(loss.because)}" if loss.because else ""
    return f"{loss.said}: {loss.points:.0f} point{'s' if round(loss.points) != 1 else ''} less{by}"


def _clean(measured: Mapping[str, float]) -> str:
    sound = f", {measured['loudness_lufs']:.0f} LUFS" if math.isfinite(measured["loudness_lufs"]) else ""
    return (
        f"{measured['width']:.0f} x {measured['height']:.0f} at {measured['frame_rate']:.0f} pictures a second, "
        f"mean brightness {measured['luma_mean'] / 2.55:.0f} %{sound}"
    )


def length(seconds: float) -> tuple[float, str]:
    """Best from 8 to 60 s. Shorter and longer ones lose with the logarithm: half is left at 2 s and at 8 minutes."""
    if seconds < 8:
        value, word = 100 - 25 * math.log2(8 / seconds), "short"
    elif seconds > 60:
        value, word = 100 - 50 / 3 * math.log2(seconds / 60), "long"
    else:
        return 100.0, f"It lasts {seconds:.1f} s, which is within 8 to 60 s."
    lost = 100 - max(0.0, value)
    return max(0.0, value), f"It lasts {seconds:.1f} s, which is {word} (8 to 60 s is best): {lost:.0f} points less."


def _not_scored(reason: str, version: str, *, unreadable: bool) -> Scored:
    text = f"Not scored: {reason}"
    return Scored(dict.fromkeys(PARTS), dict.fromkeys(PARTS, text), {}, version, {}, reason, unreadable)
