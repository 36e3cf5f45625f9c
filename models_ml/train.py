"""`python -m models_ml.train quality|engagement|anomaly|ranking [--help]`: train a model, write its card, use it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

MODELS = ("quality", "engagement", "anomaly", "ranking")


def main(arguments: Sequence[str]) -> int:
    """Hand the rest of the command to `models_ml.<model>.train`; the exit code."""
    if not arguments or arguments[0] not in MODELS:
        sys.stderr.write(f"usage: python -m models_ml.train {'|'.join(MODELS)} [--help]\n")
        return 2
    command = importlib.import_module(f"models_ml.{arguments[0]}.train")
    return int(command.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
