"""Trained models with their cards: written, checked when they are loaded, refused when they are not what they say.

A model is a folder with XGBoost files (`*.ubj`) and `card.json`. A store is a folder of such folders, one for each
model by name, and keeps the versions of a model beside one another with `current` naming the one in use:

    <store>/engagement/<version>/card.json, model.ubj
    <store>/engagement/current

`load` believes nothing: the files must have the hashes that the card has, their features the card's names and order,
the figures must reach the card's own floors, and the model must answer the card's probes as it did when it was made.
And whoever is going to ask the model says what it `Needs`: a model made by other code is refused as well.

XGBoost takes a second to import, and many only ask what is in use: it is imported where a booster is loaded or asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xgboost as xgb

SHIPPED = Path(__file__).parent / "artifacts"
"""The store that comes with the code."""
FORMAT = 1
TOLERANCE = 1e-4
"""By how much a probe may be answered otherwise: another machine rounds otherwise."""
_DAMAGED = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What reading a card raises that has something else in a place than belongs there."""

Matrix = npt.NDArray[np.float32]


class Refused(Exception):
    """A model that is not used, and why, in one sentence."""


@dataclass(frozen=True)
class Card:
    """What a model is, what it was made of, how good it was found to be, and where it ends.

    `floors`: the least value of figures in `metrics`; `probes`: for each file, rows of features with the answers of the
    trained model; `limits`: what it must not be taken for, in sentences.
    """

    model: str
    version: str
    made_at: str
    code: str
    seed: int
    data: Mapping[str, Any]
    features: Sequence[str]
    metrics: Mapping[str, float]
    floors: Mapping[str, float]
    limits: Sequence[str]
    files: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Needs:
    """What the code that asks a model takes for granted of it.

    `features`: their names in their order; `boosters`: the names of those that it asks; `check`: raises when the card's
    `parameters` are not what it reads there (LookupError, TypeError or ValueError).
    """

    features: Sequence[str]
    boosters: Sequence[str] = ("model",)
    check: Callable[[Mapping[str, Any]], object] | None = None


@dataclass(frozen=True)
class Model:
    """A model that passed its card's checks; `boosters` by the name of their file without its ending."""

    card: Card
    boosters: Mapping[str, xgb.Booster]

    @property
    def version(self) -> str:
        return self.card.version

    def predict(self, rows: Matrix, name: str = "model") -> npt.NDArray[np.float64]:
        """Answers for rows of the card's features in its order, shape (n,)."""
        return predict(self.boosters[name], rows, self.card.features)

    def contributions(self, rows: Matrix, name: str = "model") -> npt.NDArray[np.float64]:
        """SHAP values of XGBoost itself, shape (n, features); in the units of the margin."""
        import xgboost as xgb

        matrix = xgb.DMatrix(rows, feature_names=list(self.card.features))
        return np.asarray(self.boosters[name].predict(matrix, pred_contribs=True), dtype=np.float64)[:, :-1]


def predict(booster: xgb.Booster, rows: Matrix, features: Sequence[str]) -> npt.NDArray[np.float64]:
    """Answers of a booster for rows of these features, shape (n,)."""
    import xgboost as xgb

    return np.asarray(booster.predict(xgb.DMatrix(rows, feature_names=list(features))), dtype=np.float64)


def save(card: Card, boosters: Mapping[str, xgb.Booster], probes: Matrix, store: Path = SHIPPED) -> Card:
    """Write a version of a model, whole or not at all, and return its card with hashes and answered probes.

    `probes`: a few typical rows, shape (n, features). Nothing is in use yet: see `promote`.
    """
    folder = store / card.model / card.version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as making:
        made = Path(making) / card.version
        made.mkdir()
        hashes, answers = {}, {}
        for name, booster in sorted(boosters.items()):
            path = made / f"{name}.ubj"
            booster.save_model(path)
            hashes[path.name] = _sha256(path)
            answers[name] = {
                "rows": [[_plain(value) for value in row] for row in np.asarray(probes, dtype=np.float32)],
                "answers": [float(value) for value in predict(booster, probes, card.features)],
            }
        whole = Card(**{**asdict(card), "files": hashes, "probes": answers})
        text = json.dumps(asdict(whole), indent=1, allow_nan=False, ensure_ascii=False)
        (made / "card.json").write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(making) / "replaced")
        made.rename(folder)
    return whole


def promote(model: str, version: str, store: Path, needs: Needs | None = None) -> None:
    """Make a version the one in use, once it has passed its checks. Raises Refused, and the former one stays."""
    load_version(model, version, store, needs)
    pointer = store / model / "current"
    part = pointer.with_name(".current.part")
    part.write_text(version + "\n", encoding="utf-8")
    os.replace(part, pointer)


def load(model: str, stores: Sequence[Path] = (SHIPPED,), needs: Needs | None = None) -> Model:
    """The model in use: from the first of the stores that has one which passes its checks. Raises Refused."""
    refusals = []
    for store in stores:
        version = in_use(model, (store,))
        if not version:
            continue
        try:
            return load_version(model, version, store, needs)
        except Refused as refusal:
            refusals.append(str(refusal))
    raise Refused(" ".join(refusals) or f"There is no model {model!r}: train it with `python -m models_ml.train`.")


def in_use(model: str, stores: Sequence[Path] = (SHIPPED,)) -> str:
    """The version that the first of the stores names as the one in use, unchecked; empty where none does.

    What is no text is read as the name of a version that does not exist, so that it is refused and told.
    """
    for store in stores:
        with contextlib.suppress(OSError):
            if version := (store / model / "current").read_text(encoding="utf-8", errors="replace").strip():
                return version
    return ""


def load_version(model: str, version: str, store: Path, needs: Needs | None = None) -> Model:
    """A version of a model that passes its card's checks and has what is needed. Raises Refused, whatever is wrong."""
    try:
        found = _passed(model, version, store)
        if needs is not None:
            _check_needs(found, needs)
    except _DAMAGED as error:
        raise Refused(f"{model} {version!r} is damaged ({type(error).__name__}: {error}).") from error
    return found


def _passed(model: str, version: str, store: Path) -> Model:
    folder = store / model / version
    if not version or folder.parent != store / model or not (folder / "card.json").is_file():
        raise Refused(f"There is no version {version!r} of the model {model!r}.")
    card = read_card(folder / "card.json")
    if (card.model, card.version) != (model, version):
        raise Refused(f"The card in {folder.name} is of {card.model} {card.version}.")
    for name, floor in card.floors.items():
        found = card.metrics.get(name, math.nan)
        if not found >= floor:
            raise Refused(f"{model} {version} has {name} {found:g}; at least {floor:g} is needed.")
    boosters = {Path(name).stem: _booster(folder / name, digest, card) for name, digest in card.files.items()}
    for name, probe in card.probes.items():
        _check_probe(name, probe, boosters, card)
    return Model(card, boosters)


def _check_needs(model: Model, needs: Needs) -> None:
    if list(model.card.features) != list(needs.features):
        raise Refused(f"{model.version} was made by other code: it has other features.")
    if missing := set(needs.boosters) - set(model.boosters):
        raise Refused(f"{model.version} was made by other code: it lacks {', '.join(sorted(missing))}.")
    if needs.check is not None:
        needs.check(model.card.parameters)


def numbers(values: Any, count: int) -> npt.NDArray[np.float64]:
    """Values of a card's parameters. Raises TypeError or ValueError unless they are so many finite numbers."""
    read = np.asarray(values, dtype=np.float64)
    if read.shape != (count,) or not np.isfinite(read).all():
        raise ValueError(f"there are not {count} numbers")
    return read


def read_card(path: Path) -> Card:
    """Raises Refused when it is no card that this code understands."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        card = Card(**values)
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"{path.parent.name} has no card that can be read ({type(error).__name__}).") from error
    if card.format != FORMAT or not card.files or not card.features:
        raise Refused(f"The card of {path.parent.name} is of another format.")
    return card


def _booster(path: Path, digest: str, card: Card) -> xgb.Booster:
    if path.suffix != ".ubj" or path.name != os.path.basename(path) or not path.is_file() or _sha256(path) != digest:
        raise Refused(f"{path.name} of {card.model} {card.version} is not the file that its card is about.")
    import xgboost as xgb

    booster = xgb.Booster()
    try:
        booster.load_model(path)
    except xgb.core.XGBoostError as error:
        raise Refused(f"{path.name} of {card.model} {card.version} cannot be read.") from error
    if list(booster.feature_names or []) != list(card.features):
        raise Refused(f"{path.name} of {card.model} {card.version} has other features than its card.")
    return booster


def _check_probe(name: str, probe: Mapping[str, Any], boosters: Mapping[str, xgb.Booster], card: Card) -> None:
    if name not in boosters:
        raise Refused(f"The card of {card.model} {card.version} has probes for {name!r}, which is not there.")
    rows = np.array([[math.nan if value is None else value for value in row] for row in probe["rows"]], np.float32)
    found = predict(boosters[name], rows.reshape(len(probe["rows"]), len(card.features)), card.features)
    if not np.allclose(found, probe["answers"], atol=TOLERANCE, rtol=TOLERANCE):
        raise Refused(f"{card.model} {card.version} answers otherwise than when it was made.")


def version_of(model: str, boosters: Mapping[str, xgb.Booster], made_at: str) -> str:
    """A name for a version: its day, and a part of the hash of what was learnt."""
    seal = hashlib.sha256()
    for name, booster in sorted(boosters.items()):
        seal.update(name.encode() + b"\0" + bytes(booster.save_raw("json")))
    return f"{model}-{made_at[:10]}-{seal.hexdigest()[:8]}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _plain(value: np.float32) -> float | None:
    return None if math.isnan(value) else float(value)
