"""The versions of the trained ranker: which is in use, which was before, and any of them by name."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import config
from models_ml import registry
from models_ml.registry import Refused
from popoff.audit import queries as log_of

if TYPE_CHECKING:
    from models_ml.ranking.ranker import Ranker

MODEL = "ranking"
PROMOTED = "feed.model_promoted"
"""What the audit log calls it when a ranker that was learnt here comes into use."""


def stores() -> tuple[Path, Path]:
    """Where rankers are looked for: first those that were learnt here."""
    return config.current().models_folder, registry.SHIPPED


def load(version: str) -> Ranker:
    """A version that passes its checks. Raises Refused."""
    from models_ml.ranking.ranker import NEEDS, Ranker  # with XGBoost, which takes a second

    refusals = []
    for store in stores():
        try:
            booster = registry.load_version(MODEL, version, store, NEEDS).boosters["model"]
        except Refused as refusal:
            refusals.append(str(refusal))
            continue
        booster.set_param({"nthread": 1})  # so few rows are scored at a time that threads would wait for one another
        return Ranker(booster)
    raise Refused(refusals[0])


def versions() -> list[str]:
    """The names of all versions there are, unchecked, the latest first."""
    cards = [card for store in stores() for card in (store / MODEL).glob("*/card.json")]
    return sorted({card.parent.name for card in cards}, reverse=True)


def in_use() -> str:
    """The version that passes its checks and is in use; empty where there is none, and the rule orders posts."""
    from models_ml.ranking.ranker import NEEDS

    with contextlib.suppress(Refused):
        return registry.load(MODEL, stores(), NEEDS).version
    return ""


def previous() -> str:
    """The version that the one in use took the place of, as the audit log tells; empty where it tells of none."""
    told, _ = log_of.page(action=PROMOTED, limit=1)
    return str(told[0].data.get("instead_of") or "") if told else ""
