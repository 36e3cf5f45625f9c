"""`python -m models_ml.evaluate [MODEL ...] [--quick] [--data DIR]`: what models show on what is new to them."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models_ml.registry import Refused
from models_ml.train import MODELS as TRAINED

MODELS = tuple(model for model in TRAINED if model != "ranking")
"""Ranking is measured beside its rivals, and needs data: see `models_ml.ranking.evaluate` and `ranking.simulate`."""


@dataclass(frozen=True)
class Figure:
    """A line of the table: what was measured, what came out, and what it is held to (empty: nothing)."""

    model: str
    what: str
    value: float
    target: str
    reached: bool


def main(arguments: Sequence[str]) -> int:
    """Print one table over all models; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m models_ml.evaluate", description=__doc__)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="all of them where none is named")
    parser.add_argument("--quick", action="store_true", help="less material: a rough look in about a minute")
    parser.add_argument("--data", type=Path, help="folder of the KuaiRand extract, for engagement")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    for model in options.models or MODELS:
        given = {"data": options.data} if options.data and model == "engagement" else {}
        try:
            figures += importlib.import_module(f"models_ml.{model}.evaluate").evaluate(quick=options.quick, **given)
        except Refused as refusal:
            figures.append(Figure(model, str(refusal), math.nan, "a model that passes its checks", False))
    width = max(len(figure.what) for figure in figures)
    for figure in figures:
        verdict = "" if not figure.target else "  reached" if figure.reached else "  MISSED"
        print(f"{figure.model:<11} {figure.what:<{width}} {figure.value:>9.5f}  {figure.target}{verdict}")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
