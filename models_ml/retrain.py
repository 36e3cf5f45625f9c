"""A model trained anew is a shadow first: it takes over only when it is better on data that neither has seen.

The caller trains and saves the candidate (`registry.save`, without promoting it), waits until there is data from after
both trainings, asks `consider`, and writes down the verdict. Each model says in `models_ml.<model>.judge.JUDGE` by what
it is compared. No database is needed: frames in, a verdict out.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from models_ml import registry
from models_ml.registry import Model, Needs, Refused

Numbers = npt.NDArray[np.float64]

RESAMPLES = 1000
SURE = 0.95
"""The candidate must be better in this share of the resamples."""
LEAST_UNITS = 100
"""With less fresh data nothing is decided."""


@dataclass(frozen=True)
class Judge:
    """By what versions of a model are compared.

    `answers(model, fresh)`: one number for each row; `figure(fresh, answers)`: how good they are, in one number;
    `unit`: a column whose rows belong together and are drawn together (missing or empty: each row is on its own);
    `needs`: what `answers` takes for granted of a model.
    """

    measure: str
    answers: Callable[[Model, pd.DataFrame], Numbers]
    figure: Callable[[pd.DataFrame, Numbers], float]
    higher_is_better: bool
    unit: str = ""
    needs: Needs | None = None


@dataclass(frozen=True)
class Verdict:
    """What was decided about a candidate. `current` is None when there was no model in use; its figure is NaN then, and
    when it could not answer; `certainty`: the share of resamples in which the candidate was better, NaN when it did not
    come to that."""

    model: str
    candidate: str
    current: str | None
    promoted: bool
    reason: str
    measure: str
    candidate_figure: float
    current_figure: float
    certainty: float
    rows: int
    outcome: str = "refused"
    """refused | too_few | no_figure | first | in_use | not_better | better: what `reason` says, in one word."""


def consider(
    model: str,
    candidate_version: str,
    fresh: pd.DataFrame,
    store: Path,
    *,
    others: Sequence[Path] = (registry.SHIPPED,),
    judge: Judge | None = None,
    seed: int = 1,
    promote: bool = True,
) -> Verdict:
    """Compare a candidate in `store` with the model in use on fresh rows, and promote it when it is surely better.

    The model in use is that of `store`, or of the first of `others` that has one. Surely better: by the judge's figure,
    and in SURE of RESAMPLES draws of the same units for both (`certainty`). A candidate that fails its card's checks,
    or cannot answer with a finite figure, is refused and what is in use stays; where nothing is in use, or what is
    cannot answer, a candidate that passes is promoted. Without `promote` the verdict is the same, and carrying it out
    is left to the caller. Raises ValueError for a model without a judge.
    """
    judge = judge or judge_of(model)
    known = Verdict(model, candidate_version, None, False, "", judge.measure, math.nan, math.nan, math.nan, len(fresh))
    current: Model | None = None
    try:
        current = registry.load(model, [store, *others], judge.needs)
        known = replace(known, current=current.version)
    except Refused as refusal:
        nothing = str(refusal)
    try:
        candidate = registry.load_version(model, candidate_version, store, judge.needs)
    except Refused as refusal:
        return replace(known, reason=f"Refused: {refusal}")
    units = _units(fresh, judge.unit)
    if len(units) < LEAST_UNITS:
        reason = f"There are only {len(units)} fresh cases; at least {LEAST_UNITS} are needed."
        return replace(known, outcome="too_few", reason=reason)
    theirs = judge.answers(candidate, fresh)
    known = replace(known, candidate_figure=judge.figure(fresh, theirs))
    if not math.isfinite(known.candidate_figure):
        return replace(known, outcome="no_figure", reason="The candidate has no finite figure on fresh data.")
    if current is None:
        known = replace(known, promoted=True, outcome="first", reason=f"Nothing was in use. {nothing}")
    elif current.version == candidate_version:
        known = replace(known, current_figure=known.candidate_figure, outcome="in_use")
        known = replace(known, reason="The candidate is already in use.")
    else:
        known = _compared(known, fresh, theirs, current, judge, units, seed)
    if known.promoted and promote:
        registry.promote(model, candidate_version, store, judge.needs)
    return known


def _compared(
    known: Verdict,
    fresh: pd.DataFrame,
    theirs: Numbers,
    current: Model,
    judge: Judge,
    units: Sequence[npt.NDArray[np.int64]],
    seed: int,
) -> Verdict:
    """Whether the candidate's answers are surely better than those of the model in use, if that has any."""
    try:
        ours = judge.answers(current, fresh)
        known = replace(known, current_figure=judge.figure(fresh, ours))
    except (Refused, ValueError) as error:  # not the frame's fault: the candidate could answer
        return replace(known, promoted=True, outcome="first", reason=f"{known.current} cannot answer: {error}")
    if not math.isfinite(known.current_figure):
        return replace(known, promoted=True, outcome="first", reason=f"{known.current} has no finite figure.")
    sure = certainty(fresh, theirs, ours, judge, units, np.random.default_rng(seed))
    known = replace(known, certainty=sure)
    compared = (
        f"{known.measure} {known.candidate_figure:.4g} against {known.current_figure:.4g} of {known.current} on "
        f"{known.rows} fresh rows; better in {known.certainty:.1%} of resamples, {SURE:.0%} are needed"
    )
    gain = known.candidate_figure - known.current_figure
    if not (gain > 0 if judge.higher_is_better else gain < 0) or known.certainty < SURE:
        return replace(known, outcome="not_better", reason=f"Not surely better: {compared}.")
    return replace(known, promoted=True, outcome="better", reason=f"Better: {compared}.")


def certainty(
    fresh: pd.DataFrame,
    candidate: Numbers,
    current: Numbers,
    judge: Judge,
    units: Sequence[npt.NDArray[np.int64]],
    draw: np.random.Generator,
) -> float:
    """The share of RESAMPLES in which the candidate's figure is better: units drawn with replacement, the same for both
    (paired bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; Koehn, EMNLP 2004)."""
    better = 0
    for _ in range(RESAMPLES):
        rows = np.concatenate([units[at] for at in draw.integers(len(units), size=len(units))])
        drawn = fresh.iloc[rows]
        gain = judge.figure(drawn, candidate[rows]) - judge.figure(drawn, current[rows])
        better += gain > 0 if judge.higher_is_better else gain < 0
    return better / RESAMPLES


def judge_of(model: str) -> Judge:
    """The model's own judge. Raises ValueError when it has none."""
    name = f"models_ml.{model}.judge"
    try:
        judge: Judge = importlib.import_module(name).JUDGE
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise ValueError(f"There is nothing by which versions of {model!r} are compared.") from error
    return judge


def _units(fresh: pd.DataFrame, unit: str) -> list[npt.NDArray[np.int64]]:
    """Positions of the rows of each unit."""
    if not unit or unit not in fresh.columns:
        return [np.array([at]) for at in range(len(fresh))]
    return [np.asarray(rows, np.int64) for rows in fresh.groupby(unit, sort=True, dropna=False).indices.values()]
