"""The trained models of this platform: its own where there is one that passes its checks, else what is shipped."""

from __future__ import annotations

from pathlib import Path

import structlog

import config
from models_ml import registry
from models_ml.registry import Model, Needs, Refused

log = structlog.get_logger()


def stores() -> tuple[Path, Path]:
    """Where models are looked for: first those that were trained here."""
    return config.current().models_folder, registry.SHIPPED


def in_use(name: str, needs: Needs) -> Model | None:
    """The model to use now, or None when there is none that passes its checks; what was refused is logged.

    `needs`: what the code that will ask it takes for granted.
    """
    own, shipped = stores()
    try:
        model = registry.load(name, (own, shipped), needs)
    except Refused as refusal:
        log.error("model_missing", model=name, reason=str(refusal))
        return None
    wanted = registry.in_use(name, (own,))
    if wanted and wanted != model.version:
        log.error("model_refused", model=name, version=wanted, instead=model.version)
    return model
