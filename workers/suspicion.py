"""What the model of odd gifts says about the log: from what was read of it to the model's frames, and back to findings.

Without a model that passes its checks and can answer, or with too little history, there are no findings, and the log
says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
import structlog

from models_ml.anomaly import score
from models_ml.anomaly.features import features
from models_ml.registry import Model, Refused
from popoff.integrity.history import History, Inflow, PastGift
from popoff.integrity.rules import Finding, Rule
from workers import models

log = structlog.get_logger()

MODEL = "anomaly"
ENOUGH = score.ENOUGH
"""Gifts that a platform has to know before the model says anything."""
Findings = Mapping[str, Sequence[Finding]]


def possible(gifts: int) -> bool:
    """Whether so many gifts are enough to go by."""
    if gifts < ENOUGH:
        log.debug("model_knows_too_little", model=MODEL, gifts=gifts, needed=ENOUGH)
    return gifts >= ENOUGH


def model_in_use() -> Model | None:
    """The model to ask now; None, with a line in the log, where there is none."""
    return models.in_use(MODEL, score.NEEDS)


def of_whole(model: Model, past: History, since: datetime) -> Findings:
    """What the model finds wrong with gifts made since then, knowing what followed; by the id of their entry."""
    gifts = _gifts(past)
    everybody = pd.Series(True, index=gifts.index)
    return _findings(model, past, gifts, everybody, gifts["time"] >= since, score.LATER)


def later(model: Model, since: datetime, past: History, asked: Sequence[PastGift]) -> Findings:
    """The same for what the creators of these gifts got since then, knowing what is around them."""
    gifts = _gifts(past)
    company = _company(past, gifts, asked)
    return _findings(model, past, gifts, company, company & (gifts["time"] >= since), score.LATER)


def at_once(model: Model, past: History, asked: Sequence[PastGift]) -> Findings:
    """The same for these gifts only, each by what was known when it was made."""
    gifts = _gifts(past)
    wanted = pd.Series(gifts.index.isin([gift.entry_id for gift in asked]), index=gifts.index)
    return _findings(model, past, gifts, _company(past, gifts, asked), wanted, score.AT_ONCE)


def _gifts(past: History) -> pd.DataFrame:
    frame = pd.DataFrame(past.gifts, columns=list(PastGift._fields)).set_index("entry_id")
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True))


def _company(past: History, gifts: pd.DataFrame, asked: Sequence[PastGift]) -> pd.Series:
    """What the same creators got from people whose past is known: of others it would look like their first gift."""
    return gifts["creator"].isin([gift.creator for gift in asked]) & gifts["giver"].isin(past.known)


def _findings(
    model: Model, past: History, gifts: pd.DataFrame, company: pd.Series, asked: pd.Series, view: str
) -> Findings:
    """Of the gifts `asked`, judged among those of `company`. A model that fails to answer is no reason to fail."""
    if not asked.any():
        return {}
    measured = _measured(past, gifts)
    try:
        verdict = score.judge(measured[company], gifts[company], model, view=view)
        threshold = score.threshold(model, view)
    except (Refused, LookupError, TypeError, ValueError) as refusal:
        log.error("model_refused", model=MODEL, version=model.version, reason=f"{type(refusal).__name__}: {refusal}")
        return {}
    flagged = verdict[asked[company] & verdict["flagged"]]
    return {
        str(entry_id): [Finding(Rule.MODEL, _sentence(chance, threshold, reasons, model))]
        for entry_id, chance, reasons in zip(flagged.index, flagged["probability"], flagged["reasons"], strict=True)
    }


def _measured(past: History, gifts: pd.DataFrame) -> pd.DataFrame:
    """The features of all gifts that were read."""
    people = pd.DataFrame({"person": pd.unique(gifts[["giver", "creator"]].to_numpy().ravel())})
    joined = [past.joined.get(person, past.oldest) for person in people["person"]]
    people["joined"] = pd.to_datetime(joined, utc=True)
    inflows = pd.DataFrame(past.inflows, columns=list(Inflow._fields))
    inflows = inflows.assign(time=pd.to_datetime(inflows["time"], utc=True))
    return features(gifts, people, inflows, past.daily_limit)


def _sentence(chance: float, threshold: float, reasons: Sequence[str], model: Model) -> str:
    return f"{chance:.0%} likely fraud, flagged from {threshold:.0%} ({model.version}): {'; '.join(reasons)}."
