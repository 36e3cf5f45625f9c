"""Models and their cards: what is loaded is what was made, or it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from models_ml import registry
from models_ml.registry import Card, Needs, Refused

FEATURES = ["likes", "views"]


@pytest.fixture
def booster() -> xgb.Booster:
    rows = np.random.default_rng(3).random((200, 2), dtype=np.float32)
    matrix = xgb.DMatrix(rows, label=rows[:, 0] * 2 - rows[:, 1], feature_names=FEATURES)
    return xgb.train({"max_depth": 2, "seed": 3, "nthread": 1}, matrix, num_boost_round=5)


def card(version: str = "engagement-1", **changes: Any) -> Card:
    values: dict[str, Any] = {
        "model": "engagement", "version": version, "made_at": "2026-11-01T00:00:00Z", "code": "test", "seed": 3,
        "data": {"rows": 200}, "features": FEATURES, "metrics": {"ndcg": 0.8}, "floors": {"ndcg": 0.5},
        "limits": ["A model of tests."],
    }  # fmt: skip
    return Card(**{**values, **changes})


PROBES = np.array([[0.1, 0.9], [0.8, np.nan]], dtype=np.float32)


def save(store: Path, booster: xgb.Booster, **changes: Any) -> Card:
    return registry.save(card(**changes), {"model": booster}, PROBES, store)


def test_a_saved_model_answers_as_it_did(tmp_path: Path, booster: xgb.Booster) -> None:
    save(tmp_path, booster)
    registry.promote("engagement", "engagement-1", tmp_path)
    loaded = registry.load("engagement", [tmp_path])
    assert loaded.version == "engagement-1"
    assert loaded.predict(PROBES) == pytest.approx(registry.predict(booster, PROBES, FEATURES))


def test_contributions_and_their_base_add_up_to_the_answer(tmp_path: Path, booster: xgb.Booster) -> None:
    save(tmp_path, booster)
    loaded = registry.load_version("engagement", "engagement-1", tmp_path)
    one, other = loaded.contributions(PROBES).sum(axis=1)
    assert one - other == pytest.approx(np.subtract(*loaded.predict(PROBES)), abs=1e-5)


def _spoil_file(folder: Path) -> None:
    path = folder / "model.ubj"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _edit_card(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(values | changes))

    return edit


def _edit_probe(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        values = json.loads((folder / "card.json").read_text())
        change(values["probes"]["model"])
        (folder / "card.json").write_text(json.dumps(values))

    return edit


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a changed file": (_spoil_file, "not the file"),
    "a missing file": (lambda folder: (folder / "model.ubj").unlink(), "not the file"),
    "no card": (lambda folder: (folder / "card.json").unlink(), "no version"),
    "half a card": (lambda folder: (folder / "card.json").write_text("{"), "no card that can be read"),
    "an unknown entry": (_edit_card(colour="red"), "no card that can be read"),
    "another format": (_edit_card(format=2), "another format"),
    "another order of features": (_edit_card(features=FEATURES[::-1]), "other features"),
    "a figure below its floor": (_edit_card(metrics={"ndcg": 0.4}), "at least 0.5"),
    "no figure for its floor": (_edit_card(metrics={}), "at least 0.5"),
    "another answer to a probe": (_edit_probe(lambda probe: probe["answers"].reverse()), "answers otherwise"),
    "a probe without rows": (_edit_probe(lambda probe: probe.pop("rows")), "damaged"),
    "text in a probe": (_edit_probe(lambda probe: probe["rows"][0].append("x")), "damaged"),
    "a list where floors belong": (_edit_card(floors=[]), "damaged"),
    "a figure that is text": (_edit_card(metrics={"ndcg": "good"}), "damaged"),
    "a number where features belong": (_edit_card(features=2), "damaged"),
    "a list where files belong": (_edit_card(files=["model.ubj"]), "damaged"),
    "a hash that is no text": (_edit_card(files={"model.ubj": 1}), "not the file"),
    "an endless number in a probe": (_edit_probe(lambda probe: probe["rows"][0].append(10**400)), "damaged"),
    "another model's card": (_edit_card(model="quality"), "is of quality"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_what_is_not_what_its_card_says_is_refused(tmp_path: Path, booster: xgb.Booster, fault: str) -> None:
    spoil, said = SPOILT[fault]
    save(tmp_path, booster)
    spoil(tmp_path / "engagement" / "engagement-1")
    with pytest.raises(Refused, match=said):
        registry.load_version("engagement", "engagement-1", tmp_path)


def test_a_version_that_is_refused_is_not_promoted_and_the_former_stays(tmp_path: Path, booster: xgb.Booster) -> None:
    save(tmp_path, booster)
    registry.promote("engagement", "engagement-1", tmp_path)
    save(tmp_path, booster, version="engagement-2", metrics={"ndcg": 0.1})
    with pytest.raises(Refused):
        registry.promote("engagement", "engagement-2", tmp_path)
    assert registry.load("engagement", [tmp_path]).version == "engagement-1"


def test_where_the_own_model_is_spoilt_the_shipped_one_serves(tmp_path: Path, booster: xgb.Booster) -> None:
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for store, version in ((own, "engagement-2"), (shipped, "engagement-1")):
        save(store, booster, version=version)
        registry.promote("engagement", version, store)
    assert registry.load("engagement", [own, shipped]).version == "engagement-2"
    _spoil_file(own / "engagement" / "engagement-2")
    assert registry.load("engagement", [own, shipped]).version == "engagement-1"


def test_a_pointer_that_is_no_text_leads_to_the_shipped_model(tmp_path: Path, booster: xgb.Booster) -> None:
    save(tmp_path / "shipped", booster)
    registry.promote("engagement", "engagement-1", tmp_path / "shipped")
    (tmp_path / "own" / "engagement").mkdir(parents=True)
    for damaged in (b"\xff\xfe\x00", b"x" * 5000, b"engagement-1\x00"):
        (tmp_path / "own" / "engagement" / "current").write_bytes(damaged)
        assert registry.load("engagement", [tmp_path / "own", tmp_path / "shipped"]).version == "engagement-1"
        assert registry.in_use("engagement", [tmp_path / "own"]), "what is refused can be told"


def _read_depth(parameters: Mapping[str, Any]) -> None:
    registry.numbers(parameters["depth"], 1)


OTHER_CODE = {
    "a feature more": (Needs([*FEATURES, "shares"]), "other features"),
    "another order of features": (Needs(FEATURES[::-1]), "other features"),
    "another booster": (Needs(FEATURES, ["model", "second"]), "lacks second"),
    "a parameter more": (Needs(FEATURES, check=_read_depth), "damaged"),
}


@pytest.mark.parametrize("change", OTHER_CODE)
def test_a_model_of_other_code_gives_way_to_the_shipped_one(tmp_path: Path, booster: xgb.Booster, change: str) -> None:
    needs, said = OTHER_CODE[change]
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    save(own, booster)
    registry.promote("engagement", "engagement-1", own)
    with pytest.raises(Refused, match=said):
        registry.load_version("engagement", "engagement-1", own, needs)
    with pytest.raises(Refused, match=said):
        registry.promote("engagement", "engagement-1", own, needs)
    extended = xgb.train({"seed": 3, "nthread": 1}, xgb.DMatrix(
        np.zeros((5, len(needs.features)), np.float32), label=np.ones(5), feature_names=list(needs.features)
    ), 1)  # fmt: skip
    made = card("new", features=list(needs.features), parameters={"depth": [2]})
    boosters = dict.fromkeys(needs.boosters, extended)
    registry.save(made, boosters, np.zeros((1, len(needs.features)), np.float32), shipped)
    registry.promote("engagement", "new", shipped, needs)
    assert registry.load("engagement", [own, shipped], needs).version == "new"


def test_a_name_that_leads_out_of_the_store_is_no_version(tmp_path: Path, booster: xgb.Booster) -> None:
    save(tmp_path, booster)
    for version in ("", "..", "../engagement/engagement-1", "/etc"):
        with pytest.raises(Refused, match="no version"):
            registry.load_version("engagement", version, tmp_path)


def test_the_same_training_gives_the_same_name(booster: xgb.Booster) -> None:
    first, again = (registry.version_of("engagement", {"model": booster}, "2026-11-01T00:00:00Z") for _ in range(2))
    assert first == again
    assert first.startswith("engagement-2026-11-01-")
