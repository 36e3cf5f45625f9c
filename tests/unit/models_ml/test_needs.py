"""What scoring takes for granted of the models that are shipped: they have it, and a model without it is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from models_ml import engagement, registry
from models_ml.anomaly import score as anomaly
from models_ml.quality import score as quality
from models_ml.registry import Needs, Refused

NEEDS = {"engagement": engagement.NEEDS, "anomaly": anomaly.NEEDS, "quality": quality.NEEDS}


@pytest.mark.parametrize("model", NEEDS)
def test_what_is_shipped_has_what_is_needed(model: str) -> None:
    assert registry.load(model, needs=NEEDS[model]).version == registry.in_use(model)


@pytest.mark.parametrize("model", NEEDS)
def test_a_model_with_other_features_is_refused(model: str) -> None:
    needs = NEEDS[model]
    for features in (needs.features[:-1], needs.features[::-1]):
        with pytest.raises(Refused, match="made by other code"):
            registry.load(model, needs=Needs(features, needs.boosters))


DAMAGES: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("engagement", lambda parameters: parameters.pop("scales")),
    ("engagement", lambda parameters: parameters["scales"].pop("platform")),
    ("engagement", lambda parameters: parameters["scales"]["platform"]["likes"].update(mean="much")),
    ("engagement", lambda parameters: parameters["scales"]["platform"].update(reputation=None)),
    ("engagement", lambda parameters: parameters["scales"]["platform"]["spread"].pop()),
    ("anomaly", lambda parameters: parameters.pop("tails")),
    ("anomaly", lambda parameters: parameters["tails"].pop("smallness")),
    ("anomaly", lambda parameters: parameters["tails"]["smallness"].pop()),
    ("anomaly", lambda parameters: parameters["views"].pop("later")),
    ("anomaly", lambda parameters: parameters["views"]["later"].update(threshold="high")),
    ("anomaly", lambda parameters: parameters["views"]["later"]["weights"].pop()),
    ("quality", lambda parameters: parameters.pop("clean_contributions")),
    ("quality", lambda parameters: parameters["clean_contributions"].pop("hum")),
    ("quality", lambda parameters: parameters["clean_contributions"]["hum"].pop()),
]


@pytest.mark.parametrize(("model", "damage"), DAMAGES)
def test_a_card_without_what_scoring_reads_is_no_card_to_score_by(
    model: str, damage: Callable[[dict[str, Any]], object]
) -> None:
    [path] = (registry.SHIPPED / model).glob("*/card.json")
    parameters = copy.deepcopy(dict(registry.read_card(path).parameters))
    check = NEEDS[model].check
    assert check is not None
    check(parameters)
    damage(parameters)
    with pytest.raises((LookupError, TypeError, ValueError)):
        check(parameters)
