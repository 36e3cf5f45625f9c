"""`python -m models_ml.quality FILE [--caption TEXT] [--tag TAG ...]`: the scores of a film, as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models_ml.quality.measure import OutOfTime
from models_ml.quality.score import score
from models_ml.registry import SHIPPED, Refused

UNREADABLE, NO_MODEL, OUT_OF_TIME = os.EX_DATAERR, os.EX_CONFIG, os.EX_TEMPFAIL
"""Exit codes that tell what is wrong with the film from what is wrong with us, and both from an accident."""


def main(arguments: Sequence[str]) -> int:
    """Print scores, feedback, measurements and the model's version.

    Or a sentence, and UNREADABLE when FILE cannot be read, NO_MODEL when there is no model that can be used,
    OUT_OF_TIME when the machine is too busy.
    """
    parser = argparse.ArgumentParser(prog="python -m models_ml.quality", description=__doc__)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--caption", default="", metavar="TEXT")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG")
    parser.add_argument("--store", action="append", type=Path, metavar="DIR", help="where models are (repeatable)")
    options = parser.parse_args(arguments)
    try:
        made = score(options.file, options.caption, options.tag, stores=options.store or [SHIPPED])
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return NO_MODEL
    except OutOfTime as reason:
        sys.stderr.write(f"{reason}\n")
        return OUT_OF_TIME
    if made.unreadable:
        sys.stderr.write(f"{made.missing}\n")
        return UNREADABLE
    answer = {
        "scores": made.scores,
        "feedback": made.feedback,
        "measurements": made.measurements,
        "model": made.model,
    }
    print(json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
