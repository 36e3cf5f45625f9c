"""What the model of odd gifts says about the log: from what was read of it to the model's frames, and back to findings.

Without a model that passes its checks, or with too little history, there are no findings, and the log says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import pandas as pd
import structlog

from models_ml.anomaly import score
from models_ml.anomaly.features import features, nearby
from models_ml.registry import Refused
from popoff.integrity.history import History, Inflow, PastGift
from popoff.integrity.rules import Finding, Rule
from workers import models

log = structlog.get_logger()

MODEL = "anomaly"
Findings = Mapping[str, Sequence[Finding]]


def of_past(past: History, since: datetime) -> Findings:
    """What the model finds wrong with gifts made since then, knowing what followed; by the id of their entry."""
    gifts = _gifts(past)
    return _findings(past, gifts, gifts["time"] >= since, score.LATER)


def of_giver(past: History, giver: str, since: datetime) -> Findings:
    """The same for the gifts of one person since then, each by what was known when it was made."""
    gifts = _gifts(past)
    if len(gifts) >= score.ENOUGH:
        gifts = gifts[nearby(gifts, giver)]
    return _findings(past, gifts, (gifts["giver"] == giver) & (gifts["time"] >= since), score.AT_ONCE)


def _gifts(past: History) -> pd.DataFrame:
    frame = pd.DataFrame(past.gifts, columns=list(PastGift._fields)).set_index("entry_id")
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True))


def _findings(past: History, gifts: pd.DataFrame, asked: pd.Series, view: str) -> Findings:
    if len(past.gifts) < score.ENOUGH:
        log.debug("model_knows_too_little", model=MODEL, gifts=len(past.gifts), needed=score.ENOUGH)
        return {}
    if not asked.any() or (model := models.in_use(MODEL, score.NEEDS)) is None:
        return {}
    inflows = pd.DataFrame(past.inflows, columns=list(Inflow._fields))
    inflows = inflows.assign(time=pd.to_datetime(inflows["time"], utc=True))
    people = pd.DataFrame({"person": pd.unique(gifts[["giver", "creator"]].to_numpy().ravel())})
    joined = [past.joined.get(person, past.known_from) for person in people["person"]]
    people["joined"] = pd.to_datetime(joined, utc=True)
    measured = features(gifts, people, inflows[inflows["wallet"].isin(people["person"])], past.daily_limit)
    try:
        verdict = score.judge(measured, gifts, model, view=view)
    except Refused as refusal:
        log.error("model_refused", model=MODEL, reason=str(refusal))
        return {}
    flagged = verdict[asked & verdict["flagged"]]
    threshold = score.threshold(model, view)
    return {
        str(entry_id): [Finding(Rule.MODEL, _sentence(chance, threshold, reasons, model.version))]
        for entry_id, chance, reasons in zip(flagged.index, flagged["probability"], flagged["reasons"], strict=True)
    }


def _sentence(chance: float, threshold: float, reasons: Sequence[str], version: str) -> str:
    return f"{chance:.0%} likely fraud, flagged from {threshold:.0%} ({version}): {'; '.join(reasons)}."
